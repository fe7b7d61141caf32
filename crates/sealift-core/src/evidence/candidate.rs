//! Candidates: the layers of an opened attachment that may be signatures for a claim.
//!
//! The media type of the layer decides what it is read as; whether it counts, the verifier says.

use bytes::Bytes;
use futures_util::lock::Mutex;

use super::{Place, Rejection, RejectionReason};
use crate::attach::{Attachment, Storage};
use crate::entity::{Bundle, LayerError, SignedEntity};
use crate::oci::{Descriptor, Digest, Manifest, media_type};
use crate::repository::{ReadRepository, RepositoryError};
use crate::verify::Claim;

/// The largest signature or attestation read, in bytes. SBOM attestations of 2 to 8 MiB are common; the bound keeps a
/// hostile one from filling memory.
pub const MAX_SIGNATURE_BYTES: u64 = 16 * 1024 * 1024;
/// Blobs above this size are read one at a time, so that many large ones are never in memory together.
const LARGE_BYTES: u64 = 1024 * 1024;

/// How a layer is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Bundle,
    Envelope,
    SimpleSigning,
}

impl Form {
    /// Returns the form of a layer that holds a signature.
    pub(super) fn of_layer(layer: &Descriptor) -> Option<Self> {
        match layer.media_type.as_str() {
            _ if layer.media_type.is_sigstore_bundle() => Some(Self::Bundle),
            media_type::SIMPLE_SIGNING => Some(Self::SimpleSigning),
            media_type::DSSE_ENVELOPE => Some(Self::Envelope),
            _ => None,
        }
    }

    /// Returns the form of a layer that may speak for `claim`.
    fn of(layer: &Descriptor, claim: &Claim) -> Option<Self> {
        let is_signature = matches!(claim, Claim::ImageSignature);
        Self::of_layer(layer).filter(|form| match form {
            Self::Bundle => true,
            Self::SimpleSigning => is_signature,
            Self::Envelope => !is_signature,
        })
    }
}

/// Layers with one content: different signatures over the same payload share a blob.
pub(super) struct Candidate {
    pub(super) storage: Storage,
    pub(super) manifest: Digest,
    layers: Vec<(Form, Descriptor)>,
}

/// Returns the candidates of `attachment` for `claim`, in the manifest's order.
pub(super) fn candidates(attachment: &Attachment, manifest: &Manifest, claim: &Claim) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for layer in &manifest.layers {
        let Some(form) = Form::of(layer, claim) else { continue };
        match found
            .iter_mut()
            .find(|candidate| candidate.descriptor().is_some_and(|known| known.is_same_content(layer)))
        {
            Some(candidate) => candidate.layers.push((form, layer.clone())),
            None => found.push(Candidate {
                storage: attachment.storage,
                manifest: attachment.descriptor().digest.clone(),
                layers: vec![(form, layer.clone())],
            }),
        }
    }
    found
}

impl Candidate {
    pub(super) fn descriptor(&self) -> Option<&Descriptor> {
        self.layers.first().map(|(_, layer)| layer)
    }

    pub(super) fn place(&self) -> Place {
        let layer = self.descriptor().map(|layer| layer.digest.clone());
        Place { storage: self.storage, manifest: self.manifest.clone(), layer }
    }

    /// Reads the content and returns what each layer says is signed.
    ///
    /// # Errors
    /// Fails only when the content could not be read; that it is missing or malformed is an answer.
    pub(super) async fn read(
        &self,
        repository: &dyn ReadRepository,
        large: &Mutex<()>,
    ) -> Result<Vec<Result<SignedEntity, Rejection>>, RepositoryError> {
        let Some(descriptor) = self.descriptor() else { return Ok(Vec::new()) };
        let _guard = if descriptor.size > LARGE_BYTES { Some(large.lock().await) } else { None };
        let content = match repository.fetch(descriptor).await {
            Ok(content) => content,
            Err(error) if error.is_not_found() => {
                return Ok(vec![Err(self.rejection(RejectionReason::Missing(error)))]);
            }
            Err(error) => return Err(error),
        };
        let bytes = content
            .read_all(MAX_SIGNATURE_BYTES)
            .await
            .map_err(|error| RepositoryError::of_content(repository.name(), error))?;
        let read = self.layers.iter().map(|(form, layer)| parse_layer(*form, layer, &bytes));
        Ok(read.map(|read| read.map_err(|reason| self.rejection(reason))).collect())
    }

    fn rejection(&self, reason: RejectionReason) -> Rejection {
        Rejection { place: self.place(), signer_hint: None, reason }
    }
}

/// Reads what a layer says is signed.
pub(super) fn parse_layer(form: Form, layer: &Descriptor, bytes: &Bytes) -> Result<SignedEntity, RejectionReason> {
    let of_layer = |entity: Result<SignedEntity, LayerError>| entity.map_err(RejectionReason::MalformedLayer);
    match form {
        Form::Bundle => Bundle::parse(bytes).map(SignedEntity::from).map_err(RejectionReason::Malformed),
        Form::Envelope => of_layer(SignedEntity::from_attestation_layer(layer, bytes.clone())),
        Form::SimpleSigning => of_layer(SignedEntity::from_simple_signing_layer(layer, bytes.clone())),
    }
}
