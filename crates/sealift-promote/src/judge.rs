//! Who decides at the two gates.

use std::fmt::Debug;

use async_trait::async_trait;
use sealift_core::evidence::Effort;
use sealift_core::oci::Digest;
use sealift_core::repository::ReadRepository;
use sealift_core::verify::Verifier;
use sealift_policy::{Decision, Policy};

/// Decides about one digest at one place. A promotion asks at the source, and again about what arrived.
#[async_trait]
pub trait Judge: Debug + Send + Sync {
    /// Returns the decision of a policy about `subject` at `repository`, from what `repository` holds and nothing else.
    async fn judge(&self, repository: &dyn ReadRepository, subject: &Digest) -> Decision;
}

/// A policy with the verifier of its signatures: the judge that flags make.
#[derive(Debug)]
pub struct PolicyJudge {
    /// What must hold.
    pub policy: Policy,
    /// What makes a signature good.
    pub verifier: Verifier,
}

#[async_trait]
impl Judge for PolicyJudge {
    async fn judge(&self, repository: &dyn ReadRepository, subject: &Digest) -> Decision {
        self.policy.gather(repository, subject, &self.verifier, Effort::FirstMatch).await.evaluate()
    }
}
