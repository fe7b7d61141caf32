//! Some platforms of an index: the digest stays, what stays behind is told, and a registry may refuse.

use sealift_core::oci::{Digest, RawManifest, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::statement::predicate;
use sealift_policy::Ruling;
use sealift_promote::{ArrivalProof, Feature, PromoteError, Promotion, Role, SkipReason, plan};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Quirks, Registry, RegistryOptions, SparseIndex};
use serde_json::json;

use crate::http::open;
use crate::support::{Person, of};

fn taking_sparse_indexes(options: RegistryOptions) -> Registry {
    let quirks = Quirks { sparse_index: SparseIndex::Taken, ..options.quirks };
    Registry::start(RegistryOptions { quirks, ..options }).unwrap()
}

/// Returns a registry with a signed index, whose two images are signed too.
async fn staging(person: &Person) -> (Registry, Fixture) {
    let (staging, index) =
        (Registry::start(RegistryOptions::default()).unwrap(), fixture::index(7, &["amd64", "arm64"]));
    staging.add("team/app", &index, Some("v1")).unwrap();
    let repository = open(&staging, "team/app").await;
    for manifest in index.manifests() {
        person.attach(&*repository, manifest.descriptor(), predicate::IMAGE_SIGNATURE).await;
    }
    (staging, index)
}

fn only_arm64(index: &Fixture) -> Promotion {
    Promotion { platforms: vec!["linux/arm64".to_owned()], ..of(index.descriptor().clone()) }
}

#[tokio::test]
async fn one_platform_travels_under_the_digest_of_the_index_and_the_others_are_told() {
    let person = Person::new();
    let (staging, index) = staging(&person).await;
    let [amd64, arm64] = [0, 1].map(|nth| index.manifests().nth(nth).unwrap().descriptor().digest.clone());
    for options in [RegistryOptions::default(), RegistryOptions::distribution()] {
        let prod = taking_sparse_indexes(options);
        let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
        let promote =
            async |promotion: Promotion| person.promote(source.as_read(), &*destination, &promotion).await.unwrap();
        let has = |digest: &str| prod.manifest("prod/app", digest).is_some();

        let promoted = promote(only_arm64(&index)).await;
        assert_eq!(prod.manifest("prod/app", "v1").unwrap().bytes(), index.root().bytes());
        assert_eq!((has(&amd64.to_string()), has(&arm64.to_string())), (false, true));
        let proof = &promoted.completeness;
        let roles: Vec<_> = proof.arrived.iter().map(|object| object.role).collect();
        assert_eq!(roles, [Role::Root, Role::Child, Role::Referrer, Role::Referrer]);
        let excluded: Vec<_> = proof.excluded.iter().map(|left| (&left.subject, left.reason)).collect();
        // The image, and what is attached to it.
        assert_eq!(excluded, [(index.digest(), SkipReason::OtherPlatform), (&amd64, SkipReason::AttachedToSkipped)]);
        assert_eq!(proof.excluded[0].digest.as_ref(), Some(&amd64));
        assert_eq!(proof.at_source(), 6);
        let repository = open(&prod, "prod/app").await;
        assert_eq!(person.decide(repository.as_read(), index.digest()).await.ruling(), Ruling::Allow);

        // Later, the rest follows.
        let promoted = promote(of(index.descriptor().clone())).await;
        assert!(has(&amd64.to_string()) && promoted.completeness.excluded.is_empty());
        assert_eq!(promoted.completeness.arrived.len(), 6);
    }
}

#[tokio::test]
async fn a_registry_that_takes_no_sparse_index_gets_no_tag() {
    let person = Person::new();
    let (staging, index) = staging(&person).await;
    let prod = Registry::start(RegistryOptions::default()).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    let refused = person.promote(source.as_read(), &*destination, &only_arm64(&index)).await;
    assert!(matches!(refused, Err(PromoteError::SparseRefused { .. })), "{refused:?}");
    assert!(prod.tags("prod/app").is_empty() && prod.manifest("prod/app", &index.digest().to_string()).is_none());
    let unknown = Promotion { platforms: vec!["plan9/arm64".to_owned()], ..of(index.descriptor().clone()) };
    let refused = person.promote(source.as_read(), &*destination, &unknown).await;
    assert!(matches!(refused, Err(PromoteError::NoPlatform { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_a_source_lists_but_lacks_is_named_and_can_only_be_left_behind() {
    let (person, staging, prod) = (
        Person::new(),
        taking_sparse_indexes(RegistryOptions::default()),
        taking_sparse_indexes(RegistryOptions::default()),
    );
    let index = fixture::index(7, &["amd64", "arm64"]);
    let [amd64, arm64] = [0, 1].map(|nth| index.manifests().nth(nth).unwrap().descriptor().digest.clone());
    for (descriptor, blob) in index.blobs() {
        open(&staging, "team/app").await.push(descriptor, blob.content()).await.unwrap();
    }
    for manifest in index.manifests().skip(1) {
        staging.add_manifest("team/app", manifest, None).unwrap();
    }
    let source = open(&staging, "team/app").await;
    person.attach(&*source, index.descriptor(), predicate::IMAGE_SIGNATURE).await;
    let destination = open(&prod, "prod/app").await;
    let promote = async |promotion| person.promote(source.as_read(), &*destination, &promotion).await;

    let all = promote(of(index.descriptor().clone())).await;
    assert!(matches!(&all, Err(PromoteError::Incomplete { missing, .. }) if *missing == [amd64.clone()]), "{all:?}");
    let other = Promotion { platforms: vec!["linux/amd64".to_owned()], ..of(index.descriptor().clone()) };
    assert!(matches!(promote(other).await, Err(PromoteError::Incomplete { .. })));
    assert!(prod.requests().is_empty());

    let proof = promote(only_arm64(&index)).await.unwrap().completeness;
    let excluded: Vec<_> = proof.excluded.iter().map(|left| (left.digest.as_ref(), left.reason)).collect();
    assert_eq!(excluded, [(Some(&amd64), SkipReason::Dangling)]);
    assert!(prod.manifest("prod/app", &arm64.to_string()).is_some());
    assert_eq!(prod.manifest("prod/app", "v1").unwrap().bytes(), index.root().bytes());
}

#[tokio::test]
async fn a_listed_index_proves_nothing_about_its_manifests() {
    let (person, prod) = (Person::new(), taking_sparse_indexes(RegistryOptions::default()));
    let (staging, index) = staging(&person).await;
    // An index of a signed chart, say, that is attached to another.
    let part = fixture::image(5);
    staging.add("team/app", &part, None).unwrap();
    let attached = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "artifactType": "application/x.parts",
        "manifests": [part.descriptor().to_plain()], "subject": index.descriptor().to_plain()
    });
    let attached = RawManifest::new(media_type::IMAGE_INDEX, attached.to_string());
    staging.add_manifest("team/app", &attached, None).unwrap();
    prod.add_manifest("prod/app", &attached, None).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    let signature = person.attach(&*source, part.descriptor(), predicate::IMAGE_SIGNATURE).await;
    let promoted = person.promote(source.as_read(), &*destination, &of(index.descriptor().clone())).await.unwrap();
    assert!(prod.manifest("prod/app", &part.digest().to_string()).is_some(), "the part was copied");
    let arrived = |digest: &Digest| {
        let arrived = promoted.completeness.arrived.iter().find(|object| object.digest == *digest).unwrap();
        (arrived.role, arrived.subject.clone().unwrap(), arrived.proof)
    };
    let parts = attached.descriptor().digest.clone();
    assert_eq!(arrived(&parts), (Role::Referrer, index.digest().clone(), ArrivalProof::Listed));
    assert_eq!(arrived(part.digest()), (Role::Part, parts, ArrivalProof::ReadBack));
    // What is attached to a part travels with it.
    assert_eq!(arrived(&signature.digest).1, *part.digest());
    assert_eq!(prod.referrers("prod/app", part.digest()).len(), 1);
}

#[tokio::test]
async fn parts_of_what_stays_behind_stay_too() {
    let person = Person::new();
    let (staging, index) = staging(&person).await;
    let prod = Registry::start(RegistryOptions::distribution()).unwrap();
    let (part, kind) = (fixture::image(5), "application/x.parts");
    staging.add("team/app", &part, None).unwrap();
    // It lists an image of the root's too, which travels anyhow.
    let own = index.manifests().next().unwrap().descriptor();
    let attached = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "artifactType": kind,
        "manifests": [part.descriptor().to_plain(), own.to_plain()], "subject": index.descriptor().to_plain()
    });
    staging.add_manifest("team/app", &RawManifest::new(media_type::IMAGE_INDEX, attached.to_string()), None).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    person.attach(&*source, part.descriptor(), predicate::IMAGE_SIGNATURE).await;
    let mut promotion = of(index.descriptor().clone());
    let all = plan(source.as_read(), &promotion).await.unwrap();
    promotion.selection = promotion.selection.excluding(Feature::ArtifactType(Pattern::exact(kind)));
    let promoted = person.promote(source.as_read(), &*destination, &promotion).await.unwrap();
    let completeness = &promoted.completeness;
    let reasons: Vec<_> = completeness.excluded.iter().map(|skipped| skipped.reason).collect();
    assert_eq!(reasons, [SkipReason::Excluded, SkipReason::AttachedToSkipped]);
    // The index, its part and the part's signature; the image that is listed twice is one object.
    assert_eq!(completeness.arrived.len(), all.objects().len() - 3);
    assert!(prod.manifest("prod/app", &part.digest().to_string()).is_none());
}
