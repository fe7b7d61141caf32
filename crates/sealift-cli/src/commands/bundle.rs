//! `sealift bundle`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sealift_core::entity::{Bundle, MAX_BUNDLE_BYTES, SignedContent, SignedEntity};
use sealift_core::oci::Digest;
use sealift_core::repository::foreign_text;
use sealift_core::statement::Statement;

use crate::args::output::{Format, OutputArgs};
use crate::blob::Blob;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::{self, Overwrite, Readers};
use crate::output::model::{Described, Document, InspectedBundle};
use crate::signed_content;

/// Look into Sigstore bundles, and bring old ones up to date
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift bundle inspect app.sigstore.json
  sealift bundle inspect --output json app.sigstore.json | jq .certificate.claims
  sealift bundle upgrade --out app.sigstore.json old.sigstore.json")]
pub(crate) struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

/// What to do with a bundle.
#[derive(Clone, Debug, Subcommand)]
enum BundleCommand {
    Inspect(InspectArgs),
    Upgrade(UpgradeArgs),
}

/// Show what a bundle holds: signer, claims, log entries, timestamps and payload; nothing is verified
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift bundle inspect app.sigstore.json
  cosign download attestation $IMAGE | head -1 | sealift bundle inspect -")]
struct InspectArgs {
    /// The bundle, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    output: OutputArgs,
}

/// Rewrite a bundle in version 0.3, or refuse when something that verifies it would be lost
///
/// Reads versions 0.1 to 0.3 and what older cosigns wrote. Version 0.3 demands an inclusion proof of every log entry.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift bundle upgrade old.sigstore.json > new.sigstore.json
  sealift bundle upgrade --artifact app.tar.gz --out app.sigstore.json cosign.bundle")]
struct UpgradeArgs {
    /// The bundle, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What was signed, where the bundle does not name its digest: a file or a digest
    #[arg(long, value_name = "FILE")]
    artifact: Option<String>,

    /// Write it here instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs one.
pub(crate) fn run(args: &BundleArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.command {
        BundleCommand::Inspect(args) => context.printer.report(args.output.output, &inspect(args)?),
        BundleCommand::Upgrade(args) => {
            let json = upgrade(args, context)?;
            match &args.out {
                Some(path) => {
                    files::write(path, json.as_bytes(), Readers::Everyone, Overwrite::Allowed).map(|()| Exit::Ok)
                }
                None => context.printer.report(Format::Text, &Document::line(json)),
            }
        }
    }
}

impl BundleArgs {
    pub(crate) fn format(&self) -> Format {
        match &self.command {
            BundleCommand::Inspect(args) => args.output.output,
            BundleCommand::Upgrade(_) => Format::Text,
        }
    }
}

fn inspect(args: &InspectArgs) -> Result<InspectedBundle, CliError> {
    let (json, entity) = read(&args.file)?;
    let media_type = match Bundle::parse(&json) {
        Ok(bundle) => bundle.media_type().to_string(),
        Err(_) => "cosign's own form, before bundles were standardized".to_owned(),
    };
    let (content, digests, statement) = match &entity.content {
        SignedContent::MessageSignature { digest, .. } => {
            ("message signature", digest.iter().map(Digest::to_string).collect(), None)
        }
        SignedContent::Envelope(envelope) => {
            let statement = Statement::parse(envelope.payload()).ok();
            ("envelope", statement.as_ref().map(subjects).unwrap_or_default(), statement)
        }
        _ => ("other", Vec::new(), None),
    };
    Ok(InspectedBundle {
        file: args.file.display().to_string(),
        media_type,
        content,
        digests,
        predicate_type: statement.map(|statement| foreign_text(statement.predicate_type())),
        material: Described::of(&entity.material),
        payload: signed_content::payload(&entity).and_then(|payload| serde_json::from_slice(payload).ok()),
    })
}

fn subjects(statement: &Statement) -> Vec<String> {
    let digests = statement.subjects().iter().flat_map(|subject| &subject.digest);
    digests.map(|(algorithm, hex)| foreign_text(&format!("{algorithm}:{hex}"))).collect()
}

fn upgrade(args: &UpgradeArgs, context: &Context) -> Result<String, CliError> {
    let (_, entity) = read(&args.file)?;
    let artifact = match &args.artifact {
        Some(operand) => Some(match Blob::open(operand, &entity)? {
            Blob::Bytes(bytes) => Digest::sha256(&bytes),
            Blob::Digest(digest) => digest,
        }),
        None => None,
    };
    let upgraded = entity.upgraded(artifact.as_ref()).map_err(CliError::Upgrade)?;
    let json = upgraded.bundle.to_json().map_err(CliError::Bundle)?;
    // What cannot be read back must not replace what can.
    Bundle::parse(json.as_bytes()).map_err(CliError::Bundle)?;
    if upgraded.left_out_certificates > 0 {
        context.printer.note(format_args!(
            "{} issuers' certificates are left out: verifiers take them from their trust root",
            upgraded.left_out_certificates
        ));
    }
    Ok(json)
}

fn read(path: &Path) -> Result<(Vec<u8>, SignedEntity), CliError> {
    let json = files::read(path, MAX_BUNDLE_BYTES as u64)?;
    let entity = SignedEntity::parse_bundle(&json);
    entity.map(|entity| (json, entity)).map_err(|source| CliError::UnreadableBundle { path: path.to_owned(), source })
}
