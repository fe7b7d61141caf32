//! Everything arrives, bytes unchanged, between all kinds of stores; what stays behind is told.

use sealift_core::attach::{
    CosignSuffix, NewArtifact, NewLayer, Scope, Storage, attach, attach_cosign_tag, attachments, attachments_of_all,
};
use sealift_core::evidence::Verdict;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::repository::{Content, MemoryRepository, ReadRepository, ReferrersSupport, Repository};
use sealift_core::statement::predicate;
use sealift_policy::Ruling;
use sealift_promote::{ArrivalProof, Feature, PromoteError, Role, Selection, SkipReason, TagChange, plan};
use sealift_sandbox::fixture;

use crate::support::{MODES, Person, held, laden_index, of, store, tag};

#[tokio::test]
async fn everything_arrives_between_all_kinds_of_stores() {
    for (from, to) in [(MODES[0], MODES[0]), (MODES[0], MODES[1]), (MODES[1], MODES[0]), (MODES[1], MODES[1])] {
        let (staging, prod, person) = (store("staging", from), store("prod", to), Person::new());
        let index = laden_index(&staging, &person).await;
        let record = person.promote(&staging, &prod, &of(index.clone())).await.unwrap();

        let proof = &record.completeness;
        let count = |role| proof.arrived.iter().filter(|object| object.role == role).count();
        let counts = [Role::Root, Role::Child, Role::Referrer, Role::CosignTag].map(count);
        assert_eq!(counts, [1, 4, 11, 3], "{from:?} to {to:?}");
        assert_eq!(record.tags[&tag("v1")], TagChange::Created);
        assert_eq!(held(&prod, &tag("v1")).await, Some(index.digest.clone()));
        for object in &proof.arrived {
            // A store without the API proves nothing by listing.
            let expected = match object.role {
                Role::Referrer if to == MODES[0] => [ArrivalProof::Listed, ArrivalProof::ReadBack],
                _ => [ArrivalProof::ReadBack; 2],
            };
            assert!(expected.contains(&object.proof), "{to:?}: {object:?}");
            let selector = Selector::Digest(object.digest.clone());
            let arrived = prod.manifest(&selector).await.unwrap();
            assert_eq!(arrived.bytes(), staging.manifest(&selector).await.unwrap().bytes());
        }
        let excluded: Vec<_> = proof.excluded.iter().map(|skipped| skipped.reason).collect();
        assert_eq!(excluded, [SkipReason::Excluded, SkipReason::AttachedToSkipped]);
        assert_eq!(proof.at_source(), 1 + 4 + 11 + 3 + 2);

        // The destination shows the same tree, but for the marker.
        let platforms = fixture::index(7, &["amd64", "arm64", "riscv64", "s390x"]);
        let mut subjects = vec![index.digest.clone()];
        subjects.extend(platforms.manifests().take(4).map(|platform| platform.descriptor().digest.clone()));
        let tree = attachments_of_all(&prod, &subjects, Scope::Nested).await.unwrap();
        assert_eq!(tree.found.len(), 14);
        assert!(tree.problems.is_empty() && tree.unread.is_empty());
        for subject in &subjects {
            assert_eq!(person.decide(&prod, subject).await.ruling(), Ruling::Allow);
        }
    }
}

fn artifact_type(text: &str) -> Feature {
    Feature::ArtifactType(Pattern::exact(text))
}

#[tokio::test]
async fn nothing_is_moved_twice() {
    for mode in MODES {
        let (staging, prod, person) = (store("staging", MODES[0]), store("prod", mode), Person::new());
        let index = laden_index(&staging, &person).await;
        staging.clear();
        person.promote(&staging, &prod, &of(index)).await.unwrap();
        for (store, verb) in [(&prod, "push "), (&staging, "fetch ")] {
            let mut moved: Vec<_> = store.calls().into_iter().filter(|call| call.starts_with(verb)).collect();
            assert!(moved.len() > 19, "{moved:?}");
            moved.sort();
            let all = moved.len();
            moved.dedup();
            assert_eq!(moved.len(), all, "{mode:?}: some {verb}was made twice");
        }
    }
}

#[tokio::test]
async fn lifecycle_markers_travel_when_asked_to() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[1]), Person::new());
    let index = laden_index(&staging, &person).await;
    let mut promotion = of(index.clone());
    promotion.selection = Selection::default()
        .including(artifact_type(media_type::MICROSOFT_LIFECYCLE))
        .excluding(artifact_type("application/sarif+json"));
    let record = person.promote(&staging, &prod, &promotion).await.unwrap();
    let proof = &record.completeness;
    assert_eq!((proof.arrived.len(), proof.excluded.len()), (1 + 4 + 11 + 3 + 2 - 1, 1));
    assert_eq!(proof.excluded[0].artifact_type.as_deref(), Some("application/sarif+json"));
}

#[tokio::test]
async fn a_promotion_back_and_forth_adds_nothing() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[1]), Person::new());
    let index = laden_index(&staging, &person).await;
    person.promote(&staging, &prod, &of(index.clone())).await.unwrap();
    let (before, after) = (staging.inner().object_count(), prod.inner().object_count());
    for (from, to) in [(&prod, &staging), (&staging, &prod), (&staging, &prod)] {
        let record = person.promote(from, to, &of(index.clone())).await.unwrap();
        assert_eq!(record.tags[&tag("v1")], TagChange::Unchanged);
        assert!(record.completeness.arrived.iter().all(|object| object.proof != ArrivalProof::Listed), "nothing new");
    }
    assert_eq!(staging.inner().object_count(), before);
    assert_eq!(prod.inner().object_count(), after);
}

#[tokio::test]
async fn a_cosign_tag_loses_no_signature_of_either_side() {
    let (first, second) = (Person::new(), Person::new());
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[0]));
    let image = fixture::image(1).push(&staging, Some(&tag("v1"))).await.unwrap();
    fixture::image(1).push(&prod, None).await.unwrap();
    first.sign_cosign(&staging, &image).await;
    second.sign_cosign(&prod, &image).await;
    first.promote(&staging, &prod, &of(image.clone())).await.unwrap();
    for person in [&first, &second] {
        assert_eq!(person.decide(&prod, &image.digest).await.verdict(), Some(Verdict::Verified));
    }
    // Once more, and nothing changes.
    let sig = CosignSuffix::Signature.tag(&image.digest);
    let merged = held(&prod, &sig).await;
    first.promote(&staging, &prod, &of(image.clone())).await.unwrap();
    assert_eq!(held(&prod, &sig).await, merged);
    // Back at the source, the merged tag has all the layers of the source's, so its bytes are taken over.
    second.promote(&prod, &staging, &of(image.clone())).await.unwrap();
    assert_eq!(held(&staging, &sig).await, merged);
}

#[tokio::test]
async fn squatted_and_dangling_entries_are_told_and_left_behind() {
    let person = Person::new();
    let staging = MemoryRepository::new("staging").with_referrers(ReferrersSupport::FallbackTagOnly);
    let prod = store("prod", MODES[0]);
    let fixture = fixture::image(1);
    let image = fixture.push(&staging, Some(&tag("v1"))).await.unwrap();
    person.sign_cosign(&staging, &image).await;
    // What `cosign copy` leaves.
    staging.tag(fixture.root(), &Tag::referrers_fallback(&image.digest)).await.unwrap();
    let record = person.promote(&staging, &prod, &of(image.clone())).await.unwrap();
    let excluded = record.completeness.excluded.iter();
    assert_eq!(excluded.map(|skipped| skipped.reason).collect::<Vec<_>>(), [SkipReason::Squatted]);
    assert_eq!(prod.inner().tags().await.unwrap().len(), 2);

    let dangling = Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere");
    let foreign = fixture::image(2).push(&staging, None).await.unwrap();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": [dangling, foreign],
    });
    let index = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
    staging.tag(&index, &Tag::referrers_fallback(&image.digest)).await.unwrap();
    let plan = plan(&staging, &of(image)).await.unwrap();
    let reasons: Vec<_> = plan.skipped().iter().map(|skipped| skipped.reason).collect();
    assert_eq!(reasons, [SkipReason::Dangling, SkipReason::NotAttached]);
}

#[tokio::test]
async fn a_squatted_tag_at_the_destination_stops_the_promotion_before_any_write() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[1]), Person::new());
    let fixture = fixture::image(1);
    let image = fixture.push(&staging, Some(&tag("v1"))).await.unwrap();
    person.attach(&staging, &image, predicate::IMAGE_SIGNATURE).await;
    fixture.push(&prod, Some(&Tag::referrers_fallback(&image.digest))).await.unwrap();
    prod.clear();
    let stopped = person.promote(&staging, &prod, &of(image)).await;
    assert!(matches!(stopped, Err(PromoteError::Repository { .. })), "{stopped:?}");
    assert!(prod.calls().iter().all(|call| !call.starts_with("push") && !call.starts_with("tag ")));
}

#[tokio::test]
async fn an_entry_of_the_destination_whose_manifest_is_gone_is_repaired() {
    let (staging, person) = (store("staging", MODES[0]), Person::new());
    let prod = MemoryRepository::new("prod").with_referrers(ReferrersSupport::FallbackTagOnly);
    let image = fixture::image(1).push(&staging, Some(&tag("v1"))).await.unwrap();
    let signature = person.attach(&staging, &image, predicate::IMAGE_SIGNATURE).await;
    prod.link_referrers(&image.digest, std::slice::from_ref(&signature)).await.unwrap();
    person.promote(&staging, &prod, &of(image.clone())).await.unwrap();
    assert!(prod.exists(&signature).await.unwrap());
    assert_eq!(attachments(&prod, &image.digest, Scope::Direct).await.unwrap().found.len(), 1);
}

#[tokio::test]
async fn manifests_that_lost_their_blobs_get_them_back() {
    let (staging, person) = (store("staging", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let prod = MemoryRepository::new("prod");
    let plan = plan(&staging, &of(index.clone())).await.unwrap();
    for object in plan.objects() {
        let manifest = &object.manifest;
        prod.push(manifest.descriptor(), Content::from(manifest.bytes().clone())).await.unwrap();
        if let (Some(Storage::CosignTag(suffix)), Some(subject)) = (object.storage, &object.subject) {
            prod.tag(manifest, &suffix.tag(subject)).await.unwrap();
        }
    }
    person.promote(&staging, &prod, &of(index)).await.unwrap();
    for object in plan.objects() {
        for child in object.manifest.parse().unwrap().children() {
            assert!(prod.exists(child).await.unwrap(), "{child:?}");
        }
    }
}

#[tokio::test]
async fn a_tag_that_holds_all_layers_and_more_gets_lost_blobs_back() {
    let (staging, scratch, prod) =
        (store("staging", MODES[0]), MemoryRepository::new("scratch"), MemoryRepository::new("prod"));
    let person = Person::new();
    let image = fixture::image(1).push(&staging, Some(&tag("v1"))).await.unwrap();
    person.attach(&staging, &image, predicate::IMAGE_SIGNATURE).await;
    let suffix = CosignSuffix::Sbom;
    let layers = [b"one", b"two"].map(|text| NewLayer::new("text/spdx+json", text.to_vec()));
    attach_cosign_tag(&staging, &image.digest, suffix, &layers[0]).await.unwrap();
    for layer in &layers {
        attach_cosign_tag(&scratch, &image.digest, suffix, layer).await.unwrap();
    }
    let held = suffix.tag(&image.digest);
    prod.tag(&scratch.manifest(&Selector::Tag(held.clone())).await.unwrap(), &held).await.unwrap();
    let promoted = person.promote(&staging, &prod, &of(image)).await.unwrap();
    assert!(promoted.completeness.arrived.iter().any(|arrived| arrived.proof == ArrivalProof::Merged));
    assert!(prod.exists(&layers[0].descriptor()).await.unwrap(), "the destination lists it, so it has it");
}

#[tokio::test]
async fn deep_chains_arrive_whole() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[1]), Person::new());
    let image = fixture::image(1).push(&staging, Some(&tag("v1"))).await.unwrap();
    person.attach(&staging, &image, predicate::IMAGE_SIGNATURE).await;
    let mut last = image.clone();
    for number in 0..100 {
        let link = NewArtifact::new("application/x-link").with_annotation("number", number.to_string());
        last = attach(&staging, &last, &link).await.unwrap();
    }
    let record = person.promote(&staging, &prod, &of(image.clone())).await.unwrap();
    assert_eq!(record.completeness.arrived.len(), 102);
    assert_eq!(attachments(&prod, &image.digest, Scope::Nested).await.unwrap().found.len(), 101);
}

#[tokio::test]
async fn a_foreign_layer_that_several_manifests_name_is_told_once() {
    let (staging, person) = (MemoryRepository::new("staging"), Person::new());
    let fixture = fixture::foreign_image(1, "https://layers.example.com/base");
    let image = fixture.push(&staging, Some(&tag("v1"))).await.unwrap();
    person.attach(&staging, &image, predicate::IMAGE_SIGNATURE).await;
    let mut attached: serde_json::Value = serde_json::from_slice(fixture.root().bytes()).unwrap();
    attached["mediaType"] = media_type::IMAGE_MANIFEST.into();
    attached["artifactType"] = "application/x-snapshot".into();
    attached["subject"] = serde_json::to_value(&image).unwrap();
    let attached = RawManifest::new(media_type::IMAGE_MANIFEST, attached.to_string());
    staging.push(attached.descriptor(), Content::from(attached.bytes().clone())).await.unwrap();
    let record = person.promote(&staging, &MemoryRepository::new("prod"), &of(image)).await.unwrap();
    let foreign = &fixture.root().parse().unwrap().layers[0].digest;
    for told in [&record.report.skipped, &record.completeness.foreign] {
        assert_eq!(told.iter().map(|layer| &layer.digest).collect::<Vec<_>>(), [foreign]);
    }
}

#[tokio::test]
async fn a_plan_is_data() {
    let (staging, person) = (store("staging", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    staging.clear();
    let plan = plan(&staging, &of(index.clone())).await.unwrap();
    assert!(staging.calls().iter().all(|call| !call.starts_with("push")), "planning writes nothing");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["source"], "memory://staging");
    assert_eq!(json["sourceTag"], "v1");
    assert_eq!(json["root"]["digest"], index.digest.to_string());
    let objects = json["objects"].as_array().unwrap();
    assert_eq!((objects.len(), &objects[0]["role"]), (19, &"root".into()));
    assert_eq!(objects[0]["descriptor"]["size"], index.size);
    let signature = objects.iter().find(|object| object["kind"] == "sigstore-bundle").unwrap();
    assert_eq!(signature["storage"], "referrers-api");
    let cosign = objects.iter().find(|object| object["kind"] == "cosign-signature").unwrap();
    assert_eq!(cosign["storage"], serde_json::json!({ "cosign-tag": "signature" }));
    assert_eq!(json["skipped"][0]["reason"], "excluded");
    let distinct: std::collections::HashSet<Digest> =
        plan.objects().iter().map(|object| object.manifest.descriptor().digest.clone()).collect();
    assert_eq!(distinct.len(), 19);
    assert!(plan.bytes() > plan.objects().iter().map(|object| object.manifest.descriptor().size).sum());
}
