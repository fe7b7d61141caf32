//! The bodies of log entries, of every kind that holds a signature this crate verifies.
//!
//! Says what was logged; whether that is the signature at hand is the verifier's step 8.
//! Specification: <https://github.com/sigstore/rekor/tree/main/pkg/types> and
//! <https://github.com/sigstore/rekor-tiles/tree/main/api/proto/rekor/v2>.

use serde::Deserialize;

use crate::crypto::PublicKey;
use crate::oci::{Digest, DigestAlgorithm};
use crate::protojson::Base64;
use crate::x509::Certificate;

/// The largest body read; those with a certificate take 5 KiB. Stops megabytes of JSON.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// What an entry says was signed, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggedSignature {
    /// What the signature is over.
    pub content: LoggedContent,
    /// The signature; `intoto` 0.0.1 does not hold it, but the digest of the envelope that does.
    pub signature: Option<Vec<u8>>,
    /// The key it verifies under.
    pub verifier: LoggedVerifier,
}

/// What a logged signature is over, as the kind of entry says it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LoggedContent {
    /// Digest of the envelope's payload; and of the envelope's JSON, where that is needed to find the signature.
    Envelope {
        /// Digest of the payload.
        payload: Option<Digest>,
        /// Digest of the JSON as it was logged.
        json: Option<Digest>,
    },
    /// Digest of the message that was signed.
    Message(Digest),
}

/// The key of a logged signature.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LoggedVerifier {
    /// DER of the certificate.
    Certificate(Vec<u8>),
    /// DER SubjectPublicKeyInfo of the key.
    PublicKey(Vec<u8>),
}

impl LoggedSignature {
    /// Reads the body of an entry that is said to be of `kind` and `version`.
    ///
    /// # Errors
    /// When the body is malformed, calls itself something else, or is of a kind that is not known.
    pub fn parse(kind: &str, version: &str, body: &[u8]) -> Result<Self, EntryError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(EntryError::TooLarge { limit: MAX_BODY_BYTES });
        }
        let head: Head = serde_json::from_slice(body).map_err(EntryError::Json)?;
        if head.kind != kind || head.api_version != version {
            let text = |text: &str| crate::repository::foreign_text(text);
            return Err(EntryError::OtherKind { found: text(&format!("{} {}", head.kind, head.api_version)) });
        }
        match (kind, version) {
            ("hashedrekord", "0.0.1") => spec::<hashedrekord_v001::Spec>(body)?.try_into(),
            ("hashedrekord", "0.0.2") => spec::<hashedrekord_v002::Spec>(body)?.try_into(),
            ("dsse", "0.0.1") => spec::<dsse_v001::Spec>(body)?.try_into(),
            ("dsse", "0.0.2") => spec::<dsse_v002::Spec>(body)?.try_into(),
            ("intoto", "0.0.1") => spec::<intoto_v001::Spec>(body)?.try_into(),
            ("intoto", "0.0.2") => spec::<intoto_v002::Spec>(body)?.try_into(),
            _ => Err(EntryError::UnknownKind { found: crate::repository::foreign_text(&format!("{kind} {version}")) }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    kind: String,
    api_version: String,
}

#[derive(Deserialize)]
struct Body<S> {
    spec: S,
}

fn spec<S: serde::de::DeserializeOwned>(body: &[u8]) -> Result<S, EntryError> {
    serde_json::from_slice::<Body<S>>(body).map(|body| body.spec).map_err(EntryError::Json)
}

/// A digest as Rekor 1 writes it.
#[derive(Deserialize)]
struct HexHash {
    algorithm: String,
    value: String,
}

impl TryFrom<HexHash> for Digest {
    type Error = EntryError;

    fn try_from(hash: HexHash) -> Result<Self, EntryError> {
        format!("{}:{}", hash.algorithm, hash.value).parse().map_err(|_| EntryError::Digest)
    }
}

/// A digest as Rekor 2 writes it.
#[derive(Deserialize)]
struct RawHash {
    algorithm: String,
    digest: Base64,
}

impl TryFrom<RawHash> for Digest {
    type Error = EntryError;

    fn try_from(hash: RawHash) -> Result<Self, EntryError> {
        let algorithm = match hash.algorithm.as_str() {
            "SHA2_256" => DigestAlgorithm::Sha256,
            "SHA2_384" => DigestAlgorithm::Sha384,
            "SHA2_512" => DigestAlgorithm::Sha512,
            _ => return Err(EntryError::Digest),
        };
        Self::from_bytes(algorithm, &hash.digest.0).map_err(|_| EntryError::Digest)
    }
}

/// Reads the PEM that Rekor 1 names the key by: one certificate, or one public key.
fn verifier_of_pem(pem: &Base64) -> Result<LoggedVerifier, EntryError> {
    let text = std::str::from_utf8(&pem.0).map_err(|_| EntryError::Verifier)?;
    if text.contains("CERTIFICATE") {
        let mut chain = Certificate::chain_from_pem(text).map_err(|_| EntryError::Verifier)?;
        return match (chain.pop(), chain.pop()) {
            (Some(certificate), None) => Ok(LoggedVerifier::Certificate(certificate.as_der().to_vec())),
            _ => Err(EntryError::Verifier),
        };
    }
    let key = PublicKey::from_pem(text.as_bytes()).map_err(|_| EntryError::Verifier)?;
    Ok(LoggedVerifier::PublicKey(key.as_der().to_vec()))
}

/// The key as Rekor 2 names it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVerifier {
    x509_certificate: Option<RawBytes>,
    public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: Base64,
}

impl TryFrom<RawVerifier> for LoggedVerifier {
    type Error = EntryError;

    fn try_from(verifier: RawVerifier) -> Result<Self, EntryError> {
        match (verifier.x509_certificate, verifier.public_key) {
            (Some(certificate), None) => Ok(Self::Certificate(certificate.raw_bytes.0)),
            (None, Some(key)) => Ok(Self::PublicKey(key.raw_bytes.0)),
            _ => Err(EntryError::Verifier),
        }
    }
}

/// A signature and its key as Rekor 2 writes them.
#[derive(Deserialize)]
struct RawSignature {
    content: Base64,
    verifier: RawVerifier,
}

/// Returns the only element: an entry of several signatures would be verified by any of them.
fn only<T>(items: Vec<T>) -> Result<T, EntryError> {
    let found = items.len();
    let mut items = items.into_iter();
    match (items.next(), items.next()) {
        (Some(item), None) => Ok(item),
        _ => Err(EntryError::SignatureCount { found }),
    }
}

mod hashedrekord_v001 {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Spec {
        data: Data,
        signature: Signature,
    }

    #[derive(Deserialize)]
    struct Data {
        hash: HexHash,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signature {
        content: Base64,
        public_key: Key,
    }

    #[derive(Deserialize)]
    struct Key {
        content: Base64,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            Ok(Self {
                content: LoggedContent::Message(spec.data.hash.try_into()?),
                signature: Some(spec.signature.content.0),
                verifier: verifier_of_pem(&spec.signature.public_key.content)?,
            })
        }
    }
}

mod hashedrekord_v002 {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Spec {
        #[serde(rename = "hashedRekordV002")]
        entry: Entry,
    }

    #[derive(Deserialize)]
    struct Entry {
        data: RawHash,
        signature: RawSignature,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            Ok(Self {
                content: LoggedContent::Message(spec.entry.data.try_into()?),
                signature: Some(spec.entry.signature.content.0),
                verifier: spec.entry.signature.verifier.try_into()?,
            })
        }
    }
}

mod dsse_v001 {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Spec {
        payload_hash: HexHash,
        signatures: Vec<Signature>,
    }

    #[derive(Deserialize)]
    struct Signature {
        signature: Base64,
        verifier: Base64,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            let signature = only(spec.signatures)?;
            Ok(Self {
                // The envelope's own digest is of JSON that a bundle does not keep.
                content: LoggedContent::Envelope { payload: Some(spec.payload_hash.try_into()?), json: None },
                signature: Some(signature.signature.0),
                verifier: verifier_of_pem(&signature.verifier)?,
            })
        }
    }
}

mod dsse_v002 {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Spec {
        #[serde(rename = "dsseV002")]
        entry: Entry,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        payload_hash: RawHash,
        signatures: Vec<RawSignature>,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            let signature = only(spec.entry.signatures)?;
            Ok(Self {
                content: LoggedContent::Envelope { payload: Some(spec.entry.payload_hash.try_into()?), json: None },
                signature: Some(signature.content.0),
                verifier: signature.verifier.try_into()?,
            })
        }
    }
}

mod intoto_v001 {
    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Spec {
        content: Content,
        public_key: Base64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Content {
        hash: HexHash,
        payload_hash: Option<HexHash>,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            let payload = spec.content.payload_hash.map(Digest::try_from).transpose()?;
            Ok(Self {
                content: LoggedContent::Envelope { payload, json: Some(spec.content.hash.try_into()?) },
                signature: None,
                verifier: verifier_of_pem(&spec.public_key)?,
            })
        }
    }
}

mod intoto_v002 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Spec {
        content: Content,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Content {
        envelope: Envelope,
        payload_hash: HexHash,
    }

    #[derive(Deserialize)]
    struct Envelope {
        signatures: Vec<Signature>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signature {
        public_key: Base64,
        sig: Base64,
    }

    impl TryFrom<Spec> for LoggedSignature {
        type Error = EntryError;

        fn try_from(spec: Spec) -> Result<Self, EntryError> {
            let signature = only(spec.content.envelope.signatures)?;
            // This kind holds the base64 of the base64.
            let bytes = STANDARD.decode(&signature.sig.0).map_err(|_| EntryError::Signature)?;
            Ok(Self {
                content: LoggedContent::Envelope { payload: Some(spec.content.payload_hash.try_into()?), json: None },
                signature: Some(bytes),
                verifier: verifier_of_pem(&signature.public_key)?,
            })
        }
    }
}

/// Says why the body of an entry cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// A digest in it is malformed, or of an unknown algorithm.
    #[error("a digest in the log entry is malformed")]
    Digest,
    /// It is not the JSON of its kind.
    #[error("the log entry is not JSON of its kind")]
    Json(#[source] serde_json::Error),
    /// It calls itself another kind or version than the entry around it.
    #[error("the log entry's body calls itself `{found}`")]
    OtherKind {
        /// What it calls itself, bounded and printable.
        found: String,
    },
    /// The signature in it is malformed.
    #[error("the signature in the log entry is malformed")]
    Signature,
    /// It holds not exactly one signature.
    #[error("the log entry holds {found} signatures, not one")]
    SignatureCount {
        /// Signatures found.
        found: usize,
    },
    /// It is larger than any entry.
    #[error("the log entry has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// Its kind or version is not known.
    #[error("log entries of kind `{found}` are not known")]
    UnknownKind {
        /// Kind and version, bounded and printable.
        found: String,
    },
    /// The key in it is not one certificate or public key.
    #[error("the log entry does not hold one certificate or public key")]
    Verifier,
}
