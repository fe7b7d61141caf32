//! Layers of cosign's `.sig` and `.att` tags.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    EntityFormat, LegacyFormError, LogEntry, MAX_SIMPLE_SIGNING_BYTES, MaterialKey, SignedContent, SignedEntity,
};
use super::{VerificationMaterial, material::MAX_CERTIFICATES, simple_signing::SimpleSigningError};
use crate::dsse::{Envelope, EnvelopeError};
use crate::hex;
use crate::oci::{Descriptor, Digest, annotation};
use crate::protojson::Base64;
use crate::x509::Certificate;

impl SignedEntity {
    /// Reads a layer of a `.sig` manifest: the signature from its annotations, `payload` as fetched and checked
    /// against the descriptor.
    ///
    /// # Errors
    /// [`LayerError`] when an annotation is missing or malformed, or the payload too large. The payload is read by
    /// the verifier, after its signature.
    pub fn from_simple_signing_layer(layer: &Descriptor, payload: Bytes) -> Result<Self, LayerError> {
        if payload.len() > MAX_SIMPLE_SIGNING_BYTES {
            return Err(LayerError::Payload(SimpleSigningError::TooLarge { limit: MAX_SIMPLE_SIGNING_BYTES }));
        }
        let signature = layer
            .annotations
            .get(annotation::COSIGN_SIGNATURE)
            .filter(|text| !text.is_empty())
            .ok_or(LayerError::NoSignature)?;
        let signature =
            STANDARD.decode(signature).map_err(|_| LayerError::Annotation { name: annotation::COSIGN_SIGNATURE })?;
        Ok(Self {
            content: SignedContent::SimpleSigning { payload, signature },
            material: material(layer)?,
            format: EntityFormat::CosignSignature,
            stored_envelope: None,
        })
    }

    /// Reads a layer of an `.att` manifest, an envelope; `envelope` as fetched and checked against the descriptor.
    ///
    /// # Errors
    /// [`LayerError`] when an annotation or the envelope is malformed.
    pub fn from_attestation_layer(layer: &Descriptor, envelope: Bytes) -> Result<Self, LayerError> {
        Ok(Self {
            content: SignedContent::Envelope(Envelope::parse(&envelope)?),
            material: material(layer)?,
            format: EntityFormat::CosignAttestation,
            stored_envelope: Some(Digest::sha256(&envelope)),
        })
    }
}

/// Returns the annotations that hold what came along with a signature, the signer's certificate being the first.
///
/// # Errors
/// [`LegacyFormError`] when they have no room for all of it.
pub(crate) fn layer_annotations(
    certificates: &[Certificate],
    material: &VerificationMaterial,
) -> Result<BTreeMap<String, String>, LegacyFormError> {
    for (what, count) in [("log entries", material.log_entries.len()), ("timestamps", material.timestamps.len())] {
        if count > 1 {
            return Err(LegacyFormError::Several { what, count });
        }
    }
    let mut annotations = BTreeMap::new();
    let mut put = |name: &str, text: String| annotations.insert(name.to_owned(), text);
    if let Some((leaf, issuers)) = certificates.split_first() {
        put(annotation::COSIGN_CERTIFICATE, leaf.to_pem());
        put(annotation::COSIGN_CHAIN, issuers.iter().map(Certificate::to_pem).collect());
    }
    if let Some(entry) = material.log_entries.first() {
        let rekor = RekorBundleJson::of(entry).and_then(|rekor| serde_json::to_string(&rekor).ok());
        put(annotation::COSIGN_BUNDLE, rekor.ok_or(LegacyFormError::NoPromise)?);
    }
    if let Some(timestamp) = material.timestamps.first() {
        // Text and base64 are always JSON.
        let json = json!({ "SignedRFC3161Timestamp": Base64(timestamp.clone()) });
        put(annotation::COSIGN_TIMESTAMP, json.to_string());
    }
    Ok(annotations)
}

fn material(layer: &Descriptor) -> Result<VerificationMaterial, LayerError> {
    let text = |name: &'static str| layer.annotations.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let key = match (text(annotation::COSIGN_CERTIFICATE), text(annotation::COSIGN_CHAIN)) {
        (None, _) => MaterialKey::None,
        (Some(leaf), chain) => {
            let mut certificates = certificates(leaf, annotation::COSIGN_CERTIFICATE)?;
            if let Some(chain) = chain {
                certificates.extend(self::certificates(chain, annotation::COSIGN_CHAIN)?);
            }
            MaterialKey::Certificates(certificates)
        }
    };
    let log_entries = text(annotation::COSIGN_BUNDLE).map(log_entry).transpose()?.into_iter().collect();
    let timestamps = text(annotation::COSIGN_TIMESTAMP).map(timestamp).transpose()?.into_iter().collect();
    Ok(VerificationMaterial { key, log_entries, timestamps })
}

fn certificates(text: &str, name: &'static str) -> Result<Vec<Vec<u8>>, LayerError> {
    pem_certificates(text).ok_or(LayerError::Annotation { name })
}

/// Reads one or more PEM certificates; what they say is not looked at here.
pub(super) fn pem_certificates(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let (body, after) = block.split_once("-----END CERTIFICATE-----")?;
        let compact: String = body.split_ascii_whitespace().collect();
        certificates.push(STANDARD.decode(compact).ok()?);
        if certificates.len() > MAX_CERTIFICATES {
            return None;
        }
        rest = after;
    }
    (!certificates.is_empty()).then_some(certificates)
}

/// Reads the Rekor entry cosign 1 and 2 keep beside a signature.
fn log_entry(json: &str) -> Result<LogEntry, LayerError> {
    let rekor = serde_json::from_str::<RekorBundleJson>(json).ok();
    rekor.and_then(RekorBundleJson::into_entry).ok_or(LayerError::Annotation { name: annotation::COSIGN_BUNDLE })
}

fn timestamp(json: &str) -> Result<Vec<u8>, LayerError> {
    serde_json::from_str::<TimestampJson>(json)
        .map(|timestamp| timestamp.signed_timestamp.0)
        .map_err(|_| LayerError::Annotation { name: annotation::COSIGN_TIMESTAMP })
}

/// A log entry with its promise, as cosign 1 and 2 keep it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RekorBundleJson {
    signed_entry_timestamp: Base64,
    payload: RekorPayloadJson,
}

impl RekorBundleJson {
    fn of(entry: &LogEntry) -> Option<Self> {
        Some(Self {
            signed_entry_timestamp: Base64(entry.inclusion_promise.clone()?),
            payload: RekorPayloadJson {
                body: Base64(entry.canonicalized_body.clone()),
                integrated_time: entry.integrated_time?,
                log_index: entry.log_index,
                log_id: hex::encode(&entry.log_id),
            },
        })
    }

    pub(super) fn into_entry(self) -> Option<LogEntry> {
        let payload = self.payload;
        let body: RekorBodyJson = serde_json::from_slice(&payload.body.0).ok()?;
        Some(LogEntry {
            log_index: payload.log_index,
            log_id: hex::decode(&payload.log_id)?,
            kind: body.kind,
            version: body.api_version,
            integrated_time: Some(payload.integrated_time).filter(|time| *time != 0),
            inclusion_promise: Some(self.signed_entry_timestamp.0),
            inclusion_proof: None,
            canonicalized_body: payload.body.0,
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RekorPayloadJson {
    body: Base64,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekorBodyJson {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct TimestampJson {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed_timestamp: Base64,
}

/// Says why a layer is not a signature or an attestation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// An annotation is malformed.
    #[error("annotation `{name}` is malformed")]
    Annotation {
        /// The annotation.
        name: &'static str,
    },
    /// The envelope is unusable.
    #[error("the layer's envelope is unusable")]
    Envelope(#[source] EnvelopeError),
    /// The layer has no signature.
    #[error("the layer has no annotation `{}`", annotation::COSIGN_SIGNATURE)]
    NoSignature,
    /// The payload is unusable.
    #[error("the layer's payload is unusable")]
    Payload(#[source] SimpleSigningError),
}
