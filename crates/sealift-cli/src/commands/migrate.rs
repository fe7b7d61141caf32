//! `sealift migrate`.

use std::collections::{BTreeMap, HashSet};

use clap::ValueEnum;
use sealift_core::attach::{AttachmentKind, CosignSuffix, NewLayer, Scope, attach_bundle, attach_cosign_tag};
use sealift_core::entity::{Bundle, LegacyFormError, SignedContent, SignedEntity, UpgradeError};
use sealift_core::identity::{Identity, IdentityMatcher};
use sealift_core::oci::{Descriptor, Digest, Reference, media_type};
use sealift_core::repository::{Repository, RepositoryError};
use sealift_core::verify::{Artifact, Claim, Verified, VerifyError};

use crate::args::identity::IdentityArgs;
use crate::args::key::KeySource;
use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, with_causes};
use crate::manifests;
use crate::output::model::{Migrated, MigratedSignature, Migration, Unfinished};
use crate::proofs::{Logs, proven};
use crate::signed_content;
use crate::subject::{Subject, attached};
use crate::verifiers::requirements;

/// Give existing attestations the other form, without signing again: Sigstore bundles, or cosign's `.att` tag
///
/// The signed statement and the signature stay byte for byte; certificate, log entry and timestamp come along. What was
/// there stays. Each signature must verify with the given key or identity before, and in its new form before it is
/// published. A bundle proves that a log holds the signature where `.att` has the log's promise only: the log is asked
/// for that proof. Signatures of images are made over different payloads in the two forms, so they cannot be converted: they
/// are reported with the command that signs anew, and what was there stays. With `--recursive` a platform that cannot be
/// read does not end the others. Exits with 1 when anything has no other form, does not verify or is not in the log that promised it, with 22 when a log gave no usable answer, with 20 when no trust root
/// names the log or it cannot be asked as things are set up, with 21 when the log does not let this account ask, and with
/// 29 for several of these reasons.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift migrate --key sealift.pub --to bundle registry.example.com/app:1.0
  sealift migrate --key sealift.pub --to both --recursive registry.example.com/app:1.0

{REFERENCE_HELP}"))]
pub(crate) struct MigrateArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// The form that every attestation should have
    #[arg(long, value_enum, value_name = "FORM")]
    to: Form,

    /// Every platform of an index too
    #[arg(short, long)]
    recursive: bool,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// A form of signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// Sigstore bundles, as referrers
    Bundle,
    /// Layers of cosign's `.att` tag
    Legacy,
    /// Both
    Both,
}

/// Converts what can be converted.
pub(crate) async fn run(args: &MigrateArgs, context: &Context) -> Result<Migrated, CliError> {
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let (verifier, identity) = requirements(context, &args.identity, BTreeMap::new()).await?;
    let transport = context.allowed_transport(args.identity.trust.network())?;
    let client = context.client(&args.registry, &[&reference])?;
    let subject = Subject::open(&client, &reference, &selector).await?;
    let failed =
        |source| CliError::Repository { task: "read what is attached to", subject: reference.to_string(), source };
    let repository = &*subject.repository;
    let mut targets = vec![subject.descriptor.clone()];
    if args.recursive {
        let members = manifests::members(repository.as_read(), &subject.descriptor).await.map_err(failed)?;
        targets = members.into_iter().map(|member| member.descriptor().clone()).collect();
    }
    let mut migrated = Migrated::new(&subject.by_digest());
    for target in &targets {
        let logs = Logs { verifier: &verifier, transport: transport.as_ref(), url: None };
        let anew = Anew { reference: reference.with_digest(target.digest.clone()), key: args.identity.key.first() };
        let migrating = Migrating { context, logs, repository, target, identity: &identity, anew };
        match migrating.run(args.to, &mut migrated.signatures).await {
            // One platform says nothing about the others.
            Err(error) if args.recursive => migrated.unfinished.push(Unfinished::of(&target.digest, &error)),
            ended => ended?,
        }
    }
    Ok(migrated)
}

/// The conversion of what is attached to one manifest.
struct Migrating<'a> {
    context: &'a Context,
    logs: Logs<'a>,
    repository: &'a dyn Repository,
    target: &'a Descriptor,
    identity: &'a IdentityMatcher,
    anew: Anew<'a>,
}

/// How to sign anew what has no other form.
struct Anew<'a> {
    reference: Reference,
    key: Option<&'a KeySource>,
}

impl Anew<'_> {
    /// Returns the command. Beside a public key the private one is expected where `sealift key generate` puts it.
    fn command(&self, form: &str) -> String {
        let key = match self.key {
            Some(KeySource::File(path)) if path.extension().is_some_and(|extension| extension == "pub") => {
                format!(" --key {}", path.with_extension("key").display())
            }
            Some(_) => " --key KEY".to_owned(),
            None => String::new(),
        };
        format!("sealift sign --format {form}{key} {}", self.reference)
    }
}

/// A signature as it is stored.
struct Found {
    kind: AttachmentKind,
    manifest: Digest,
    entity: Result<SignedEntity, String>,
}

impl Migrating<'_> {
    /// Converts what can be, and adds what became of each signature to `results`, also when it fails after some.
    async fn run(&self, to: Form, results: &mut Vec<MigratedSignature>) -> Result<(), CliError> {
        let attached = attached(self.repository.as_read(), &self.target.digest, Scope::Direct).await;
        let attached = attached.map_err(|source| self.failed(source))?;
        let mut found = Vec::new();
        for attachment in attached.iter().filter(|attachment| attachment.kind.is_sigstore_signature()) {
            let read = signed_content::read(self.repository.as_read(), attachment).await;
            for signature in read.map_err(|source| self.failed(source))? {
                found.push(Found {
                    kind: attachment.kind,
                    manifest: attachment.descriptor().digest.clone(),
                    entity: signature.entity.map_err(|reason| with_causes(&reason)),
                });
            }
        }
        let stored = |wanted: fn(AttachmentKind) -> bool| -> HashSet<Vec<u8>> {
            let stored = found.iter().filter(|found| wanted(found.kind)).filter_map(|found| found.entity.as_ref().ok());
            // One that lacks what verifies it does not stand in for one that has it.
            let stored = stored.filter(|entity| self.verify(entity).is_ok());
            stored.map(|entity| entity.content.signature().to_vec()).collect()
        };
        let is_bundle = |kind| kind == AttachmentKind::SigstoreBundle;
        let (bundles, layers) = (stored(is_bundle), stored(|kind| kind != AttachmentKind::SigstoreBundle));
        for signature in &found {
            let (is_wanted, there) = match is_bundle(signature.kind) {
                true => (to != Form::Bundle, &layers),
                false => (to != Form::Legacy, &bundles),
            };
            if is_wanted {
                let outcome = self.convert(signature, there).await?;
                results.push(MigratedSignature::of(&self.target.digest, &signature.manifest, signature.kind, outcome));
            }
        }
        Ok(())
    }

    async fn convert(&self, found: &Found, there: &HashSet<Vec<u8>>) -> Result<Migration, CliError> {
        let entity = match &found.entity {
            Ok(entity) if there.contains(entity.content.signature()) => return Ok(Migration::Present),
            Ok(entity) => entity,
            Err(reason) => return Ok(Migration::impossible(reason.clone())),
        };
        match found.kind {
            AttachmentKind::SigstoreBundle => self.to_layer(entity).await,
            _ => self.to_bundle(entity).await,
        }
    }

    async fn to_bundle(&self, entity: &SignedEntity) -> Result<Migration, CliError> {
        let impossible = |reason: String| Ok(Migration::impossible(reason));
        // It does not verify as an attestation; that it has no other form is the better reason.
        if matches!(entity.content, SignedContent::SimpleSigning { .. }) {
            let (reason, instead) = (UpgradeError::SimpleSigning.to_string(), Some(self.anew.command("bundle")));
            return Ok(Migration::Impossible { reason, instead });
        }
        let verified = match self.verify(entity) {
            Ok(verified) => verified,
            Err(error) => return Ok(Migration::Unverified { reason: with_causes(&error) }),
        };
        let entity = match proven(entity, &self.logs).await {
            Ok(proven) => proven,
            Err(error) if error.exit().is_refusal() => return impossible(with_causes(&error)),
            Err(error) => return Ok(Migration::Undecided { reason: with_causes(&error), exit: error.exit() }),
        };
        let key_id = match verified.signer() {
            Identity::Key { key_id, .. } => Some(key_id.as_str()),
            _ => None,
        };
        let written = entity.to_bundle(key_id).map_err(CliError::Upgrade)?.to_json().map_err(CliError::Bundle)?;
        // What is published is what was read back, not what was meant.
        let bundle = Bundle::parse(written.as_bytes()).map_err(CliError::Bundle)?;
        if let Err(error) = self.verify(&bundle.clone().into()) {
            return impossible(format!("as a bundle it does not verify: {}", with_causes(&error)));
        }
        let attached = attach_bundle(self.repository, self.target, &bundle, self.context.now()).await;
        attached.map(|manifest| Migration::Converted { manifest: manifest.digest }).map_err(CliError::Attach)
    }

    async fn to_layer(&self, entity: &SignedEntity) -> Result<Migration, CliError> {
        let impossible = |reason: String| Ok(Migration::impossible(reason));
        let (content, annotations) = match entity.to_attestation_layer() {
            Ok(layer) => layer,
            Err(error @ LegacyFormError::ImageSignature) => {
                return Ok(Migration::Impossible {
                    reason: error.to_string(),
                    instead: Some(self.anew.command("legacy")),
                });
            }
            Err(error) => return impossible(error.to_string()),
        };
        if let Err(error) = self.verify(entity) {
            return Ok(Migration::Unverified { reason: with_causes(&error) });
        }
        let mut layer = NewLayer::new(media_type::DSSE_ENVELOPE, content);
        layer.annotations = annotations;
        let read = SignedEntity::from_attestation_layer(&layer.descriptor(), layer.content.clone());
        if let Err(error) = self.verify(&read.map_err(CliError::Layer)?) {
            return impossible(format!("as a layer it does not verify: {}", with_causes(&error)));
        }
        let suffix = CosignSuffix::Attestation;
        let attached = attach_cosign_tag(self.repository, &self.target.digest, suffix, &layer).await;
        attached.map(|manifest| Migration::Converted { manifest: manifest.digest }).map_err(CliError::Attach)
    }

    fn verify(&self, entity: &SignedEntity) -> Result<Verified, VerifyError> {
        let claim = Claim::Attestation { predicate_type: None };
        self.logs.verifier.verify(entity, &Artifact::Digest(&self.target.digest), self.identity, &claim)
    }

    fn failed(&self, source: RepositoryError) -> CliError {
        CliError::Repository { task: "read what is attached to", subject: self.target.digest.to_string(), source }
    }
}
