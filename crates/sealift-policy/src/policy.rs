//! A policy: the checks that must all pass.

use sealift_core::evidence::{self, Effort, Evidence};
use sealift_core::oci::{Digest, RepositoryName};
use sealift_core::repository::ReadRepository;
use sealift_core::verify::Verifier;

use crate::check::Check;
use crate::decision::{Decision, Finding};

/// Checks that must all pass; without any, everything is denied.
#[derive(Debug, Default)]
pub struct Policy {
    checks: Vec<Box<dyn Check>>,
}

impl Policy {
    /// Returns a policy without checks, which denies everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that must pass.
    #[must_use]
    pub fn requiring(mut self, check: impl Check + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Says whether there is no check, so that everything is denied.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Reads what the checks ask for about `subject`, one check at a time, so that a
    /// [`Snapshot`](sealift_core::repository::Snapshot) answers the second from what the first read.
    pub async fn gather(
        &self,
        repository: &dyn ReadRepository,
        subject: &Digest,
        verifier: &Verifier,
        effort: Effort,
    ) -> Gathered<'_> {
        let mut evidence = Vec::new();
        for check in &self.checks {
            let (identities, claim) = (check.identities(), check.claim());
            evidence.push(evidence::gather(repository, subject, verifier, identities, &claim, effort).await);
        }
        Gathered { policy: self, repository: repository.name().clone(), digest: subject.clone(), evidence }
    }
}

/// The evidence one policy asked for about one subject at one place.
#[derive(Debug)]
pub struct Gathered<'a> {
    policy: &'a Policy,
    repository: RepositoryName,
    digest: Digest,
    /// One for each check, in order.
    evidence: Vec<Evidence>,
}

impl Gathered<'_> {
    /// Judges.
    pub fn evaluate(self) -> Decision {
        let findings = self.policy.checks.iter().zip(self.evidence).map(|(check, evidence)| {
            let outcome = check.evaluate(&evidence);
            Finding::new(check.name(), outcome, evidence)
        });
        Decision::of(self.repository, self.digest, findings.collect())
    }
}

#[cfg(test)]
mod tests {
    use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
    use sealift_core::identity::IdentityMatcher;
    use sealift_core::repository::MemoryRepository;
    use sealift_core::verify::Requirements;

    use super::*;
    use crate::Ruling;
    use crate::check::SignedBy;

    async fn decide(policy: &Policy) -> Decision {
        let verifier = Verifier::new(Requirements::default());
        let repository = MemoryRepository::new("judged");
        policy.gather(&repository, &Digest::sha256(b"judged"), &verifier, Effort::All).await.evaluate()
    }

    #[tokio::test]
    async fn denies_without_checks() {
        let decision = decide(&Policy::new()).await;
        assert_eq!((decision.ruling(), decision.verdict()), (Ruling::Deny, None));
    }

    #[tokio::test]
    async fn denies_what_is_not_signed_and_says_what_was_judged() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap().public_key().clone();
        let policy = Policy::new().requiring(SignedBy::new(IdentityMatcher::keys(vec![key]).unwrap()));
        let decision = decide(&policy).await;
        assert_eq!((decision.ruling(), decision.is_allowed()), (Ruling::Deny, false));
        assert_eq!(decision.digest(), &Digest::sha256(b"judged"));
        assert_eq!(decision.repository(), &RepositoryName::Memory("judged".to_owned()));
        assert_eq!(decision.findings()[0].check(), "signed-by");
    }
}
