//! Signing as `sign` and `attest` share it: resolve, sign, verify what was made, and only then store it.

mod consent;
mod keyless;
mod provider;
mod purpose;
mod services;
mod signatory;
mod state;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use sealift_core::attach::{CosignSuffix, NewLayer, attach_bundle, attach_cosign_tag, prepare};
use sealift_core::entity::{EntityFormat, SignedEntity, SimpleSigning, VerificationMaterial};
use sealift_core::evidence::{self, Effort, Evidence, Verdict};
use sealift_core::oci::{Descriptor, Digest, Reference, Selector, media_type};
use sealift_core::repository::{Repository, RepositoryError};
use sealift_core::sign::{sign_envelope, sign_simple};
use sealift_core::verify::{Artifact, Claim, Verifier};
use sealift_oci::Client;

use crate::args::keyless::SignerArgs;
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};
use crate::key_store;
use crate::manifests;
use crate::output::model::{Batch, Signed, SignedManifest, State, Stored, StoredFormat};
use crate::subject::Subject;

pub(crate) use purpose::{Existing, Purpose, Replace, is_about};
pub(crate) use services::LegacyProblem;
pub(crate) use signatory::Signatory;
use state::BatchState;

/// Who signs, and where the signatures go.
pub(crate) struct Signing<'a> {
    context: &'a Context,
    client: Client,
    publish: &'a PublishArgs,
    signatory: Signatory,
    concurrency: usize,
    references: Vec<(String, Reference)>,
    state: Option<BatchState>,
    purpose: Purpose,
}

impl<'a> Signing<'a> {
    /// Reads the references and chooses who signs; asks no registry yet.
    pub(crate) async fn open(
        context: &'a Context,
        registry: &RegistryArgs,
        signer: &SignerArgs,
        publish: &'a PublishArgs,
        references: &[String],
        purpose: Purpose,
    ) -> Result<Self, CliError> {
        let references = parse(publish, references)?;
        let parsed: Vec<&Reference> = references.iter().map(|(_, reference)| reference).collect();
        let client = context.client(registry, &parsed)?;
        let artifacts: Vec<String> = references.iter().map(|(text, _)| text.clone()).collect();
        let state = match &publish.state {
            Some(path) => Some(BatchState::open(path, &job(&purpose, signer, publish))?),
            None => None,
        };
        let signatory = Signatory::open(context, signer, &artifacts).await?;
        if publish.format.has_legacy() {
            signatory.check_legacy()?;
        }
        let concurrency = usize::from(registry.concurrency);
        Ok(Self { context, client, publish, signatory, concurrency, references, state, purpose })
    }

    /// Signs every reference, several side by side; one that fails does not stop the others.
    pub(crate) async fn run(&self) -> Batch<Signed> {
        let signed = stream::iter(&self.references)
            .map(|(text, reference)| async { (text.clone(), self.sign_reference(reference, &self.purpose).await) })
            .buffered(self.concurrency);
        Batch(signed.collect().await)
    }

    async fn sign_reference(&self, reference: &Reference, purpose: &Purpose) -> Result<Signed, CliError> {
        let selector = reference::selector(reference)?;
        let subject = Subject::open(&self.client, reference, &selector).await?;
        if let Selector::Tag(tag) = &selector {
            self.context.printer.note(format_args!("{} has {tag} at {}", reference.repository(), subject.digest()));
        }
        let mut targets = vec![(subject.descriptor.clone(), None)];
        if self.publish.recursive {
            let members = manifests::members(subject.repository.as_read(), &subject.descriptor).await;
            let members = members.map_err(|source| self.failed("read the platforms of", reference, source))?;
            targets =
                members.into_iter().map(|member| (member.descriptor().clone(), member.platforms.text())).collect();
        }
        // All come to their end even if one fails: what is cut off in the middle would be logged and not stored.
        let manifests: Vec<_> = stream::iter(targets)
            .map(async |(target, platform)| {
                let (state, stored) = self.sign_once(&subject, &target, purpose).await?;
                Ok::<_, CliError>(SignedManifest { digest: target.digest, platform, state, stored })
            })
            .buffered(self.concurrency)
            .collect()
            .await;
        let manifests = manifests.into_iter().collect::<Result<_, _>>()?;
        Ok(Signed { reference: subject.by_digest().to_string(), manifests, bundle_file: self.publish.bundle.clone() })
    }

    /// Signs a manifest unless an earlier run of this batch did, and what it stored is still there.
    async fn sign_once(
        &self,
        subject: &Subject<dyn Repository>,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<(State, Vec<Stored>), CliError> {
        let Some(batch) = &self.state else { return self.sign_manifest(subject, target, purpose).await };
        let repository = subject.reference.repository().to_string();
        if let Some(stored) = batch.done(&repository, &target.digest)
            && self.is_kept(subject, &target.digest, stored, purpose).await?
        {
            return Ok((State::DoneBefore, stored.clone()));
        }
        let (state, stored) = self.sign_manifest(subject, target, purpose).await?;
        batch.note(&repository, &target.digest, &stored)?;
        Ok((state, stored))
    }

    /// Says whether everything noted is in the repository and verifies as this signer's: a file tells what was done, not
    /// what is there, nor by which key.
    async fn is_kept(
        &self,
        subject: &Subject<dyn Repository>,
        digest: &Digest,
        noted: &[Stored],
        purpose: &Purpose,
    ) -> Result<bool, CliError> {
        let verifier = self.signatory.verifier(purpose.annotations());
        let evidence = self.evidence(&*subject.repository, digest, &verifier, &purpose.claim(), Effort::All).await?;
        let is_proven = |stored: &Stored| evidence.verified().iter().any(|proof| stored.is_proven_by(proof));
        if !noted.is_empty() && noted.iter().all(is_proven) {
            return Ok(true);
        }
        match evidence.undecided().is_empty() {
            true => Ok(false),
            false => Err(CliError::undecided(&subject.reference, &evidence)),
        }
    }

    async fn sign_manifest(
        &self,
        subject: &Subject<dyn Repository>,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<(State, Vec<Stored>), CliError> {
        let repository = &*subject.repository;
        if let Purpose::Statement(statement) = purpose
            && !is_about(statement, &target.digest)
        {
            return Err(UsageError::OtherSubject { digest: target.digest.clone() }.into());
        }
        if let Purpose::ImageSignature { annotations, existing: Existing::Skip, .. } = purpose {
            let verifier = self.signatory.verifier(annotations.clone());
            let evidence = self
                .evidence(repository, &target.digest, &verifier, &Claim::ImageSignature, Effort::FirstMatch)
                .await?;
            match evidence.verdict() {
                Verdict::Verified => return Ok((State::AlreadySigned, Vec::new())),
                Verdict::Undecided => return Err(CliError::undecided(&subject.reference, &evidence)),
                _ => {}
            }
        }
        self.check_destination(repository, &target.digest).await?;
        let earlier = self.earlier(repository, &target.digest, purpose).await?;
        let mut stored = Vec::new();
        if self.publish.format.has_bundle() {
            stored.extend(self.sign_bundle(repository, target, purpose).await?);
        }
        if self.publish.format.has_legacy() {
            stored.extend(self.sign_legacy(subject, target, purpose).await?);
        }
        for digest in earlier.iter().filter(|digest| stored.iter().all(|stored| stored.digest != **digest)) {
            let failed = |source| self.failed("remove an earlier attestation of", &subject.reference, source);
            repository.delete(&Selector::Digest(digest.clone())).await.map_err(failed)?;
            repository.unlink_referrers(&target.digest, std::slice::from_ref(digest)).await.map_err(failed)?;
        }
        let state = match purpose {
            Purpose::ImageSignature { .. } => State::Signed,
            Purpose::Attestation { .. } | Purpose::Statement(_) => State::Attested,
        };
        Ok((state, stored))
    }

    /// Asks the repository whether it would take the signature, before a log keeps one that is then stored nowhere.
    async fn check_destination(&self, repository: &dyn Repository, digest: &Digest) -> Result<(), CliError> {
        if self.publish.no_upload || !self.signatory.publishes() {
            return Ok(());
        }
        prepare(repository, digest).await.map_err(CliError::Attach)
    }

    async fn sign_bundle(
        &self,
        repository: &dyn Repository,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<Option<Stored>, CliError> {
        let statement = purpose.statement(&target.digest).map_err(CliError::Statement)?;
        let artifact = Artifact::Digest(&target.digest);
        let bundle = self.signatory.sign(&statement, &artifact, &purpose.claim(), purpose.annotations()).await?;
        if let Some(path) = &self.publish.bundle {
            let json = bundle.to_json().map_err(CliError::Bundle)?;
            files::write(path, json.as_bytes(), Readers::Everyone, Overwrite::Allowed)?;
        }
        if self.publish.no_upload {
            return Ok(None);
        }
        let manifest = attach_bundle(repository, target, &bundle, self.context.now()).await;
        let manifest = manifest.map_err(CliError::Attach)?;
        let log_indexes = log_indexes(bundle.material());
        Ok(Some(Stored { format: StoredFormat::Bundle, tag: None, digest: manifest.digest, log_indexes }))
    }

    async fn sign_legacy(
        &self,
        subject: &Subject<dyn Repository>,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<Option<Stored>, CliError> {
        let name = subject.reference.repository().to_string();
        let (hand, witnesses) = (self.signatory.hand().await?, self.signatory.witnesses());
        let suffix = legacy_suffix(purpose);
        let (media_type, signed) = match purpose {
            Purpose::ImageSignature { annotations, identity, .. } => {
                let identity = identity.clone().unwrap_or(name);
                let payload = SimpleSigning::new(identity, target.digest.clone(), annotations.clone());
                let signed = sign_simple(&payload, &*hand.signer, &witnesses).await;
                (media_type::SIMPLE_SIGNING, signed)
            }
            Purpose::Attestation { .. } | Purpose::Statement(_) => {
                let statement = purpose.legacy_statement(&target.digest, name).map_err(CliError::Statement)?;
                let signed = sign_envelope(&statement, &*hand.signer, &witnesses).await;
                (media_type::DSSE_ENVELOPE, signed)
            }
        };
        let signed = signed.map_err(CliError::Sign)?;
        let mut layer = NewLayer::new(media_type, signed.content);
        layer.annotations = signed.annotations;
        let (descriptor, content) = (layer.descriptor(), layer.content.clone());
        let entity = match suffix {
            CosignSuffix::Signature => SignedEntity::from_simple_signing_layer(&descriptor, content),
            _ => SignedEntity::from_attestation_layer(&descriptor, content),
        };
        let entity = entity.map_err(CliError::Layer)?;
        let artifact = Artifact::Digest(&target.digest);
        self.signatory.check(&hand, &entity, &artifact, &purpose.claim(), purpose.annotations())?;
        if self.publish.no_upload {
            return Ok(None);
        }
        let manifest = attach_cosign_tag(&*subject.repository, &target.digest, suffix, &layer).await;
        let digest = manifest.map_err(CliError::Attach)?.digest;
        let tag = Some(suffix.tag(&target.digest).to_string());
        Ok(Some(Stored { format: StoredFormat::Legacy, tag, digest, log_indexes: log_indexes(&entity.material) }))
    }

    /// Returns the manifests of earlier attestations that the new one replaces.
    async fn earlier(
        &self,
        repository: &dyn Repository,
        digest: &Digest,
        purpose: &Purpose,
    ) -> Result<Vec<Digest>, CliError> {
        let Purpose::Attestation { replace: Replace::Earlier, .. } = purpose else { return Ok(Vec::new()) };
        let evidence = self
            .evidence(repository, digest, &self.signatory.verifier(BTreeMap::new()), &purpose.claim(), Effort::All)
            .await?;
        let bundles =
            evidence.verified().iter().filter(|proof| proof.verified.format() == EntityFormat::SigstoreBundle);
        Ok(bundles.map(|proof| proof.place.manifest.clone()).collect())
    }

    async fn evidence(
        &self,
        repository: &dyn Repository,
        digest: &Digest,
        verifier: &Verifier,
        claim: &Claim,
        effort: Effort,
    ) -> Result<Evidence, CliError> {
        let hand = self.signatory.hand().await?;
        Ok(evidence::gather(repository.as_read(), digest, verifier, &hand.identity, claim, effort).await)
    }

    fn failed(&self, task: &'static str, reference: &Reference, source: RepositoryError) -> CliError {
        CliError::Repository { task, subject: reference.to_string(), source }
    }
}

/// Reads the references, and finds out what makes no sense together before anybody is asked for anything.
fn parse(publish: &PublishArgs, references: &[String]) -> Result<Vec<(String, Reference)>, CliError> {
    if publish.bundle.is_some() && references.len() > 1 {
        return Err(UsageError::OneReference { flag: "--bundle" }.into());
    }
    if publish.bundle.is_some() && !publish.format.has_bundle() {
        return Err(UsageError::NoBundle.into());
    }
    let mut parsed = Vec::new();
    for text in references {
        let reference = reference::parse(text)?;
        if publish.require_digest && reference.digest().is_none() {
            return Err(UsageError::NoDigest { reference: reference.to_string() }.into());
        }
        reference::selector(&reference)?;
        parsed.push((text.clone(), reference));
    }
    Ok(parsed)
}

/// Returns what cosign's tag for the signature ends in.
fn legacy_suffix(purpose: &Purpose) -> CosignSuffix {
    match purpose {
        Purpose::ImageSignature { .. } => CosignSuffix::Signature,
        Purpose::Attestation { .. } | Purpose::Statement(_) => CosignSuffix::Attestation,
    }
}

/// Returns what tells a batch from others: what is signed, by whom, and how it is stored.
fn job(purpose: &Purpose, signer: &SignerArgs, publish: &PublishArgs) -> Digest {
    let who = signer.key.as_ref().map_or("keyless".to_owned(), |key| key_store::origin(key).to_string());
    Digest::sha256(format!("{}\n{who}\n{:?}", purpose.description(), publish.format).as_bytes())
}

pub(crate) fn log_indexes(material: &VerificationMaterial) -> Vec<i64> {
    material.log_entries.iter().map(|entry| entry.log_index).collect()
}
