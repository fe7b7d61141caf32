//! Step 7: did an accepted key sign these bytes?

use super::{Artifact, VerifyError};
use crate::crypto::Message;
use crate::entity::{SignedContent, SignedEntity};
use crate::identity::{Identity, IdentityMatcher};

pub(super) fn verify(
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    identity: &IdentityMatcher,
) -> Result<Identity, VerifyError> {
    match &entity.content {
        SignedContent::Envelope(envelope) => {
            let encoded = envelope.pre_authentication();
            verify_message(entity, &Message::new(&encoded.pieces()), envelope.signature(), identity)
        }
        SignedContent::SimpleSigning { payload, signature } => {
            verify_message(entity, &Message::new(&[payload.as_ref()]), signature, identity)
        }
        SignedContent::MessageSignature { signature, .. } => match artifact {
            Artifact::Bytes(bytes) => verify_message(entity, &Message::new(&[*bytes]), signature, identity),
            Artifact::Digest(digest) => verify_message(entity, &Message::of_digest(digest), signature, identity),
        },
    }
}

/// Tries every accepted key; the hint, which is not signed, only says which error is the most telling.
fn verify_message(
    entity: &SignedEntity,
    message: &Message<'_>,
    signature: &[u8],
    identity: &IdentityMatcher,
) -> Result<Identity, VerifyError> {
    let keys = identity.accepted_keys();
    if let Some(key) = keys.iter().find(|key| key.verify_message(message, signature).is_ok()) {
        return Ok(Identity::of_key(key));
    }
    if entity.material.key.has_certificate() {
        return Err(VerifyError::CertificateUnsupported);
    }
    let hint = entity.material.key.hint();
    match keys.iter().find(|key| hint.is_some_and(|hint| key.key_id() == hint)) {
        Some(key) => Err(VerifyError::InvalidSignature { key_id: key.key_id() }),
        None => Err(VerifyError::WrongKey { hint: hint.map(crate::repository::foreign_text) }),
    }
}
