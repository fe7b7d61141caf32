//! `attested`: some, or all, of some signers made an attestation of a type about the subject.

use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::statement::predicate;
use sealift_core::verify::Claim;

use super::{Assessment, Check, by_quorum, describe_quorum};
use crate::age::AgeLimit;
use crate::facts::{Demand, Facts};
use crate::quorum::Quorum;

/// Passes when a quorum made attestations of the predicate type.
#[derive(Clone, Debug)]
pub struct Attested {
    predicate_type: String,
    quorum: Quorum,
    age: Option<AgeLimit>,
}

impl Attested {
    /// Returns a check for an attestation of `predicate_type`, a full URI, by any of `identities`.
    pub fn new(predicate_type: impl Into<String>, identities: IdentityMatcher) -> Self {
        Self::of(predicate_type, Quorum::any(identities), None)
    }

    /// Returns a check for attestations of `predicate_type` by `quorum`, each at most so old.
    pub fn of(predicate_type: impl Into<String>, quorum: Quorum, age: Option<AgeLimit>) -> Self {
        Self { predicate_type: predicate_type.into(), quorum, age }
    }
}

impl Check for Attested {
    fn name(&self) -> &'static str {
        "attested"
    }

    fn describe(&self) -> String {
        let kind = predicate::short_name(&self.predicate_type).unwrap_or(&self.predicate_type);
        describe_quorum(&format!("attested `{kind}`"), &self.quorum, self.age.as_ref())
    }

    fn demand(&self) -> Demand<'_> {
        // The first attestation found may be too old while another is not.
        let effort = if self.age.is_some() { Effort::All } else { self.quorum.effort() };
        let claim = Claim::Attestation { predicate_type: Some(self.predicate_type.clone()) };
        Demand::Signatures { claim, identities: self.quorum.accepted(), effort }
    }

    fn evaluate(&self, facts: &Facts) -> Assessment {
        by_quorum(&self.quorum, self.age.as_ref(), facts)
    }
}
