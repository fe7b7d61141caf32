//! `sealift verify-blob`.

use std::collections::BTreeMap;

use sealift_core::verify::Claim;

use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::signature::SignatureArgs;
use crate::blob::Blob;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::VerifiedBlob;
use crate::verifiers::requirements;

/// Verify that a file is signed by an accepted key or identity
///
/// The signature is in a bundle beside the file, of any version, or in files of its own. No service is asked: all
/// that proves the signature must have come along.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift verify-blob --key sealift.pub app.tar.gz
  sealift verify-blob --bundle app.sigstore.json --certificate-identity dev@example.com \\
    --certificate-oidc-issuer https://accounts.google.com app.tar.gz
  sealift verify-blob --key cosign.pub --signature app.sig app.tar.gz
  sealift verify-blob --key sealift.pub --bundle app.sigstore.json sha256:...")]
pub(crate) struct VerifyBlobArgs {
    /// File to verify, `-` for standard input, or its digest
    #[arg(value_name = "FILE")]
    file: String,

    #[command(flatten)]
    signature: SignatureArgs,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Verifies the file.
pub(crate) async fn run(args: &VerifyBlobArgs, context: &Context) -> Result<VerifiedBlob, CliError> {
    let (verifier, identity) = requirements(context, &args.identity, BTreeMap::new()).await?;
    let entity = args.signature.read(&args.file)?;
    let blob = Blob::open(&args.file, &entity)?;
    let verified = verifier.verify(&entity, &blob.artifact(), &identity, &Claim::Blob);
    let verified = verified.map_err(|source| CliError::Refused { subject: args.file.clone(), source })?;
    Ok(VerifiedBlob { name: args.file.clone(), verified })
}
