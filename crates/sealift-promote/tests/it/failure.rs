//! Whatever fails, the destination has the tag and everything behind it, or no tag.

use sealift_core::attach::{CosignSuffix, NewLayer, Scope, attach_cosign_tag, attachments};
use sealift_core::statement::predicate;
use sealift_promote::PromoteError;
use sealift_sandbox::{Loss, fixture};

use crate::support::{MODES, Person, held, laden_index, of, small_index, store, tag};

#[tokio::test]
async fn a_promotion_that_fails_at_any_call_leaves_no_tag_and_succeeds_when_repeated() {
    for (from, to) in [(MODES[0], MODES[1]), (MODES[1], MODES[0])] {
        for side in ["staging", "prod"] {
            let (staging, person) = (store("staging", from), Person::new());
            let index = small_index(&staging, &person).await;
            let promotion = of(index.clone());
            let mut failures = 0;
            for nth in 1.. {
                let prod = store("prod", to);
                let failing = if side == "prod" { &prod } else { &staging };
                failing.fail_nth(nth);
                let outcome = person.promote(&staging, &prod, &promotion).await;
                let was_reached = failing.calls().len() >= nth;
                staging.clear();
                prod.clear();
                let is_tagged = held(&prod, &tag("v1")).await.is_some();
                assert_eq!(is_tagged, outcome.is_ok(), "call {nth} of {side}: {outcome:?}");
                if outcome.is_ok() {
                    let found = attachments(prod.inner(), &index.digest, Scope::Nested).await.unwrap();
                    assert_eq!(found.found.len(), 5, "call {nth} of {side}");
                }
                if !was_reached {
                    break;
                }
                failures += usize::from(outcome.is_err());
                // What arrived before the failure is no obstacle.
                person.promote(&staging, &prod, &promotion).await.unwrap();
                assert_eq!(held(&prod, &tag("v1")).await, Some(index.digest.clone()));
            }
            assert!(failures > 10, "{failures} of {side}");
        }
    }
}

#[tokio::test]
async fn a_destination_that_loses_what_it_acknowledged_is_found_out() {
    for (mode, loss) in [(MODES[0], Loss::Referrers), (MODES[1], Loss::Links)] {
        let (staging, prod, person) = (store("staging", MODES[0]), store("prod", mode), Person::new());
        let index = laden_index(&staging, &person).await;
        prod.lose(loss.clone());
        let outcome = person.promote(&staging, &prod, &of(index)).await;
        let Err(PromoteError::Missing { missing, .. }) = outcome else { panic!("{loss:?}: {outcome:?}") };
        // All eleven, by name.
        assert_eq!(missing.len(), 11, "{loss:?}");
        assert_eq!(held(&prod, &tag("v1")).await, None);
    }
}

#[tokio::test]
async fn a_lost_tag_is_found_out_although_another_holds_the_same_manifest() {
    let (staging, person) = (store("staging", MODES[0]), Person::new());
    let fixture = fixture::index(7, &["amd64", "arm64"]);
    let index = fixture.push(&staging, Some(&tag("v1"))).await.unwrap();
    person.attach(&staging, &index, predicate::IMAGE_SIGNATURE).await;
    let sbom = NewLayer::new("text/spdx+json", "{}");
    let (mut tags, mut held_by) = (Vec::new(), Vec::new());
    for platform in fixture.manifests().take(2) {
        let subject = &platform.descriptor().digest;
        held_by.push(attach_cosign_tag(&staging, subject, CosignSuffix::Sbom, &sbom).await.unwrap().digest);
        tags.push(CosignSuffix::Sbom.tag(subject));
    }
    assert_eq!(held_by[0], held_by[1], "equal SBOMs are one manifest");
    for tag in &tags {
        let prod = store("prod", MODES[0]);
        prod.lose(Loss::Tag(tag.clone()));
        let outcome = person.promote(&staging, &prod, &of(index.clone())).await;
        let Err(PromoteError::Missing { missing, .. }) = outcome else { panic!("{tag}: {outcome:?}") };
        assert_eq!(missing, held_by[..1]);
    }
}
