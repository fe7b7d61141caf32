//! Signing in the name of the destination: what was promoted, and every artifact that came along with it.
//!
//! Nothing that the same signer has signed already is signed again, so that a promotion may be repeated.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use sealift_core::attach::{
    AttachError, Attachment, AttachmentKind, CosignSuffix, MAX_COSIGN_LAYERS, NewArtifact, NewLayer, Storage,
    attach_cosign_tag, push_artifact,
};
use sealift_core::entity::{Bundle, BundleError, LayerError, SignedEntity, SimpleSigning};
use sealift_core::evidence::{Likelihood, MAX_CANDIDATES, read_signatures};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, media_type};
use sealift_core::repository::{Pushed, ReadRepository, RepositoryError, Snapshot};
use sealift_core::sign::{SignError, Signer, sign, sign_simple};
use sealift_core::statement::{Statement, StatementError};
use sealift_core::verify::{Artifact, Claim, Verified, Verifier, VerifyError};
use sealift_core::witness::Witness;
use serde::Serialize;

use crate::approved::Approved;
use crate::completeness::ArrivalProof;
use crate::destination::listed;
use crate::object::Role;
use crate::presence::Presence;

/// Things signed, and signatures read, at once.
const CONCURRENCY: usize = 8;

/// Who signs at the destination, and what tells its signatures from others'.
#[derive(Debug)]
pub struct Endorser<'a> {
    /// Signs.
    pub signer: &'a dyn Signer,
    /// Those who testify.
    pub witnesses: Vec<&'a dyn Witness>,
    /// Whose signatures are its own.
    pub identity: &'a IdentityMatcher,
    /// Must accept what was signed before it is stored.
    pub verifier: &'a Verifier,
    /// The time it is.
    pub time: Timestamp,
}

/// How what was promoted is signed once more.
#[derive(Clone, Debug)]
pub struct Resigning {
    /// The forms, each of which is looked for and made by itself.
    pub forms: Vec<SignatureForm>,
    /// The docker-reference of the [`SignatureForm::CosignTag`]; the destination repository where there is none.
    pub docker_reference: Option<String>,
}

/// How a signature is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureForm {
    /// A Sigstore bundle as a referrer.
    Bundle,
    /// A layer of cosign's tag `.sig`.
    CosignTag,
}

/// One thing that the destination's signer has signed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Endorsed {
    /// What is signed.
    pub subject: Digest,
    /// The manifest that holds the signature.
    pub manifest: Digest,
    /// How it is stored.
    pub form: SignatureForm,
    /// Whether it was there.
    pub presence: Presence,
}

impl Approved<'_> {
    /// Signs the image, every manifest of an index that arrived, and every artifact attached to them that is no
    /// signature itself.
    ///
    /// # Errors
    /// [`EndorseError`]; no tag was moved then, and what was signed is found when it is run again.
    pub async fn resign(mut self, endorser: &Endorser<'_>, how: &Resigning) -> Result<Self, EndorseError> {
        let subjects = self.resigned_subjects();
        for form in &how.forms {
            let this = &self;
            let signed = stream::iter(&subjects).map(|subject| async move {
                let signed = match form {
                    SignatureForm::Bundle => this.resign_bundle(endorser, subject).await?,
                    SignatureForm::CosignTag => this.resign_cosign_tag(endorser, subject, how).await?,
                };
                Ok::<_, EndorseError>((subject, signed))
            });
            let signed: Vec<_> = signed.buffered(CONCURRENCY).try_collect().await?;
            for (subject, signed) in signed {
                let endorsed = self.note(&subject.digest, *form, signed);
                self.resigned.push(endorsed);
            }
        }
        Ok(self)
    }

    /// Returns what is signed, each manifest once.
    fn resigned_subjects(&self) -> Vec<Descriptor> {
        let proofs: BTreeMap<_, _> =
            self.moved.completeness.arrived.iter().map(|arrived| (&arrived.digest, arrived.proof)).collect();
        let mut seen = HashSet::new();
        let objects = self.moved.plan.objects.iter().filter(|object| match object.role {
            Role::Root | Role::Child => true,
            Role::Referrer => !object.kind.is_some_and(AttachmentKind::is_signature),
            // The index that lists it is signed.
            Role::Part => false,
            // Merged with what the destination had, it is there under another digest.
            Role::CosignTag => {
                object.kind == Some(AttachmentKind::CosignSbom)
                    && proofs.get(object.digest()) != Some(&ArrivalProof::Merged)
            }
        });
        let descriptors = objects.map(|object| object.manifest.descriptor().to_plain());
        descriptors.filter(|descriptor| seen.insert(descriptor.digest.clone())).collect()
    }

    async fn resign_bundle(&self, endorser: &Endorser<'_>, subject: &Descriptor) -> Result<Stored, EndorseError> {
        let claim = Claim::ImageSignature;
        let own = endorser.own_bundles(&self.moved.arrived, &subject.digest, &claim).await?;
        if let Some((manifest, _)) = own.into_iter().next() {
            return Ok(Stored::found(manifest));
        }
        let statement =
            Statement::image_signature(&subject.digest, BTreeMap::new()).map_err(EndorseError::Statement)?;
        let bundle = endorser.sign(&statement, &subject.digest, &claim).await?;
        self.store(endorser, subject, &bundle).await
    }

    /// Attaches a bundle to `subject`; where the destination does not list it by itself, it is linked with all others.
    pub(crate) async fn store(
        &self,
        endorser: &Endorser<'_>,
        subject: &Descriptor,
        bundle: &Bundle,
    ) -> Result<Stored, EndorseError> {
        let artifact = NewArtifact::of_bundle(bundle, endorser.time).map_err(EndorseError::Bundle)?;
        let (entry, pushed) = push_artifact(self.moved.destination, subject, &artifact).await?;
        let manifest = entry.digest.clone();
        let unlinked = (pushed == Pushed::Unlisted).then_some(entry);
        Ok(Stored { manifest, presence: Presence::Written, unlinked })
    }

    /// Notes what was signed, and what has still to be linked.
    pub(crate) fn note(&mut self, subject: &Digest, form: SignatureForm, stored: Stored) -> Endorsed {
        let Stored { manifest, presence, unlinked } = stored;
        if let Some(entry) = unlinked {
            self.unlinked.entry(subject.clone()).or_default().push(entry);
        }
        Endorsed { subject: subject.clone(), manifest, form, presence }
    }

    async fn resign_cosign_tag(
        &self,
        endorser: &Endorser<'_>,
        subject: &Descriptor,
        how: &Resigning,
    ) -> Result<Stored, EndorseError> {
        let (destination, digest) = (self.moved.destination, &subject.digest);
        let name = how.docker_reference.clone().unwrap_or_else(|| destination.name().to_string());
        let payload = SimpleSigning::new(name, digest.clone(), BTreeMap::new());
        if let Some(manifest) = endorser.own_layer(&self.moved.arrived, &payload).await? {
            return Ok(Stored::found(manifest));
        }
        let signed = sign_simple(&payload, endorser.signer, &endorser.witnesses).await.map_err(EndorseError::Sign)?;
        let layer =
            NewLayer { annotations: signed.annotations, ..NewLayer::new(media_type::SIMPLE_SIGNING, signed.content) };
        let entity = SignedEntity::from_simple_signing_layer(&layer.descriptor(), layer.content.clone());
        endorser.check(&entity.map_err(EndorseError::Layer)?, digest, &Claim::ImageSignature)?;
        let manifest = attach_cosign_tag(destination, digest, CosignSuffix::Signature, &layer).await?;
        Ok(Stored { manifest: manifest.digest, presence: Presence::Written, unlinked: None })
    }
}

/// What became of one signature.
#[derive(Debug)]
pub(crate) struct Stored {
    manifest: Digest,
    presence: Presence,
    /// The entry that has still to be linked.
    unlinked: Option<Descriptor>,
}

impl Stored {
    pub(crate) fn found(manifest: Digest) -> Self {
        Self { manifest, presence: Presence::Found, unlinked: None }
    }
}

impl Endorser<'_> {
    /// Signs a statement and returns what was read back and verified, not what was meant.
    pub(crate) async fn sign(
        &self,
        statement: &Statement,
        subject: &Digest,
        claim: &Claim,
    ) -> Result<Bundle, EndorseError> {
        let signed = sign(statement, self.signer, &self.witnesses).await.map_err(EndorseError::Sign)?;
        let json = signed.to_json().map_err(EndorseError::Bundle)?;
        let bundle = Bundle::parse(json.as_bytes()).map_err(EndorseError::Bundle)?;
        self.check(&bundle.clone().into(), subject, claim)?;
        Ok(bundle)
    }

    fn check(&self, entity: &SignedEntity, subject: &Digest, claim: &Claim) -> Result<(), EndorseError> {
        let verified = self.verifier.verify(entity, &Artifact::Digest(subject), self.identity, claim);
        verified.map(|_| ()).map_err(EndorseError::OwnSignature)
    }

    /// Returns the bundles of its own that state `claim` about `subject`, as the destination lists them, each with the
    /// digest of its manifest.
    ///
    /// Looks where a promotion attaches, and no further: at worst something is signed twice. Of more than
    /// [`MAX_CANDIDATES`] manifests the likeliest are opened, and if none of them is its own, that is an error: signing
    /// once more each time would only make them more.
    pub(crate) async fn own_bundles(
        &self,
        destination: &Snapshot<'_>,
        subject: &Digest,
        claim: &Claim,
    ) -> Result<Vec<(Digest, Verified)>, EndorseError> {
        let (storage, listed) = listed(destination, subject).await.map_err(EndorseError::Read)?;
        let mut entries: Vec<_> = listed
            .into_iter()
            .map(|entry| (Likelihood::of(entry.artifact_type.as_deref(), &entry.annotations, claim), entry))
            // The API says what the manifests say. What a fallback index says, any tool may have written.
            .filter(|(likelihood, _)| storage == Storage::FallbackTag || may_be_own(*likelihood))
            .collect();
        entries.sort_by_key(|(likelihood, _)| *likelihood);
        let are_too_many = entries.len() > MAX_CANDIDATES;
        entries.truncate(MAX_CANDIDATES);
        let own = stream::iter(entries)
            .map(|(_, entry)| self.own_bundles_in(destination, subject, storage, entry.digest, claim));
        let own: Vec<Vec<_>> = own.buffered(CONCURRENCY).try_collect().await?;
        let own: Vec<_> = own.into_iter().flatten().collect();
        if own.is_empty() && are_too_many {
            let (repository, what) = (destination.name().clone(), "number of possible signatures");
            let limit = MAX_CANDIDATES as u64;
            return Err(EndorseError::Read(RepositoryError::TooLarge { repository, what, limit }));
        }
        Ok(own)
    }

    /// Returns what a manifest holds of [`Endorser::own_bundles`], if it says itself that it may.
    async fn own_bundles_in(
        &self,
        destination: &Snapshot<'_>,
        subject: &Digest,
        storage: Storage,
        digest: Digest,
        claim: &Claim,
    ) -> Result<Vec<(Digest, Verified)>, EndorseError> {
        let Some(manifest) = present(destination.manifest(&Selector::Digest(digest.clone())).await)? else {
            return Ok(Vec::new());
        };
        let may_hold = manifest.parse().is_ok_and(|parsed| {
            let likelihood = Likelihood::of(parsed.artifact_type(), &parsed.annotations, claim);
            parsed.holds_sigstore_bundle() && may_be_own(likelihood)
        });
        if !may_hold {
            return Ok(Vec::new());
        }
        let own = self.own_in(destination, subject, storage, &manifest, claim).await?;
        Ok(own.into_iter().map(|verified| (digest.clone(), verified)).collect())
    }

    /// Returns the digest of what cosign's tag `.sig` holds, if that has a signature of its own over `payload`.
    async fn own_layer(
        &self,
        destination: &Snapshot<'_>,
        payload: &SimpleSigning,
    ) -> Result<Option<Digest>, EndorseError> {
        let suffix = CosignSuffix::Signature;
        let tag = Selector::Tag(suffix.tag(payload.digest()));
        let Some(manifest) = present(destination.manifest(&tag).await)? else { return Ok(None) };
        let (storage, claim) = (Storage::CosignTag(suffix), Claim::ImageSignature);
        let own = self.own_in(destination, payload.digest(), storage, &manifest, &claim).await?;
        let is_same = own.iter().any(|verified| {
            let signed = verified.payload().and_then(|bytes| SimpleSigning::parse(bytes).ok());
            signed.is_some_and(|signed| signed.docker_reference() == payload.docker_reference())
        });
        Ok(is_same.then(|| manifest.descriptor().digest.clone()))
    }

    /// Returns what `manifest` holds that it signed itself about `subject`.
    async fn own_in(
        &self,
        destination: &Snapshot<'_>,
        subject: &Digest,
        storage: Storage,
        manifest: &RawManifest,
        claim: &Claim,
    ) -> Result<Vec<Verified>, EndorseError> {
        let Ok(parsed) = manifest.parse() else { return Ok(Vec::new()) };
        if parsed.layers.len() > MAX_COSIGN_LAYERS {
            return Ok(Vec::new());
        }
        let attachment = Attachment {
            subject: subject.clone(),
            storage,
            kind: AttachmentKind::of(&parsed, storage),
            artifact_type: parsed.artifact_type().map(str::to_owned),
            manifest: manifest.clone(),
        };
        let read = present(read_signatures(destination, &attachment).await)?.unwrap_or_default();
        let entities = read.iter().filter_map(|signature| signature.entity.as_ref().ok());
        let artifact = Artifact::Digest(subject);
        Ok(entities.filter_map(|entity| self.verifier.verify(entity, &artifact, self.identity, claim).ok()).collect())
    }
}

/// Says whether something may be a bundle that a promotion attached: those say what they state.
fn may_be_own(likelihood: Likelihood) -> bool {
    matches!(likelihood, Likelihood::Likely | Likelihood::Unknown)
}

/// What is not there is not its own either; that it could not be read is an error.
fn present<T>(answer: Result<T, RepositoryError>) -> Result<Option<T>, EndorseError> {
    RepositoryError::absent_as_none(answer).map_err(EndorseError::Read)
}

/// Says why nothing was signed at the destination, or what was signed is not attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndorseError {
    /// It could not be attached.
    #[error("attaching failed")]
    Attach(#[from] AttachError),
    /// The bundle has no JSON form, or does not read as one.
    #[error("the bundle is not usable")]
    Bundle(#[source] BundleError),
    /// The layer does not read as one of cosign's.
    #[error("the layer is not usable")]
    Layer(#[source] LayerError),
    /// Nobody judged the source, so there is nothing to record.
    #[error("a promotion that nobody judged at its source has no record")]
    NotJudged,
    /// What was signed does not verify, so it was not stored.
    #[error("what was signed does not verify, and is not stored")]
    OwnSignature(#[source] VerifyError),
    /// What the destination holds could not be read.
    #[error("what is signed already could not be read")]
    Read(#[source] RepositoryError),
    /// The signer or a witness failed.
    #[error("signing failed")]
    Sign(#[source] SignError),
    /// The statement could not be made.
    #[error("the statement could not be made")]
    Statement(#[source] StatementError),
    /// There are more objects than a record holds.
    #[error("a record holds {limit} objects at most, and the promotion has more")]
    TooMany {
        /// The most objects.
        limit: usize,
    },
}
