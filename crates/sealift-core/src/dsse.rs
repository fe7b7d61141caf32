//! DSSE envelopes and their pre-authentication encoding.
//!
//! Holds one signature per envelope: "any of several" is how a forger adds his own beside a good one.
//! Specification: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::protojson::Base64;
use crate::statement::MAX_STATEMENT_BYTES;

/// A signed payload with its type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    payload_type: String,
    payload: Bytes,
    key_id: String,
    signature: Vec<u8>,
}

impl Envelope {
    /// Puts a payload and the one signature over its [`PreAuthentication`] together.
    pub fn new(payload_type: impl Into<String>, payload: impl Into<Bytes>, signature: Vec<u8>) -> Self {
        Self { payload_type: payload_type.into(), payload: payload.into(), key_id: String::new(), signature }
    }

    /// Reads the JSON of an envelope; fields it does not know are passed over, as the specification demands.
    ///
    /// # Errors
    /// [`EnvelopeError`] when it is too large, malformed, or has not exactly one signature.
    pub fn parse(json: &[u8]) -> Result<Self, EnvelopeError> {
        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge { limit: MAX_ENVELOPE_BYTES });
        }
        serde_json::from_slice::<EnvelopeJson>(json).map_err(EnvelopeError::Json)?.try_into()
    }

    /// Returns the JSON of the envelope, fields in cosign's order.
    ///
    /// # Errors
    /// [`EnvelopeError::Json`] when writing JSON fails, which it does not for text and bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, EnvelopeError> {
        serde_json::to_vec(&EnvelopeJson::from(self)).map_err(EnvelopeError::Json)
    }

    /// Returns the payload's type, such as `application/vnd.in-toto+json`.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// Returns the payload, bytes as signed.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the signer's name for its key, which proves nothing; often empty.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Returns what the signature is over, without copying the payload.
    pub fn pre_authentication(&self) -> PreAuthentication<'_> {
        PreAuthentication::new(&self.payload_type, &self.payload)
    }
}

/// The pre-authentication encoding: `DSSEv1 SP LEN(type) SP type SP LEN(payload) SP payload`.
#[derive(Debug)]
pub struct PreAuthentication<'a> {
    header: String,
    payload: &'a [u8],
}

impl<'a> PreAuthentication<'a> {
    /// Encodes a payload and its type.
    pub fn new(payload_type: &str, payload: &'a [u8]) -> Self {
        let header = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
        Self { header, payload }
    }

    /// Returns the two pieces that make the message up.
    pub fn pieces(&self) -> [&[u8]; 2] {
        [self.header.as_bytes(), self.payload]
    }

    /// Returns the message in one piece.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pieces().concat()
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvelopeJson {
    payload: Base64,
    payload_type: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Deserialize, Serialize)]
struct SignatureJson {
    sig: Base64,
    // Go writes `""` here and leaves it out there; some writers say `null`.
    #[serde(default)]
    keyid: Option<String>,
}

impl From<&Envelope> for EnvelopeJson {
    fn from(envelope: &Envelope) -> Self {
        Self {
            payload: Base64(envelope.payload.to_vec()),
            payload_type: envelope.payload_type.clone(),
            signatures: vec![SignatureJson {
                sig: Base64(envelope.signature.clone()),
                keyid: Some(envelope.key_id.clone()),
            }],
        }
    }
}

impl TryFrom<EnvelopeJson> for Envelope {
    type Error = EnvelopeError;

    fn try_from(json: EnvelopeJson) -> Result<Self, EnvelopeError> {
        let found = json.signatures.len();
        let [signature] =
            <[SignatureJson; 1]>::try_from(json.signatures).map_err(|_| EnvelopeError::SignatureCount { found })?;
        if signature.sig.0.is_empty() {
            return Err(EnvelopeError::EmptySignature);
        }
        if json.payload.0.len() > MAX_STATEMENT_BYTES {
            return Err(EnvelopeError::TooLarge { limit: MAX_STATEMENT_BYTES });
        }
        Ok(Self {
            payload_type: json.payload_type,
            payload: json.payload.0.into(),
            key_id: signature.keyid.unwrap_or_default(),
            signature: signature.sig.0,
        })
    }
}

/// The largest envelope read: the largest payload in base64, and room for signature and type. Stops a registry from
/// filling memory with one "attestation".
pub const MAX_ENVELOPE_BYTES: usize = MAX_STATEMENT_BYTES.div_ceil(3) * 4 + 64 * 1024;

/// Says why bytes are not an envelope this crate takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The signature is empty.
    #[error("the envelope's signature is empty")]
    EmptySignature,
    /// It is not the JSON of an envelope.
    #[error("the envelope is malformed JSON")]
    Json(#[source] serde_json::Error),
    /// It has no signature or several.
    #[error("the envelope has {found} signatures instead of one")]
    SignatureCount {
        /// Signatures found.
        found: usize,
    },
    /// It is too large.
    #[error("the envelope exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_specification_s_example() {
        let encoded = PreAuthentication::new("http://example.com/HelloWorld", b"hello world").to_bytes();
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn parses_what_it_writes() {
        let envelope = Envelope::new("t", &b"payload"[..], vec![1, 2]);
        assert_eq!(Envelope::parse(&envelope.to_json().unwrap()).unwrap(), envelope);
    }

    #[test]
    fn takes_exactly_one_signature() {
        let json = |signatures: &str| format!(r#"{{"payload":"YQ==","payloadType":"t","signatures":[{signatures}]}}"#);
        assert!(Envelope::parse(json(r#"{"sig":"YQ==","cert":"x"}"#).as_bytes()).is_ok());
        for (signatures, found) in [("", 0), (r#"{"sig":"YQ=="},{"sig":"YQ=="}"#, 2)] {
            let error = Envelope::parse(json(signatures).as_bytes()).unwrap_err();
            assert!(matches!(error, EnvelopeError::SignatureCount { found: count } if count == found), "{error:?}");
        }
        let error = Envelope::parse(json(r#"{"sig":""}"#).as_bytes()).unwrap_err();
        assert!(matches!(error, EnvelopeError::EmptySignature));
    }
}
