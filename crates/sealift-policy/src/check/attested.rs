//! `attested`: one of some identities made an attestation of a type about the subject.

use sealift_core::evidence::Evidence;
use sealift_core::identity::IdentityMatcher;
use sealift_core::verify::Claim;

use super::{Check, Outcome};

/// Passes when any of the identities made an attestation of the predicate type.
#[derive(Clone, Debug)]
pub struct Attested {
    predicate_type: String,
    identities: IdentityMatcher,
}

impl Attested {
    /// Returns a check for an attestation of `predicate_type`, a full URI, by any of `identities`.
    pub fn new(predicate_type: impl Into<String>, identities: IdentityMatcher) -> Self {
        Self { predicate_type: predicate_type.into(), identities }
    }
}

impl Check for Attested {
    fn name(&self) -> &'static str {
        "attested"
    }

    fn claim(&self) -> Claim {
        Claim::Attestation { predicate_type: Some(self.predicate_type.clone()) }
    }

    fn identities(&self) -> &IdentityMatcher {
        &self.identities
    }

    fn evaluate(&self, evidence: &Evidence) -> Outcome {
        evidence.verdict().into()
    }
}
