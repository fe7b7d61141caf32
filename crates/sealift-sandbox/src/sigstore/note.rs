//! Checkpoints (<https://c2sp.org/tlog-checkpoint>) as signed notes (<https://c2sp.org/signed-note>).

use aws_lc_rs::error::Unspecified;

use super::encoding::{base64, sha256};
use super::key::{KeyKind, SigningKey};
use super::merkle::Hash;

/// Returns the identifier of a note's key, of which a signature line holds the first four bytes.
///
/// For Ed25519 it covers the name; for ECDSA, as Rekor does it, only the key.
pub(super) fn key_id(name: &str, key: &SigningKey) -> [u8; 32] {
    match key.kind() {
        KeyKind::Ed25519 => sha256(&[name.as_bytes(), b"\n", &[ED25519_SIGNATURE], key.raw_public()]),
        _ => key.spki_sha256(),
    }
}

/// Returns the signed checkpoint of a log.
///
/// `name` is the key's, `origin` the log's: Rekor v1 appends the tree's identifier to the latter.
pub(super) fn checkpoint(
    origin: &str,
    name: &str,
    size: usize,
    root: &Hash,
    key: &SigningKey,
) -> Result<String, Unspecified> {
    let text = format!("{origin}\n{size}\n{}\n", base64(root));
    let signature = [&key_id(name, key)[..4], &key.sign(text.as_bytes())?].concat();
    Ok(format!("{text}\n\u{2014} {name} {}\n", base64(signature)))
}

const ED25519_SIGNATURE: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_has_three_lines_and_a_signature_line() {
        for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
            let key = SigningKey::generate(kind).unwrap();
            let note = checkpoint("log.example - 7", "log.example", 3, &[0xab; 32], &key).unwrap();
            let (text, signatures) = note.split_once("\n\n").unwrap();
            assert_eq!(text, format!("log.example - 7\n3\n{}", base64([0xab; 32])));
            let line = signatures.strip_prefix("\u{2014} log.example ").unwrap().trim_end();
            let bytes = super::super::encoding::from_base64(line).unwrap();
            assert_eq!(bytes[..4], key_id("log.example", &key)[..4]);
            let public = super::super::key::VerifyingKey::from_spki(key.spki()).unwrap();
            assert!(public.accepts(format!("{text}\n").as_bytes(), &bytes[4..]));
        }
    }
}
