//! A policy: the checks that must all pass.

use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, RepositoryName};
use sealift_core::repository::ReadRepository;
use sealift_core::verify::Verifier;
use serde::Serialize;

use crate::check::{Check, Outcome};
use crate::decision::{Decision, Finding};
use crate::facts::{Demand, Facts};

/// Checks that must all pass; without any, everything is denied.
#[derive(Debug, Default)]
pub struct Policy {
    source: Option<PolicySource>,
    rules: Vec<Rule>,
}

/// A check, and where a document demands it.
#[derive(Debug)]
struct Rule {
    path: Option<String>,
    check: Box<dyn Check>,
}

impl Rule {
    fn judge(&self, facts: Facts) -> Finding {
        let assessment = self.check.evaluate(&facts);
        Finding::new(&*self.check, self.path.clone(), assessment, facts)
    }
}

/// The document a policy is from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PolicySource {
    /// The file.
    pub file: String,
    /// Digest of its bytes, for the record.
    pub digest: Digest,
    /// The patterns of the scopes that apply.
    pub scopes: Vec<String>,
}

impl Policy {
    /// Returns a policy without checks, which denies everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check that must pass.
    #[must_use]
    pub fn requiring(mut self, check: impl Check + 'static) -> Self {
        self.rules.push(Rule { path: None, check: Box::new(check) });
        self
    }

    /// Returns a policy without checks that is from a document.
    pub(crate) fn from(source: PolicySource) -> Self {
        Self { source: Some(source), rules: Vec::new() }
    }

    /// Adds a check that a document demands at `path`.
    pub(crate) fn add(&mut self, path: impl Into<String>, check: Box<dyn Check>) {
        self.rules.push(Rule { path: Some(path.into()), check });
    }

    /// Returns the document it is from.
    pub fn source(&self) -> Option<&PolicySource> {
        self.source.as_ref()
    }

    /// Returns what must be known for a decision, one demand a check.
    pub fn demands(&self) -> impl Iterator<Item = Demand<'_>> {
        self.rules.iter().map(|rule| rule.check.demand())
    }

    /// Returns where each check is demanded, its name, and what it demands in words.
    pub fn rules(&self) -> impl Iterator<Item = (Option<&str>, &'static str, String)> {
        self.rules.iter().map(|rule| (rule.path.as_deref(), rule.check.name(), rule.check.describe()))
    }

    /// Says whether a certificate can satisfy any check, so that a trust root is needed.
    pub fn accepts_certificates(&self) -> bool {
        self.demands().any(|demand| match demand {
            Demand::Signatures { identities, .. } => identities.accepts_certificates(),
            Demand::Lifecycle { signers, .. } => signers.is_some_and(IdentityMatcher::accepts_certificates),
            Demand::Nothing => false,
        })
    }

    /// Says whether there is no check, so that everything is denied.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the decision about `subject` at `repository` where the policy denies it whatever is there: no check, or one
    /// that fails without knowing anything. `None` where that depends on what is there.
    pub fn foresee(&self, repository: &RepositoryName, subject: &Digest) -> Option<Decision> {
        let known = self.rules.iter().filter(|rule| matches!(rule.check.demand(), Demand::Nothing));
        let findings = known.map(|rule| rule.judge(Facts::default())).collect();
        let decision = Decision::of(repository.clone(), subject.clone(), self.source.clone(), findings);
        let is_known = self.is_empty() || decision.findings().iter().any(|found| found.outcome() == Outcome::Fail);
        is_known.then_some(decision)
    }

    /// Reads what the checks demand about `subject`, one check at a time, so that a
    /// [`Snapshot`](sealift_core::repository::Snapshot) answers the second from what the first read. `least` is how much
    /// to look at even where a check needs less.
    pub async fn gather(
        &self,
        repository: &dyn ReadRepository,
        subject: &Digest,
        verifier: &Verifier,
        least: Effort,
    ) -> Gathered<'_> {
        let mut facts = Vec::new();
        for demand in self.demands() {
            facts.push(Facts::gather(demand, repository, subject, verifier, least).await);
        }
        Gathered { policy: self, repository: repository.name().clone(), digest: subject.clone(), facts }
    }
}

/// What one policy demanded to know about one subject at one place.
#[derive(Debug)]
pub struct Gathered<'a> {
    policy: &'a Policy,
    repository: RepositoryName,
    digest: Digest,
    /// One for each check, in order.
    facts: Vec<Facts>,
}

impl Gathered<'_> {
    /// Judges.
    pub fn evaluate(self) -> Decision {
        let findings = self.policy.rules.iter().zip(self.facts).map(|(rule, facts)| rule.judge(facts));
        Decision::of(self.repository, self.digest, self.policy.source.clone(), findings.collect())
    }
}

#[cfg(test)]
mod tests {
    use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
    use sealift_core::identity::IdentityMatcher;
    use sealift_core::oci::Reference;
    use sealift_core::pattern::Pattern;
    use sealift_core::repository::MemoryRepository;
    use sealift_core::verify::Requirements;

    use super::*;
    use crate::Ruling;
    use crate::check::{ApprovedRegistry, SignedBy, Unmatched};

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

    #[test]
    fn only_a_no_is_foreseen() {
        let place: RepositoryName = "registry.example.com/app".parse::<Reference>().unwrap().repository();
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap().public_key().clone();
        let signed = || SignedBy::new(IdentityMatcher::keys(vec![key.clone()]).unwrap());
        let approved = |pattern: &str| ApprovedRegistry::new(place.clone(), vec![Pattern::glob(pattern)]);
        for (policy, is_foreseen) in [
            (Policy::new(), true),
            (Policy::new().requiring(signed()), false),
            (Policy::new().requiring(Unmatched::new(Vec::new())), true),
            (Policy::new().requiring(signed()).requiring(approved("elsewhere.example.com")), true),
            (Policy::new().requiring(approved("registry.example.com")), false),
        ] {
            let foreseen = policy.foresee(&place, &Digest::sha256(b"judged"));
            assert_eq!(foreseen.map(|decision| decision.ruling()), is_foreseen.then_some(Ruling::Deny), "{policy:?}");
        }
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
