//! HTTP clients: one for registries, others for the places that registries send us to.
//!
//! A registry names hosts of its choice: realms that get credentials, stores that get requests. Such names are looked up
//! by resolvers that leave out the addresses that no registry should make us talk to, so that what is checked is what is
//! connected to. Where a proxy makes the connection, the proxy looks names up, and is trusted to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::ClientError;
use crate::access::{Access, Tls};
use crate::auth::realm::{is_link_local, is_private};

/// How far a place may be that a registry sends us to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// Anywhere but at link-local addresses, where metadata services are: content, and what belongs to this machine.
    Anywhere,
    /// Not on this machine: realms of registries in a private network.
    Site,
    /// Not in a private network either: realms of all others.
    Public,
}

/// The clients of one process, each made when first needed: the system's certificate authorities are 150 files.
#[derive(Clone, Debug)]
pub(crate) struct Clients(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    own_settings: Settings,
    elsewhere_settings: Settings,
    own: OnceLock<reqwest::Client>,
    /// Knows no certificate authority: for plain HTTP.
    plain: OnceLock<reqwest::Client>,
    /// Speaks HTTP/1.1, where a server's last words before it closes a connection are not lost.
    simple: OnceLock<reqwest::Client>,
    elsewhere: [OnceLock<reqwest::Client>; 3],
}

impl Clients {
    /// Returns clients.
    pub(crate) fn new(access: &Access) -> Result<Self, ClientError> {
        let settings = Settings::new(access)?;
        Self::of(settings.clone(), settings)
    }

    /// Returns clients that do as `tls` says with the hosts that the user named, and as these do elsewhere.
    pub(crate) fn with_own_tls(&self, tls: Tls) -> Result<Self, ClientError> {
        let elsewhere = self.0.elsewhere_settings.clone();
        Self::of(Settings::new(&Access { tls, ..elsewhere.access.clone() })?, elsewhere)
    }

    fn of(own_settings: Settings, elsewhere_settings: Settings) -> Result<Self, ClientError> {
        let own = OnceLock::new();
        if own_settings.identity.is_some() || !own_settings.authorities.is_empty() {
            // A key of another certificate, and PEM around something else, are told before anything is sent.
            made(&own, || own_settings.builder(None).build()).map_err(|error| own_settings.why_none(error))?;
        }
        let (plain, simple, elsewhere) = (OnceLock::new(), OnceLock::new(), Default::default());
        Ok(Self(Arc::new(Inner { own_settings, elsewhere_settings, own, plain, simple, elsewhere })))
    }

    /// Returns whom the hosts that the user named are trusted by, and as whom we appear there.
    pub(crate) fn own_tls(&self) -> &Tls {
        &self.0.own_settings.access.tls
    }

    /// Returns the client for a host that the user named.
    pub(crate) fn own(&self, url: &Url) -> Result<&reqwest::Client, reqwest::Error> {
        let settings = &self.0.own_settings;
        // A proxy may itself be reached over TLS.
        match url.scheme() == "http" && settings.access.proxies.is_empty() {
            true => made(&self.0.plain, || settings.builder(None).tls_certs_only([]).build()),
            false => made(&self.0.own, || settings.builder(None).build()),
        }
    }

    /// Returns a client for the same hosts that learns why a connection was closed.
    pub(crate) fn simple(&self) -> Result<&reqwest::Client, reqwest::Error> {
        made(&self.0.simple, || self.0.own_settings.builder(None).http1_only().build())
    }

    /// Returns the client for a place that a registry named, which is shown no client certificate.
    pub(crate) fn elsewhere(&self, reach: Reach) -> Result<&reqwest::Client, reqwest::Error> {
        made(&self.0.elsewhere[reach as usize], || self.0.elsewhere_settings.builder(Some(reach)).build())
    }

    /// Returns the addresses of a name.
    pub(crate) async fn look_up(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        look_up(&self.0.own_settings.names, name).await
    }
}

/// Returns what is in `slot`, made by `make` when first needed.
fn made(
    slot: &OnceLock<reqwest::Client>,
    make: impl FnOnce() -> Result<reqwest::Client, reqwest::Error>,
) -> Result<&reqwest::Client, reqwest::Error> {
    match slot.get() {
        Some(client) => Ok(client),
        None => {
            let client = make()?;
            Ok(slot.get_or_init(|| client))
        }
    }
}

/// What clients are made from.
#[derive(Clone, Debug)]
struct Settings {
    access: Access,
    authorities: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
    names: Arc<BTreeMap<String, Vec<IpAddr>>>,
}

impl Settings {
    fn new(access: &Access) -> Result<Self, ClientError> {
        let mut authorities = Vec::new();
        for bundle in &access.tls.authorities {
            let found =
                reqwest::Certificate::from_pem_bundle(bundle).map_err(|error| ClientError::Authority(Some(error)))?;
            if found.is_empty() {
                return Err(ClientError::Authority(None));
            }
            authorities.extend(found);
        }
        let identity = access.tls.client_identity.as_ref();
        let identity = identity.map(|pem| reqwest::Identity::from_pem(pem.expose().as_bytes())).transpose();
        let identity = identity.map_err(ClientError::Identity)?;
        Ok(Self { access: access.clone(), authorities, identity, names: Arc::new(access.names.clone()) })
    }

    /// Says why there is no client: a key of another certificate is told only when both are used.
    fn why_none(&self, error: reqwest::Error) -> ClientError {
        let alone = Self { identity: None, ..self.clone() };
        match self.identity.is_some() && alone.builder(None).build().is_ok() {
            true => ClientError::KeyMismatch(error),
            false => ClientError::Http(error),
        }
    }

    fn builder(&self, reach: Option<Reach>) -> reqwest::ClientBuilder {
        let access = &self.access;
        let mut builder = strict_builder(&access.user_agent)
            .connect_timeout(access.timeouts.connect)
            .pool_max_idle_per_host(access.concurrency.max(1))
            .tcp_nodelay(true);
        if reach.is_some() || !self.names.is_empty() {
            let (names, proxies) = (Arc::clone(&self.names), access.proxies.clone());
            builder = builder.dns_resolver(Arc::new(Resolver { names, proxies, reach }));
        }
        if !self.authorities.is_empty() {
            builder = builder.tls_certs_merge(self.authorities.clone());
        }
        // Whoever a registry names as a realm or a store is not told who we are.
        if let (None, Some(identity)) = (reach, &self.identity) {
            builder = builder.identity(identity.clone());
        }
        if access.tls.is_insecure() {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder
    }
}

/// Returns what every client of this crate is built from: it goes nowhere, tells nobody where it comes from, and unpacks
/// nothing by itself.
pub(crate) fn strict_builder(user_agent: &str) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        // Redirects are followed by hand, so that each step is looked at first: requests carry keys and tokens.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Digests are of the bytes sent, and bombs stay small.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
}

/// Looks names up, and leaves out addresses that are out of reach.
struct Resolver {
    names: Arc<BTreeMap<String, Vec<IpAddr>>>,
    proxies: BTreeSet<String>,
    reach: Option<Reach>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let (names, reach) = (Arc::clone(&self.names), self.reach.filter(|_| !is_proxy));
        Box::pin(async move {
            let found = look_up(&names, name.as_str()).await?;
            let allowed: Vec<_> =
                found.into_iter().filter(|address| reach.is_none_or(|reach| reach.admits(*address))).collect();
            if allowed.is_empty() {
                return Err(OutOfReach.into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(allowed)
        })
    }
}

impl Reach {
    /// Returns how far the realms of a registry at these addresses may be.
    pub(crate) fn of_realms(registry: &[IpAddr]) -> Self {
        match registry {
            addresses if addresses.iter().any(|address| address.to_canonical().is_loopback()) => Self::Anywhere,
            addresses if addresses.iter().any(|address| is_private(address.to_canonical())) => Self::Site,
            _ => Self::Public,
        }
    }

    fn admits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Anywhere => !is_link_local(address),
            Self::Site => !is_link_local(address) && !address.is_loopback() && !address.is_unspecified(),
            Self::Public => !is_private(address),
        }
    }
}

/// Says that a name has no address that may be connected to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its addresses are private or link-local")]
pub(crate) struct OutOfReach;

async fn look_up(names: &BTreeMap<String, Vec<IpAddr>>, name: &str) -> std::io::Result<Vec<IpAddr>> {
    if let Some(addresses) = names.get(name) {
        return Ok(addresses.clone());
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_are_no_nearer_than_their_registry() {
        use Reach::{Anywhere, Public, Site};
        for (registry, expected) in [
            ("93.184.216.34", Public),
            ("10.0.0.5", Site),
            ("fd00::5", Site),
            ("127.0.0.1", Anywhere),
            ("::ffff:10.1.1.1", Site),
        ] {
            assert_eq!(Reach::of_realms(&[registry.parse().unwrap()]), expected, "{registry}");
        }
        assert_eq!(Reach::of_realms(&[]), Public, "nothing is known");
        for (address, admitted) in [
            ("93.184.216.34", vec![Anywhere, Site, Public]),
            ("10.0.0.5", vec![Anywhere, Site]),
            ("100.64.0.1", vec![Anywhere, Site]),
            ("127.0.0.1", vec![Anywhere]),
            ("::1", vec![Anywhere]),
            ("0.0.0.0", vec![Anywhere]),
            ("169.254.169.254", vec![]),
            ("::ffff:169.254.169.254", vec![]),
            ("fe80::1", vec![]),
            ("fd00:ec2::254", vec![]),
            ("100.100.100.200", vec![]),
        ] {
            let found: Vec<_> =
                [Anywhere, Site, Public].into_iter().filter(|reach| reach.admits(address.parse().unwrap())).collect();
            assert_eq!(found, admitted, "{address}");
        }
    }
}
