//! `sealift attach`.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use sealift_core::attach::{CosignSuffix, NewArtifact, NewLayer, attach, attach_cosign_tag};
use sealift_core::entity::SignedEntity;
use sealift_core::evidence::MAX_SIGNATURE_BYTES;
use sealift_core::oci::{annotation, media_type};
use sealift_core::repository::Repository;

use crate::args::annotation::{self as annotations, Annotation};
use crate::args::output::{Format, OutputArgs};
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::output::model::Attached;
use crate::subject::Subject;

/// Attach a file to an artifact, unsigned
///
/// The file becomes a referrer of the artifact, listed by the referrers API or, where the registry has none, under the
/// fallback tag, beside what is there already. `sealift attest` attaches and signs.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = format!("\
Examples:
  sealift attach --type application/spdx+json registry.example.com/app:1.0 sbom.spdx.json
  sealift attach --type application/vnd.example.report -a producer=scanner $IMAGE report.json
  sealift attach sbom --sbom sbom.cdx.json --type cyclonedx registry.example.com/app:1.0
  sealift attach signature --signature app.sig --payload payload.json registry.example.com/app:1.0

{REFERENCE_HELP}"))]
pub(crate) struct AttachArgs {
    #[command(subcommand)]
    cosign: Option<CosignAttach>,

    #[command(flatten)]
    file: FileArgs,
}

/// cosign's spellings.
#[derive(Clone, Debug, Subcommand)]
enum CosignAttach {
    Sbom(SbomArgs),
    Signature(SignatureArgs),
}

/// A file to attach
#[derive(Clone, Debug, clap::Args)]
struct FileArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE", required = true)]
    reference: Option<String>,

    /// File to attach, `-` for standard input; without one an empty artifact with annotations is attached
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// Artifact type, such as `application/spdx+json`
    #[arg(long = "type", visible_alias = "artifact-type", value_name = "TYPE", required = true)]
    artifact_type: Option<String>,

    /// Media type of the file; default: the artifact type
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,

    #[command(flatten)]
    common: CommonArgs,
}

/// Attach an SBOM, as a referrer of its type
#[derive(Clone, Debug, clap::Args)]
struct SbomArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The SBOM, `-` for standard input
    #[arg(long, value_name = "FILE")]
    sbom: PathBuf,

    /// Form of the SBOM
    #[arg(long = "type", value_enum, default_value_t, value_name = "TYPE")]
    kind: SbomType,

    #[command(flatten)]
    common: CommonArgs,
}

/// Forms of SBOMs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SbomType {
    #[default]
    Spdx,
    SpdxText,
    Cyclonedx,
    Syft,
}

impl SbomType {
    fn media_type(self) -> &'static str {
        match self {
            Self::Spdx => media_type::SPDX_JSON,
            Self::SpdxText => media_type::SPDX_TEXT,
            Self::Cyclonedx => media_type::CYCLONEDX_JSON,
            Self::Syft => media_type::SYFT_JSON,
        }
    }
}

/// Attach a signature that was made elsewhere, under cosign's `.sig` tag
#[derive(Clone, Debug, clap::Args)]
struct SignatureArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The signature in base64
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,

    /// The payload that was signed: cosign's simple signing JSON
    #[arg(long, value_name = "FILE")]
    payload: PathBuf,

    #[command(flatten)]
    common: CommonArgs,
}

/// What every form of `attach` takes
#[derive(Clone, Debug, clap::Args)]
struct CommonArgs {
    /// Annotate what is attached; repeat for several
    #[arg(short, long = "annotation", visible_alias = "annotations", value_name = "KEY=VALUE")]
    annotations: Vec<Annotation>,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl AttachArgs {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        let common = match &self.cosign {
            Some(CosignAttach::Sbom(args)) => &args.common,
            Some(CosignAttach::Signature(args)) => &args.common,
            None => &self.file.common,
        };
        common.output.output
    }
}

/// Attaches what was given.
pub(crate) async fn run(args: &AttachArgs, context: &Context) -> Result<Attached, CliError> {
    let (reference, artifact, common) = match &args.cosign {
        Some(CosignAttach::Signature(args)) => return attach_signature(args, context).await,
        Some(CosignAttach::Sbom(args)) => {
            let kind = args.kind.media_type();
            (&args.reference, NewArtifact::new(kind).with_layer(layer(&args.sbom, kind)?), &args.common)
        }
        None => {
            let (Some(reference), Some(kind)) = (&args.file.reference, &args.file.artifact_type) else {
                return Err(UsageError::NothingToAttach.into());
            };
            let artifact = NewArtifact::new(kind);
            let artifact = match &args.file.file {
                Some(path) => artifact.with_layer(layer(path, args.file.media_type.as_ref().unwrap_or(kind))?),
                None => artifact,
            };
            (reference, artifact, &args.file.common)
        }
    };
    attach_layer(reference, artifact, common, context).await
}

async fn attach_layer(
    text: &str,
    artifact: NewArtifact,
    common: &CommonArgs,
    context: &Context,
) -> Result<Attached, CliError> {
    let annotations = annotations::to_map(&common.annotations)?;
    let subject = open(text, &common.registry, context).await?;
    let mut artifact = artifact.created(context.now());
    artifact.annotations.extend(annotations);
    let attached = attach(&*subject.repository, &subject.descriptor, &artifact).await.map_err(CliError::Attach)?;
    Ok(Attached {
        reference: subject.by_digest().to_string(),
        digest: attached.digest,
        artifact_type: artifact.artifact_type,
        tag: None,
        signature: None,
    })
}

async fn attach_signature(args: &SignatureArgs, context: &Context) -> Result<Attached, CliError> {
    let signature = files::read(&args.signature, MAX_SIGNATURE_BYTES)?;
    let signature = String::from_utf8(signature).map_err(|_| UsageError::NotText { path: args.signature.clone() })?;
    let mut layer = layer(&args.payload, media_type::SIMPLE_SIGNING)?;
    layer.annotations = annotations::to_map(&args.common.annotations)?;
    layer.annotations.insert(annotation::COSIGN_SIGNATURE.to_owned(), signature.trim().to_owned());
    // Nobody could read it back otherwise.
    SignedEntity::from_simple_signing_layer(&layer.descriptor(), layer.content.clone()).map_err(CliError::Layer)?;
    let subject = open(&args.reference, &args.common.registry, context).await?;
    let suffix = CosignSuffix::Signature;
    let manifest = attach_cosign_tag(&*subject.repository, subject.digest(), suffix, &layer).await;
    Ok(Attached {
        reference: subject.by_digest().to_string(),
        digest: manifest.map_err(CliError::Attach)?.digest,
        artifact_type: media_type::SIMPLE_SIGNING.to_owned(),
        tag: Some(suffix.tag(subject.digest()).to_string()),
        signature: None,
    })
}

async fn open(text: &str, registry: &RegistryArgs, context: &Context) -> Result<Subject<dyn Repository>, CliError> {
    let (reference, selector) = reference::parse_selecting(text)?;
    let client = context.client(registry, &[&reference])?;
    Subject::open(&client, &reference, &selector).await
}

/// Reads a file into a layer titled with its name, which `oras pull` restores it under.
fn layer(path: &Path, kind: &str) -> Result<NewLayer, CliError> {
    let layer = NewLayer::new(kind, files::read(path, MAX_SIGNATURE_BYTES)?);
    Ok(match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if name != "-" && kind != media_type::SIMPLE_SIGNING => {
            layer.with_annotation(annotation::TITLE, name)
        }
        _ => layer,
    })
}
