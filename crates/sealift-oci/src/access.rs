//! How registries are reached: credentials, TLS, time and concurrency, all as values.
//!
//! Never reads the environment or a file: the composition root passes in what it read, or where it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sealift_core::oci::{RegistryHost, RepositoryName};
use sealift_core::retry::RetryPolicy;

use crate::certificate_folders::CertificateFolders;
use crate::keychain::{Anonymous, Keychain};
use crate::mirror::MirrorRule;
use crate::redact::Secret;

/// Everything a [`crate::Client`] is built from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Access {
    /// Where credentials come from; asked only when a registry demands some.
    pub keychain: Arc<dyn Keychain>,
    /// Mirrors to read at; writing goes to the original.
    pub mirrors: Vec<MirrorRule>,
    /// The repository where signatures and all else that is attached are, when not beside the artifacts.
    pub signatures: Option<RepositoryName>,
    /// Registries reached over HTTPS that would be plain otherwise: loopback registries, and those of `plain_http`.
    pub https: BTreeSet<RegistryHost>,
    /// Registries reached over plain HTTP. Loopback registries are plain without being named here.
    pub plain_http: BTreeSet<RegistryHost>,
    /// Whom to trust, and as whom to appear.
    pub tls: Tls,
    /// The same for single registries, in the place of `tls`: for the registry itself, not for where it sends us.
    pub own_tls: BTreeMap<RegistryHost, Tls>,
    /// Where certificates for single registries are, read once a registry is opened.
    pub certificates: CertificateFolders,
    /// When to stop waiting.
    pub timeouts: Timeouts,
    /// When and how often to try again.
    pub retry: RetryPolicy,
    /// Most requests in flight to one registry; protects it, and this machine's memory.
    pub concurrency: usize,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Addresses of names, instead of what the system says.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Host names of the proxies that the environment names: the user chose them, so they may be in a private network.
    pub proxies: BTreeSet<String>,
}

impl Access {
    /// Returns access without credentials and with default limits.
    pub fn anonymous() -> Self {
        Self::with_keychain(Arc::new(Anonymous))
    }

    /// Returns access with credentials from `keychain` and default limits.
    pub fn with_keychain(keychain: Arc<dyn Keychain>) -> Self {
        Self {
            keychain,
            mirrors: Vec::new(),
            signatures: None,
            https: BTreeSet::new(),
            plain_http: BTreeSet::new(),
            tls: Tls::default(),
            own_tls: BTreeMap::new(),
            certificates: CertificateFolders::default(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            concurrency: 16,
            user_agent: concat!("sealift/", env!("CARGO_PKG_VERSION")).to_owned(),
            names: BTreeMap::new(),
            proxies: BTreeSet::new(),
        }
    }

    /// Says whether `host` is reached over plain HTTP.
    pub fn is_plain_http(&self, host: &RegistryHost) -> bool {
        !self.https.contains(host) && (host.is_loopback() || self.plain_http.contains(host))
    }
}

/// Whom to trust over TLS, and as whom to appear.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM bundles of certificate authorities trusted besides the system's.
    pub authorities: Vec<Vec<u8>>,
    /// PEM of the client's certificate chain and private key, one after the other.
    pub client_identity: Option<Secret>,
    verification: Verification,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Verification {
    #[default]
    Required,
    Skipped,
}

impl Tls {
    /// Accepts any server certificate: whoever sits on the network can read and change everything, credentials too.
    #[must_use]
    pub fn insecure_skip_tls_unsafe(mut self) -> Self {
        self.verification = Verification::Skipped;
        self
    }

    /// Says whether any server certificate is accepted.
    pub fn is_insecure(&self) -> bool {
        self.verification == Verification::Skipped
    }
}

/// When to stop waiting for a registry.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Longest time to connect, TLS included.
    pub connect: Duration,
    /// Longest time from the end of a request to the beginning of its answer.
    pub answer: Duration,
    /// Longest time in which a body makes no progress worth the name; stops servers that feed drop by drop.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), answer: Duration::from_secs(60), idle: Duration::from_secs(30) }
    }
}
