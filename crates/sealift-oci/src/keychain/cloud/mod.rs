//! Credentials that a cloud gives to what runs in it, without a helper program.
//!
//! A cloud is asked only for its own registries, recognised by their exact host names, and only after nothing else knew
//! credentials; what it gives goes to those registries and its own services, never elsewhere. Reads no environment and
//! no clock: both arrive in [`CloudSources`].
//!
//! | registry | asked, in order |
//! |---|---|
//! | ECR, ECR Public | keys in the environment, web identity, container role, instance role (IMDSv2 only) |
//! | ACR | service principal, federated token, managed identity of the app, of the machine |
//! | Artifact Registry, gcr.io | key file or workload identity file, gcloud's application default, metadata server |
//! | ghcr.io | the token of a GitHub Actions job |

mod acr;
mod aws;
mod azure;
mod ecr;
mod gcp;
mod ghcr;
mod host;
mod sigv4;
mod sources;
mod transport;

use async_trait::async_trait;
use sealift_core::oci::RegistryHost;

use host::Cloud;
pub use sources::{CLOUD_VARIABLES, CloudSources, CloudVariable};
use transport::CloudHttp;
pub use transport::CloudProblem;

use super::memo::Memo;
use super::{Keychain, KeychainError, Resolved, Resource};

/// Asks the cloud that this process runs in.
#[derive(Debug)]
pub struct CloudKeychain {
    around: Surroundings,
    /// By registry: all repositories of one share its credentials.
    known: Memo<RegistryHost>,
}

/// What the clouds' credentials are found with.
#[derive(Debug)]
struct Surroundings {
    sources: CloudSources,
    http: CloudHttp,
}

impl CloudKeychain {
    /// Returns a keychain over `sources`; asks nobody yet.
    pub fn new(sources: CloudSources) -> Self {
        Self { around: Surroundings { sources, http: CloudHttp::default() }, known: Memo::default() }
    }

    async fn find(&self, cloud: &Cloud, host: &RegistryHost) -> Result<Resolved, CloudFailure> {
        match cloud {
            Cloud::Acr(azure) => acr::resolve(*azure, host, &self.around).await,
            Cloud::Ecr(registry) => ecr::resolve(registry, &self.around).await,
            Cloud::EcrPublic => ecr::resolve_public(host, &self.around).await,
            Cloud::Gar => gcp::resolve(&self.around).await,
            Cloud::Ghcr => Ok(ghcr::resolve(&self.around.sources)),
        }
    }
}

#[async_trait]
impl Keychain for CloudKeychain {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        let host = &resource.host;
        let Some(cloud) = Cloud::of(host) else { return Ok(Resolved::anonymous()) };
        let found = self.known.get_or_find(host.clone(), || self.find(&cloud, host)).await;
        found.map_err(|failure| failure.at(host))
    }
}

/// What went wrong, and with which source of credentials.
#[derive(Debug)]
struct CloudFailure {
    origin: &'static str,
    problem: CloudProblem,
}

impl CloudFailure {
    fn at(self, host: &RegistryHost) -> KeychainError {
        KeychainError::Cloud { host: host.clone(), origin: self.origin, problem: self.problem }
    }

    /// Goes on anonymously where the identity was refused: the registry may be of other people, and anybody's to read. All
    /// else stays an error, because anonymous readers may be shown less, and would take that for all there is.
    fn or_anonymous(self, host: &RegistryHost) -> Result<Resolved, Self> {
        if !self.problem.is_refusal() {
            return Err(self);
        }
        let refusal = self.at(host).to_string();
        tracing::warn!(%refusal, "the registry is read anonymously");
        Ok(Resolved::refused(refusal))
    }
}

/// Names the source that a problem is of.
fn of(origin: &'static str) -> impl Fn(CloudProblem) -> CloudFailure {
    move |problem| CloudFailure { origin, problem }
}
