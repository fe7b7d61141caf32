//! A signature as its holder knows it, and where a log entry says something else.
//!
//! A genuine entry of another signature is what forged log evidence is made of (CVE-2022-23649, CVE-2022-36056,
//! CVE-2026-22703).

use super::entry::{LoggedContent, LoggedSignature, LoggedVerifier};
use crate::crypto::PublicKey;
use crate::entity::SignedContent;
use crate::oci::{Digest, DigestAlgorithm, Hasher};
use crate::x509::Certificate;

/// The signature that a log entry must be of.
#[derive(Clone, Copy)]
pub struct ExpectedSignature<'a> {
    /// What was signed, and the signature.
    pub content: &'a SignedContent,
    /// The key it verifies under.
    pub key: &'a PublicKey,
    /// The certificate over the key, if it came with one.
    pub certificate: Option<&'a Certificate>,
    /// Digest of the artifact, for signatures over its own bytes; `None` when it is not known by that algorithm.
    pub artifact_digest: &'a dyn Fn(DigestAlgorithm) -> Option<Digest>,
    /// SHA-256 of the envelope's JSON as it was stored, where it was.
    pub stored_envelope: Option<&'a Digest>,
}

impl ExpectedSignature<'_> {
    /// Returns what a log entry says otherwise: `key`, `signature`, `digest`, `payload digest`, `envelope digest` or
    /// `kind`; `None` when the entry is of this very signature.
    pub fn differing_field(&self, logged: &LoggedSignature) -> Option<&'static str> {
        let is_signer = match &logged.verifier {
            LoggedVerifier::Certificate(der) => self.certificate.is_some_and(|certificate| certificate.as_der() == der),
            LoggedVerifier::PublicKey(der) => self.key.as_der() == der,
        };
        if !is_signer {
            return Some("key");
        }
        match (&logged.content, self.content) {
            (LoggedContent::Message(digest), content) => {
                if logged.signature.as_deref() != Some(content.signature()) {
                    return Some("signature");
                }
                (self.message_digest(digest.algorithm()).as_ref() != Some(digest)).then_some("digest")
            }
            (LoggedContent::Envelope { payload, json }, SignedContent::Envelope(envelope)) => {
                let is_other = |digest: &Digest| Digest::of(digest.algorithm(), envelope.payload()) != *digest;
                if payload.as_ref().is_some_and(is_other) {
                    return Some("payload digest");
                }
                if json.is_some() && json.as_ref() != self.stored_envelope {
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

    /// Returns the digest of what was signed: of an envelope, its pre-authentication encoding.
    pub fn message_digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        match self.content {
            SignedContent::Envelope(envelope) => {
                let mut hasher = Hasher::new(algorithm);
                envelope.pre_authentication().pieces().into_iter().for_each(|piece| hasher.update(piece));
                Some(hasher.finish())
            }
            SignedContent::MessageSignature { .. } => (self.artifact_digest)(algorithm),
            SignedContent::SimpleSigning { payload, .. } => Some(Digest::of(algorithm, payload)),
        }
    }
}

impl std::fmt::Debug for ExpectedSignature<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpectedSignature").field("key", self.key).finish_non_exhaustive()
    }
}
