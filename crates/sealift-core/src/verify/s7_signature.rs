//! Step 7: did the signer's key sign these bytes?

use super::{Artifact, VerifyError};
use crate::crypto::{Message, PublicKey};
use crate::entity::{SignedContent, SignedEntity};
use crate::identity::IdentityMatcher;

/// Calls `verify` with the message that the entity's signature is over, and the signature.
pub(super) fn with_message<T>(
    content: &SignedContent,
    artifact: &Artifact<'_>,
    verify: impl FnOnce(&Message<'_>, &[u8]) -> T,
) -> T {
    match content {
        SignedContent::Envelope(envelope) => {
            verify(&Message::new(&envelope.pre_authentication().pieces()), envelope.signature())
        }
        SignedContent::SimpleSigning { payload, signature } => verify(&Message::new(&[payload.as_ref()]), signature),
        SignedContent::MessageSignature { signature, .. } => match artifact {
            Artifact::Bytes(bytes) => verify(&Message::new(&[*bytes]), signature),
            Artifact::Digest(digest) => verify(&Message::of_digest(digest), signature),
        },
    }
}

/// Returns the accepted key that made the signature; `None` when it is that of a certificate, if one may be.
///
/// Tries every accepted key; the hint, which is not signed, only says which error is the most telling.
pub(super) fn accepted_key<'a>(
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    identity: &'a IdentityMatcher,
) -> Result<Option<&'a PublicKey>, VerifyError> {
    let keys = identity.accepted_keys();
    let found = with_message(&entity.content, artifact, |message, signature| {
        keys.iter().find(|key| key.verify_message(message, signature).is_ok())
    });
    if found.is_some() {
        return Ok(found);
    }
    match (entity.material.key.has_certificate(), identity.accepts_certificates()) {
        (true, true) => return Ok(None),
        (true, false) => return Err(VerifyError::CertificateUnsupported),
        (false, true) if keys.is_empty() => return Err(VerifyError::NoCertificate),
        (false, _) => {}
    }
    let hint = entity.material.key.hint();
    match keys.iter().find(|key| hint.is_some_and(|hint| key.key_id() == hint)) {
        Some(key) => Err(VerifyError::InvalidSignature { key_id: key.key_id() }),
        None => Err(VerifyError::WrongKey { hint: hint.map(crate::repository::foreign_text) }),
    }
}

/// Verifies the signature under the key of a certificate.
pub(super) fn verify(entity: &SignedEntity, artifact: &Artifact<'_>, key: &PublicKey) -> Result<(), VerifyError> {
    with_message(&entity.content, artifact, |message, signature| key.verify_message(message, signature))
        .map_err(|_| VerifyError::InvalidCertificateSignature)
}
