//! One signature between its forms: a bundle, and a layer of cosign's `.att` tag. The signed bytes and the signature
//! stay as they are.
//!
//! Only what a verifier takes afterwards is made; a signature over cosign's legacy payload has no other form, because it
//! is a signature over that payload and over nothing else.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::cosign_layer::layer_annotations;
use super::{Bundle, MaterialKey, SignedContent, SignedEntity, UpgradeError};
use crate::oci::annotation;
use crate::statement::{Statement, predicate};
use crate::x509::Certificate;

impl SignedEntity {
    /// Returns the bundle of version 0.3 that holds the same signature; clients look for no older one beside an image.
    ///
    /// `key_id` names the key of a signature that brings none along.
    ///
    /// # Errors
    /// [`UpgradeError`] when there is no such bundle.
    pub fn to_bundle(&self, key_id: Option<&str>) -> Result<Bundle, UpgradeError> {
        let mut entity = self.clone();
        if let (MaterialKey::None, Some(key_id)) = (&entity.material.key, key_id) {
            entity.material.key = MaterialKey::PublicKey { hint: key_id.to_owned() };
        }
        entity.upgraded(None).map(|upgraded| upgraded.bundle)
    }

    /// Returns the layer of an `.att` tag that holds the same signature: its content, and its annotations.
    ///
    /// # Errors
    /// [`LegacyFormError`] when the layer cannot say what verifies it.
    pub fn to_attestation_layer(&self) -> Result<(Bytes, BTreeMap<String, String>), LegacyFormError> {
        let SignedContent::Envelope(envelope) = &self.content else { return Err(LegacyFormError::NoEnvelope) };
        let statement = Statement::from_bytes(envelope.payload().clone()).map_err(|_| LegacyFormError::NoEnvelope)?;
        if statement.predicate_type() == predicate::IMAGE_SIGNATURE {
            return Err(LegacyFormError::ImageSignature);
        }
        let content = envelope.to_json().map_err(|_| LegacyFormError::NoEnvelope)?;
        let certificates = match &self.material.key {
            MaterialKey::Certificates(certificates) => {
                let read: Result<Vec<_>, _> = certificates.iter().map(|der| Certificate::from_der(der)).collect();
                read.map_err(|_| LegacyFormError::Certificate)?
            }
            MaterialKey::None | MaterialKey::PublicKey { .. } => Vec::new(),
        };
        let mut annotations = layer_annotations(&certificates, &self.material)?;
        annotations.insert(annotation::COSIGN_SIGNATURE.to_owned(), String::new());
        annotations.insert(annotation::COSIGN_PREDICATE_TYPE.to_owned(), statement.predicate_type().to_owned());
        Ok((content.into(), annotations))
    }
}

/// Says why a signature has no form under cosign's `.att` tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyFormError {
    /// A certificate cannot be read.
    #[error("a certificate is malformed")]
    Certificate,
    /// It is the signature of an image, which cosign 1 and 2 make over a payload of their own.
    #[error("it signs the image as a statement, and cosign's old form is a signature over another payload")]
    ImageSignature,
    /// It is no signed statement.
    #[error("it is no attestation")]
    NoEnvelope,
    /// The log gave an inclusion proof and no promise, which is all that the old form has room for.
    #[error("its log entry has no signed entry timestamp, which is all that cosign's old form keeps")]
    NoPromise,
    /// There is more than one of something that the old form has room for one of.
    #[error("it has {count} {what}, and cosign's old form keeps one")]
    Several {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsse::Envelope;
    use crate::entity::{BundleVersion, EntityFormat, InclusionProof, LogEntry, VerificationMaterial};
    use crate::oci::{Descriptor, media_type};

    fn attestation(predicate_type: &str, log_entries: Vec<LogEntry>) -> SignedEntity {
        let statement = json(&[
            ("_type", "\"https://in-toto.io/Statement/v0.1\""),
            ("subject", r#"[{"name":"a","digest":{"sha256":"00"}}]"#),
            ("predicateType", &format!("\"{predicate_type}\"")),
            ("predicate", "{}"),
        ]);
        let envelope = json(&[
            ("payloadType", "\"application/vnd.in-toto+json\""),
            (
                "payload",
                &format!("\"{}\"", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, statement)),
            ),
            ("signatures", r#"[{"keyid":"","sig":"c2ln"}]"#),
        ]);
        SignedEntity {
            content: SignedContent::Envelope(Envelope::parse(envelope.as_bytes()).unwrap()),
            material: VerificationMaterial { log_entries, ..VerificationMaterial::default() },
            format: EntityFormat::CosignAttestation,
            stored_envelope: None,
        }
    }

    fn json(fields: &[(&str, &str)]) -> String {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    }

    fn promised() -> LogEntry {
        LogEntry {
            log_index: 7,
            log_id: vec![1; 32],
            kind: "intoto".to_owned(),
            version: "0.0.2".to_owned(),
            integrated_time: Some(1_700_000_000),
            inclusion_promise: Some(vec![2; 64]),
            inclusion_proof: None,
            canonicalized_body: br#"{"apiVersion":"0.0.2","kind":"intoto","spec":{}}"#.to_vec(),
        }
    }

    fn proven() -> LogEntry {
        let proof = InclusionProof {
            log_index: 7,
            root_hash: vec![3; 32],
            tree_size: 8,
            hashes: vec![vec![4; 32]; 3],
            checkpoint: Some("log.example\n8\n".to_owned()),
        };
        LogEntry { inclusion_proof: Some(proof), ..promised() }
    }

    #[test]
    fn a_signature_goes_there_and_back_unchanged() {
        for entries in [vec![], vec![proven()]] {
            let entity = attestation(predicate::SPDX, entries);
            let bundle = entity.to_bundle(Some("key")).unwrap();
            let read = Bundle::parse(bundle.to_json().unwrap().as_bytes()).unwrap();
            assert_eq!((read.version(), read.material().key.hint()), (BundleVersion::V03, Some("key")));
            let (content, annotations) = SignedEntity::from(read).to_attestation_layer().unwrap();
            let layer = Descriptor { annotations, ..Descriptor::of(media_type::DSSE_ENVELOPE, &content) };
            let back = SignedEntity::from_attestation_layer(&layer, content).unwrap();
            assert_eq!(back.content, entity.content);
            // The old form has room for the promise only.
            let mut material = entity.material;
            material.log_entries.iter_mut().for_each(|entry| entry.inclusion_proof = None);
            assert_eq!(back.material, material);
        }
    }

    #[test]
    fn what_has_no_other_form_says_why() {
        let image = attestation(predicate::IMAGE_SIGNATURE, vec![]);
        assert_eq!(image.to_attestation_layer(), Err(LegacyFormError::ImageSignature));
        let promised_only = attestation(predicate::SPDX, vec![promised()]);
        assert_eq!(promised_only.to_bundle(None).map(drop), Err(UpgradeError::NoInclusionProof { position: 0 }));
        let unpromised = LogEntry { inclusion_promise: None, ..promised() };
        let logged = attestation(predicate::SPDX, vec![unpromised]);
        assert_eq!(logged.to_attestation_layer(), Err(LegacyFormError::NoPromise));
        assert_eq!(logged.to_bundle(None).map(drop), Err(UpgradeError::NoInclusionProof { position: 0 }));
        let two = attestation(predicate::SPDX, vec![promised(), LogEntry { log_index: 8, ..promised() }]);
        assert!(matches!(two.to_attestation_layer(), Err(LegacyFormError::Several { count: 2, .. })));
        let payload = SignedContent::SimpleSigning { payload: Bytes::from_static(b"{}"), signature: vec![1] };
        let legacy = SignedEntity { content: payload, ..image };
        assert_eq!(legacy.to_bundle(None).map(drop), Err(UpgradeError::SimpleSigning));
        assert_eq!(legacy.to_attestation_layer(), Err(LegacyFormError::NoEnvelope));
    }
}
