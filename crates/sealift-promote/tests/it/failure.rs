//! Whatever fails, the destination has the tag and everything behind it, or no tag.

use sealift_core::attach::{Scope, attachments};
use sealift_promote::PromoteError;
use sealift_sandbox::Loss;

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
        prod.lose(loss);
        let outcome = person.promote(&staging, &prod, &of(index)).await;
        let Err(PromoteError::Missing { missing, .. }) = outcome else { panic!("{loss:?}: {outcome:?}") };
        // All eleven, by name.
        assert_eq!(missing.len(), 11, "{loss:?}");
        assert_eq!(held(&prod, &tag("v1")).await, None);
    }
}
