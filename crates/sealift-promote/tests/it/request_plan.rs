//! What each operation asks of a registry, over HTTP: the number of requests is part of the interface.
//!
//! Every operation runs with a client of its own, as a process of its own would. Registries with the referrers API take
//! a blob in one request, those without in two.

use std::sync::Arc;

use sealift_core::oci::{Descriptor, Reference, Selector};
use sealift_core::repository::Repository;
use sealift_core::statement::predicate;
use sealift_oci::{Access, Client};
use sealift_policy::Ruling;
use sealift_promote::TagChange;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::support::{Person, of, tag};

fn with_api() -> Registry {
    Registry::start(RegistryOptions::default()).unwrap()
}

/// As the widespread `distribution` is.
fn without_api() -> Registry {
    Registry::start(RegistryOptions::distribution()).unwrap()
}

async fn open(registry: &Registry) -> Arc<dyn Repository> {
    let reference: Reference = registry.reference("team/app").parse().unwrap();
    Client::new(Access::anonymous()).unwrap().open(&reference.repository()).await.unwrap()
}

/// Returns the requests since the last call, sorted, because those made side by side arrive in any order.
fn requests(registry: &Registry) -> Vec<String> {
    let requests = registry.requests();
    registry.clear_requests();
    let mut requests: Vec<_> =
        requests.iter().map(|request| format!("{} {:?}", request.method, request.endpoint)).collect();
    requests.sort();
    requests
}

async fn signed_image(registry: &Registry, person: &Person) -> Descriptor {
    let image = registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    person.attach(&*open(registry).await, &image, predicate::IMAGE_SIGNATURE).await;
    registry.clear_requests();
    image
}

#[tokio::test]
async fn a_signature_costs_five_requests_or_nine() {
    for (registry, expected) in [
        // The last of them makes sure that a registry that takes the subject also lists it.
        (with_api(), vec!["GET Referrers", "HEAD Manifest", "POST Upload", "POST Upload", "PUT Manifest"]),
        // The fallback tag is read, written and read back.
        (
            without_api(),
            vec![
                "GET Manifest",
                "GET Manifest",
                "HEAD Manifest",
                "POST Upload",
                "POST Upload",
                "PUT Manifest",
                "PUT Manifest",
                "PUT Upload",
                "PUT Upload",
            ],
        ),
    ] {
        registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
        let repository = open(&registry).await;
        let image = repository.resolve(&Selector::Tag(tag("v1"))).await.unwrap();
        Person::new().attach(&*repository, &image, predicate::IMAGE_SIGNATURE).await;
        assert_eq!(requests(&registry), expected);
    }
}

#[tokio::test]
async fn a_verification_by_digest_costs_three_requests_or_four() {
    for (registry, expected) in [
        (with_api(), vec!["GET Blob", "GET Manifest", "GET Referrers"]),
        // The fallback tag is asked once the registry has answered that it lists nothing by itself.
        (without_api(), vec!["GET Blob", "GET Manifest", "GET Manifest", "GET Referrers"]),
    ] {
        let person = Person::new();
        let image = signed_image(&registry, &person).await;
        let decision = person.decide(open(&registry).await.as_read(), &image.digest).await;
        assert_eq!(decision.ruling(), Ruling::Allow);
        assert_eq!(requests(&registry), expected);
    }
}

#[tokio::test]
async fn promoting_again_costs_four_requests_besides_verification() {
    for (staging, prod, verification, at_source, at_destination) in [
        (
            with_api(),
            with_api(),
            3,
            // Besides: the tag; the root, the tags, and what is attached to the signature.
            vec![
                "GET Blob",
                "GET Manifest",
                "GET Manifest",
                "GET Referrers",
                "GET Referrers",
                "GET Tags",
                "HEAD Manifest",
            ],
            // Besides: the tag, which proves the root.
            vec!["GET Blob", "GET Manifest", "GET Referrers", "HEAD Manifest"],
        ),
        (
            without_api(),
            without_api(),
            4,
            // Besides: the tag; the root and the tags, which show that nothing is attached to the signature.
            vec![
                "GET Blob",
                "GET Manifest",
                "GET Manifest",
                "GET Manifest",
                "GET Referrers",
                "GET Tags",
                "HEAD Manifest",
            ],
            // Besides: the tag, and the signature, which an entry of a fallback tag does not prove.
            vec!["GET Blob", "GET Manifest", "GET Manifest", "GET Referrers", "HEAD Manifest", "HEAD Manifest"],
        ),
    ] {
        let person = Person::new();
        signed_image(&staging, &person).await;
        for change in [TagChange::Created, TagChange::Unchanged] {
            requests(&staging);
            requests(&prod);
            let (source, target) = (open(&staging).await, open(&prod).await);
            let root = source.resolve(&Selector::Tag(tag("v1"))).await.unwrap();
            let record = person.promote(source.as_read(), &*target, &of(root)).await.unwrap();
            assert_eq!(record.tags[&tag("v1")], change);
        }
        let (found_at_source, found_at_destination) = (requests(&staging), requests(&prod));
        assert_eq!(found_at_source, at_source);
        assert_eq!(found_at_destination, at_destination);
        // Verification by tag at the source, by digest at the destination.
        let verification = (verification + 1) + verification;
        assert_eq!(found_at_source.len() + found_at_destination.len() - verification, 4);
    }
}
