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
