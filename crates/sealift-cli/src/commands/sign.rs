//! `sealift sign`.

use crate::args::annotation::{self, Annotation};
use crate::args::keyless::SignerArgs;
use crate::args::output::SigningOutputArgs;
use crate::args::reference::REFERENCE_HELP;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::{Batch, Signed};
use crate::signing::{Existing, Purpose, Signing};

/// Sign images and other artifacts
///
/// Each tag is resolved once and its digest is printed; the digest is what is signed. The signature is verified before
/// it is published, as a Sigstore bundle that refers to the artifact, which cosign 3 verifies; with `--format legacy`
/// or `both` as a `.sig` tag, which cosign 2 verifies. One reference that fails does not stop the others.
///
/// Without `--key`, an identity provider says who signs: a token that is given, the job that this runs in, or a person
/// who signs in. One certificate, which lasts for minutes, then serves for all references, and every signature is
/// logged. What will be published is said first, and asked for unless `--yes` is given or a job signs as itself.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift sign --key sealift.key registry.example.com/app:1.0
  sealift sign --key env://SIGNING_KEY -a build=1234 registry.example.com/app@sha256:...
  sealift sign --key sealift.key --recursive --format both registry.example.com/app:1.0
  sealift sign registry.example.com/app@sha256:...
  sealift sign --yes --identity-token token.jwt --state batch.state $IMAGE_1 $IMAGE_2 $IMAGE_3
  sealift sign --key sealift.key --no-upload --bundle app.sigstore.json oci-layout://./out:1.0

{REFERENCE_HELP}"))]
pub(crate) struct SignArgs {
    /// Artifacts to sign
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,

    /// Sign this annotation too; repeat for several
    #[arg(short, long = "annotation", visible_alias = "annotations", value_name = "KEY=VALUE")]
    annotations: Vec<Annotation>,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    publish: PublishArgs,

    /// Do nothing where this key has signed already
    #[arg(long, conflicts_with = "no_upload")]
    skip_signed: bool,

    /// Put this name into a legacy signature as its docker-reference, instead of the repository's
    #[arg(long, visible_alias = "sign-container-identity", value_name = "NAME")]
    sign_identity: Option<String>,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: SigningOutputArgs,
}

/// Signs every reference.
pub(crate) async fn run(args: &SignArgs, context: &Context) -> Result<Batch<Signed>, CliError> {
    let purpose = Purpose::ImageSignature {
        annotations: annotation::to_map(&args.annotations)?,
        identity: args.sign_identity.clone(),
        existing: if args.skip_signed { Existing::Skip } else { Existing::SignAgain },
    };
    let signing =
        Signing::open(context, &args.registry, &args.signer, &args.publish, &args.references, purpose).await?;
    Ok(signing.run().await)
}
