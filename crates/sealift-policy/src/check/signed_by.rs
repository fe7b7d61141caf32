//! `signed-by`: one of some identities signed the subject itself. An attestation about it is no signature.

use sealift_core::evidence::Evidence;
use sealift_core::identity::IdentityMatcher;
use sealift_core::verify::Claim;

use super::{Check, Outcome};

/// Passes when any of the identities signed the subject.
#[derive(Clone, Debug)]
pub struct SignedBy {
    identities: IdentityMatcher,
}

impl SignedBy {
    /// Returns a check for a signature by any of `identities`.
    pub fn new(identities: IdentityMatcher) -> Self {
        Self { identities }
    }
}

impl Check for SignedBy {
    fn name(&self) -> &'static str {
        "signed-by"
    }

    fn claim(&self) -> Claim {
        Claim::ImageSignature
    }

    fn identities(&self) -> &IdentityMatcher {
        &self.identities
    }

    fn evaluate(&self, evidence: &Evidence) -> Outcome {
        evidence.verdict().into()
    }
}
