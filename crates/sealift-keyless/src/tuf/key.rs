//! The keys of TUF metadata, verified by core.
//!
//! Identifiers of keys are the producer's choice and are not recomputed, as the specification has it; what counts
//! towards a threshold is the key itself.

use sealift_core::crypto::{PublicKey, SignatureScheme};
use sealift_core::hex;
use sealift_core::oci::DigestAlgorithm;
use serde::Deserialize;

/// A key of a role; of a kind that is not known, it verifies nothing.
#[derive(Clone, Debug)]
pub(super) struct Key {
    scheme: Option<SignatureScheme>,
    /// DER SubjectPublicKeyInfo; empty when the key is unreadable.
    public_key_info: Vec<u8>,
}

#[derive(Deserialize)]
pub(super) struct KeyJson {
    scheme: String,
    keyval: KeyValueJson,
}

#[derive(Deserialize)]
struct KeyValueJson {
    public: String,
}

impl Key {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.scheme.is_some_and(|scheme| scheme.is_valid(&self.public_key_info, message, signature))
    }

    /// Returns what two identifiers of one key have in common.
    pub(super) fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }
}

impl From<KeyJson> for Key {
    fn from(key: KeyJson) -> Self {
        let scheme = match key.scheme.as_str() {
            "ecdsa-sha2-nistp256" => Some(SignatureScheme::Ecdsa(DigestAlgorithm::Sha256)),
            "ecdsa-sha2-nistp384" => Some(SignatureScheme::Ecdsa(DigestAlgorithm::Sha384)),
            "ed25519" => Some(SignatureScheme::Ed25519),
            "rsa-pkcs1v15-sha256" => Some(SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256)),
            "rsassa-pss-sha256" => Some(SignatureScheme::RsaPss(DigestAlgorithm::Sha256)),
            "rsassa-pss-sha384" => Some(SignatureScheme::RsaPss(DigestAlgorithm::Sha384)),
            "rsassa-pss-sha512" => Some(SignatureScheme::RsaPss(DigestAlgorithm::Sha512)),
            _ => None,
        };
        let public = &key.keyval.public;
        let public_key_info = match PublicKey::from_pem(public.as_bytes()) {
            Ok(key) => key.as_der().to_vec(),
            Err(_) => raw_ed25519(public).unwrap_or_default(),
        };
        Self { scheme, public_key_info }
    }
}

/// Ed25519 keys are the 32 bytes in hexadecimal, which get the header of RFC 8410 section 4.
fn raw_ed25519(public: &str) -> Option<Vec<u8>> {
    const HEADER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let raw = hex::decode(public).filter(|raw| raw.len() == 32)?;
    Some([&HEADER[..], &raw].concat())
}
