//! `sealift bundle`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sealift_core::entity::{Bundle, LogEntry, MAX_BUNDLE_BYTES, SignedContent, SignedEntity, UpgradeError};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::Digest;
use sealift_core::repository::foreign_text;
use sealift_core::statement::{Statement, predicate};
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verified, Verifier, VerifyError};
use url::Url;

use crate::args::identity::IdentityArgs;
use crate::args::output::{Format, OutputArgs};
use crate::blob::Blob;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::exit::Exit;
use crate::files::{self, Overwrite, Readers};
use crate::output::model::{Described, Document, InspectedBundle};
use crate::proofs::{Logs, proven};
use crate::trust::CertificateUse;
use crate::verifiers::accepted;
use crate::{signed_content, trust};

/// How many digests of a bundle an error names.
const MAX_SHOWN_DIGESTS: usize = 3;

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
    Upgrade(Box<UpgradeArgs>),
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
/// Reads versions 0.1 to 0.3 and what older cosigns wrote. Version 0.3 demands an inclusion proof of every log entry:
/// one that is missing is asked for at the log. The bundle must then verify before and after, by whoever its
/// certificate names, or with the key or as the identity given; a signature made with a key needs `--key`. A bundle that
/// has all its proofs and names the digest of what was signed is rewritten without asking anybody; it is verified where a
/// flag says whom to trust, or what the signature must come with. What is not accepted is not written.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift bundle upgrade old.sigstore.json > new.sigstore.json
  sealift bundle upgrade --key cosign.pub --artifact app.tar.gz --out app.sigstore.json cosign.bundle
  sealift bundle upgrade --trusted-root root.json --out app.sigstore.json old.sigstore.json")]
struct UpgradeArgs {
    /// The bundle, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// What was signed: a file or a digest. Needed where the bundle does not name its digest; another than it names is
    /// refused
    #[arg(long, value_name = "FILE")]
    artifact: Option<String>,

    /// Write it here instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Log to ask for missing proofs; default: the address that the trust root gives for it
    #[arg(long, value_name = "URL")]
    rekor_url: Option<Url>,

    #[command(flatten)]
    identity: IdentityArgs,
}

/// Runs one.
pub(crate) async fn run(args: &BundleArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.command {
        BundleCommand::Inspect(args) => context.printer.report(args.output.output, &inspect(args)?),
        BundleCommand::Upgrade(args) => {
            let json = upgrade(args, context).await?;
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

async fn upgrade(args: &UpgradeArgs, context: &Context) -> Result<String, CliError> {
    let (_, mut entity) = read(&args.file)?;
    if args.rekor_url.is_some() && is_proven(&entity) {
        context.printer.note(format_args!("no log is asked: every log entry of the bundle has its proof"));
    }
    let refused = |source| CliError::Refused { subject: args.file.display().to_string(), source };
    let (claim, named) = claimed(&entity);
    let given = args.artifact.as_ref().map(|operand| Blob::open(operand, &entity)).transpose()?;
    if let Some(given) = &given {
        refuse_other(given, &named).map_err(refused)?;
    }
    let acceptance = match must_verify(args, &entity, &named) {
        true => {
            let artifact = given.as_ref().map(Blob::artifact).or(named.first().map(Artifact::Digest));
            let artifact = artifact.ok_or(CliError::Upgrade(UpgradeError::NoDigest))?;
            Some(Acceptance::of(args, context, &entity, artifact, claim).await?)
        }
        false => None,
    };
    if let Some(acceptance) = &acceptance {
        acceptance.verify(&entity).map_err(refused)?;
        let transport = context.allowed_transport(args.identity.trust.network())?;
        let logs = Logs { verifier: &acceptance.verifier, transport: transport.as_ref(), url: args.rekor_url.as_ref() };
        entity = proven(&entity, &logs).await.map_err(CliError::Unproven)?;
    }
    let digest = given.as_ref().map(Blob::digest);
    let upgraded = entity.upgraded(digest.as_ref()).map_err(CliError::Upgrade)?;
    let json = upgraded.bundle.to_json().map_err(CliError::Bundle)?;
    // What cannot be read back, or is not accepted, must not replace what can or is.
    let written = Bundle::parse(json.as_bytes()).map_err(CliError::Bundle)?;
    if let Some(acceptance) = &acceptance {
        acceptance.verify(&written.into()).map_err(CliError::UpgradedRefused)?;
    }
    if upgraded.left_out_certificates > 0 {
        context.printer.note(format_args!(
            "{} issuers' certificates are left out: verifiers take them from their trust root",
            upgraded.left_out_certificates
        ));
    }
    Ok(json)
}

/// Refuses another artifact than the bundle names, if it names any.
fn refuse_other(artifact: &Blob, named: &[Digest]) -> Result<(), VerifyError> {
    // Computed once, not once per subject: a statement may have very many.
    let digests = artifact.digests();
    if named.is_empty() || named.iter().any(|digest| digests.contains(digest)) {
        return Ok(());
    }
    Err(VerifyError::WrongSubject { signed: named.iter().take(MAX_SHOWN_DIGESTS).map(Digest::to_string).collect() })
}

/// Says whether the bundle must verify to be written: it is asked for, or something comes into it that it did not have.
fn must_verify(args: &UpgradeArgs, entity: &SignedEntity, named: &[Digest]) -> bool {
    let is_asked = !args.identity.is_empty() || !args.identity.trust.is_empty();
    let is_message = matches!(entity.content, SignedContent::MessageSignature { .. });
    // The digest of another file would make a bundle that says what nobody signed.
    let lacks_digest = named.is_empty() && (is_message || args.artifact.is_some());
    is_asked || lacks_digest || !is_proven(entity)
}

fn is_proven(entity: &SignedEntity) -> bool {
    entity.material.log_entries.iter().all(LogEntry::has_proof)
}

/// By what the bundle is verified, as it was and as it is written.
struct Acceptance<'a> {
    verifier: Verifier,
    identity: IdentityMatcher,
    artifact: Artifact<'a>,
    claim: Claim,
}

impl<'a> Acceptance<'a> {
    async fn of(
        args: &UpgradeArgs,
        context: &Context,
        entity: &SignedEntity,
        artifact: Artifact<'a>,
        claim: Claim,
    ) -> Result<Self, CliError> {
        let identity = match args.identity.is_empty() {
            false => accepted(context, &args.identity)?,
            // A certificate says who signed; whether that is the right one is asked by who uses the bundle.
            true if entity.material.key.has_certificate() => IdentityMatcher::any_identity_unsafe(),
            true => return Err(UsageError::NoKey.into()),
        };
        let has_log = !entity.material.log_entries.is_empty();
        let certificates = CertificateUse::from(has_log || identity.accepts_certificates());
        let mut instances = args.identity.trust.instances(context, certificates).await?;
        for instance in instances.iter_mut().filter(|_| has_log) {
            // What a log proves is what is asked about, whoever signed.
            let requirements = instance.requirements.clone();
            instance.requirements = requirements.with_transparency_log(LogRequirement::Required);
        }
        let verifier = trust::verifier(instances, args.identity.trust.demanded(Requirements::default()));
        Ok(Self { verifier, identity, artifact, claim })
    }

    fn verify(&self, entity: &SignedEntity) -> Result<Verified, VerifyError> {
        self.verifier.verify(entity, &self.artifact, &self.identity, &self.claim)
    }
}

/// Returns what a signature says, and the digests that it names, if any: it is to say the same afterwards.
fn claimed(entity: &SignedEntity) -> (Claim, Vec<Digest>) {
    match &entity.content {
        SignedContent::Envelope(envelope) => {
            let statement = Statement::parse(envelope.payload()).ok();
            let claim = match statement.as_ref().map(Statement::predicate_type) {
                Some(predicate::IMAGE_SIGNATURE) => Claim::ImageSignature,
                _ => Claim::Attestation { predicate_type: None },
            };
            let digests = statement.as_ref().map(subjects).unwrap_or_default();
            (claim, digests.iter().filter_map(|digest| digest.parse().ok()).collect())
        }
        SignedContent::MessageSignature { digest, .. } => (Claim::Blob, digest.iter().cloned().collect()),
        _ => (Claim::Blob, Vec::new()),
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, SignedEntity), CliError> {
    let json = files::read(path, MAX_BUNDLE_BYTES as u64)?;
    let entity = SignedEntity::parse_bundle(&json);
    entity.map(|entity| (json, entity)).map_err(|source| CliError::UnreadableBundle { path: path.to_owned(), source })
}
