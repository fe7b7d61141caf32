//! `sealift attest`.

use crate::args::keyless::SignerArgs;
use crate::args::output::SigningOutputArgs;
use crate::args::predicate::{PredicateArgs, Stated, TYPE_HELP};
use crate::args::reference::REFERENCE_HELP;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::model::{Batch, Signed};
use crate::signing::{Purpose, Replace, Signing};

/// Sign a statement about artifacts: an SBOM, provenance, a scan, or anything else
///
/// The predicate becomes part of an in-toto statement about the artifact's digest, signed and stored as `sealift sign`
/// does. JSON types must be JSON; a file of any other form is attested as `custom`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift attest --key sealift.key --type spdx --predicate sbom.spdx.json registry.example.com/app:1.0
  trivy image --format cosign-vuln $IMAGE | sealift attest --key sealift.key --type vuln --predicate - $IMAGE
  sealift attest --key sealift.key --type https://example.com/review/v1 --predicate review.json --replace $IMAGE
  sealift attest --key sealift.key --statement statement.json registry.example.com/app@sha256:...

{TYPE_HELP}

{REFERENCE_HELP}"))]
pub(crate) struct AttestArgs {
    /// Artifacts the statement is about
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    stated: PredicateArgs,

    /// Remove earlier attestations of this type by this key, once the new one is stored
    #[arg(long, conflicts_with_all = ["no_upload", "statement"])]
    replace: bool,

    #[command(flatten)]
    publish: PublishArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: SigningOutputArgs,
}

/// Attests every reference.
pub(crate) async fn run(args: &AttestArgs, context: &Context) -> Result<Batch<Signed>, CliError> {
    if args.replace && args.publish.format.has_legacy() {
        return Err(UsageError::ReplaceLegacy.into());
    }
    let purpose = match args.stated.read(context)? {
        Stated::Statement(statement) => Purpose::Statement(statement),
        Stated::Predicate { predicate_type, predicate, file } => {
            let replace = if args.replace { Replace::Earlier } else { Replace::Nothing };
            Purpose::Attestation { predicate_type, predicate, file, replace }
        }
    };
    let signing =
        Signing::open(context, &args.registry, &args.signer, &args.publish, &args.references, purpose).await?;
    Ok(signing.run().await)
}
