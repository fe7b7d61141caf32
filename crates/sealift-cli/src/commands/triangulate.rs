//! `sealift triangulate`.

use clap::ValueEnum;
use sealift_core::oci::{Digest, Tag};

use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::Document;
use crate::subject::Subject;

/// Print the name under which something is attached to an artifact
///
/// The tag need not exist; `sealift tree` shows what does. With `--signature-repository` it is a tag there.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift triangulate registry.example.com/app:1.0
  sealift triangulate --type attestation registry.example.com/app@sha256:...
  sealift triangulate --type referrers registry.example.com/app:1.0")]
pub(crate) struct TriangulateArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// What to name
    #[arg(long = "type", value_enum, default_value_t, value_name = "TYPE")]
    kind: Attached,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is attached.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Attached {
    /// cosign's signatures, `.sig`
    #[default]
    Signature,
    /// cosign's attestations, `.att`
    Attestation,
    /// cosign's SBOM, `.sbom`
    Sbom,
    /// The referrers fallback tag, which bundles are listed under where the registry has no referrers API
    Referrers,
    /// The artifact itself, by digest
    Digest,
}

/// Prints the name.
pub(crate) async fn run(args: &TriangulateArgs, context: &Context) -> Result<Document, CliError> {
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let digest = match reference.digest() {
        Some(digest) => digest.clone(),
        None => {
            let client = context.client(&args.registry, &[&reference])?;
            Subject::open_read(&client, &reference, &selector).await?.descriptor.digest
        }
    };
    let Some(tag) = args.kind.tag(&digest) else {
        return Ok(Document::line(reference.with_digest(digest)));
    };
    let apart = context.signature_repository(&args.registry)?;
    // Layouts keep their signatures with them.
    let apart = apart.filter(|_| reference.repository().host().is_some());
    Ok(Document::line(format_args!("{}:{tag}", apart.unwrap_or_else(|| reference.repository()))))
}

impl Attached {
    fn tag(self, digest: &Digest) -> Option<Tag> {
        match self {
            Self::Signature => Some(Tag::cosign(digest, "sig")),
            Self::Attestation => Some(Tag::cosign(digest, "att")),
            Self::Sbom => Some(Tag::cosign(digest, "sbom")),
            Self::Referrers => Some(Tag::referrers_fallback(digest)),
            Self::Digest => None,
        }
    }
}
