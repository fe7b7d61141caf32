//! Signing as `sign` and `attest` share it: resolve, sign, verify what was made, and only then store it.

use std::collections::BTreeMap;

use sealift_core::attach::{CosignSuffix, NewLayer, attach_bundle, attach_cosign_tag};
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{Bundle, SignedEntity, SimpleSigning};
use sealift_core::evidence::{self, Effort, Evidence, Verdict};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, Reference, Selector, annotation, media_type};
use sealift_core::repository::Repository;
use sealift_core::sign::{KeySigner, sign, sign_envelope, sign_simple};
use sealift_core::statement::{self, Statement, StatementVersion};
use sealift_core::verify::{Artifact, Claim, Requirements, Verifier};
use sealift_oci::Client;
use serde_json::value::RawValue;

use crate::args::key::SigningKeyArgs;
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};
use crate::manifests;
use crate::output::model::{Batch, Signed, SignedManifest, State, Stored};
use crate::subject::Subject;

/// What is signed about each artifact.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A predicate about it.
    Attestation { predicate_type: String, predicate: Box<RawValue>, replace: Replace },
    /// That it is signed.
    ImageSignature { annotations: BTreeMap<String, String>, identity: Option<String>, existing: Existing },
    /// A statement made elsewhere.
    Statement(Statement),
}

/// What becomes of an artifact that the key has signed already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Existing {
    SignAgain,
    Skip,
}

/// What becomes of earlier attestations of the same type by the same key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replace {
    Earlier,
    Nothing,
}

/// A key and where its signatures go.
pub(crate) struct Signing<'a> {
    context: &'a Context,
    client: Client,
    publish: &'a PublishArgs,
    signer: KeySigner,
    public_key: PublicKey,
    references: Vec<(String, Reference)>,
}

impl<'a> Signing<'a> {
    /// Reads the key and the references; asks no registry yet.
    pub(crate) fn new(
        context: &'a Context,
        registry: &RegistryArgs,
        key: &SigningKeyArgs,
        publish: &'a PublishArgs,
        references: &[String],
    ) -> Result<Self, CliError> {
        if publish.bundle.is_some() && references.len() > 1 {
            return Err(UsageError::OneReference { flag: "--bundle" }.into());
        }
        if publish.bundle.is_some() && !publish.format.has_bundle() {
            return Err(UsageError::NoBundle.into());
        }
        let references: Vec<_> = references
            .iter()
            .map(|text| reference::parse(text).map(|reference| (text.clone(), reference)))
            .collect::<Result<_, _>>()?;
        for (_, reference) in &references {
            if publish.require_digest && reference.digest().is_none() {
                return Err(UsageError::NoDigest { reference: reference.to_string() }.into());
            }
            reference::selector(reference)?;
        }
        let parsed: Vec<&Reference> = references.iter().map(|(_, reference)| reference).collect();
        let client = context.client(registry, &parsed)?;
        let private_key = context.private_key(&key.key, &key.passphrase)?;
        let public_key = private_key.public_key().clone();
        Ok(Self { context, client, publish, signer: KeySigner::new(private_key), public_key, references })
    }

    /// Signs every reference; one that fails does not stop the others.
    pub(crate) async fn run(&self, purpose: &Purpose) -> Batch<Signed> {
        let mut results = Vec::new();
        for (text, reference) in &self.references {
            results.push((text.clone(), self.sign_reference(reference, purpose).await));
        }
        Batch(results)
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
            targets = members.into_iter().map(|member| (member.descriptor().clone(), member.platform)).collect();
        }
        let mut manifests = Vec::new();
        for (target, platform) in targets {
            let (state, stored) = self.sign_manifest(&subject, &target, purpose).await?;
            manifests.push(SignedManifest { digest: target.digest, platform, state, stored });
        }
        Ok(Signed { reference: subject.by_digest().to_string(), manifests, bundle_file: self.publish.bundle.clone() })
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
            let verifier = verifier(annotations.clone());
            let evidence = self
                .evidence(repository, &target.digest, &verifier, &Claim::ImageSignature, Effort::FirstMatch)
                .await?;
            match evidence.verdict() {
                Verdict::Verified => return Ok((State::AlreadySigned, Vec::new())),
                Verdict::Undecided => return Err(CliError::undecided(&subject.reference, &evidence)),
                _ => {}
            }
        }
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

    async fn sign_bundle(
        &self,
        repository: &dyn Repository,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<Option<Stored>, CliError> {
        let statement = purpose.statement(&target.digest).map_err(CliError::Statement)?;
        let bundle = sign(&statement, &self.signer, &[]).await.map_err(CliError::Sign)?;
        let json = bundle.to_json().map_err(CliError::Bundle)?;
        // What is published is what was read back, not what was meant.
        let written = Bundle::parse(json.as_bytes()).map_err(CliError::Bundle)?;
        self.check(&written.clone().into(), &target.digest, purpose)?;
        if let Some(path) = &self.publish.bundle {
            files::write(path, json.as_bytes(), Readers::Everyone, Overwrite::Allowed)?;
        }
        if self.publish.no_upload {
            return Ok(None);
        }
        let manifest = attach_bundle(repository, target, &written, self.context.now()).await;
        let manifest = manifest.map_err(CliError::Attach)?;
        Ok(Some(Stored { format: "bundle", tag: None, digest: manifest.digest }))
    }

    async fn sign_legacy(
        &self,
        subject: &Subject<dyn Repository>,
        target: &Descriptor,
        purpose: &Purpose,
    ) -> Result<Option<Stored>, CliError> {
        let name = subject.reference.repository().to_string();
        let (suffix, layer) = match purpose {
            Purpose::ImageSignature { annotations, identity, .. } => {
                let identity = identity.clone().unwrap_or(name);
                let payload = SimpleSigning::new(identity, target.digest.clone(), annotations.clone());
                let signed = sign_simple(&payload, &self.signer).await.map_err(CliError::Sign)?;
                let mut layer = NewLayer::new(media_type::SIMPLE_SIGNING, signed.payload);
                layer.annotations = signed.annotations;
                let entity = SignedEntity::from_simple_signing_layer(&layer.descriptor(), layer.content.clone());
                self.check(&entity.map_err(CliError::Layer)?, &target.digest, purpose)?;
                (CosignSuffix::Signature, layer)
            }
            Purpose::Attestation { .. } | Purpose::Statement(_) => {
                let statement = purpose.legacy_statement(&target.digest, name).map_err(CliError::Statement)?;
                let envelope = sign_envelope(&statement, &self.signer).await.map_err(CliError::Sign)?;
                let json = envelope.to_json().map_err(CliError::Envelope)?;
                let layer = NewLayer::new(media_type::DSSE_ENVELOPE, json)
                    .with_annotation(annotation::COSIGN_SIGNATURE, "")
                    .with_annotation(annotation::COSIGN_PREDICATE_TYPE, statement.predicate_type());
                let entity = SignedEntity::from_attestation_layer(&layer.descriptor(), layer.content.clone());
                self.check(&entity.map_err(CliError::Layer)?, &target.digest, purpose)?;
                (CosignSuffix::Attestation, layer)
            }
        };
        if self.publish.no_upload {
            return Ok(None);
        }
        let manifest = attach_cosign_tag(&*subject.repository, &target.digest, suffix, &layer).await;
        let digest = manifest.map_err(CliError::Attach)?.digest;
        Ok(Some(Stored { format: "legacy", tag: Some(suffix.tag(&target.digest).to_string()), digest }))
    }

    /// Verifies what was made as a stranger would, before anybody sees it.
    fn check(&self, entity: &SignedEntity, digest: &Digest, purpose: &Purpose) -> Result<(), CliError> {
        let annotations = match purpose {
            Purpose::ImageSignature { annotations, .. } => annotations.clone(),
            Purpose::Attestation { .. } | Purpose::Statement(_) => BTreeMap::new(),
        };
        verifier(annotations)
            .verify(entity, &Artifact::Digest(digest), &self.identity()?, &purpose.claim())
            .map(|_| ())
            .map_err(CliError::OwnSignature)
    }

    /// Returns the manifests of earlier attestations that the new one replaces.
    async fn earlier(
        &self,
        repository: &dyn Repository,
        digest: &Digest,
        purpose: &Purpose,
    ) -> Result<Vec<Digest>, CliError> {
        let Purpose::Attestation { replace: Replace::Earlier, .. } = purpose else { return Ok(Vec::new()) };
        let evidence =
            self.evidence(repository, digest, &verifier(BTreeMap::new()), &purpose.claim(), Effort::All).await?;
        let bundles = evidence
            .verified()
            .iter()
            .filter(|proof| proof.verified.format() == sealift_core::entity::EntityFormat::SigstoreBundle);
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
        let identity = self.identity()?;
        Ok(evidence::gather(repository.as_read(), digest, verifier, &identity, claim, effort).await)
    }

    fn identity(&self) -> Result<IdentityMatcher, CliError> {
        IdentityMatcher::keys(vec![self.public_key.clone()]).map_err(CliError::Identity)
    }

    fn failed(
        &self,
        task: &'static str,
        reference: &Reference,
        source: sealift_core::repository::RepositoryError,
    ) -> CliError {
        CliError::Repository { task, subject: reference.to_string(), source }
    }
}

impl Purpose {
    /// Returns what a verifier will be asked.
    fn claim(&self) -> Claim {
        match self {
            Self::Attestation { predicate_type, .. } => {
                Claim::Attestation { predicate_type: Some(predicate_type.clone()) }
            }
            Self::ImageSignature { .. } => Claim::ImageSignature,
            Self::Statement(statement) => {
                Claim::Attestation { predicate_type: Some(statement.predicate_type().to_owned()) }
            }
        }
    }

    /// Returns the statement a bundle holds.
    fn statement(&self, digest: &Digest) -> Result<Statement, statement::StatementError> {
        match self {
            Self::Attestation { predicate_type, predicate, .. } => {
                Statement::new(vec![statement::Subject::of(digest)], predicate_type, predicate)
            }
            Self::ImageSignature { annotations, .. } => Statement::image_signature(digest, annotations.clone()),
            Self::Statement(statement) => Ok(statement.clone()),
        }
    }

    /// Returns the statement a `.att` layer holds: cosign 2 writes version 0.1, and a name.
    fn legacy_statement(&self, digest: &Digest, name: String) -> Result<Statement, statement::StatementError> {
        match self {
            Self::Attestation { predicate_type, predicate, .. } => {
                let subject = statement::Subject::of(digest).named(name);
                Statement::with_version(StatementVersion::V01, vec![subject], predicate_type, predicate)
            }
            _ => self.statement(digest),
        }
    }
}

/// Says whether one of the statement's subjects has this digest.
pub(crate) fn is_about(statement: &Statement, digest: &Digest) -> bool {
    let hex = digest.hex();
    let mut subjects = statement.subjects().iter();
    subjects.any(|subject| subject.digest.get(digest.algorithm().as_str()).is_some_and(|found| *found == hex))
}

fn verifier(annotations: BTreeMap<String, String>) -> Verifier {
    Verifier::new(Requirements::default().with_annotations(annotations))
}
