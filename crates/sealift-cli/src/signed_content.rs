//! Reads what attachments hold, to show it or to hand it out; nothing here is verified.

use bytes::Bytes;
use sealift_core::attach::{Attachment, AttachmentKind};
use sealift_core::entity::{Bundle, SignedContent, SignedEntity};
use sealift_core::evidence::MAX_SIGNATURE_BYTES;
use sealift_core::oci::{Descriptor, media_type};
use sealift_core::repository::{ReadRepository, RepositoryError};

/// One signature or attestation, or the reason why it is none.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) layer: Descriptor,
    /// The layer's bytes: a bundle, an envelope or a legacy payload.
    pub(crate) bytes: Bytes,
    pub(crate) entity: Result<SignedEntity, Box<dyn std::error::Error + Send + Sync>>,
}

/// Reads the signatures that an attachment holds; none for attachments of other kinds.
pub(crate) async fn read(
    repository: &dyn ReadRepository,
    attachment: &Attachment,
) -> Result<Vec<Signed>, RepositoryError> {
    let mut found = Vec::new();
    // The attachment was opened, so its manifest parses.
    for layer in attachment.manifest.parse().map(|manifest| manifest.layers).unwrap_or_default() {
        let is_signed = layer.media_type.is_sigstore_bundle()
            || layer.media_type == media_type::SIMPLE_SIGNING
            || layer.media_type == media_type::DSSE_ENVELOPE;
        if is_signed {
            let bytes = blob(repository, &layer, MAX_SIGNATURE_BYTES).await?;
            found.push(Signed { entity: entity(&layer, &bytes), layer, bytes });
        }
    }
    Ok(found)
}

/// Says whether attachments of this kind hold signatures that [`read`] reads.
pub(crate) fn is_signed(kind: AttachmentKind) -> bool {
    matches!(kind, AttachmentKind::SigstoreBundle | AttachmentKind::CosignSignature | AttachmentKind::CosignAttestation)
}

/// Reads one blob whole.
pub(crate) async fn blob(
    repository: &dyn ReadRepository,
    layer: &Descriptor,
    limit: u64,
) -> Result<Bytes, RepositoryError> {
    let content = repository.fetch(layer).await?;
    content.read_all(limit).await.map_err(|error| RepositoryError::of_content(repository.name(), error))
}

fn entity(layer: &Descriptor, bytes: &Bytes) -> Result<SignedEntity, Box<dyn std::error::Error + Send + Sync>> {
    match layer.media_type.as_str() {
        media_type::SIMPLE_SIGNING => Ok(SignedEntity::from_simple_signing_layer(layer, bytes.clone())?),
        media_type::DSSE_ENVELOPE => Ok(SignedEntity::from_attestation_layer(layer, bytes.clone())?),
        _ => Ok(Bundle::parse(bytes)?.into()),
    }
}

/// Returns the payload: a statement, or a legacy payload.
pub(crate) fn payload(entity: &SignedEntity) -> Option<&Bytes> {
    match &entity.content {
        SignedContent::Envelope(envelope) => Some(envelope.payload()),
        SignedContent::SimpleSigning { payload, .. } => Some(payload),
        _ => None,
    }
}
