//! A log: its key, its identifier, and when it is trusted.

use sha2::{Digest as _, Sha256};

use crate::crypto::{KeyAlgorithm, KeyError, PublicKey};
use crate::x509::Validity;

/// A transparency log, of signatures or of certificates.
#[derive(Clone, Debug)]
pub struct Log {
    base_url: String,
    id: Vec<u8>,
    key_hint: [u8; 4],
    key: PublicKey,
    validity: Validity,
}

impl Log {
    /// Makes a log known by the SHA-256 of its key, as Rekor 1 and certificate transparency logs are.
    pub fn of_key(base_url: impl Into<String>, key: PublicKey, validity: Validity) -> Self {
        let id: [u8; 32] = Sha256::digest(key.as_der()).into();
        let [a, b, c, d, ..] = id;
        Self { base_url: base_url.into(), id: id.to_vec(), key_hint: [a, b, c, d], key, validity }
    }

    /// Makes a log with the identifiers that a trust root gives it.
    ///
    /// # Errors
    /// When an identifier is shorter than a checkpoint's four bytes, or the key unusable.
    pub fn new(
        base_url: impl Into<String>,
        key: PublicKey,
        id: Vec<u8>,
        checkpoint_id: Option<&[u8]>,
        validity: Validity,
    ) -> Result<Self, LogError> {
        let key_hint = *checkpoint_id.unwrap_or(&id).first_chunk().ok_or(LogError::Identifier)?;
        Ok(Self { base_url: base_url.into(), id, key_hint, key, validity })
    }

    /// Returns where the log answers.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the identifier that entries name the log by.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Returns the key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns when it is trusted.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Says whether a checkpoint's signature line by `name` with `hint` is this log's to verify.
    ///
    /// Ed25519 identifiers are over the name (<https://c2sp.org/signed-note>), so the name is bound to the key; for
    /// ECDSA they are the key's digest, and Rekor 1 installations are free in their name.
    pub(crate) fn signs_as(&self, name: &str, hint: [u8; 4]) -> bool {
        if hint != self.key_hint {
            return false;
        }
        if self.key.algorithm() != KeyAlgorithm::Ed25519 {
            return true;
        }
        // The last 32 bytes of the encoding are the key itself (RFC 8410 section 4).
        let raw = self.key.as_der().last_chunk::<32>().copied().unwrap_or_default();
        let bound = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(raw).finalize();
        bound[..4] == hint
    }
}

/// Number of Ed25519 among the signature types of signed notes.
const ED25519: u8 = 1;

/// Says why a log of a trust root is unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The identifier is too short.
    #[error("the log's identifier is too short")]
    Identifier,
    /// The key is unusable.
    #[error("the log's key is unusable")]
    Key(#[source] KeyError),
}
