//! Everything arrives, bytes unchanged, whatever either side lists by itself.

use sealift_core::attach::{CosignSuffix, Storage};
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::oci::{Descriptor, Selector, Tag, media_type};
use sealift_core::repository::{
    MemoryRepository, ReadRepository, ReferrersListing, ReferrersSupport, Repository, graph,
};
use sealift_core::sign::KeySigner;
use sealift_promote::{Overwrite, Plan, PromoteError, Role, Selection, SkipReason, TagChange, plan};

use crate::scene::{MODES, Scene, destination, held, push_image, sign_under_tag, tag};

#[tokio::test]
async fn plans_everything_and_says_what_stays_behind() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        let plan = scene.plan().await;
        let count = |role| plan.objects().iter().filter(|object| object.role == role).count();
        assert_eq!(
            [Role::Root, Role::Child, Role::Referrer, Role::CosignTag].map(count),
            [1, 4, 11, 3],
            "{:?}",
            plan.objects()
        );
        let [skipped] = plan.skipped() else { panic!("{:?}", plan.skipped()) };
        assert_eq!(skipped.reason, SkipReason::ExcludedType);
        assert_eq!(skipped.artifact_type.as_deref(), Some(media_type::MICROSOFT_LIFECYCLE));
    }
}

#[tokio::test]
async fn lifecycle_markers_travel_when_asked_for() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let mut promotion = scene.promotion();
    promotion.selection = Selection::everything();
    let plan = plan(&scene.source, &promotion).await.unwrap();
    assert_eq!((plan.objects().len(), plan.skipped().len()), (20, 0));
}

#[tokio::test]
async fn everything_arrives_in_every_mode() {
    for from in MODES {
        for to in MODES {
            let scene = Scene::new(from).await;
            let target = destination(to);
            let record = scene.promote(&scene.promotion(), &target).await.unwrap();
            assert_eq!(record.tag_change, Some(TagChange::Created), "{from:?} to {to:?}");
            assert_eq!(held(&target, &tag()).await.unwrap().descriptor().digest, scene.root.digest);
            assert_same(&scene.source, &target, &scene.plan().await, to).await;
        }
    }
}

/// Requires that everything planned is at the destination, with identical bytes, and listed.
async fn assert_same(source: &MemoryRepository, target: &MemoryRepository, plan: &Plan, mode: ReferrersSupport) {
    for object in plan.objects() {
        let manifest = target.manifest(&Selector::Digest(object.manifest.descriptor().digest.clone())).await.unwrap();
        assert_eq!(manifest.bytes(), object.manifest.bytes());
        for child in graph::children(&manifest.parse().unwrap()).filter(|child| !child.is_manifest) {
            assert_eq!(bytes(target, &child.descriptor).await, bytes(source, &child.descriptor).await);
        }
        let Some(subject) = &object.subject else { continue };
        if let Some(Storage::CosignTag(suffix)) = object.storage {
            let tagged = held(target, &suffix.tag(subject)).await.unwrap();
            assert_eq!(tagged.descriptor(), manifest.descriptor());
            continue;
        }
        let listing = match mode {
            ReferrersSupport::Api => ReferrersListing::Api,
            ReferrersSupport::FallbackTagOnly => ReferrersListing::FallbackTag,
        };
        let listed = target.referrers(subject, listing).await.unwrap().unwrap();
        let entry = listed.iter().find(|entry| entry.digest == manifest.descriptor().digest).unwrap();
        assert_eq!(entry.artifact_type, object.artifact_type);
    }
}

async fn bytes(repository: &MemoryRepository, descriptor: &Descriptor) -> bytes::Bytes {
    repository.fetch(descriptor).await.unwrap().read_all(u64::MAX).await.unwrap()
}

#[tokio::test]
async fn a_second_promotion_changes_nothing() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        let target = destination(mode);
        scene.promote(&scene.promotion(), &target).await.unwrap();
        let count = target.object_count();
        let record = scene.promote(&scene.promotion(), &target).await.unwrap();
        assert_eq!(record.tag_change, Some(TagChange::Unchanged));
        assert_eq!(target.object_count(), count);
    }
}

#[tokio::test]
async fn manifests_that_lost_their_blobs_get_them_back() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let target = MemoryRepository::new("destination");
    let plan = scene.plan().await;
    for object in plan.objects() {
        let manifest = &object.manifest;
        target.push(manifest.descriptor(), manifest.bytes().clone().into()).await.unwrap();
        if let (Some(Storage::CosignTag(suffix)), Some(subject)) = (object.storage, &object.subject) {
            target.tag(manifest, &suffix.tag(subject)).await.unwrap();
        }
    }
    scene.promote(&scene.promotion(), &target).await.unwrap();
    assert_same(&scene.source, &target, &plan, ReferrersSupport::Api).await;
}

#[tokio::test]
async fn layers_of_both_sides_stay_under_a_cosign_tag() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let target = destination(ReferrersSupport::Api);
    let other = KeySigner::new(PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap());
    sign_under_tag(&target, &scene.root.digest, &other).await;
    scene.promote(&scene.promotion(), &target).await.unwrap();
    let tag = CosignSuffix::Signature.tag(&scene.root.digest);
    let ours = held(&scene.source, &tag).await.unwrap().parse().unwrap().layers;
    let merged = held(&target, &tag).await.unwrap().parse().unwrap().layers;
    assert_eq!((ours.len(), merged.len()), (1, 2));
    assert!(merged.contains(&ours[0]));
}

#[tokio::test]
async fn a_taken_tag_moves_only_when_allowed() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let target = destination(ReferrersSupport::Api);
    let other = push_image(&target, "other").await;
    let manifest = target.manifest(&Selector::Digest(other.digest.clone())).await.unwrap();
    target.tag(&manifest, &tag()).await.unwrap();
    let count = target.object_count();
    let refused = scene.promote(&scene.promotion(), &target).await;
    assert!(
        matches!(&refused, Err(PromoteError::TagTaken { existing, .. }) if *existing == other.digest),
        "{refused:?}"
    );
    assert_eq!(target.object_count(), count);
    let mut promotion = scene.promotion();
    promotion.overwrite = Overwrite::Allow;
    let record = scene.promote(&promotion, &target).await.unwrap();
    assert_eq!(record.tag_change, Some(TagChange::Moved { from: other.digest }));
}

#[tokio::test]
async fn a_squatted_fallback_tag_is_reported_and_stays() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let platform = &scene.platforms[0];
    let manifest = scene.source.manifest(&Selector::Digest(platform.digest.clone())).await.unwrap();
    let squatted = Tag::referrers_fallback(&platform.digest);
    scene.source.tag(&manifest, &squatted).await.unwrap();
    let plan = scene.plan().await;
    let reasons: Vec<_> = plan.skipped().iter().map(|skipped| skipped.reason).collect();
    assert!(reasons.contains(&SkipReason::Squatted), "{reasons:?}");
    let target = destination(ReferrersSupport::Api);
    scene.promote(&scene.promotion(), &target).await.unwrap();
    assert!(held(&target, &squatted).await.is_none());
}
