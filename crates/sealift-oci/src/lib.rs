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
pub mod keychain;
pub mod layout;
pub mod redact;

use std::sync::Arc;

use sealift_core::oci::{RegistryHost, RepositoryName};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};

pub use access::{Access, RetryPolicy, Timeouts, Tls};
use keychain::Credential;

/// Opens repositories. One is made per process, so that connections, tokens and rate limits are shared.
#[derive(Clone, Debug)]
pub struct Client {
    access: Arc<Access>,
}

impl Client {
    /// Returns a client.
    ///
    /// # Errors
    /// [`ClientError`] when a certificate of `access` is not one.
    pub fn new(access: Access) -> Result<Self, ClientError> {
        Ok(Self { access: Arc::new(access) })
    }

    /// Opens a registry repository or a layout for reading and writing. A registry is not contacted yet.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open(&self, name: &RepositoryName) -> Result<Arc<dyn Repository>, RepositoryError> {
        Err(RepositoryError::Unsupported { repository: name.clone(), operation: "opening" })
    }

    /// Opens a registry repository or a layout for reading only: tokens are asked for pulling alone.
    ///
    /// # Errors
    /// [`RepositoryError`] when a layout cannot be opened.
    pub async fn open_read(&self, name: &RepositoryName) -> Result<Arc<dyn ReadRepository>, RepositoryError> {
        Err(RepositoryError::Unsupported { repository: name.clone(), operation: "opening" })
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
        let _ = (&self.access, credential);
        let repository = RepositoryName::Registry { host: host.clone(), path: String::new() };
        Err(RepositoryError::Unsupported { repository, operation: "login" })
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
}
