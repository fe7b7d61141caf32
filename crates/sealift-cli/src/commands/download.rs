//! `sealift download`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use sealift_core::attach::{Attachment, AttachmentKind, Scope};
use sealift_core::entity::SignedContent;
use sealift_core::evidence::MAX_SIGNATURE_BYTES;
use sealift_core::oci::{Descriptor, annotation, media_type};
use sealift_core::repository::ReadRepository;
use sealift_core::statement::Statement;
use sealift_core::statement::predicate::IMAGE_SIGNATURE;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::predicate::PredicateType;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::Document;
use crate::signed_content::{self, Signed};
use crate::subject::{Subject, attached};

/// Print what is attached to an artifact, as it is stored and unverified
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift download signature registry.example.com/app:1.0
  sealift download attestation --predicate-type spdx $IMAGE | jq -r .payload | base64 -d
  sealift download sbom registry.example.com/app:1.0 > sbom.json

{REFERENCE_HELP}"))]
pub(crate) struct DownloadArgs {
    #[command(subcommand)]
    what: What,
}

/// What to print.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Print signatures, one JSON value on a line: bundles as they are, others in cosign's form
    Signature(SubjectArgs),
    /// Print the DSSE envelopes of attestations, one on a line
    Attestation(AttestationArgs),
    /// Print the SBOM that `cosign attach sbom` or `sealift attach` stored
    Sbom(SubjectArgs),
}

/// Which artifact
#[derive(Clone, Debug, clap::Args)]
struct SubjectArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// Which attestations
#[derive(Clone, Debug, clap::Args)]
struct AttestationArgs {
    /// Print only attestations of this predicate type: a short name or a URI
    #[arg(long, visible_alias = "type", value_name = "TYPE")]
    predicate_type: Option<PredicateType>,

    #[command(flatten)]
    subject: SubjectArgs,
}

/// Returns what was asked for.
pub(crate) async fn run(args: &DownloadArgs, context: &Context) -> Result<Document, CliError> {
    let subject = match &args.what {
        What::Signature(args) | What::Sbom(args) => args,
        What::Attestation(args) => &args.subject,
    };
    let (reference, selector) = reference::parse_selecting(&subject.reference)?;
    let client = context.client(&subject.registry, &[&reference])?;
    let subject = Subject::open_read(&client, &reference, &selector).await?;
    let failed =
        |source| CliError::Repository { task: "read what is attached to", subject: reference.to_string(), source };
    let repository = &*subject.repository;
    let attached = attached(repository, subject.digest(), Scope::Direct).await.map_err(failed)?;
    let lines = match &args.what {
        What::Sbom(_) => sboms(repository, &attached).await,
        What::Signature(_) => signed(repository, &attached, &signature_line).await,
        What::Attestation(args) => {
            let wanted = args.predicate_type.as_ref().map(|kind| kind.uri.as_str());
            signed(repository, &attached, &|signed| attestation_line(signed, wanted)).await
        }
    };
    let lines = lines.map_err(failed)?;
    match lines.is_empty() {
        true => Err(CliError::NothingAttached { what: args.what.name(), reference: subject.by_digest().to_string() }),
        false => Ok(Document::new(lines)),
    }
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            Self::Signature(_) => "signature",
            Self::Attestation(_) => "attestation",
            Self::Sbom(_) => "SBOM",
        }
    }
}

async fn signed(
    repository: &dyn ReadRepository,
    found: &[Attachment],
    line: &(dyn Fn(&Signed) -> Option<Vec<u8>> + Sync),
) -> Result<Vec<u8>, sealift_core::repository::RepositoryError> {
    let mut lines = Vec::new();
    for attachment in found.iter().filter(|attachment| attachment.kind.is_sigstore_signature()) {
        for signed in signed_content::read(repository, attachment).await? {
            if let Some(line) = line(&signed) {
                lines.extend(line);
                lines.push(b'\n');
            }
        }
    }
    Ok(lines)
}

/// Returns the SBOMs of `.sbom` tags and of referrers whose type says that they are one.
async fn sboms(
    repository: &dyn ReadRepository,
    found: &[Attachment],
) -> Result<Vec<u8>, sealift_core::repository::RepositoryError> {
    let mut bytes = Vec::new();
    for attachment in found {
        for layer in attachment.manifest.parse().map(|manifest| manifest.layers).unwrap_or_default() {
            let is_sbom = attachment.kind == AttachmentKind::CosignSbom
                || (attachment.kind == AttachmentKind::Other && is_sbom_type(&layer));
            if is_sbom {
                bytes.extend_from_slice(&signed_content::blob(repository, &layer, MAX_SIGNATURE_BYTES).await?);
            }
        }
    }
    Ok(bytes)
}

fn is_sbom_type(layer: &Descriptor) -> bool {
    let text = layer.media_type.as_str();
    ["spdx", "cyclonedx", "syft"].iter().any(|form| text.contains(form))
}

/// Returns a bundle as it is, and a `.sig` layer as `cosign download signature` prints it.
fn signature_line(signed: &Signed) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Line<'a> {
        base64_signature: &'a str,
        payload: String,
        cert: Option<&'a str>,
        chain: Option<&'a str>,
        bundle: Option<&'a RawValue>,
        #[serde(rename = "RFC3161Timestamp")]
        timestamp: Option<&'a RawValue>,
    }
    if signed.layer.media_type.is_sigstore_bundle() {
        let predicate_type = statement(signed).map(|statement| statement.predicate_type().to_owned());
        let is_signature = predicate_type.is_none_or(|predicate_type| predicate_type == IMAGE_SIGNATURE);
        return is_signature.then(|| single_line(&signed.bytes));
    }
    if signed.layer.media_type != media_type::SIMPLE_SIGNING {
        return None;
    }
    let text = |name: &str| signed.layer.annotations.get(name).map(String::as_str);
    let json = |name: &str| text(name).and_then(|text| serde_json::from_str(text).ok());
    let line = Line {
        base64_signature: text(annotation::COSIGN_SIGNATURE).unwrap_or_default(),
        payload: STANDARD.encode(&signed.bytes),
        cert: text(annotation::COSIGN_CERTIFICATE),
        chain: text(annotation::COSIGN_CHAIN),
        bundle: json(annotation::COSIGN_BUNDLE),
        timestamp: json(annotation::COSIGN_TIMESTAMP),
    };
    serde_json::to_vec(&line).ok()
}

/// Returns the envelope of an attestation.
fn attestation_line(signed: &Signed, wanted: Option<&str>) -> Option<Vec<u8>> {
    let statement = statement(signed)?;
    let predicate_type = statement.predicate_type();
    if predicate_type == IMAGE_SIGNATURE || wanted.is_some_and(|wanted| wanted != predicate_type) {
        return None;
    }
    if !signed.layer.media_type.is_sigstore_bundle() {
        return Some(single_line(&signed.bytes));
    }
    match &signed.entity.as_ref().ok()?.content {
        SignedContent::Envelope(envelope) => envelope.to_json().ok(),
        _ => None,
    }
}

fn statement(signed: &Signed) -> Option<Statement> {
    match &signed.entity.as_ref().ok()?.content {
        SignedContent::Envelope(envelope) => Statement::parse(envelope.payload()).ok(),
        _ => None,
    }
}

/// Returns the bytes as they are, or, when they have line breaks, as compact JSON of the same content.
fn single_line(bytes: &[u8]) -> Vec<u8> {
    if !bytes.contains(&b'\n') {
        return bytes.to_vec();
    }
    let value = serde_json::from_slice::<serde_json::Value>(bytes);
    value.map_or_else(|_| bytes.to_vec(), |value| value.to_string().into_bytes())
}
