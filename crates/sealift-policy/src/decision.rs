//! What a policy decided, about what, where, and why.

use sealift_core::evidence::{Evidence, Verdict};
use sealift_core::oci::{Digest, RepositoryName};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::check::{Assessment, Check, Outcome};
use crate::facts::Facts;
use crate::policy::PolicySource;
use crate::reason::Reason;

/// A decision about one digest at one place. Only evaluating a policy makes it, and it is good for nothing else: a
/// decision about another digest or another place admits nothing.
#[derive(Debug)]
pub struct Decision {
    ruling: Ruling,
    repository: RepositoryName,
    digest: Digest,
    source: Option<PolicySource>,
    findings: Vec<Finding>,
}

impl Decision {
    /// Decides: no finding denies, one failure denies, else one inconclusive finding leaves it undecided.
    pub(crate) fn of(
        repository: RepositoryName,
        digest: Digest,
        source: Option<PolicySource>,
        findings: Vec<Finding>,
    ) -> Self {
        let has = |outcome| findings.iter().any(|finding: &Finding| finding.outcome() == outcome);
        let ruling = match findings.as_slice() {
            [] => Ruling::Deny,
            _ if has(Outcome::Fail) => Ruling::Deny,
            _ if has(Outcome::Inconclusive) => Ruling::Undecided,
            _ => Ruling::Allow,
        };
        Self { ruling, repository, digest, source, findings }
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

    /// Returns the document that was judged by; `None` when the policy was put together otherwise.
    pub fn source(&self) -> Option<&PolicySource> {
        self.source.as_ref()
    }

    /// Returns what each check found, in the policy's order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the finding that keeps the subject from being allowed: the first that fails, else the first that is
    /// inconclusive. `None` where it is allowed, or there is no finding.
    pub fn decisive(&self) -> Option<&Finding> {
        let first = |outcome| self.findings.iter().find(|finding| finding.outcome() == outcome);
        first(Outcome::Fail).or_else(|| first(Outcome::Inconclusive))
    }

    /// Returns the verdict to report: of the [decisive](Decision::decisive) check, else verified. `None` where nothing was
    /// looked for, or where signatures that verify are not enough.
    pub fn verdict(&self) -> Option<Verdict> {
        let finding = self.decisive().or_else(|| self.findings.first())?;
        let verdict = finding.evidence()?.verdict();
        (verdict != Verdict::Verified || finding.outcome() == Outcome::Pass).then_some(verdict)
    }
}

/// For records and reports: ruling, place, digest, policy, and each finding with its reason.
impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut decision = serializer.serialize_struct("Decision", 5)?;
        decision.serialize_field("ruling", &self.ruling)?;
        decision.serialize_field("repository", &self.repository.to_string())?;
        decision.serialize_field("digest", &self.digest)?;
        match &self.source {
            Some(source) => decision.serialize_field("policy", source)?,
            None => decision.skip_field("policy")?,
        }
        decision.serialize_field("findings", &self.findings)?;
        decision.end()
    }
}

/// The answer of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// Every check passed.
    Allow,
    /// A check failed, or there is none.
    Deny,
    /// No check failed, but one could not tell. Not allowed.
    Undecided,
}

/// What one check found, why, and from what.
#[derive(Debug)]
pub struct Finding {
    check: &'static str,
    rule: Option<String>,
    demand: String,
    assessment: Assessment,
    facts: Facts,
}

impl Finding {
    pub(crate) fn new(check: &dyn Check, rule: Option<String>, assessment: Assessment, facts: Facts) -> Self {
        Self { check: check.name(), rule, demand: check.describe(), assessment, facts }
    }

    /// Returns the check's name.
    pub fn check(&self) -> &'static str {
        self.check
    }

    /// Returns where the document demands it, such as `scopes[0].signatures[1]`.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// Returns what was demanded, in words.
    pub fn demand(&self) -> &str {
        &self.demand
    }

    /// Returns the outcome.
    pub fn outcome(&self) -> Outcome {
        self.assessment.outcome
    }

    /// Returns why.
    pub fn reason(&self) -> &Reason {
        &self.assessment.reason
    }

    /// Returns what it was judged from.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns every signature found for what was demanded, and what became of it; `None` when none were looked for.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.facts.evidence()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 6)?;
        match &self.rule {
            Some(rule) => finding.serialize_field("rule", rule)?,
            None => finding.skip_field("rule")?,
        }
        finding.serialize_field("check", self.check)?;
        finding.serialize_field("demand", &self.demand)?;
        finding.serialize_field("outcome", &self.outcome())?;
        finding.serialize_field("code", self.reason().code())?;
        finding.serialize_field("reason", &self.reason().to_string())?;
        finding.end()
    }
}
