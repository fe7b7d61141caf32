//! The repository contract, held against registries of every kind.

use sealift_sandbox::conformance;
use sealift_sandbox::registry::{Auth, Mount, RegistryOptions};

use crate::support::{access, access_as, open, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_registry_upholds_the_contract() {
    let complete = RegistryOptions::default;
    for (kind, options) in [
        ("complete", complete()),
        ("docker-registry", RegistryOptions::distribution()),
        ("liar", RegistryOptions { claims_subject: true, ..RegistryOptions::distribution() }),
        ("one entry a page", complete().with_page_size(1)),
        ("no filters, no mounts", complete().without_filters().with_mount(Mount::No)),
        ("no deletes", RegistryOptions::distribution().without_deletes()),
        ("conditional", RegistryOptions { conditional_writes: true, ..RegistryOptions::distribution() }),
        ("relative locations", RegistryOptions { relative_locations: true, ..RegistryOptions::distribution() }),
        ("chunks", RegistryOptions { chunk_min_length: Some(1024), single_post: false, ..complete() }),
    ] {
        println!("a registry that is {kind}");
        let registry = start(options);
        let repository = open(access(), &registry, "team/app").await;
        conformance::repository(&*repository).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_with_authentication_uphold_the_contract() {
    for auth in [Auth::basic("user", "pass"), Auth::token("user", "pass")] {
        let registry = start(RegistryOptions::default().with_auth(auth));
        let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
        conformance::repository(&*repository).await;
    }
}
