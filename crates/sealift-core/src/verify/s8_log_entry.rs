//! Step 8, the logs' half: is what was logged this signature, by this key, over this content?
//!
//! A genuine entry of another signature is what forged log evidence is made of (CVE-2022-23649, CVE-2022-36056,
//! CVE-2026-22703).

use super::s4_inclusion::VerifiedEntry;
use super::{Artifact, VerifyError};
use crate::crypto::PublicKey;
use crate::entity::{SignedContent, SignedEntity};
use crate::oci::{Digest, Hasher};
use crate::tlog::entry::{LoggedContent, LoggedSignature, LoggedVerifier};
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
    for VerifiedEntry { position, entry, .. } in entries {
        let position = *position;
        let logged = LoggedSignature::parse(&entry.kind, &entry.version, &entry.canonicalized_body)
            .map_err(|source| VerifyError::LogEntry { position, source })?;
        match differing_field(&logged, entity, artifact, signer) {
            None => {}
            Some(field) => return Err(VerifyError::LogEntryMismatch { position, field }),
        }
    }
    Ok(())
}

fn differing_field(
    logged: &LoggedSignature,
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    signer: &Signer<'_>,
) -> Option<&'static str> {
    let is_signer = match &logged.verifier {
        LoggedVerifier::Certificate(der) => signer.certificate.is_some_and(|certificate| certificate.as_der() == der),
        LoggedVerifier::PublicKey(der) => signer.key.as_der() == der,
    };
    if !is_signer {
        return Some("key");
    }
    match (&logged.content, &entity.content) {
        (LoggedContent::Message(digest), content) => {
            if logged.signature.as_deref() != Some(content.signature()) {
                return Some("signature");
            }
            (message_digest(content, artifact, digest).as_ref() != Some(digest)).then_some("digest")
        }
        (LoggedContent::Envelope { payload, json }, SignedContent::Envelope(envelope)) => {
            if payload.as_ref().is_some_and(|digest| Digest::of(digest.algorithm(), envelope.payload()) != *digest) {
                return Some("payload digest");
            }
            if json.is_some() && *json != entity.stored_envelope {
                return Some("envelope digest");
            }
            let is_same = match &logged.signature {
                Some(signature) => signature == envelope.signature(),
                // The digest of the whole envelope, just compared, covers the signature.
                None => json.is_some(),
            };
            let names_content = payload.is_some() || json.is_some();
            (!is_same || !names_content).then_some("signature")
        }
        (LoggedContent::Envelope { .. }, _) => Some("kind"),
    }
}

/// Returns the digest of what was signed, by the algorithm of `like`.
fn message_digest(content: &SignedContent, artifact: &Artifact<'_>, like: &Digest) -> Option<Digest> {
    match content {
        SignedContent::Envelope(envelope) => {
            let mut hasher = Hasher::new(like.algorithm());
            envelope.pre_authentication().pieces().into_iter().for_each(|piece| hasher.update(piece));
            Some(hasher.finish())
        }
        SignedContent::MessageSignature { .. } => artifact.digest(like.algorithm()),
        SignedContent::SimpleSigning { payload, .. } => Some(Digest::of(like.algorithm(), payload)),
    }
}
