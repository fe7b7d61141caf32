//! Certificate signing requests: a key, signed with itself.
//!
//! The name in a request means nothing to Fulcio, which takes it from the token; so it is empty. A request proves
//! possession of the key without knowing which claim of the token the authority would want signed.
//! Specification: <https://www.rfc-editor.org/rfc/rfc2986>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::crypto::{KeyAlgorithm, KeyError, PrivateKey};

/// Returns the PEM of a request for `key`.
pub(super) fn certificate_request(key: &PrivateKey) -> Result<String, KeyError> {
    // CertificationRequestInfo: version 0, no name, the key, no attributes.
    let info = tlv(SEQUENCE, &[&[0x02, 0x01, 0x00, SEQUENCE, 0x00], key.public_key().as_der(), &[0xa0, 0x00]].concat());
    let signature = key.sign(&info)?;
    let algorithm = tlv(SEQUENCE, signature_algorithm(key.public_key().algorithm()));
    let signature = tlv(BIT_STRING, &[&[0], &signature[..]].concat());
    let request = STANDARD.encode(tlv(SEQUENCE, &[info, algorithm, signature].concat()));
    let mut pem = String::from("-----BEGIN CERTIFICATE REQUEST-----\n");
    let mut rest = request.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE REQUEST-----\n");
    Ok(pem)
}

/// Returns the fields of the AlgorithmIdentifier that [`PrivateKey::sign`] signs with: SHA-256 whatever the curve.
fn signature_algorithm(algorithm: KeyAlgorithm) -> &'static [u8] {
    match algorithm {
        KeyAlgorithm::Ed25519 => &[0x06, 0x03, 0x2b, 0x65, 0x70],
        // sha256WithRSAEncryption, with parameters NULL
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
        }
        // ecdsa-with-SHA256
        _ => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match length {
        [] => bytes.push(0),
        [one] if *one < 0x80 => bytes.push(*one),
        // Eight bytes at most, so that the count fits.
        several => {
            bytes.push(0x80 | u8::try_from(several.len()).unwrap_or(0));
            bytes.extend_from_slice(several);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const PEM_LINE_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_der() {
        for (length, head) in [
            (0, &[0x30, 0x00][..]),
            (0x7f, &[0x30, 0x7f]),
            (0x80, &[0x30, 0x81, 0x80]),
            (0xff, &[0x30, 0x81, 0xff]),
            (0x100, &[0x30, 0x82, 0x01, 0x00]),
        ] {
            let bytes = tlv(SEQUENCE, &vec![7; length]);
            assert_eq!(bytes[..head.len()], *head);
            assert_eq!(bytes.len(), head.len() + length);
        }
    }
}
