//! Judging references by what is demanded of the repositories they are in, side by side.

use std::time::Duration;

use sealift_core::evidence::Effort;
use sealift_core::oci::{Digest, Reference, Selector};
use sealift_core::repository::{ReadRepository as _, RepositoryError, Snapshot};
use sealift_core::verify::Verifier;
use sealift_oci::Client;
use sealift_policy::check::EndOfLife;

use crate::answers::answers;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::manifests::{Depth, Root, answers_about};
use crate::output::model::{Answers, Decided, DecidedManifest};
use crate::rules::Rules;

/// How references are judged.
pub(crate) struct Judging {
    pub(crate) verifier: Verifier,
    pub(crate) rules: Rules,
    /// Demanded everywhere, whatever else is.
    pub(crate) end_of_life: Option<EndOfLife>,
    pub(crate) depth: Depth,
    pub(crate) effort: Effort,
    /// Time for one reference.
    pub(crate) deadline: Duration,
}

impl Judging {
    /// Judges every reference, in the order given; arguments that make no sense are found before any is asked.
    pub(crate) async fn run(
        &self,
        context: &Context,
        registry: &RegistryArgs,
        references: &[String],
    ) -> Result<Answers<Decided>, CliError> {
        let judge = async |client: &Client, reference: &Reference, selector: &Selector| {
            self.judge(client, reference, selector).await
        };
        answers(context, registry, references, self.deadline, judge).await
    }

    async fn judge(&self, client: &Client, reference: &Reference, selector: &Selector) -> Result<Decided, CliError> {
        let failed =
            |source: RepositoryError| CliError::Repository { task: "verify", subject: reference.to_string(), source };
        let repository = client.open_signatures_read(&reference.repository()).await.map_err(failed)?;
        // A policy may judge content that nobody signed, so that it exists is always asked.
        let root = Root::Resolved(repository.resolve(selector).await.map_err(failed)?);
        // Rules read the same listings.
        let snapshot = Snapshot::new(&*repository);
        let mut policy = self.rules.policy_for(snapshot.name());
        if let Some(check) = &self.end_of_life {
            policy = policy.requiring(check.clone());
        }
        let decide =
            async |digest: &Digest| policy.gather(&snapshot, digest, &self.verifier, self.effort).await.evaluate();
        let answers = answers_about(&snapshot, &root, &self.depth, decide).await.map_err(failed)?;
        self.depth.refuse_absent(reference, &answers)?;
        let manifests = answers
            .into_iter()
            .map(|(platforms, decision)| DecidedManifest { platform: platforms.text(), decision })
            .collect();
        Ok(Decided { reference: reference.clone(), digest: root.digest().clone(), manifests })
    }
}
