//! `signed-by`: some, or all, of some signers signed the subject itself. An attestation about it is no signature.

use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::verify::Claim;

use super::{Assessment, Check, by_quorum, describe_quorum};
use crate::age::AgeLimit;
use crate::facts::{Demand, Facts};
use crate::quorum::Quorum;

/// Passes when a quorum signed the subject.
#[derive(Clone, Debug)]
pub struct SignedBy {
    quorum: Quorum,
    age: Option<AgeLimit>,
}

impl SignedBy {
    /// Returns a check for a signature by any of `identities`.
    pub fn new(identities: IdentityMatcher) -> Self {
        Self::of(Quorum::any(identities), None)
    }

    /// Returns a check for signatures by `quorum`, each at most so old.
    pub fn of(quorum: Quorum, age: Option<AgeLimit>) -> Self {
        Self { quorum, age }
    }
}

impl Check for SignedBy {
    fn name(&self) -> &'static str {
        "signed-by"
    }

    fn describe(&self) -> String {
        describe_quorum("signed", &self.quorum, self.age.as_ref())
    }

    fn demand(&self) -> Demand<'_> {
        // The first signature found may be too old while another is not.
        let effort = if self.age.is_some() { Effort::All } else { self.quorum.effort() };
        Demand::Signatures { claim: Claim::ImageSignature, identities: self.quorum.accepted(), effort }
    }

    fn evaluate(&self, facts: &Facts) -> Assessment {
        by_quorum(&self.quorum, self.age.as_ref(), facts)
    }
}
