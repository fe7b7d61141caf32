//! Verifying as `verify` and `verify-attestation` share it: every reference is answered, side by side.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sealift_core::evidence::{Effort, gather};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::oci::{Digest, Reference, Selector};
use sealift_core::repository::RepositoryError;
use sealift_core::verify::{Claim, Requirements, Verifier};
use sealift_oci::Client;

use crate::answers::answers;
use crate::args::identity::{CertificateArgs, CertificateClaim, IdentityArgs, TrustArgs};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::manifests::{Depth, Root, answers_about};
use crate::output::model::{Batch, Judged, Judgement};
use crate::trust;

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

/// Whether certificates count, so that somebody must be trusted to issue them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum CertificateUse {
    Accepted,
    Unused,
}

/// Returns the verifier and whose signatures count, as the flags say.
///
/// # Errors
/// [`UsageError::NoIdentity`] when nobody is named, and when a name comes without its issuer or the reverse.
pub(crate) async fn requirements(
    context: &Context,
    args: &IdentityArgs,
    annotations: BTreeMap<String, String>,
) -> Result<(Verifier, IdentityMatcher), CliError> {
    let identity = accepted(context, args)?;
    let certificates = if identity.accepts_certificates() { CertificateUse::Accepted } else { CertificateUse::Unused };
    let verifier = verifier(context, &args.trust, annotations, certificates).await?;
    Ok((verifier, identity))
}

/// Returns the verifier that the flags ask for.
pub(crate) async fn verifier(
    context: &Context,
    args: &TrustArgs,
    annotations: BTreeMap<String, String>,
    certificates: CertificateUse,
) -> Result<Verifier, CliError> {
    let bare = args.demanded(Requirements::default()).with_annotations(annotations);
    Ok(trust::verifier(args.instances(context, certificates).await?, bare))
}

/// Verifiers for one run, each of which is made once: a trust root may come out of a pipe, which is read once, and must
/// not change between two promotions.
pub(crate) struct Verifiers<'a> {
    context: &'a Context,
    trust: &'a TrustArgs,
    made: HashMap<CertificateUse, Verifier>,
}

impl<'a> Verifiers<'a> {
    /// Returns those that the flags ask for.
    pub(crate) fn new(context: &'a Context, trust: &'a TrustArgs) -> Self {
        Self { context, trust, made: HashMap::new() }
    }

    /// Returns one that accepts certificates, or not.
    pub(crate) async fn of(&mut self, certificates: CertificateUse) -> Result<Verifier, CliError> {
        if let Some(verifier) = self.made.get(&certificates) {
            return Ok(verifier.clone());
        }
        let verifier = verifier(self.context, self.trust, BTreeMap::new(), certificates).await?;
        self.made.insert(certificates, verifier.clone());
        Ok(verifier)
    }
}

/// Returns whose signatures count: any key, and any name vouched for by any issuer.
pub(crate) fn accepted(context: &Context, args: &IdentityArgs) -> Result<IdentityMatcher, CliError> {
    let certificates = certificates(&args.certificate)?;
    match (args.key.is_empty(), certificates) {
        (true, None) => Err(UsageError::NoIdentity.into()),
        (true, Some(certificates)) => Ok(certificates),
        (false, certificates) => {
            let keys = IdentityMatcher::keys(context.public_keys(&args.key)?).map_err(CliError::Identity)?;
            Ok(certificates.map_or(keys.clone(), |certificates| keys.or(certificates)))
        }
    }
}

fn certificates(args: &CertificateArgs) -> Result<Option<IdentityMatcher>, CliError> {
    if args.is_empty() {
        return Ok(None);
    }
    if !args.names_subject() || !args.names_issuer() {
        return Err(UsageError::HalfIdentity.into());
    }
    let (issuers, claims) = (args.issuers(), args.claims());
    let mut identities = Vec::new();
    for subject in args.subjects() {
        for issuer in &issuers {
            let identity = CertificateIdentity::new(subject.clone(), issuer.clone());
            let demand = |identity: CertificateIdentity, claim: &CertificateClaim| {
                identity.with_extension(claim.extension, claim.pattern.clone())
            };
            identities.push(claims.iter().fold(identity, demand));
        }
    }
    IdentityMatcher::certificates(identities).map(Some).map_err(CliError::Identity)
}

impl Verification {
    /// Answers every reference, in the order given; arguments that make no sense are found before any is asked.
    pub(crate) async fn run(
        &self,
        context: &Context,
        registry: &RegistryArgs,
        references: &[String],
    ) -> Result<Batch<Judged>, CliError> {
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
        let answers = answers_about(&*repository, &root, self.depth, evidence).await.map_err(failed)?;
        let judgements = answers.into_iter().map(|(platform, evidence)| Judgement { platform, evidence }).collect();
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
