//! Which hosts may be trusted with what: realms of token services, and addresses that a registry sends us to.
//!
//! A challenge names the address that receives the password, so a hostile registry would name its own
//! (CVE-2026-48978, CVE-2026-33540).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sealift_core::host;
use url::{Host, Url};

/// Says whether both have the same scheme, host and port: where credentials of one may go.
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Reads a realm that the registry at `registry` named, refusing those that must not see credentials.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_realm(text: &str, registry: &Url) -> Result<Url, RealmProblem> {
    let realm = Url::parse(text).map_err(|_| RealmProblem::NotAUrl)?;
    if !realm.username().is_empty() || realm.password().is_some() {
        return Err(RealmProblem::UserInformation);
    }
    if is_same_origin(&realm, registry) {
        return Ok(realm);
    }
    let both_loopback = is_loopback(&realm) && is_loopback(registry);
    match realm.scheme() {
        "https" => {}
        // Plain HTTP crosses no network between two ports of this machine, and the registry itself is plain.
        "http" if registry.scheme() == "http" && (both_loopback || realm.host() == registry.host()) => {}
        _ => return Err(RealmProblem::NotHttps),
    }
    let is_inside = is_loopback(&realm) || address(&realm).is_some_and(is_private);
    if is_inside && !both_loopback && !is_same_host_and_port(&realm, registry) {
        return Err(RealmProblem::PrivateAddress);
    }
    Ok(realm)
}

/// Says whether a redirect or an upload may lead from `current` to `next`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_target(current: &Url, next: &Url) -> Result<(), RealmProblem> {
    match (current.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        _ => return Err(RealmProblem::NotHttps),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(RealmProblem::UserInformation);
    }
    // Metadata services live on link-local addresses; no blob store does.
    if address(next).is_some_and(is_link_local) {
        return Err(RealmProblem::PrivateAddress);
    }
    Ok(())
}

/// Says why an address is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RealmProblem {
    #[error("it is not a URL")]
    NotAUrl,
    #[error("it is not https")]
    NotHttps,
    #[error("it is a private or link-local address")]
    PrivateAddress,
    #[error("it carries user information")]
    UserInformation,
}

fn is_same_host_and_port(one: &Url, other: &Url) -> bool {
    one.host() == other.host() && one.port_or_known_default() == other.port_or_known_default()
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(host::is_loopback)
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.to_canonical()),
        Host::Domain(_) => None,
    }
}

/// Says whether an address is for use within a network, or this machine.
pub(crate) fn is_private(address: IpAddr) -> bool {
    is_link_local(address)
        || match address {
            IpAddr::V4(v4) => {
                // 0.0.0.0/8 is this network (RFC 1122), 100.64.0.0/10 is shared within a carrier's (RFC 6598).
                let [first, second, ..] = v4.octets();
                let is_shared = first == 100 && second & 0b1100_0000 == 64;
                v4.is_private() || first == 0 || is_shared || v4.is_broadcast() || v4.is_loopback()
            }
            // fc00::/7 is for use within a site (RFC 4193).
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback() || v6.segments()[0] & 0xfe00 == 0xfc00,
        }
}

/// Says whether an address is for one link only, or one where clouds have their metadata service.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == ALIBABA_METADATA,
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80 || v6 == AWS_METADATA,
    }
}

/// The metadata service of Alibaba's cloud, which is not link-local.
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The metadata service of Amazon's cloud over IPv6.
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_no_hostile_realm() {
        use RealmProblem::{NotAUrl, NotHttps, PrivateAddress, UserInformation};
        let public = "https://reg.test/";
        let loopback = "http://127.0.0.1:5000/";
        let private = "https://10.0.0.5:5000/";
        for (registry, realm, expected) in [
            (public, "https://auth.reg.test/token", None),
            (public, "https://reg.test/token?x=y", None),
            (public, "http://reg.test/token", Some(NotHttps)),
            (public, "http://127.0.0.1/token", Some(NotHttps)),
            (public, "https://127.0.0.1/token", Some(PrivateAddress)),
            (public, "https://localhost/token", Some(PrivateAddress)),
            (public, "https://169.254.169.254/latest", Some(PrivateAddress)),
            (public, "https://[fe80::1]/t", Some(PrivateAddress)),
            (public, "https://[::ffff:10.0.0.1]/t", Some(PrivateAddress)),
            (public, "https://192.168.1.1/t", Some(PrivateAddress)),
            (public, "https://user:pw@auth.test/token", Some(UserInformation)),
            (public, "/token", Some(NotAUrl)),
            (public, "file:///etc/passwd", Some(NotHttps)),
            (loopback, "http://127.0.0.1:5001/token", None),
            (loopback, "http://localhost:5001/token", None),
            (loopback, "http://evil.test/token", Some(NotHttps)),
            (loopback, "http://10.0.0.1/token", Some(NotHttps)),
            (private, "https://10.0.0.5:5000/token", None),
            (private, "https://10.0.0.6:5000/token", Some(PrivateAddress)),
            (private, "http://10.0.0.5:5000/token", Some(NotHttps)),
            ("http://reg.lan:5000/", "http://reg.lan:5001/token", None),
        ] {
            let registry = Url::parse(registry).unwrap();
            assert_eq!(parse_realm(realm, &registry).err(), expected, "{registry} names {realm}");
        }
    }

    #[test]
    fn redirects_do_not_downgrade() {
        let (secure, plain) = (Url::parse("https://a.test/").unwrap(), Url::parse("http://127.0.0.1:1/").unwrap());
        for (current, next, expected) in [
            (&secure, "https://cdn.test/b?sig=1", None),
            (&secure, "http://a.test/b", Some(RealmProblem::NotHttps)),
            (&plain, "http://127.0.0.1:2/b", None),
            (&plain, "https://cdn.test/b", None),
            (&secure, "https://169.254.169.254/b", Some(RealmProblem::PrivateAddress)),
            (&secure, "https://u:p@cdn.test/b", Some(RealmProblem::UserInformation)),
        ] {
            assert_eq!(check_target(current, &Url::parse(next).unwrap()).err(), expected, "{next}");
        }
    }
}
