//! The JSON that `cosign sign-blob --bundle` wrote before bundles were standardized, and signatures kept apart.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/pkg/cosign/fetch.go>, type `LocalSignedPayload`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::cosign_layer::RekorBundleJson;
use super::{Bundle, BundleError, EntityFormat, MAX_BUNDLE_BYTES, MaterialKey, SignedContent, SignedEntity};
use super::{VerificationMaterial, cosign_layer};
use crate::dsse::{Envelope, EnvelopeError};
use crate::oci::Digest;

impl SignedEntity {
    /// Reads a bundle as a file holds it: of a standardized version, or as cosign wrote it before.
    ///
    /// # Errors
    /// [`BundleFileError`] when it is neither.
    pub fn parse_bundle(json: &[u8]) -> Result<Self, BundleFileError> {
        match serde_json::from_slice::<Probe>(json) {
            Ok(Probe { base64_signature: Some(_), media_type: None }) => Self::from_cosign_bundle(json),
            _ => Bundle::parse(json).map(Self::from).map_err(BundleFileError::Bundle),
        }
    }

    /// Reads what `cosign sign-blob` and `attest-blob` wrote before bundles were standardized.
    ///
    /// # Errors
    /// [`BundleFileError`] when it is malformed or too large.
    pub fn from_cosign_bundle(json: &[u8]) -> Result<Self, BundleFileError> {
        if json.len() > MAX_BUNDLE_BYTES {
            return Err(BundleFileError::Bundle(BundleError::TooLarge { limit: MAX_BUNDLE_BYTES }));
        }
        let json: CosignBundleJson = serde_json::from_slice(json).map_err(BundleFileError::Json)?;
        let signature = STANDARD.decode(json.base64_signature.trim()).map_err(|_| malformed("base64Signature"))?;
        let entry = json.rekor_bundle.map(|rekor| rekor.into_entry().ok_or(malformed("rekorBundle"))).transpose()?;
        let mut material = VerificationMaterial { log_entries: entry.into_iter().collect(), ..Default::default() };
        if let Some(pem) = json.cert.as_deref().filter(|text| !text.is_empty()) {
            material.key = MaterialKey::Certificates(certificates(pem).ok_or(malformed("cert"))?);
        }
        Self::detached(signature.into(), material)
    }

    /// Puts together what is kept in files of their own: a signature over the artifact's bytes or an envelope in JSON,
    /// and what came along.
    ///
    /// # Errors
    /// [`BundleFileError`] when the signature is empty, or is an envelope and unusable.
    pub fn detached(signature: Bytes, material: VerificationMaterial) -> Result<Self, BundleFileError> {
        if signature.is_empty() {
            return Err(BundleFileError::Bundle(BundleError::EmptySignature));
        }
        // A signature in DER never begins so, and one of RSA that happens to is not JSON.
        let is_envelope =
            signature.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(&signature).is_ok();
        let (content, stored_envelope) = if is_envelope {
            let envelope = Envelope::parse(&signature).map_err(BundleFileError::Envelope)?;
            (SignedContent::Envelope(envelope), Some(Digest::sha256(&signature)))
        } else {
            (SignedContent::MessageSignature { digest: None, signature: signature.to_vec() }, None)
        };
        Ok(Self { content, material, format: EntityFormat::CosignBundle, stored_envelope })
    }
}

/// Reads PEM certificates, which cosign wraps in base64 once more.
fn certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let unwrapped = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    cosign_layer::pem_certificates(unwrapped.as_deref().unwrap_or(text))
}

fn malformed(field: &'static str) -> BundleFileError {
    BundleFileError::Field { field }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    base64_signature: Option<serde::de::IgnoredAny>,
    media_type: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CosignBundleJson {
    base64_signature: String,
    cert: Option<String>,
    rekor_bundle: Option<RekorBundleJson>,
}

/// Says why a file is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleFileError {
    /// It is no standardized bundle.
    #[error("not a usable Sigstore bundle")]
    Bundle(#[source] BundleError),
    /// The envelope is unusable.
    #[error("the envelope is unusable")]
    Envelope(#[source] EnvelopeError),
    /// A field of cosign's is malformed.
    #[error("field `{field}` is malformed")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// It is not the JSON that cosign wrote.
    #[error("malformed JSON")]
    Json(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms_are_told_apart_and_nothing_else_is_taken() {
        let legacy = br#"{"base64Signature":"MAA=","cert":"","rekorBundle":null}"#;
        let entity = SignedEntity::parse_bundle(legacy).unwrap();
        assert_eq!(entity.format, EntityFormat::CosignBundle);
        assert_eq!(entity.content, SignedContent::MessageSignature { digest: None, signature: vec![0x30, 0] });
        for text in [
            &br#"{"base64Signature":"","cert":null}"#[..],
            br#"{"base64Signature":"!","cert":null}"#,
            br#"{"base64Signature":"MAA=","cert":"nonsense"}"#,
            br#"{"base64Signature":"MAA=","rekorBundle":{"SignedEntryTimestamp":"","Payload":{}}}"#,
            br#"{"base64Signature":"MAA=","mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#,
            br#"{"base64Signature":"e30="}"#,
            b"{}",
            b"",
        ] {
            assert!(SignedEntity::parse_bundle(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
