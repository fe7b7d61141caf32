//! What the tests of this crate share: clients without patience, and repositories of a sandbox.

use std::sync::Arc;
use std::time::Duration;

use sealift_core::oci::{Reference, RegistryHost, RepositoryName};
use sealift_core::repository::Repository;
use sealift_oci::keychain::{Credential, ExplicitKeychain};
use sealift_oci::{Access, Client, RetryPolicy, Timeouts};
use sealift_sandbox::registry::{Registry, RegistryOptions};

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

/// Returns how many requests of `method` the registry got at paths that hold `part`.
pub(crate) fn count(registry: &Registry, method: &str, part: &str) -> usize {
    registry.requests().iter().filter(|request| request.method == method && request.path.contains(part)).count()
}

/// Returns the requests, one a line, for messages.
pub(crate) fn log(registry: &Registry) -> String {
    registry.requests().iter().map(|request| request.line() + "\n").collect()
}
