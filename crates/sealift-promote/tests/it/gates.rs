//! Only a decision that allows this digest at this place opens a gate.

use sealift_core::copy::CopyOptions;
use sealift_core::repository::ReferrersSupport;
use sealift_policy::Ruling;
use sealift_promote::{PromoteError, publish, transfer};

use crate::scene::{Scene, destination, held, tag};

#[tokio::test]
async fn refuses_a_decision_about_another_digest() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let decision = scene.decide(&scene.source, &scene.platforms[0].digest).await;
    let refused = scene.plan().await.admit(&decision);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })), "{refused:?}");
}

#[tokio::test]
async fn refuses_a_decision_about_another_place() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let elsewhere = destination(ReferrersSupport::Api);
    let decision = scene.decide(&elsewhere, &scene.root.digest).await;
    let refused = scene.plan().await.admit(&decision);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })), "{refused:?}");
}

#[tokio::test]
async fn refuses_what_the_policy_denies() {
    let mut scene = Scene::new(ReferrersSupport::Api).await;
    scene.key = Scene::new(ReferrersSupport::Api).await.key;
    let decision = scene.decide(&scene.source, &scene.root.digest).await;
    assert_eq!(decision.ruling(), Ruling::Deny);
    let refused = scene.plan().await.admit(&decision);
    assert!(matches!(refused, Err(PromoteError::Denied { .. })), "{refused:?}");
}

#[tokio::test]
async fn publishes_only_by_a_decision_at_the_destination() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    let target = destination(ReferrersSupport::Api);
    let decision = scene.decide(&scene.source, &scene.root.digest).await;
    let admitted = scene.plan().await.admit(&decision).unwrap();
    let moved = transfer(admitted, &scene.source, &target, &CopyOptions::default()).await.unwrap();
    assert!(held(&target, &tag()).await.is_none());
    let refused = publish(moved, &decision).await;
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })), "{refused:?}");
    assert!(held(&target, &tag()).await.is_none());
}
