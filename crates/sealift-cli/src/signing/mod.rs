//! Signing as `sign` and `attest` share it: resolve, sign, verify what was made, and only then store it.

mod purpose;
mod signatory;

use std::collections::BTreeMap;

use sealift_core::attach::{CosignSuffix, NewLayer, attach_bundle, attach_cosign_tag};
use sealift_core::entity::{EntityFormat, SignedEntity, SimpleSigning};
use sealift_core::evidence::{self, Effort, Evidence, Verdict};
use sealift_core::oci::{Descriptor, Digest, Reference, Selector, annotation, media_type};
use sealift_core::repository::{Repository, RepositoryError};
use sealift_core::sign::{sign_envelope, sign_simple};
use sealift_core::verify::{Artifact, Claim, Verifier};
use sealift_oci::Client;

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

pub(crate) use purpose::{Existing, Purpose, Replace, is_about};
pub(crate) use signatory::Signatory;

/// A key and where its signatures go.
pub(crate) struct Signing<'a> {
    context: &'a Context,
    client: Client,
    publish: &'a PublishArgs,
    signatory: Signatory,
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
        let signatory = Signatory::of_key(context.private_key(&key.key, &key.passphrase)?)?;
        Ok(Self { context, client, publish, signatory, references })
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
                let signed = sign_simple(&payload, self.signatory.signer()).await.map_err(CliError::Sign)?;
                let mut layer = NewLayer::new(media_type::SIMPLE_SIGNING, signed.payload);
                layer.annotations = signed.annotations;
                let entity = SignedEntity::from_simple_signing_layer(&layer.descriptor(), layer.content.clone());
                self.check(&entity.map_err(CliError::Layer)?, &target.digest, purpose)?;
                (CosignSuffix::Signature, layer)
            }
            Purpose::Attestation { .. } | Purpose::Statement(_) => {
                let statement = purpose.legacy_statement(&target.digest, name).map_err(CliError::Statement)?;
                let envelope = sign_envelope(&statement, self.signatory.signer()).await.map_err(CliError::Sign)?;
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

    fn check(&self, entity: &SignedEntity, digest: &Digest, purpose: &Purpose) -> Result<(), CliError> {
        self.signatory.check(entity, &Artifact::Digest(digest), &purpose.claim(), purpose.annotations())
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
        let identity = self.signatory.identity();
        Ok(evidence::gather(repository.as_read(), digest, verifier, identity, claim, effort).await)
    }

    fn failed(&self, task: &'static str, reference: &Reference, source: RepositoryError) -> CliError {
        CliError::Repository { task, subject: reference.to_string(), source }
    }
}
