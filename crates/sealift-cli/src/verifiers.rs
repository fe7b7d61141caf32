//! Verifiers, and whose signatures count, as flags say.

use std::collections::{BTreeMap, HashMap};

use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::verify::{Requirements, Verifier};

use crate::args::identity::{CertificateArgs, CertificateClaim, IdentityArgs, TrustArgs};
use crate::config::environment::{
    COSIGN_WORKFLOW_NAME, COSIGN_WORKFLOW_REF, COSIGN_WORKFLOW_REPOSITORY, COSIGN_WORKFLOW_SHA, COSIGN_WORKFLOW_TRIGGER,
};
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::trust::{self, CertificateUse};

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
    let certificates = identity.accepts_certificates().into();
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

/// Refuses variables in which cosign is told to demand more of certificates, where no flag says how much.
fn check_demands(context: &Context, args: &CertificateArgs) -> Result<(), CliError> {
    let demands = [
        (COSIGN_WORKFLOW_NAME, &args.certificate_github_workflow_name),
        (COSIGN_WORKFLOW_REF, &args.certificate_github_workflow_ref),
        (COSIGN_WORKFLOW_REPOSITORY, &args.certificate_github_workflow_repository),
        (COSIGN_WORKFLOW_SHA, &args.certificate_github_workflow_sha),
        (COSIGN_WORKFLOW_TRIGGER, &args.certificate_github_workflow_trigger),
    ];
    let unanswered = demands.into_iter().filter(|(_, flag)| flag.is_none());
    unanswered.map(|(name, _)| name).try_for_each(|name| context.check_unset(name))
}

/// Returns whose signatures count: any key, and any name vouched for by any issuer.
pub(crate) fn accepted(context: &Context, args: &IdentityArgs) -> Result<IdentityMatcher, CliError> {
    let certificates = certificates(&args.certificate)?;
    if certificates.is_some() {
        check_demands(context, &args.certificate)?;
    }
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
