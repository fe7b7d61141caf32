//! Step 8, the logs' half: is what was logged this signature, by this key, over this content?

use super::s4_inclusion::VerifiedEntry;
use super::{Artifact, VerifyError};
use crate::crypto::PublicKey;
use crate::entity::SignedEntity;
use crate::tlog::ExpectedSignature;
use crate::tlog::entry::LoggedSignature;
use crate::x509::Certificate;

/// The signer, as a log entry must name it.
pub(super) struct Signer<'a> {
    pub(super) key: &'a PublicKey,
    pub(super) certificate: Option<&'a Certificate>,
}

pub(super) fn verify(
    entries: &[VerifiedEntry<'_>],
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    signer: &Signer<'_>,
) -> Result<(), VerifyError> {
    let expected = ExpectedSignature {
        content: &entity.content,
        key: signer.key,
        certificate: signer.certificate,
        artifact_digest: &|algorithm| artifact.digest(algorithm),
        stored_envelope: entity.stored_envelope.as_ref(),
    };
    for VerifiedEntry { position, entry, .. } in entries {
        let position = *position;
        let logged = LoggedSignature::parse(&entry.kind, &entry.version, &entry.canonicalized_body)
            .map_err(|source| VerifyError::LogEntry { position, source })?;
        if let Some(field) = expected.differing_field(&logged) {
            return Err(VerifyError::LogEntryMismatch { position, field });
        }
    }
    Ok(())
}
