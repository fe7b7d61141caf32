//! Instances of Sigstore: a TUF repository, and the root to start with.

use bytes::Bytes;
use url::Url;

use super::TrustError;
use crate::tuf::TufClient;

/// An installation of Sigstore.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instance {
    url: String,
    root: Bytes,
    embedded: Option<Embedded>,
}

/// Documents that come with this crate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Embedded {
    pub(super) trusted_root: &'static [u8],
    pub(super) signing_config: Option<&'static [u8]>,
}

/// Returns the public-good instance, which everybody may use and anybody may read.
pub fn public_good() -> Instance {
    Instance {
        url: "https://tuf-repo-cdn.sigstore.dev".to_owned(),
        root: Bytes::from_static(include_bytes!("../../data/public-good/tuf_root.json")),
        embedded: Some(Embedded {
            trusted_root: include_bytes!("../../data/public-good/trusted_root.json"),
            signing_config: Some(include_bytes!("../../data/public-good/signing_config.v0.2.json")),
        }),
    }
}

/// Returns GitHub's instance, which attests what private repositories build: timestamps, and no log.
pub fn github() -> Instance {
    Instance {
        url: "https://tuf-repo.github.com".to_owned(),
        root: Bytes::from_static(include_bytes!("../../data/github/tuf_root.json")),
        embedded: Some(Embedded {
            trusted_root: include_bytes!("../../data/github/trusted_root.json"),
            signing_config: None,
        }),
    }
}

impl Instance {
    /// Makes an instance of one's own, whose first root the caller trusts.
    ///
    /// # Errors
    /// [`TrustError::Root`] when the root is malformed, or not signed as it demands.
    pub fn custom(url: &Url, root: impl Into<Bytes>) -> Result<Self, TrustError> {
        let root = root.into();
        TufClient::check_root(&root).map_err(|source| TrustError::Root { url: url.to_string(), source })?;
        Ok(Self { url: url.as_str().trim_end_matches('/').to_owned(), root, embedded: None })
    }

    /// Returns where the instance's TUF repository is: what tells instances apart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the root to start with.
    pub fn root(&self) -> &Bytes {
        &self.root
    }

    pub(super) fn embedded(&self) -> Option<Embedded> {
        self.embedded
    }
}

#[cfg(test)]
mod tests {
    use sealift_core::trust::TrustRoot;

    use super::*;
    use crate::signing_config::SigningConfig;

    #[test]
    fn what_is_embedded_is_whole() {
        for instance in [public_good(), github()] {
            let url = Url::parse(instance.url()).unwrap();
            // The root is signed as it demands, or this fails.
            Instance::custom(&url, instance.root().clone()).unwrap();
            let embedded = instance.embedded().unwrap();
            let trust = TrustRoot::parse(embedded.trusted_root).unwrap();
            assert!(!trust.certificate_authorities.is_empty() && !trust.timestamp_authorities.is_empty());
            let config = embedded.signing_config.map(|json| SigningConfig::parse(json).unwrap());
            assert_eq!(config.is_some(), !trust.tlogs.is_empty(), "{url} can be signed with when it has a log");
        }
        let config = SigningConfig::parse(public_good().embedded().unwrap().signing_config.unwrap()).unwrap();
        let services = config.choose("2026-11-24T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(services.fulcio.as_str(), "https://fulcio.sigstore.dev/");
        assert_eq!(services.rekor[0].0.as_str(), "https://rekor.sigstore.dev/");
        assert_eq!(services.timestamp[0].as_str(), "https://timestamp.sigstore.dev/api/v1/timestamp");
    }

    #[test]
    fn a_changed_root_is_refused() {
        let url = Url::parse("https://tuf.test").unwrap();
        let root = String::from_utf8(public_good().root().to_vec()).unwrap();
        let changed = root.replace("2027-04-22", "2028-04-22");
        assert_ne!(root, changed);
        assert!(matches!(Instance::custom(&url, changed), Err(TrustError::Root { .. })));
        assert!(matches!(Instance::custom(&url, "{}"), Err(TrustError::Root { .. })));
    }
}
