//! Reads every signature that an attachment holds, whatever it claims; nothing here is verified.

use bytes::Bytes;

use super::RejectionReason;
use super::candidate::{Form, MAX_SIGNATURE_BYTES, parse_layer};
use crate::attach::Attachment;
use crate::entity::{SignedContent, SignedEntity};
use crate::oci::Descriptor;
use crate::repository::{ReadRepository, RepositoryError};
use crate::statement::{Statement, predicate};

/// One signature or attestation as an attachment holds it, or the reason why it is none.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadSignature {
    /// The layer.
    pub layer: Descriptor,
    /// The layer's bytes: a bundle, an envelope or a legacy payload.
    pub bytes: Bytes,
    /// What is signed and by what.
    pub entity: Result<SignedEntity, RejectionReason>,
}

impl ReadSignature {
    /// Returns the payload: a statement, or a legacy payload.
    pub fn payload(&self) -> Option<&Bytes> {
        match &self.entity.as_ref().ok()?.content {
            SignedContent::Envelope(envelope) => Some(envelope.payload()),
            SignedContent::SimpleSigning { payload, .. } => Some(payload),
            SignedContent::MessageSignature { .. } => None,
        }
    }

    /// Returns the predicate's type as the statement says; a legacy payload stands for an image's signature.
    pub fn predicate_type(&self) -> Option<String> {
        match &self.entity.as_ref().ok()?.content {
            SignedContent::SimpleSigning { .. } => Some(predicate::IMAGE_SIGNATURE.to_owned()),
            _ => Statement::from_bytes(self.payload()?.clone()).ok().map(|it| it.predicate_type().to_owned()),
        }
    }
}

/// Reads the signatures of `attachment`; none where it holds none.
///
/// # Errors
/// Fails when one cannot be read; that it is malformed is an answer.
pub async fn read_signatures(
    repository: &dyn ReadRepository,
    attachment: &Attachment,
) -> Result<Vec<ReadSignature>, RepositoryError> {
    let mut found = Vec::new();
    // The attachment was opened, so its manifest parses.
    for layer in attachment.manifest.parse().map(|manifest| manifest.layers).unwrap_or_default() {
        let Some(form) = Form::of_layer(&layer) else { continue };
        let content = repository.fetch(&layer).await?;
        let bytes = content.read_all(MAX_SIGNATURE_BYTES).await;
        let bytes = bytes.map_err(|error| RepositoryError::of_content(repository.name(), error))?;
        let entity = parse_layer(form, &layer, &bytes);
        found.push(ReadSignature { layer, bytes, entity });
    }
    Ok(found)
}
