//! `sealift verify-blob-attestation`.

use std::collections::BTreeMap;

use sealift_core::verify::Claim;

use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::predicate::{PredicateType, TYPE_HELP};
use crate::args::signature::SignatureArgs;
use crate::blob::Blob;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::VerifiedBlob;
use crate::verifiers::requirements;

/// Verify that an accepted key or identity made an attestation about a file
///
/// As `sealift verify-blob`, for statements about a file: the file must be one of the statement's subjects.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift verify-blob-attestation --key sealift.pub --type slsaprovenance1 app.tar.gz
  sealift verify-blob-attestation --bundle app.intoto.json --certificate-identity-glob 'https://github.com/acme/**' \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com sha256:...

{TYPE_HELP}"))]
pub(crate) struct VerifyBlobAttestationArgs {
    /// File the attestation must be about, `-` for standard input, or its digest
    #[arg(value_name = "FILE")]
    file: String,

    /// Demand this predicate type: a short name or a URI; default: any
    #[arg(long = "type", value_name = "TYPE")]
    predicate_type: Option<PredicateType>,

    #[command(flatten)]
    signature: SignatureArgs,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Verifies the attestation.
pub(crate) async fn run(args: &VerifyBlobAttestationArgs, context: &Context) -> Result<VerifiedBlob, CliError> {
    let (verifier, identity) = requirements(context, &args.identity, BTreeMap::new()).await?;
    let entity = args.signature.read(&args.file)?;
    let blob = Blob::open(&args.file, &entity)?;
    let claim = Claim::Attestation { predicate_type: args.predicate_type.as_ref().map(|kind| kind.uri.clone()) };
    let verified = verifier.verify(&entity, &blob.artifact(), &identity, &claim);
    let verified = verified.map_err(|source| CliError::Refused { subject: args.file.clone(), source })?;
    Ok(VerifiedBlob { name: args.file.clone(), verified })
}
