//! Where credentials come from.
//!
//! A keychain is asked only after a registry demanded credentials, so helpers do not run for anonymous reads.

mod cloud;
mod docker_config;
mod helper;
mod login;
pub(crate) mod memo;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealift_core::oci::RegistryHost;
use tokio::time::Instant;

pub use cloud::{CLOUD_VARIABLES, CloudKeychain, CloudProblem, CloudSources, CloudVariable};
pub use docker_config::{DockerConfigKeychain, KeychainSources};
pub use login::{CredentialStore, Stored};

use crate::redact::Secret;

/// Finds the credentials for a registry, or for a part of one.
///
/// Implementors return [`Credential::Anonymous`] when they know of none, and an error only when they could not find
/// out.
#[async_trait]
pub trait Keychain: Debug + Send + Sync {
    /// Returns the credentials to present to `resource`.
    ///
    /// # Errors
    /// [`KeychainError`] when a source of credentials is unreadable or a helper fails.
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError>;
}

/// Credentials as found: where, and for how long they are good.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resolved {
    credential: Credential,
    origin: String,
    refusal: Option<String>,
    replace_at: Option<Instant>,
}

impl Resolved {
    /// Returns credentials that last as long as the process; `origin` says where they came from, for people.
    pub fn new(credential: Credential, origin: impl Into<String>) -> Self {
        Self { credential, origin: origin.into(), refusal: None, replace_at: None }
    }

    /// Returns the answer of a keychain that knows none.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Returns the answer of a keychain that knows none because it was refused them, in these words.
    pub fn refused(refusal: impl Into<String>) -> Self {
        Self { refusal: Some(refusal.into()), ..Self::default() }
    }

    /// Returns the same for a limited time: after `lifetime` the keychain is asked again.
    #[must_use]
    pub fn lasting(self, lifetime: Duration) -> Self {
        Self { replace_at: Instant::now().checked_add(lifetime), ..self }
    }

    /// Returns the credentials.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Says where the credentials came from, such as a file's path; empty when there are none.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Says who was refused credentials, and why, where that is why there are none.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Says whether there is nothing to present.
    pub fn is_anonymous(&self) -> bool {
        self.credential.is_anonymous()
    }

    /// Says whether the keychain need not be asked again yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.replace_at.is_none_or(|end| Instant::now() < end)
    }
}

/// What credentials are wanted for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Resource {
    /// The registry.
    pub host: RegistryHost,
    /// The repository's path within it, when one is known.
    pub path: Option<String>,
}

/// Credentials of one of the kinds that registries take.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credential {
    /// None.
    #[default]
    Anonymous,
    /// User name and password, or a token in the password's place.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// A refresh token for the registry's token service, `<token>` of credential helpers.
    IdentityToken(Secret),
    /// A token for the registry itself, sent as it is.
    RegistryToken(Secret),
}

impl Credential {
    /// Returns user name and password as typed or stored, taking `<token>` as the name of an identity token.
    pub fn from_pair(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        let (username, password) = (username.into(), password.into());
        if username == IDENTITY_TOKEN_USER {
            return Self::IdentityToken(password);
        }
        Self::Basic { username, password }
    }

    /// Says whether there is nothing to present.
    pub fn is_anonymous(&self) -> bool {
        *self == Self::Anonymous
    }
}

/// User name that marks an identity token, in helpers and in configuration files.
pub(crate) const IDENTITY_TOKEN_USER: &str = "<token>";

/// Knows no credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl Keychain for Anonymous {
    async fn resolve(&self, _resource: &Resource) -> Result<Resolved, KeychainError> {
        Ok(Resolved::anonymous())
    }
}

/// Credentials given by the user for one registry.
#[derive(Clone, Debug)]
pub struct ExplicitKeychain {
    host: RegistryHost,
    credential: Credential,
}

impl ExplicitKeychain {
    /// Returns `credential` for `host`, and nothing for any other registry.
    pub fn new(host: RegistryHost, credential: Credential) -> Self {
        Self { host, credential }
    }
}

#[async_trait]
impl Keychain for ExplicitKeychain {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        if resource.host != self.host {
            return Ok(Resolved::anonymous());
        }
        Ok(Resolved::new(self.credential.clone(), EXPLICIT))
    }
}

/// Where credentials came from that the user typed.
const EXPLICIT: &str = "the command line";

/// Several keychains: the first that knows credentials wins.
#[derive(Clone, Debug, Default)]
pub struct KeychainChain(Vec<Arc<dyn Keychain>>);

impl KeychainChain {
    /// Returns a chain that asks `links` in order.
    pub fn new(links: Vec<Arc<dyn Keychain>>) -> Self {
        Self(links)
    }
}

#[async_trait]
impl Keychain for KeychainChain {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        let mut nothing = Resolved::anonymous();
        for link in &self.0 {
            let found = link.resolve(resource).await?;
            if !found.is_anonymous() {
                return Ok(found);
            }
            if found.refusal.is_some() {
                nothing = found;
            }
        }
        Ok(nothing)
    }
}

/// Says why credentials could not be found, stored or erased. Never holds any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainError {
    /// A cloud that should know this process gave no credentials.
    #[error("{origin} gives no credentials for {host}: {problem}")]
    Cloud {
        /// The registry they were wanted for.
        host: RegistryHost,
        /// The source that failed, such as `AWS role of the instance`.
        origin: &'static str,
        /// What went wrong.
        problem: CloudProblem,
    },
    /// A file could not be read or written.
    #[error("credentials file `{}`: {operation} failed", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was attempted, such as `read`.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A credential helper could not be run, or answered with an error.
    #[error("credential helper `{program}` failed to {operation}: {problem}")]
    Helper {
        /// The program.
        program: String,
        /// What it was asked: `get`, `store` or `erase`.
        operation: &'static str,
        /// Its words, or what went wrong, bounded.
        problem: String,
    },
    /// A credential helper did not answer in time.
    #[error("credential helper `{program}` did not answer within {} s", .limit.as_secs())]
    HelperTimeout {
        /// The program.
        program: String,
        /// How long it was given.
        limit: Duration,
    },
    /// A source of credentials is not what it should be.
    #[error("{origin} is not a Docker configuration: {problem}")]
    Malformed {
        /// Where it came from: a path, or the name of a variable.
        origin: String,
        /// What is wrong, without the values.
        problem: String,
    },
    /// There is no file to store credentials in.
    #[error("no place to store credentials: neither a configuration directory nor a home directory is known")]
    NoPlace,
}

impl KeychainError {
    /// Says whether it may go better the next time.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Cloud { problem, .. } => problem.may_pass(),
            Self::HelperTimeout { .. } => true,
            _ => false,
        }
    }
}
