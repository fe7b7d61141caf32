//! Checks: each judges one property of a subject. A sibling file is one kind of check.

mod approved_registry;
mod attested;
mod end_of_life;
mod signed_by;
mod unmatched;

use std::fmt::Debug;

pub use approved_registry::ApprovedRegistry;
pub use attested::Attested;
pub use end_of_life::EndOfLife;
use sealift_core::verify::Verified;
use serde::Serialize;
pub use signed_by::SignedBy;
pub use unmatched::Unmatched;

use crate::age::{Age, AgeLimit};
use crate::facts::{Demand, Facts};
use crate::quorum::Quorum;
use crate::reason::Reason;

/// Judges one property of a subject from the facts it asked for.
pub trait Check: Debug + Send + Sync {
    /// Returns the check's name, as findings spell it. Must be constant.
    fn name(&self) -> &'static str;

    /// Returns what the check demands, in words for people who read the policy. Must be constant.
    fn describe(&self) -> String;

    /// Returns what must be known to judge. Must be constant.
    fn demand(&self) -> Demand<'_>;

    /// Judges. `facts` are what [`Check::demand`] asked for. Must be pure; whatever is not proven must not pass, and what
    /// could not be read must not fail.
    fn evaluate(&self, facts: &Facts) -> Assessment;
}

/// What a check found, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Assessment {
    /// What it found.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl Assessment {
    /// Returns an assessment.
    pub fn new(outcome: Outcome, reason: Reason) -> Self {
        Self { outcome, reason }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The property does not hold.
    Fail,
    /// Whether it holds could not be told.
    Inconclusive,
    /// The property holds.
    Pass,
}

/// Judges whether those of a quorum spoke, and lately enough.
fn by_quorum(quorum: &Quorum, age: Option<&AgeLimit>, facts: &Facts) -> Assessment {
    let Some(evidence) = facts.evidence() else {
        return Assessment::new(Outcome::Inconclusive, Reason::Unread { count: 1 });
    };
    let all = || evidence.verified().iter().map(|proof| &proof.verified);
    let is_fresh = |age: &AgeLimit, verified| age.judge(verified) == Age::Fresh;
    let fresh = all().filter(|verified| age.is_none_or(|age| is_fresh(age, verified)));
    let fresh = quorum.count(fresh.map(Verified::signer));
    if fresh.is_met {
        return Assessment::new(Outcome::Pass, Reason::Met { counted: fresh.counted, needed: quorum.to_string() });
    }
    if let unread @ 1.. = evidence.undecided().len() {
        return Assessment::new(Outcome::Inconclusive, Reason::Unread { count: unread });
    }
    let anytime = quorum.count(all().map(Verified::signer));
    match age {
        Some(age) if anytime.is_met => {
            let ages: Vec<Age> = all().map(|verified| age.judge(verified)).collect();
            too_old(age, &ages)
        }
        _ => {
            let reason =
                Reason::Unmet { counted: anytime.counted, needed: quorum.to_string(), missing: anytime.missing };
            Assessment::new(Outcome::Fail, reason)
        }
    }
}

/// Says why none of several ages is young enough.
fn too_old(limit: &AgeLimit, ages: &[Age]) -> Assessment {
    if ages.contains(&Age::Unknown) {
        return Assessment::new(Outcome::Inconclusive, Reason::NoTime);
    }
    let old = ages.iter().filter_map(|age| if let Age::Old(made) = age { Some(*made) } else { None }).max();
    let future = ages.iter().find_map(|age| if let Age::Future(time) = age { Some(*time) } else { None });
    let reason = match old {
        Some(made) => Reason::Old { limit: limit.limit(), made },
        None => Reason::Untimed { future },
    };
    Assessment::new(Outcome::Fail, reason)
}

/// Writes a quorum and its limit of age for people.
fn describe_quorum(what: &str, quorum: &Quorum, age: Option<&AgeLimit>) -> String {
    let age = age.map_or_else(String::new, |age| format!(", at most {} old", age.limit()));
    format!("{what} by {quorum}{age}")
}
