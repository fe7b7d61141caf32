//! Nothing is written without a good decision at the source, and no tag moves without one at the destination.

use sealift_core::copy::CopyOptions;
use sealift_core::statement::predicate;
use sealift_policy::{Policy, Ruling};
use sealift_promote::{Ends, PromoteError, TagChange, TagRule, Target, plan, transfer};
use sealift_sandbox::fixture;

use crate::support::{MODES, Person, held, laden_index, of, store, tag, target};

#[tokio::test]
async fn what_is_not_allowed_at_the_source_is_refused_before_any_write() {
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[0]));
    let (person, stranger) = (Person::new(), Person::new());
    let index = laden_index(&staging, &person).await;
    let unsigned = fixture::image(3).push(&staging, None).await.unwrap();
    prod.clear();
    for (person, root) in [(&stranger, &index), (&person, &unsigned)] {
        let refused = person.promote(&staging, &prod, &of(root.clone())).await;
        assert!(matches!(refused, Err(PromoteError::Denied { .. })), "{refused:?}");
    }
    staging.fail_calls("fetch");
    let refused = person.promote(&staging, &prod, &of(index.clone())).await;
    assert!(matches!(refused, Err(PromoteError::Undecided { .. })), "{refused:?}");
    staging.clear();
    let nobody = Person { policy: Policy::new(), ..Person::new() };
    let refused = nobody.promote(&staging, &prod, &of(index)).await;
    assert!(matches!(refused, Err(PromoteError::Denied { .. })), "an empty policy denies: {refused:?}");
    assert!(prod.calls().is_empty(), "{:?}", prod.calls());
}

#[tokio::test]
async fn a_decision_is_good_for_one_digest_at_one_place() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let other = fixture::image(3).push(&staging, None).await.unwrap();
    person.attach(&staging, &other, predicate::IMAGE_SIGNATURE).await;
    let about_other = person.decide(&staging, &other.digest).await;
    let at_source = person.decide(&staging, &index.digest).await;
    assert_eq!((about_other.ruling(), at_source.ruling()), (Ruling::Allow, Ruling::Allow));
    let promotion = of(index.clone());
    let refused = plan(&staging, &promotion).await.unwrap().admit(&about_other);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })));
    let elsewhere = person.decide(&prod, &index.digest).await;
    let refused = plan(&staging, &promotion).await.unwrap().admit(&elsewhere);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })));
    let admitted = plan(&staging, &promotion).await.unwrap().admit(&at_source).unwrap();
    let moved = transfer(
        admitted,
        Ends { source: &staging, destination: &prod },
        Target::tagged(tag("v1")),
        &CopyOptions::default(),
    )
    .await
    .unwrap();
    // The source's decision says nothing about what arrived.
    let refused = moved.publish(&at_source).await;
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("v1")).await, None);
}

#[tokio::test]
async fn a_taken_tag_is_left_alone_unless_told_otherwise() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let old = fixture::image(3).push(&prod, Some(&tag("v1"))).await.unwrap();
    prod.clear();
    let refused = person.promote(&staging, &prod, &of(index.clone())).await;
    assert!(matches!(refused, Err(PromoteError::TagTaken { existing, .. }) if existing == old.digest));
    assert!(prod.calls().iter().all(|call| !call.starts_with("push")), "{:?}", prod.calls());
    let record = person.promote_to(&staging, &prod, &of(index.clone()), target("v1", TagRule::Move)).await.unwrap();
    assert_eq!(record.tags[&tag("v1")], TagChange::Moved { from: old.digest });
    assert_eq!(held(&prod, &tag("v1")).await, Some(index.digest));
}

#[tokio::test]
async fn a_tag_taken_on_the_way_is_left_alone() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let decision = person.decide(&staging, &index.digest).await;
    let admitted = plan(&staging, &of(index.clone())).await.unwrap().admit(&decision).unwrap();
    let moved = transfer(
        admitted,
        Ends { source: &staging, destination: &prod },
        Target::tagged(tag("v1")),
        &CopyOptions::default(),
    )
    .await
    .unwrap();
    let arrived = person.decide(moved.arrived(), &index.digest).await;
    let other = fixture::image(3).push(&prod, Some(&tag("v1"))).await.unwrap();
    let refused = moved.publish(&arrived).await;
    assert!(matches!(refused, Err(PromoteError::TagTaken { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("v1")).await, Some(other.digest));
}

#[tokio::test]
async fn without_a_tag_everything_arrives_by_digest() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let record = person.promote_to(&staging, &prod, &of(index.clone()), Target::untagged()).await.unwrap();
    assert!(record.tags.is_empty());
    assert_eq!(held(&prod, &tag("v1")).await, None);
    assert_eq!(person.decide(&prod, &index.digest).await.ruling(), Ruling::Allow);
}

#[tokio::test]
async fn a_tag_moved_on_the_way_is_left_alone_even_if_it_may_be_moved() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    fixture::image(3).push(&prod, Some(&tag("v1"))).await.unwrap();
    let decision = person.decide(&staging, &index.digest).await;
    let admitted = plan(&staging, &of(index.clone())).await.unwrap().admit(&decision).unwrap();
    let target = target("v1", TagRule::Move);
    let moved = transfer(admitted, Ends { source: &staging, destination: &prod }, target, &CopyOptions::default())
        .await
        .unwrap();
    let arrived = person.decide(moved.arrived(), &index.digest).await;
    let other = fixture::image(4).push(&prod, Some(&tag("v1"))).await.unwrap();
    let refused = moved.publish(&arrived).await;
    assert!(matches!(refused, Err(PromoteError::TagMoved { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("v1")).await, Some(other.digest));
}

#[tokio::test]
async fn a_tag_that_was_right_at_the_beginning_is_looked_at_again_after_a_transfer() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    person.promote_to(&staging, &prod, &of(index.clone()), target("v1", TagRule::Move)).await.unwrap();
    // Something more to transfer.
    person.attach(&staging, &index, predicate::SLSA_PROVENANCE_V1).await;
    let decision = person.decide(&staging, &index.digest).await;
    let admitted = plan(&staging, &of(index.clone())).await.unwrap().admit(&decision).unwrap();
    let target = target("v1", TagRule::Move);
    let moved = transfer(admitted, Ends { source: &staging, destination: &prod }, target, &CopyOptions::default())
        .await
        .unwrap();
    let arrived = person.decide(moved.arrived(), &index.digest).await;
    let other = fixture::image(4).push(&prod, Some(&tag("v1"))).await.unwrap();
    let refused = moved.publish(&arrived).await;
    let Err(PromoteError::TagMoved { before, now, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((before, now), (Some(index.digest), Some(other.digest.clone())));
    assert_eq!(held(&prod, &tag("v1")).await, Some(other.digest));
}

#[tokio::test]
async fn a_tag_must_hold_what_it_is_expected_to_hold() {
    let (staging, person) = (store("staging", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let [old, other] = [3, 4].map(fixture::image);
    for (existing, expected, is_moved) in [
        (None, None, true),
        (None, Some(&old), false),
        (Some(&old), None, false),
        (Some(&old), Some(&old), true),
        (Some(&old), Some(&other), false),
    ] {
        let prod = store("prod", MODES[0]);
        if let Some(existing) = existing {
            existing.push(&prod, Some(&tag("v1"))).await.unwrap();
        }
        prod.clear();
        let rule = TagRule::Expect(expected.map(|image| image.digest().clone()));
        let outcome = person.promote_to(&staging, &prod, &of(index.clone()), target("v1", rule.clone())).await;
        let held_now = held(&prod, &tag("v1")).await;
        if is_moved {
            outcome.unwrap();
            assert_eq!(held_now.as_ref(), Some(&index.digest));
            // Once more, as after a crash: the tag holds the digest already, which is what was wanted.
            person.promote_to(&staging, &prod, &of(index.clone()), target("v1", rule)).await.unwrap();
        } else {
            assert!(matches!(outcome, Err(PromoteError::TagUnexpected { .. })), "{outcome:?}");
            assert_eq!(held_now.as_ref(), existing.map(|image| image.digest()));
            assert!(prod.calls().iter().all(|call| !call.starts_with("push")), "{:?}", prod.calls());
        }
    }
}

#[tokio::test]
async fn several_tags_move_together_or_not_at_all() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let tags = Target { tags: vec![tag("1"), tag("1.0"), tag("latest")], rule: TagRule::Keep };
    let taken = fixture::image(3).push(&prod, Some(&tag("latest"))).await.unwrap();
    let refused = person.promote_to(&staging, &prod, &of(index.clone()), tags.clone()).await;
    assert!(matches!(refused, Err(PromoteError::TagTaken { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("1")).await, None);
    let tags = Target { rule: TagRule::Move, ..tags };
    let promoted = person.promote_to(&staging, &prod, &of(index.clone()), tags).await.unwrap();
    assert_eq!(promoted.tags[&tag("latest")], TagChange::Moved { from: taken.digest });
    for name in ["1", "1.0", "latest"] {
        assert_eq!(held(&prod, &tag(name)).await, Some(index.digest.clone()), "{name}");
    }
}
