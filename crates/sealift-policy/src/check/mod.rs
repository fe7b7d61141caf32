//! Checks: each judges one property of a subject. A sibling file is one kind of check.

mod attested;
mod signed_by;

use std::fmt::Debug;

pub use attested::Attested;
use sealift_core::evidence::{Evidence, Verdict};
use sealift_core::identity::IdentityMatcher;
use sealift_core::verify::Claim;
pub use signed_by::SignedBy;

/// Judges one property of a subject from the evidence it asked for.
pub trait Check: Debug + Send + Sync {
    /// Returns the check's name, as policies and findings spell it. Must be constant.
    fn name(&self) -> &'static str;

    /// Returns the claim that the evidence must be about. Must be constant.
    fn claim(&self) -> Claim;

    /// Returns whose signatures count. Must be constant.
    fn identities(&self) -> &IdentityMatcher;

    /// Judges. `evidence` is about [`Check::claim`], by [`Check::identities`]. Must be pure; whatever is not proven must
    /// not pass.
    fn evaluate(&self, evidence: &Evidence) -> Outcome;
}

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The property does not hold.
    Fail,
    /// Whether it holds could not be told.
    Inconclusive,
    /// The property holds.
    Pass,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::NoMatchingSignature | Verdict::NoSignature => Self::Fail,
            Verdict::Undecided => Self::Inconclusive,
            Verdict::Verified => Self::Pass,
        }
    }
}
