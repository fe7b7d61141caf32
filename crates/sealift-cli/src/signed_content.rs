//! Reads what attachments hold, to show it or to hand it out; nothing here is verified.

use bytes::Bytes;
use sealift_core::entity::{MaterialKey, SignedContent, SignedEntity};
pub(crate) use sealift_core::evidence::{ReadSignature as Signed, read_signatures as read};
use sealift_core::oci::Descriptor;
use sealift_core::repository::{ReadRepository, RepositoryError};
use sealift_core::x509::Certificate;

/// Reads one blob whole.
pub(crate) async fn blob(
    repository: &dyn ReadRepository,
    layer: &Descriptor,
    limit: u64,
) -> Result<Bytes, RepositoryError> {
    let content = repository.fetch(layer).await?;
    content.read_all(limit).await.map_err(|error| RepositoryError::of_content(repository.name(), error))
}

/// Returns the payload: a statement, or a legacy payload.
pub(crate) fn payload(entity: &SignedEntity) -> Option<&Bytes> {
    match &entity.content {
        SignedContent::Envelope(envelope) => Some(envelope.payload()),
        SignedContent::SimpleSigning { payload, .. } => Some(payload),
        _ => None,
    }
}

/// Returns the certificates in PEM, the signer's first; what is no certificate is left out.
pub(crate) fn certificates(entity: &SignedEntity) -> Vec<u8> {
    let MaterialKey::Certificates(certificates) = &entity.material.key else { return Vec::new() };
    let parsed = certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
    parsed.flat_map(|certificate| certificate.to_pem().into_bytes()).collect()
}
