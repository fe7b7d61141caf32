//! Verifying as `verify` and `verify-attestation` share it: every reference is answered, side by side.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use sealift_core::evidence::{Effort, Evidence, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, Reference, Selector};
use sealift_core::repository::{ReadRepository, RepositoryError};
use sealift_core::verify::{Claim, LogRequirement, Requirements, Verifier};
use sealift_oci::Client;

use crate::args::key::VerificationKeyArgs;
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::manifests;
use crate::output::model::{Batch, Judged, Judgement};

/// References verified at once.
const CONCURRENCY: usize = 16;

/// Which manifests of an artifact must be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Depth {
    /// The artifact itself.
    Itself,
    /// Itself, and for an index every manifest below it.
    Recursive,
}

/// What is demanded of every reference.
pub(crate) struct Verification {
    pub(crate) verifier: Verifier,
    pub(crate) identity: IdentityMatcher,
    pub(crate) claim: Claim,
    pub(crate) depth: Depth,
    pub(crate) effort: Effort,
}

/// Returns the verifier and the accepted keys that the flags ask for.
pub(crate) fn requirements(
    context: &Context,
    keys: &VerificationKeyArgs,
    annotations: BTreeMap<String, String>,
) -> Result<(Verifier, IdentityMatcher), CliError> {
    let log = match keys.insecure_ignore_tlog {
        Some(true) => LogRequirement::IgnoredUnsafe,
        _ => LogRequirement::ForCertificates,
    };
    let requirements = Requirements::default().with_annotations(annotations).with_transparency_log(log);
    let identity = IdentityMatcher::keys(context.public_keys(keys)?).map_err(CliError::Identity)?;
    Ok((Verifier::new(requirements), identity))
}

impl Verification {
    /// Answers every reference, in the order given; arguments that make no sense are found before any is asked.
    pub(crate) async fn run(
        &self,
        context: &Context,
        registry: &RegistryArgs,
        references: &[String],
    ) -> Result<Batch<Judged>, CliError> {
        let references: Vec<(Reference, Selector)> =
            references.iter().map(|text| reference::parse_selecting(text)).collect::<Result<_, _>>()?;
        let parsed: Vec<&Reference> = references.iter().map(|(reference, _)| reference).collect();
        let client = context.client(registry, &parsed)?;
        let results = stream::iter(&references)
            .map(|(reference, selector)| async {
                (reference.to_string(), self.judge(&client, reference, selector).await)
            })
            .buffered(CONCURRENCY)
            .collect()
            .await;
        Ok(Batch(results))
    }

    async fn judge(&self, client: &Client, reference: &Reference, selector: &Selector) -> Result<Judged, CliError> {
        let failed = |source| failed(reference, source);
        let repository = client.open_read(&reference.repository()).await.map_err(failed)?;
        let repository = &*repository;
        // A digest needs no question: whether it exists is asked only when nothing signs it.
        let digest = match selector {
            Selector::Digest(digest) => digest.clone(),
            Selector::Tag(_) => repository.resolve(selector).await.map_err(failed)?.digest,
        };
        let mut judgements = vec![Judgement { platform: None, evidence: self.evidence(repository, &digest).await }];
        if self.depth == Depth::Recursive {
            let root = repository.resolve(&Selector::Digest(digest.clone())).await.map_err(failed)?;
            let members = manifests::members(repository, &root).await.map_err(failed)?;
            for member in members.into_iter().skip(1) {
                let evidence = self.evidence(repository, &member.descriptor().digest).await;
                judgements.push(Judgement { platform: member.platform, evidence });
            }
        }
        let judged = Judged { reference: reference.clone(), digest: digest.clone(), judgements };
        if judged.is_nothing_found() && matches!(selector, Selector::Digest(_)) {
            repository.resolve(selector).await.map_err(failed)?;
        }
        Ok(judged)
    }

    async fn evidence(&self, repository: &dyn ReadRepository, digest: &Digest) -> Evidence {
        gather(repository, digest, &self.verifier, &self.identity, &self.claim, self.effort).await
    }
}

fn failed(reference: &Reference, source: RepositoryError) -> CliError {
    CliError::Repository { task: "verify", subject: reference.to_string(), source }
}
