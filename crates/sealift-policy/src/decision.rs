//! What a policy decided, about what, where, and why.

use sealift_core::evidence::{Evidence, Verdict};
use sealift_core::oci::{Digest, RepositoryName};

use crate::check::Outcome;

/// A decision about one digest at one place. Only evaluating a policy makes it, and it is good for nothing else: a
/// decision about another digest or another place admits nothing.
#[derive(Debug)]
pub struct Decision {
    ruling: Ruling,
    repository: RepositoryName,
    digest: Digest,
    findings: Vec<Finding>,
}

impl Decision {
    /// Decides: no finding denies, one failure denies, else one inconclusive finding leaves it undecided.
    pub(crate) fn of(repository: RepositoryName, digest: Digest, findings: Vec<Finding>) -> Self {
        let has = |outcome| findings.iter().any(|finding: &Finding| finding.outcome == outcome);
        let ruling = match findings.as_slice() {
            [] => Ruling::Deny,
            _ if has(Outcome::Fail) => Ruling::Deny,
            _ if has(Outcome::Inconclusive) => Ruling::Undecided,
            _ => Ruling::Allow,
        };
        Self { ruling, repository, digest, findings }
    }

    /// Returns the ruling.
    pub fn ruling(&self) -> Ruling {
        self.ruling
    }

    /// Says whether the subject is allowed.
    pub fn is_allowed(&self) -> bool {
        self.ruling == Ruling::Allow
    }

    /// Returns the place that was judged.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Returns the digest that was judged.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns what each check found, in the policy's order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the verdict to report: of the first failing check, else of the first inconclusive one, else verified.
    /// Without checks there is nothing to report.
    pub fn verdict(&self) -> Option<Verdict> {
        let first = |outcome| self.findings.iter().find(|finding| finding.outcome == outcome);
        let finding = first(Outcome::Fail).or_else(|| first(Outcome::Inconclusive)).or_else(|| self.findings.first());
        finding.map(|finding| finding.evidence.verdict())
    }
}

/// The answer of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ruling {
    /// Every check passed.
    Allow,
    /// A check failed, or there is none.
    Deny,
    /// No check failed, but one could not tell. Not allowed.
    Undecided,
}

/// What one check found, and from what.
#[derive(Debug)]
pub struct Finding {
    check: &'static str,
    outcome: Outcome,
    evidence: Evidence,
}

impl Finding {
    pub(crate) fn new(check: &'static str, outcome: Outcome, evidence: Evidence) -> Self {
        Self { check, outcome, evidence }
    }

    /// Returns the check's name.
    pub fn check(&self) -> &'static str {
        self.check
    }

    /// Returns the outcome.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Returns what it was judged from: every signature found, and what became of it.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}
