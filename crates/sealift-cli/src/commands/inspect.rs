//! `sealift inspect`.

use clap::ValueEnum;
use sealift_core::attach::Scope;
use sealift_core::entity::{SignedContent, SignedEntity, SimpleSigning};
use sealift_core::evidence::Place;
use sealift_core::oci::Digest;
use sealift_core::statement::Statement;

use crate::args::output::{Format, OutputArgs};
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, with_causes};
use crate::exit::Exit;
use crate::output::model::{Described, Document, Inspected, InspectedSignature};
use crate::signed_content::{self, Signed};
use crate::signing::is_about;
use crate::subject::{Subject, attached};

/// Take the signatures of an artifact apart: payload, digest, signer, log entries and where each is stored
///
/// Shows what signatures say, whoever made them; nothing is verified but that the signed digest is the artifact's. Use
/// `sealift verify` to decide anything.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift inspect registry.example.com/app:1.0
  sealift inspect --output json registry.example.com/app:1.0 | jq '.signatures[].signerHint'
  sealift inspect --raw payload registry.example.com/app:1.0 | jq .

{REFERENCE_HELP}"))]
pub(crate) struct InspectArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Print this part of every signature as it is stored, one after the other
    #[arg(long, value_enum, value_name = "PART")]
    raw: Option<Part>,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A part of a stored signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// The statement or payload that was signed
    Payload,
    /// The bundle, envelope or payload as stored
    Bundle,
    /// The certificates that came along, in PEM, the signer's first
    Cert,
    /// The manifest that holds it
    Manifest,
}

/// Takes signatures apart and prints them.
pub(crate) async fn run(args: &InspectArgs, context: &Context) -> Result<Exit, CliError> {
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let subject = Subject::open_read(&client, &reference, &selector).await?;
    let failed =
        |source| CliError::Repository { task: "read what is attached to", subject: reference.to_string(), source };
    let attached = attached(&*subject.repository, subject.digest(), Scope::Direct).await.map_err(failed)?;
    let mut inspected = Inspected { reference: subject.by_digest().to_string(), signatures: Vec::new() };
    let mut raw = Vec::new();
    for attachment in attached.iter().filter(|attachment| attachment.kind.is_sigstore_signature()) {
        for signed in signed_content::read(&*subject.repository, attachment).await.map_err(failed)? {
            let place = Place {
                storage: attachment.storage,
                manifest: attachment.descriptor().digest.clone(),
                layer: Some(signed.layer.digest.clone()),
            };
            if let Some(part) = args.raw {
                let entity = signed.entity.as_ref().ok();
                match part {
                    Part::Payload => raw.extend(entity.and_then(signed_content::payload).into_iter().flatten()),
                    Part::Bundle => raw.extend(&signed.bytes),
                    Part::Cert => raw.extend(entity.map(signed_content::certificates).unwrap_or_default()),
                    Part::Manifest => raw.extend(attachment.manifest.bytes()),
                }
                raw.push(b'\n');
            }
            inspected.signatures.push(inspect(&subject, &place, &signed));
        }
    }
    match args.raw {
        Some(_) => context.printer.report(Format::Text, &Document::new(raw)),
        None => context.printer.report(args.output.output, &inspected),
    }
}

fn inspect<R: ?Sized>(subject: &Subject<R>, place: &Place, signed: &Signed) -> InspectedSignature {
    let mut shown = InspectedSignature::of(place, &signed.layer);
    let entity = match &signed.entity {
        Ok(entity) => entity,
        Err(error) => {
            shown.problem = Some(with_causes(error));
            return shown;
        }
    };
    shown.material = Described::of(&entity.material);
    shown.payload = signed_content::payload(entity).and_then(|payload| serde_json::from_slice(payload).ok());
    shown.predicate_type = statement(entity).map(|statement| statement.predicate_type().to_owned());
    shown.digest_matches = names(entity, subject.digest());
    shown
}

/// Says whether the payload speaks of this digest.
fn names(entity: &SignedEntity, digest: &Digest) -> bool {
    match &entity.content {
        SignedContent::SimpleSigning { payload, .. } => {
            SimpleSigning::parse(payload).is_ok_and(|payload| payload.digest() == digest)
        }
        _ => statement(entity).is_some_and(|statement| is_about(&statement, digest)),
    }
}

fn statement(entity: &SignedEntity) -> Option<Statement> {
    match &entity.content {
        SignedContent::Envelope(envelope) => Statement::parse(envelope.payload()).ok(),
        _ => None,
    }
}
