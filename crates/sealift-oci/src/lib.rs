//! Stores content in registries and OCI layouts behind core's `Repository`, with registry authentication, retries and
//! rate limits.
//!
//! Reads no environment and never decides what to trust: credentials, limits and certificates arrive in [`Access`].
//!
//! ```text
//!  Access ──▶ Client ──open(name)──▶ RegistryRepository ──▶ Endpoint ──▶ limiter, retry, auth ──▶ HTTP
//!                └────────────────▶ LayoutRepository ──▶ files
//! ```

mod access;
mod auth;
mod certificate_folders;
mod clients;
mod deadline;
pub mod keychain;
pub mod layout;
mod mirror;
pub mod probe;
mod quarantine;
pub mod redact;
mod registry;
mod signatures_apart;
mod tee;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealift_core::locked;
use sealift_core::oci::{RegistryHost, RepositoryName};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};
use tokio::sync::Semaphore;

pub use access::{Access, Timeouts, Tls};
pub use certificate_folders::CertificateFolders;
use clients::Clients;
use deadline::Deadline;
use keychain::Credential;
use layout::{LayoutRepository, Mode, Writers};
pub use mirror::{MirrorRule, Original, RepositoryPrefix};
use mirror::{Mirrored, MirroredRepository, mirrors_of};
pub use quarantine::{Quarantine, QuarantineError, ScanDetails, ScanDetailsError, State as QuarantineState};
use registry::client::{Endpoint, Host};
use registry::{Memory, RegistryRepository};
pub use sealift_core::retry::RetryPolicy;
use signatures_apart::{SignaturesApart, WritableSignaturesApart};
pub use tee::{Branch, Tee};

/// Opens repositories. One is made per process, so that connections, tokens and rate limits are shared.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    deadline: Option<Deadline>,
}

#[derive(Debug)]
struct Shared {
    access: Access,
    http: Clients,
    /// For the registries of [`Access::own_tls`].
    own_http: HashMap<RegistryHost, Clients>,
    hosts: Mutex<HashMap<RegistryHost, Arc<Host>>>,
    memories: Mutex<HashMap<RepositoryName, Arc<Memory>>>,
    writers: Writers,
    /// Large blobs that are read for several destinations.
    readings: Arc<Semaphore>,
}

impl Client {
    /// Returns a client.
    ///
    /// # Errors
    /// [`ClientError`] when a certificate of `access` is not one.
    pub fn new(access: Access) -> Result<Self, ClientError> {
        let http = Clients::new(&access)?;
        let own = access.own_tls.iter().map(|(host, tls)| Ok((host.clone(), http.with_own_tls(tls.clone())?)));
        let own_http = own.collect::<Result<_, ClientError>>()?;
        let (hosts, memories, writers) = (Mutex::default(), Mutex::default(), Writers::default());
        let readings = Arc::new(Semaphore::new(access.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        let shared = Shared { access, http, own_http, hosts, memories, writers, readings };
        Ok(Self { shared: Arc::new(shared), deadline: None })
    }

    /// Returns a client for one piece of work, which shares everything with this one: what it asks of registries is
    /// answered within `time` from now, all together, or is [`RepositoryError::OutOfTime`].
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self { deadline: Deadline::within(time), ..self.clone() }
    }

    /// Opens a registry repository or a layout for reading and writing. A registry is not contacted yet; an archive that
    /// this client has open for writing is shared.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>, RepositoryError> {
        match name {
            RepositoryName::Registry { host, path } => Ok(Arc::new(self.registry(name, host, path, Mode::Write)?)),
            RepositoryName::Layout(path) => Ok(Arc::new(self.shared.writers.open(path).await?)),
            _ => Err(RepositoryError::Unsupported { repository: name.clone(), operation: "opening" }),
        }
    }

    /// Opens a registry repository or a layout for reading only: tokens are asked for pulling alone, and the mirrors of
    /// [`Access::mirrors`] are read.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open_read(&self, name: &RepositoryName) -> Result<Arc<dyn ReadRepository>, RepositoryError> {
        match name {
            RepositoryName::Registry { host, path } => self.registry_or_mirrors(name, host, path),
            RepositoryName::Layout(path) => Ok(Arc::new(LayoutRepository::open(path, Mode::Read).await?)),
            _ => Err(RepositoryError::Unsupported { repository: name.clone(), operation: "opening" }),
        }
    }

    /// Opens a repository to write what is attached to its artifacts: in [`Access::signatures`], where that is set.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open_signatures(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>, RepositoryError> {
        match self.signatures_of(name) {
            Some(apart) => {
                let (artifacts, signatures) = (self.open_read(name).await?, self.open(apart).await?);
                Ok(Arc::new(WritableSignaturesApart::new(artifacts, signatures)))
            }
            None => self.open(name).await,
        }
    }

    /// Opens a repository to read its artifacts and what is attached to them: from [`Access::signatures`], where that is
    /// set.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open_signatures_read(
        &self,
        name: &RepositoryName,
    ) -> Result<Arc<dyn ReadRepository>, RepositoryError> {
        match self.signatures_of(name) {
            Some(apart) => {
                let (artifacts, signatures) = (self.open_read(name).await?, self.open_read(apart).await?);
                Ok(Arc::new(SignaturesApart::new(artifacts, signatures)))
            }
            None => self.open_read(name).await,
        }
    }

    /// Returns a tee of `source` for as many destinations as there are names. All of this client together read no more
    /// blobs at a time than one registry takes requests.
    pub fn tee<'a, 'n>(
        &self,
        source: &'a dyn ReadRepository,
        destinations: impl IntoIterator<Item = &'n RepositoryName>,
    ) -> Tee<'a> {
        Tee::new(source, destinations, Arc::clone(&self.shared.readings))
    }

    /// Layouts keep their signatures with them.
    fn signatures_of(&self, name: &RepositoryName) -> Option<&RepositoryName> {
        self.shared.access.signatures.as_ref().filter(|apart| *apart != name && name.host().is_some())
    }

    /// Says whether `host` takes `credential`: asks `/v2/`, and the token service that it names.
    ///
    /// # Errors
    /// [`RepositoryError::Unauthenticated`] when the credentials are refused, anything else when it could not be
    /// told.
    pub async fn check_login(
        &self,
        host: &RegistryHost,
        credential: &Credential,
    ) -> Result<LoginCheck, RepositoryError> {
        let name = RepositoryName::Registry { host: host.clone(), path: String::new() };
        self.endpoint(&name, host, "", Mode::Read)?.check_login(credential).await
    }

    fn registry_or_mirrors(
        &self,
        name: &RepositoryName,
        host: &RegistryHost,
        path: &str,
    ) -> Result<Arc<dyn ReadRepository>, RepositoryError> {
        let open = |name: &RepositoryName, host: &RegistryHost, path: &str| {
            self.registry(name, host, path, Mode::Read).map(Arc::new)
        };
        let original = open(name, host, path)?;
        let Some(Mirrored { mirrors, original: rule }) = mirrors_of(&self.shared.access.mirrors, host, path) else {
            return Ok(original);
        };
        let mirrors = mirrors.iter().filter_map(|mirror| Some(open(mirror, mirror.host()?, mirror.path()?)));
        Ok(Arc::new(MirroredRepository::new(name.clone(), mirrors.collect::<Result<_, _>>()?, original, rule)))
    }

    fn registry(
        &self,
        name: &RepositoryName,
        host: &RegistryHost,
        path: &str,
        mode: Mode,
    ) -> Result<RegistryRepository, RepositoryError> {
        let endpoint = self.endpoint(name, host, path, mode)?;
        let mut memories = locked(&self.shared.memories);
        let memory = Arc::clone(memories.entry(name.clone()).or_default());
        Ok(RegistryRepository::new(endpoint, memory))
    }

    fn endpoint(
        &self,
        name: &RepositoryName,
        host: &RegistryHost,
        path: &str,
        mode: Mode,
    ) -> Result<Endpoint, RepositoryError> {
        let shared = &self.shared;
        let mut hosts = locked(&shared.hosts);
        let host = match hosts.get(host) {
            Some(known) => Arc::clone(known),
            None => {
                let http = shared.own_http.get(host).unwrap_or(&shared.http);
                let http = match shared.access.is_plain_http(host) {
                    true => http.clone(),
                    false => {
                        shared.access.certificates.clients_of(host, http).map_err(|source| RepositoryError::File {
                            repository: name.clone(),
                            operation: "reading its certificates",
                            source,
                        })?
                    }
                };
                let made = Host::new(host, http, &shared.access);
                let made = Arc::new(made.ok_or_else(|| RepositoryError::Malformed {
                    repository: name.clone(),
                    what: "registry host",
                    problem: "it makes no URL".to_owned(),
                })?);
                hosts.insert(host.clone(), Arc::clone(&made));
                made
            }
        };
        Ok(Endpoint { name: name.clone(), path: path.to_owned(), host, mode, deadline: self.deadline })
    }
}

/// What a registry said about credentials that it did not refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginCheck {
    /// It took them.
    Accepted,
    /// It asks nobody for credentials, so they were not tried.
    NotAsked,
}

/// Says why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A certificate authority's file is not PEM.
    #[error("the certificate authority file holds no PEM certificate")]
    Authority(#[source] Option<reqwest::Error>),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
    /// The client certificate or its key is not PEM.
    #[error("the client certificate file holds no PEM certificate with its private key")]
    Identity(#[source] reqwest::Error),
    /// The private key is not the one of the client certificate.
    #[error("the client certificate and the private key do not belong together")]
    KeyMismatch(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Secret;

    #[test]
    fn files_that_hold_no_certificate_are_refused() {
        let with = |change: fn(&mut Tls)| {
            let mut access = Access::anonymous();
            change(&mut access.tls);
            Client::new(access).map(drop)
        };
        assert!(with(|_| {}).is_ok());
        assert!(matches!(with(|tls| tls.authorities = vec![b"garbage".to_vec()]), Err(ClientError::Authority(_))));
        let hollow = with(|tls| {
            tls.authorities = vec![b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()];
        });
        assert!(matches!(hollow, Err(ClientError::Http(_))));
        let identity = with(|tls| tls.client_identity = Some(Secret::from("garbage")));
        assert!(matches!(identity, Err(ClientError::Identity(_))));
    }
}
