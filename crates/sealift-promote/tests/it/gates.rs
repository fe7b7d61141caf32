//! Nothing is written without a good decision at the source, and no tag moves without one at the destination.

use sealift_core::copy::CopyOptions;
use sealift_core::statement::predicate;
use sealift_policy::{Policy, Ruling};
use sealift_promote::{Overwrite, PromoteError, TagChange, plan, publish, transfer};
use sealift_sandbox::fixture;

use crate::support::{MODES, Person, held, laden_index, store, tag, to_v1};

#[tokio::test]
async fn what_is_not_allowed_at_the_source_is_refused_before_any_write() {
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[0]));
    let (person, stranger) = (Person::new(), Person::new());
    let index = laden_index(&staging, &person).await;
    let unsigned = fixture::image(3).push(&staging, None).await.unwrap();
    prod.clear();
    for (person, root) in [(&stranger, &index), (&person, &unsigned)] {
        let refused = person.promote(&staging, &prod, &to_v1(root.clone())).await;
        assert!(matches!(refused, Err(PromoteError::Denied { .. })), "{refused:?}");
    }
    staging.fail_calls("fetch");
    let refused = person.promote(&staging, &prod, &to_v1(index.clone())).await;
    assert!(matches!(refused, Err(PromoteError::Undecided { .. })), "{refused:?}");
    staging.clear();
    let nobody = Person { policy: Policy::new(), ..Person::new() };
    let refused = nobody.promote(&staging, &prod, &to_v1(index)).await;
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
    let promotion = to_v1(index.clone());
    let refused = plan(&staging, &promotion).await.unwrap().admit(&about_other);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })));
    let elsewhere = person.decide(&prod, &index.digest).await;
    let refused = plan(&staging, &promotion).await.unwrap().admit(&elsewhere);
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })));
    let admitted = plan(&staging, &promotion).await.unwrap().admit(&at_source).unwrap();
    let moved = transfer(admitted, &staging, &prod, &CopyOptions::default()).await.unwrap();
    // The source's decision says nothing about what arrived.
    let refused = publish(moved, &at_source).await;
    assert!(matches!(refused, Err(PromoteError::WrongDecision { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("v1")).await, None);
}

#[tokio::test]
async fn a_taken_tag_is_left_alone_unless_told_otherwise() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let old = fixture::image(3).push(&prod, Some(&tag("v1"))).await.unwrap();
    prod.clear();
    let refused = person.promote(&staging, &prod, &to_v1(index.clone())).await;
    assert!(matches!(refused, Err(PromoteError::TagTaken { existing, .. }) if existing == old.digest));
    assert!(prod.calls().iter().all(|call| !call.starts_with("push")), "{:?}", prod.calls());
    let mut promotion = to_v1(index.clone());
    promotion.overwrite = Overwrite::Allow;
    let record = person.promote(&staging, &prod, &promotion).await.unwrap();
    assert_eq!(record.tag_change, Some(TagChange::Moved { from: old.digest }));
    assert_eq!(held(&prod, &tag("v1")).await, Some(index.digest));
}

#[tokio::test]
async fn a_tag_taken_on_the_way_is_left_alone() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let decision = person.decide(&staging, &index.digest).await;
    let admitted = plan(&staging, &to_v1(index.clone())).await.unwrap().admit(&decision).unwrap();
    let moved = transfer(admitted, &staging, &prod, &CopyOptions::default()).await.unwrap();
    let arrived = person.decide(moved.arrived(), &index.digest).await;
    let other = fixture::image(3).push(&prod, Some(&tag("v1"))).await.unwrap();
    let refused = publish(moved, &arrived).await;
    assert!(matches!(refused, Err(PromoteError::TagTaken { .. })), "{refused:?}");
    assert_eq!(held(&prod, &tag("v1")).await, Some(other.digest));
}

#[tokio::test]
async fn without_a_tag_everything_arrives_by_digest() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = laden_index(&staging, &person).await;
    let mut promotion = to_v1(index.clone());
    promotion.destination_tag = None;
    let record = person.promote(&staging, &prod, &promotion).await.unwrap();
    assert_eq!((record.tag_change, held(&prod, &tag("v1")).await), (None, None));
    assert_eq!(person.decide(&prod, &index.digest).await.ruling(), Ruling::Allow);
}
