//! What each operation asks of a registry, over HTTP: the number of requests is part of the interface.
//!
//! Every operation runs with a client of its own, as a process of its own would. Registries with the referrers API take
//! a blob in one request, those without in two.

use std::sync::Arc;
use std::time::Duration;

use sealift_core::oci::{Descriptor, Reference, Selector};
use sealift_core::repository::{Repository, Snapshot};
use sealift_core::statement::predicate;
use sealift_oci::{Access, Client};
use sealift_policy::Ruling;
use sealift_promote::{Promoted, TagChange};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Emulation, Endpoint, Quirks, Registry, RegistryOptions, Rule};

use crate::support::{Person, of, tag};

fn with_api() -> Registry {
    Registry::start(RegistryOptions::default()).unwrap()
}

/// As the widespread `distribution` is.
fn without_api() -> Registry {
    Registry::start(RegistryOptions::distribution()).unwrap()
}

/// As Quay is, which knows of nothing about a manifest that it has not.
fn with_api_for_what_is_there() -> Registry {
    let unknown_subject = Emulation::Quay.options().quirks.unknown_subject;
    let quirks = Quirks { unknown_subject, ..Quirks::default() };
    Registry::start(RegistryOptions { quirks, ..RegistryOptions::default() }).unwrap()
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
async fn promoting_again_costs_two_requests_besides_verification() {
    for (staging, prod, verification, at_source, at_destination) in [
        (
            with_api(),
            with_api(),
            3,
            // Besides: the tags, and what is attached to the signature.
            vec!["GET Blob", "GET Manifest", "GET Manifest", "GET Referrers", "GET Referrers", "GET Tags"],
            // The tag proves the root, and the listing the signature.
            vec!["GET Blob", "GET Referrers", "HEAD Manifest"],
        ),
        (
            without_api(),
            without_api(),
            4,
            // Besides: the tags, which show that nothing is attached to the signature.
            vec!["GET Blob", "GET Manifest", "GET Manifest", "GET Manifest", "GET Referrers", "GET Tags"],
            // The signature is looked up: an entry of a fallback tag does not prove it.
            vec!["GET Blob", "GET Manifest", "GET Referrers", "HEAD Manifest", "HEAD Manifest"],
        ),
    ] {
        let person = Person::new();
        signed_image(&staging, &person).await;
        for change in [TagChange::Created, TagChange::Unchanged] {
            requests(&staging);
            requests(&prod);
            assert_eq!(promote(&staging, &prod, &person).await.tags[&tag("v1")], change);
        }
        let (found_at_source, found_at_destination) = (requests(&staging), requests(&prod));
        assert_eq!(found_at_source, at_source);
        assert_eq!(found_at_destination, at_destination);
        // Verification by tag at both ends.
        let verification = 2 * (verification + 1);
        assert_eq!(found_at_source.len() + found_at_destination.len(), verification + 1);
    }
}

/// 36 objects: 16 manifests and 20 blobs. Each is read once, but for the empty configuration, and written once.
#[tokio::test]
async fn an_index_with_eleven_referrers_costs_little_more_than_its_objects() {
    for (staging, prod, at_source, at_destination) in [
        (
            with_api(),
            with_api(),
            // What is attached is asked of each manifest.
            [("GET Blob", 19), ("GET Manifest", 16), ("GET Referrers", 16), ("GET Tags", 1)].as_slice(),
            [
                // The signature that the second gate judges.
                ("GET Blob", 1),
                // The five that no listing proves, and the tag before it is moved.
                ("GET Manifest", 6),
                // Whether anything is there; and afterwards the proof.
                ("GET Referrers", 6),
                ("HEAD Manifest", 1),
                ("POST Upload", 20),
                ("PUT Manifest", 17),
            ]
            .as_slice(),
        ),
        (
            with_api(),
            with_api_for_what_is_there(),
            [("GET Blob", 19), ("GET Manifest", 16), ("GET Referrers", 16), ("GET Tags", 1)].as_slice(),
            [
                ("GET Blob", 1),
                // A fallback tag besides, which could be there.
                ("GET Manifest", 7),
                // Whether it lists the first that was pushed.
                ("GET Referrers", 7),
                ("HEAD Manifest", 1),
                ("POST Upload", 20),
                ("PUT Manifest", 17),
            ]
            .as_slice(),
        ),
        (
            without_api(),
            without_api(),
            [("GET Blob", 19), ("GET Manifest", 21), ("GET Referrers", 1), ("GET Tags", 1)].as_slice(),
            [
                ("GET Blob", 1),
                // All manifests, five fallback tags before and after they are written, one of them before all else, and
                // the tag before it is moved.
                ("GET Manifest", 28),
                ("GET Referrers", 1),
                ("HEAD Manifest", 1),
                ("POST Upload", 20),
                ("PUT Manifest", 22),
                ("PUT Upload", 20),
            ]
            .as_slice(),
        ),
    ] {
        let person = Person::new();
        index_of_eleven(&staging, &person).await;
        let promoted = promote(&staging, &prod, &person).await;
        assert_eq!(promoted.completeness.arrived.len(), 16);
        assert_eq!(counted(&staging), at_source);
        assert_eq!(counted(&prod), at_destination);
    }
}

/// What is attached does not wait for the image: while large layers are on their way, the fallback tag settles.
#[tokio::test]
async fn what_is_attached_is_there_before_the_image() {
    for prod in [with_api(), without_api()] {
        let (staging, person) = (without_api(), Person::new());
        let image = signed_image(&staging, &person).await;
        let slow = Rule::new(Effect::Delay(Duration::from_millis(300))).on(Endpoint::Blob);
        staging.set_faults([slow.reference(&fixture::image(1).blobs().next().unwrap().0.digest.to_string())]);
        promote(&staging, &prod, &person).await;
        let puts = prod
            .requests()
            .into_iter()
            .filter(|request| request.method == "PUT" && request.endpoint == Endpoint::Manifest);
        let puts: Vec<_> = puts.map(|request| request.path).collect();
        let last_two = [image.digest.to_string(), "v1".to_owned()];
        assert!(puts[puts.len() - 2..].iter().zip(&last_two).all(|(path, last)| path.ends_with(last)), "{puts:?}");
    }
}

/// Promotes `v1` as the command does: what the tag holds is read with it.
async fn promote(staging: &Registry, prod: &Registry, person: &Person) -> Promoted {
    let (source, target) = (open(staging).await, open(prod).await);
    let root = source.manifest(&Selector::Tag(tag("v1"))).await.unwrap();
    let source = Snapshot::new(source.as_read()).knowing([&root]);
    person.promote(&source, &*target, &of(root.descriptor().clone())).await.unwrap()
}

fn counted(registry: &Registry) -> Vec<(&'static str, usize)> {
    const KINDS: [&str; 9] = [
        "GET Blob",
        "GET Manifest",
        "GET Referrers",
        "GET Tags",
        "HEAD Blob",
        "HEAD Manifest",
        "POST Upload",
        "PUT Manifest",
        "PUT Upload",
    ];
    let requests = requests(registry);
    let count = |kind| requests.iter().filter(|request| *request == kind).count();
    let counted: Vec<_> = KINDS.map(|kind| (kind, count(kind))).into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<usize>(), requests.len(), "{requests:?}");
    counted
}

/// An index of four platforms with 11 referrers: a signature of each of its 5 manifests, five attestations of the index
/// and one of its first platform.
async fn index_of_eleven(registry: &Registry, person: &Person) -> Descriptor {
    let fixture = fixture::index(3, &["amd64", "arm64", "s390x", "riscv64"]);
    let index = registry.add("team/app", &fixture, Some("v1")).unwrap();
    let repository = open(registry).await;
    for manifest in fixture.manifests() {
        person.attach(&*repository, manifest.descriptor(), predicate::IMAGE_SIGNATURE).await;
    }
    let platform = fixture.manifests().next().unwrap().descriptor();
    let types = [
        predicate::SPDX,
        predicate::CYCLONEDX,
        predicate::SLSA_PROVENANCE_V1,
        predicate::VULNERABILITY,
        predicate::OPENVEX,
    ];
    for (subject, predicate_type) in types.map(|it| (&index, it)).into_iter().chain([(platform, predicate::SPDX)]) {
        person.attach(&*repository, subject, predicate_type).await;
    }
    registry.clear_requests();
    index
}
