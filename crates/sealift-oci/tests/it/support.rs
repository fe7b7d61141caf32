//! What the tests of this crate share: clients without patience, and repositories of a sandbox.

use std::sync::Arc;
use std::time::Duration;

use sealift_core::oci::{Descriptor, Reference, RegistryHost, RepositoryName};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};
use sealift_oci::keychain::{Credential, ExplicitKeychain};
use sealift_oci::{Access, Client, RetryPolicy, Timeouts};
use sealift_sandbox::registry::{Endpoint, LoggedRequest, Registry, RegistryOptions};

/// Starts a registry.
pub(crate) fn start(options: RegistryOptions) -> Registry {
    Registry::start(options).unwrap()
}

/// Returns access that retries soon and gives up early.
pub(crate) fn access() -> Access {
    hurried(Access::anonymous())
}

/// Returns the same, with credentials for one registry.
pub(crate) fn access_as(registry: &Registry, user: &str, password: &str) -> Access {
    access_with(registry, Credential::from_pair(user, password))
}

/// Returns the same, with any credential.
pub(crate) fn access_with(registry: &Registry, credential: Credential) -> Access {
    hurried(Access::with_keychain(Arc::new(ExplicitKeychain::new(host(registry), credential))))
}

fn hurried(mut access: Access) -> Access {
    access.retry = RetryPolicy {
        retries: 3,
        base_delay: Duration::from_millis(2),
        max_delay: Duration::from_millis(10),
        budget: Duration::from_secs(5),
    };
    access.timeouts =
        Timeouts { connect: Duration::from_secs(2), answer: Duration::from_secs(10), idle: Duration::from_secs(10) };
    access
}

/// Returns the registry's host.
pub(crate) fn host(registry: &Registry) -> RegistryHost {
    registry.host().parse().unwrap()
}

/// Returns the name of a repository.
pub(crate) fn name(registry: &Registry, path: &str) -> RepositoryName {
    registry.reference(path).parse::<Reference>().unwrap().repository()
}

/// Opens a repository with a client of its own.
pub(crate) async fn open(access: Access, registry: &Registry, path: &str) -> Arc<dyn Repository> {
    Client::new(access).unwrap().open(&name(registry, path)).await.unwrap()
}

/// Returns how many requests of `method` the registry got at `endpoint`.
pub(crate) fn count(registry: &Registry, method: &str, endpoint: Endpoint) -> usize {
    let is_one = |request: &&LoggedRequest| request.method == method && request.endpoint == endpoint;
    registry.requests().iter().filter(is_one).count()
}

/// Returns the requests so far as `GET manifests 200`, and forgets them.
pub(crate) fn take_log(registry: &Registry) -> Vec<String> {
    let requests = registry.requests();
    registry.clear_requests();
    let place = |endpoint: Endpoint| format!("{endpoint:?}").to_lowercase();
    requests.iter().map(|r| format!("{} {} {}", r.method, place(r.endpoint), r.status)).collect()
}

/// Returns the variant's name and everything below it, for tables of expected errors.
pub(crate) fn kind<T>(result: &Result<T, RepositoryError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error_kind(error),
    }
}

fn error_kind(error: &RepositoryError) -> &'static str {
    match error {
        RepositoryError::ClientCertificate { .. } => "client certificate",
        RepositoryError::Content { .. } => "content",
        RepositoryError::Denied { .. } => "denied",
        RepositoryError::Malformed { .. } => "malformed",
        RepositoryError::Manifest { .. } => "manifest",
        RepositoryError::NotFound { .. } => "not found",
        RepositoryError::OutOfTime { .. } => "out of time",
        RepositoryError::Quarantined { .. } => "quarantined",
        RepositoryError::Registry { .. } => "registry",
        RepositoryError::Source(_) => "source",
        RepositoryError::Squatted { .. } => "squatted",
        RepositoryError::Throttled { .. } => "throttled",
        RepositoryError::TooLarge { .. } => "too large",
        RepositoryError::Unauthenticated { .. } => "unauthenticated",
        RepositoryError::Unavailable { .. } => "unavailable",
        RepositoryError::Unsupported { .. } => "unsupported",
        _ => "other",
    }
}

/// Reads a blob whole.
pub(crate) async fn read(
    repository: &dyn ReadRepository,
    descriptor: &Descriptor,
) -> Result<bytes::Bytes, RepositoryError> {
    let content = repository.fetch(descriptor).await?;
    content.read_all(64 << 20).await.map_err(|error| RepositoryError::of_content(repository.name(), error))
}
