//! Some platforms of an index: the digest stays, what stays behind is told, and a registry may refuse.

use sealift_core::attach::{CosignSuffix, NewArtifact, NewLayer, Storage, attach, attach_cosign_tag};
use sealift_core::oci::{Descriptor, Digest, RawManifest, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::repository::{Content, MemoryRepository, Repository as _, RepositoryError};
use sealift_core::statement::predicate;
use sealift_policy::Ruling;
use sealift_promote::{ArrivalProof, Feature, PromoteError, Promotion, Role, SkipReason, plan};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Quirks, Registry, RegistryOptions, Rule, SparseIndex};
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

/// Returns an index that is attached to `subject`.
fn parts_index(kind: &str, parts: &[&Descriptor], subject: &Descriptor) -> RawManifest {
    let manifests: Vec<_> = parts.iter().map(|part| part.to_plain()).collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "artifactType": kind,
        "manifests": manifests, "subject": subject.to_plain()
    });
    RawManifest::new(media_type::IMAGE_INDEX, index.to_string())
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
    let attached = parts_index("application/x.parts", &[part.descriptor()], index.descriptor());
    staging.add_manifest("team/app", &attached, None).unwrap();
    prod.add_manifest("prod/app", &attached, None).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    let signature = person.attach(&*source, part.descriptor(), predicate::IMAGE_SIGNATURE).await;
    let promoted = person.promote(source.as_read(), &*destination, &of(index.descriptor().clone())).await.unwrap();
    assert!(prod.manifest("prod/app", &part.digest().to_string()).is_some(), "the part was copied");
    let arrived = |digest: &Digest| {
        let arrived = promoted.completeness.arrived.iter().find(|object| object.digest == *digest).unwrap();
        (arrived.role, arrived.subject.clone(), arrived.index.clone(), arrived.proof)
    };
    let parts = attached.descriptor().digest.clone();
    assert_eq!(arrived(&parts), (Role::Referrer, Some(index.digest().clone()), None, ArrivalProof::Listed));
    assert_eq!(arrived(part.digest()), (Role::Part, None, Some(parts), ArrivalProof::ReadBack));
    // What is attached to a part travels with it.
    assert_eq!(arrived(&signature.digest).1.as_ref(), Some(part.digest()));
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
    let attached = parts_index(kind, &[part.descriptor(), own], index.descriptor());
    staging.add_manifest("team/app", &attached, None).unwrap();
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

#[tokio::test]
async fn a_lost_part_is_not_proven_by_what_is_attached_to_its_index() {
    let (person, prod) = (Person::new(), Registry::start(RegistryOptions::default()).unwrap());
    let (staging, index) = staging(&person).await;
    let part = fixture::image(5);
    staging.add("team/app", &part, None).unwrap();
    let parts = parts_index("application/x.parts", &[part.descriptor()], index.descriptor());
    staging.add_manifest("team/app", &parts, None).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    // So the destination lists something for the index of the parts, and its listings are proof.
    person.attach(&*source, parts.descriptor(), predicate::IMAGE_SIGNATURE).await;
    let lost = Rule::new(Effect::Refusal(404, "MANIFEST_UNKNOWN")).method("GET").on(Endpoint::Manifest);
    prod.set_faults([lost.reference(&part.digest().to_string())]);
    let outcome = person.promote(source.as_read(), &*destination, &of(index.descriptor().clone())).await;
    let missing = std::slice::from_ref(part.digest());
    assert!(matches!(&outcome, Err(PromoteError::Missing { missing: found, .. }) if found == missing), "{outcome:?}");
    assert!(prod.tags("prod/app").is_empty());
}

/// A registry with a signed index, an attached index of one part, and artifacts whose layers have the bytes of the part
/// and of the first platform, and so their digests; and these two manifests.
async fn staging_with_twins(person: &Person) -> (Registry, Fixture, [RawManifest; 2]) {
    let (staging, index) = staging(person).await;
    let part = fixture::image(5);
    staging.add("team/app", &part, None).unwrap();
    let parts = parts_index("application/x.parts", &[part.descriptor()], index.descriptor());
    staging.add_manifest("team/app", &parts, None).unwrap();
    let twins = [part.root().clone(), index.manifests().next().unwrap().clone()];
    for twin in &twins {
        let kind = "application/x.archive";
        let archive = fixture::artifact(kind, media_type::OCTET_STREAM, twin.bytes(), Some(index.descriptor()));
        staging.add("team/app", &archive, None).unwrap();
    }
    (staging, index, twins)
}

#[tokio::test]
async fn a_layer_proves_no_manifest_of_the_same_bytes() {
    let person = Person::new();
    let (staging, index, twins) = staging_with_twins(&person).await;
    let source = open(&staging, "team/app").await;
    let of_index = of(index.descriptor().clone());
    for (has_layers, checks_children) in [(false, false), (false, true), (true, false), (true, true)] {
        let start = || match checks_children {
            true => Registry::start(RegistryOptions::default()).unwrap(),
            false => taking_sparse_indexes(RegistryOptions::default()),
        };
        let filled = async |prod: &Registry| {
            let destination = open(prod, "prod/app").await;
            for twin in twins.iter().filter(|_| has_layers) {
                let layer = Descriptor::of(media_type::OCTET_STREAM, twin.bytes());
                destination.push(&layer, twin.bytes().clone().into()).await.unwrap();
            }
            destination
        };
        let what = format!("layers there: {has_layers}, children checked: {checks_children}");

        let prod = start();
        let promoted = person.promote(source.as_read(), &*filled(&prod).await, &of_index).await.expect(&what);
        for digest in twins.iter().map(|twin| &twin.descriptor().digest) {
            assert!(prod.manifest("prod/app", &digest.to_string()).is_some(), "{what}");
            let arrived = promoted.completeness.arrived.iter().find(|object| object.digest == *digest);
            assert_eq!(arrived.map(|object| object.proof), Some(ArrivalProof::ReadBack), "{what}");
        }

        let prod = start();
        let lost = || Rule::new(Effect::Refusal(404, "MANIFEST_UNKNOWN")).method("GET").on(Endpoint::Manifest);
        prod.set_faults(twins.each_ref().map(|twin| lost().reference(&twin.descriptor().digest.to_string())));
        let outcome = person.promote(source.as_read(), &*filled(&prod).await, &of_index).await;
        let Err(PromoteError::Missing { missing, .. }) = outcome else { panic!("{what}: {outcome:?}") };
        assert!(missing.len() == 2 && twins.iter().all(|twin| missing.contains(&twin.descriptor().digest)), "{what}");
    }
}

#[tokio::test]
async fn a_part_of_two_indexes_travels_with_either_and_is_read_once() {
    let person = Person::new();
    let (staging, index) = staging(&person).await;
    let (part, kinds) = (fixture::image(5), ["application/x.one", "application/x.two"]);
    staging.add("team/app", &part, None).unwrap();
    let indexes = kinds.map(|kind| parts_index(kind, &[part.descriptor()], index.descriptor()));
    for index in &indexes {
        staging.add_manifest("team/app", index, None).unwrap();
    }
    let source = open(&staging, "team/app").await;
    let signature = person.attach(&*source, part.descriptor(), predicate::IMAGE_SIGNATURE).await;
    for (excluded, travelling) in [(0, 1), (1, 0)] {
        let mut promotion = of(index.descriptor().clone());
        promotion.selection = promotion.selection.excluding(Feature::ArtifactType(Pattern::exact(kinds[excluded])));
        staging.clear_requests();
        let plan = plan(source.as_read(), &promotion).await.unwrap();
        let place = format!("/manifests/{}", part.digest());
        assert_eq!(staging.requests().iter().filter(|request| request.path.ends_with(&place)).count(), 1);
        let skipped: Vec<_> = plan.skipped().iter().map(|skipped| (skipped.digest.as_ref(), skipped.reason)).collect();
        assert_eq!(skipped, [(Some(&indexes[excluded].descriptor().digest), SkipReason::Excluded)]);
        let planned = |digest: &Digest| plan.objects().iter().find(|object| object.digest() == digest).unwrap();
        let by = &indexes[travelling].descriptor().digest;
        assert_eq!((planned(part.digest()).role, planned(part.digest()).index.as_ref()), (Role::Part, Some(by)));
        assert_eq!(planned(&signature.digest).subject.as_ref(), Some(part.digest()));
    }
}

#[tokio::test]
async fn what_attached_indexes_bring_along_is_not_left_behind_however_late_they_are_found() {
    let (person, prod) = (Person::new(), Registry::start(RegistryOptions::distribution()).unwrap());
    let staging = Registry::start(RegistryOptions::default()).unwrap();
    let index = fixture::index(7, &["amd64", "arm64", "s390x"]);
    staging.add("team/app", &index, Some("v1")).unwrap();
    let [amd64, arm64, s390x] = [0, 1, 2].map(|nth| index.manifests().nth(nth).unwrap().descriptor().clone());
    let source = open(&staging, "team/app").await;
    let mut signatures = Vec::new();
    for subject in [index.descriptor(), &amd64, &arm64, &s390x] {
        signatures.push(person.attach(&*source, subject, predicate::IMAGE_SIGNATURE).await);
    }
    // Of the platforms only the last is chosen. What is attached to its signature lists the second, and what is attached
    // to that lists the first.
    for (part, subject) in [(&arm64, &signatures[3]), (&amd64, &arm64)] {
        staging.add_manifest("team/app", &parts_index("application/x.parts", &[part], subject), None).unwrap();
    }
    let promotion = Promotion { platforms: vec!["linux/s390x".to_owned()], ..of(index.descriptor().clone()) };
    let destination = open(&prod, "prod/app").await;
    let promoted = person.promote(source.as_read(), &*destination, &promotion).await.unwrap();
    assert!(promoted.completeness.excluded.is_empty(), "{:?}", promoted.completeness.excluded);
    let roles: Vec<_> = promoted.completeness.arrived.iter().map(|object| object.role).collect();
    let count = |role| roles.iter().filter(|found| **found == role).count();
    assert_eq!([Role::Child, Role::Part, Role::Referrer].map(count), [1, 2, 6]);
    for subject in [index.descriptor(), &amd64, &arm64, &s390x] {
        let decision = person.decide(open(&prod, "prod/app").await.as_read(), &subject.digest).await;
        assert_eq!(decision.ruling(), Ruling::Allow, "{subject:?}");
    }
}

#[tokio::test]
async fn what_an_attached_index_lacks_matters_only_if_that_travels() {
    let kind = "application/x.parts";
    let staging = taking_sparse_indexes(RegistryOptions::default());
    let (image, part) = (fixture::image(1), fixture::image(5));
    staging.add("team/app", &image, Some("v1")).unwrap();
    let parts = parts_index(kind, &[part.descriptor()], image.descriptor());
    staging.add_manifest("team/app", &parts, None).unwrap();
    let source = open(&staging, "team/app").await;
    let mut promotion = of(image.descriptor().clone());
    let refused = plan(source.as_read(), &promotion).await;
    let Err(PromoteError::Incomplete { index, missing, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((index, missing), (parts.descriptor().digest.clone(), vec![part.digest().clone()]));
    promotion.selection = promotion.selection.excluding(Feature::ArtifactType(Pattern::exact(kind)));
    assert_eq!(plan(source.as_read(), &promotion).await.unwrap().objects().len(), 1);
}

#[tokio::test]
async fn what_attached_indexes_list_together_is_bounded() {
    let staging = MemoryRepository::new("staging");
    let image = fixture::image(1).push(&staging, None).await.unwrap();
    for index in 0..2 {
        let mut parts = Vec::new();
        for part in 0..5 {
            let filling = format!("{index}{part}").repeat(2 * 1000 * 1000);
            let part = NewArtifact::new("application/x.part").with_annotation("filling", filling);
            parts.push(attach(&staging, &Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere"), &part).await.unwrap());
        }
        let parts = parts_index("application/x.parts", &parts.iter().collect::<Vec<_>>(), &image);
        staging.push(parts.descriptor(), Content::from(parts.bytes().clone())).await.unwrap();
        let outcome = plan(&staging, &of(image.clone())).await;
        match index {
            0 => assert!(outcome.is_ok(), "{outcome:?}"),
            _ => {
                let Err(PromoteError::Repository { source: RepositoryError::TooLarge { what, .. }, .. }) = outcome
                else {
                    panic!("{outcome:?}")
                };
                assert_eq!(what, "manifests below attached indexes");
            }
        }
    }
}

#[tokio::test]
async fn what_is_attached_to_a_manifest_under_two_tags_is_planned_once() {
    let (staging, person) = (MemoryRepository::new("staging"), Person::new());
    let image = fixture::image(1).push(&staging, None).await.unwrap();
    let part = fixture::image(5).push(&staging, None).await.unwrap();
    let parts = parts_index("application/x.parts", &[&part], &image);
    staging.push(parts.descriptor(), Content::from(parts.bytes().clone())).await.unwrap();
    let sbom = NewLayer::new("text/spdx+json", "{}");
    let mut held = Vec::new();
    for subject in [&image, &part] {
        held.push(attach_cosign_tag(&staging, &subject.digest, CosignSuffix::Sbom, &sbom).await.unwrap());
    }
    assert_eq!(held[0], held[1], "equal SBOMs are one manifest");
    let signature = person.attach(&staging, &held[0], predicate::IMAGE_SIGNATURE).await;
    let plan = plan(&staging, &of(image)).await.unwrap();
    assert_eq!(plan.objects().iter().filter(|object| *object.digest() == signature.digest).count(), 1);
    assert_eq!(plan.objects().len(), 6, "the image, its index with a part, two tags and what is attached to both");
}

#[tokio::test]
async fn an_attached_index_that_lists_the_root_brings_all_its_platforms() {
    let person = Person::new();
    let (staging, index) = staging(&person).await;
    let parts = parts_index("application/x.parts", &[index.descriptor()], index.descriptor());
    staging.add_manifest("team/app", &parts, None).unwrap();
    let prod = Registry::start(RegistryOptions::default()).unwrap();
    let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
    let proof = person.promote(source.as_read(), &*destination, &only_arm64(&index)).await.unwrap().completeness;
    // The index, its platforms, the signatures of all three, and what is attached.
    assert_eq!((proof.arrived.len(), proof.excluded.len()), (7, 0));
    for manifest in index.manifests() {
        assert!(prod.manifest("prod/app", &manifest.descriptor().digest.to_string()).is_some());
    }
}

#[tokio::test]
async fn what_is_excluded_and_comes_along_is_told_as_arrived_but_a_tag_stays_behind() {
    let (staging, kind) = (MemoryRepository::new("staging"), "text/spdx+json");
    let image = fixture::image(1).push(&staging, None).await.unwrap();
    let referrer = NewArtifact::new(kind).with_layer(NewLayer::new(kind, "{}"));
    let referrer = attach(&staging, &image, &referrer).await.unwrap().to_plain();
    let tagged = attach_cosign_tag(&staging, &image.digest, CosignSuffix::Sbom, &NewLayer::new(kind, "{}")).await;
    let tagged = tagged.unwrap().to_plain();
    let parts = parts_index("application/x.parts", &[&referrer, &tagged], &image);
    staging.push(parts.descriptor(), Content::from(parts.bytes().clone())).await.unwrap();
    let mut promotion = of(image);
    promotion.selection = promotion.selection.excluding(Feature::MediaType(Pattern::exact(kind)));
    let plan = plan(&staging, &promotion).await.unwrap();
    let roles: Vec<_> = plan.objects().iter().map(|object| (object.digest(), object.role)).collect();
    assert_eq!(roles[2..], [(&referrer.digest, Role::Part), (&tagged.digest, Role::Part)]);
    let skipped: Vec<_> = plan.skipped().iter().map(|skipped| (skipped.digest.as_ref(), skipped.storage)).collect();
    assert_eq!(skipped, [(Some(&tagged.digest), Some(Storage::CosignTag(CosignSuffix::Sbom)))]);
}
