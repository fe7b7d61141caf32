//! Hosts, as they stand in references and URLs.

use std::net::IpAddr;

/// Says whether only this machine answers at `host`, a name or an address without a port, IPv6 in brackets or not.
///
/// Names are `localhost` and all below it: <https://www.rfc-editor.org/rfc/rfc6761#section-6.3>. An IPv4 address that is
/// written as an IPv6 one leads to the same place.
pub fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_names_and_addresses() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost", true),
            ("registry.localhost", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("::ffff:7f00:1", true),
            ("localhost.evil.test", false),
            ("notlocalhost", false),
            ("[localhost]", false),
            ("127.0.0.1.evil.test", false),
            ("[::ffff:10.0.0.1]", false),
            ("[::1", false),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
