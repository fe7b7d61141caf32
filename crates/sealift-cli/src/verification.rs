//! Verifying as `verify` and `verify-attestation` share it: every reference is answered, side by side.

use std::time::Duration;

use sealift_core::evidence::{Effort, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, Reference, Selector};
use sealift_core::repository::RepositoryError;
use sealift_core::verify::{Claim, Verifier};
use sealift_oci::Client;

use crate::answers::answers;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::manifests::{Depth, Root, answers_about};
use crate::output::model::{Answers, Judged, Judgement};

/// What is demanded of every reference.
pub(crate) struct Verification {
    pub(crate) verifier: Verifier,
    pub(crate) identity: IdentityMatcher,
    pub(crate) claim: Claim,
    pub(crate) depth: Depth,
    pub(crate) effort: Effort,
    /// Time for one reference.
    pub(crate) deadline: Duration,
}

impl Verification {
    /// Answers every reference, in the order given; arguments that make no sense are found before any is asked.
    pub(crate) async fn run(
        &self,
        context: &Context,
        registry: &RegistryArgs,
        references: &[String],
    ) -> Result<Answers<Judged>, CliError> {
        let judge = async |client: &Client, reference: &Reference, selector: &Selector| {
            self.judge(client, reference, selector).await
        };
        answers(context, registry, references, self.deadline, judge).await
    }

    async fn judge(&self, client: &Client, reference: &Reference, selector: &Selector) -> Result<Judged, CliError> {
        let failed = |source| failed(reference, source);
        let repository = client.open_signatures_read(&reference.repository()).await.map_err(failed)?;
        let root = match selector {
            // A digest needs no question: whether it exists is asked only when nothing signs it.
            Selector::Digest(digest) => Root::Named(digest.clone()),
            Selector::Tag(_) => Root::Resolved(repository.resolve(selector).await.map_err(failed)?),
        };
        let evidence = async |digest: &Digest| {
            gather(&*repository, digest, &self.verifier, &self.identity, &self.claim, self.effort).await
        };
        let answers = answers_about(&*repository, &root, &self.depth, evidence).await.map_err(failed)?;
        self.depth.refuse_absent(reference, &answers)?;
        let judgements = answers
            .into_iter()
            .map(|(platforms, evidence)| Judgement { platform: platforms.text(), evidence })
            .collect();
        let judged = Judged { reference: reference.clone(), digest: root.digest().clone(), judgements };
        if judged.is_nothing_found() && matches!(selector, Selector::Digest(_)) {
            repository.resolve(selector).await.map_err(failed)?;
        }
        Ok(judged)
    }
}

fn failed(reference: &Reference, source: RepositoryError) -> CliError {
    CliError::Repository { task: "verify", subject: reference.to_string(), source }
}
