//! Sigstore bundles, versions 0.1 to 0.3: read strictly, written as cosign 3 writes them.
//!
//! Specification: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>.

use serde::{Deserialize, Serialize};

use super::material::MaterialJson;
use super::{SignedContent, VerificationMaterial};
use crate::dsse::{Envelope, EnvelopeError, EnvelopeJson, MAX_ENVELOPE_BYTES};
use crate::oci::{Digest, DigestAlgorithm, DigestError, MediaType, media_type};
use crate::protojson::Base64;
use crate::statement::Statement;

/// A signature, what it is over, and what verifies it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    media_type: MediaType,
    version: BundleVersion,
    content: SignedContent,
    material: VerificationMaterial,
}

impl Bundle {
    /// Makes a bundle of version 0.3 around an envelope.
    pub fn of_envelope(envelope: Envelope, material: VerificationMaterial) -> Self {
        Self::of(SignedContent::Envelope(envelope), material)
    }

    /// Makes a bundle of version 0.3 around a signature over an artifact's bytes.
    pub fn of_message(digest: Digest, signature: Vec<u8>, material: VerificationMaterial) -> Self {
        Self::of(SignedContent::MessageSignature { digest: Some(digest), signature }, material)
    }

    fn of(content: SignedContent, material: VerificationMaterial) -> Self {
        let media_type = MediaType::from_static(media_type::SIGSTORE_BUNDLE_V03);
        Self { media_type, version: BundleVersion::V03, content, material }
    }

    /// Reads a bundle.
    ///
    /// Refuses fields it does not know, as cosign does: a field with a typing error would otherwise be a field that
    /// is not there.
    ///
    /// # Errors
    /// [`BundleError`] when it is malformed, of another version, beyond a bound, or can be read in two ways.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        if json.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge { limit: MAX_BUNDLE_BYTES });
        }
        let json: BundleJson = serde_json::from_slice(json).map_err(BundleError::Json)?;
        let version = BundleVersion::of(&json.media_type)?;
        let content = match (json.dsse_envelope, json.message_signature) {
            (Some(envelope), None) => SignedContent::Envelope(envelope.try_into().map_err(BundleError::Envelope)?),
            (None, Some(message)) => message.into_content()?,
            (Some(_), Some(_)) | (None, None) => return Err(BundleError::Content),
        };
        let material = json.verification_material.into_material(version)?;
        Ok(Self { media_type: json.media_type.into(), version, content, material })
    }

    /// Returns the JSON, as it is stored.
    ///
    /// # Errors
    /// [`BundleError::Json`] when writing JSON fails, which it does not for text and bytes.
    pub fn to_json(&self) -> Result<String, BundleError> {
        let (dsse_envelope, message_signature) = match &self.content {
            SignedContent::Envelope(envelope) => (Some(EnvelopeJson::from(envelope)), None),
            SignedContent::MessageSignature { digest, signature } => {
                (None, Some(MessageJson::of(digest.as_ref(), signature)))
            }
            SignedContent::SimpleSigning { .. } => return Err(BundleError::Content),
        };
        let json = BundleJson {
            media_type: self.media_type.as_str().to_owned(),
            verification_material: MaterialJson::of(&self.material, self.version),
            dsse_envelope,
            message_signature,
        };
        serde_json::to_string(&json).map_err(BundleError::Json)
    }

    /// Returns the media type, as written.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns the version.
    pub fn version(&self) -> BundleVersion {
        self.version
    }

    /// Returns what was signed.
    pub fn content(&self) -> &SignedContent {
        &self.content
    }

    /// Returns what came along.
    pub fn material(&self) -> &VerificationMaterial {
        &self.material
    }

    /// Returns the statement, if the content is one.
    pub fn statement(&self) -> Option<Statement> {
        match &self.content {
            SignedContent::Envelope(envelope) if envelope.payload_type() == media_type::IN_TOTO => {
                Statement::from_bytes(envelope.payload().clone()).ok()
            }
            _ => None,
        }
    }

    /// Returns the predicate's type, if the content is a statement. Reads the payload; not verified.
    pub fn predicate_type(&self) -> Option<String> {
        self.statement().map(|statement| statement.predicate_type().to_owned())
    }

    /// Returns content and material.
    pub(crate) fn into_parts(self) -> (SignedContent, VerificationMaterial) {
        (self.content, self.material)
    }
}

/// A version of the bundle format.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum BundleVersion {
    /// Version 0.1: log entries with promises.
    V01,
    /// Version 0.2: log entries with proofs.
    V02,
    /// Version 0.3: one certificate instead of a chain.
    V03,
}

impl BundleVersion {
    fn of(media_type: &str) -> Result<Self, BundleError> {
        match media_type {
            V01 => Ok(Self::V01),
            V02 => Ok(Self::V02),
            media_type::SIGSTORE_BUNDLE_V03 | "application/vnd.dev.sigstore.bundle+json;version=0.3" => Ok(Self::V03),
            other => Err(BundleError::MediaType { found: crate::repository::foreign_text(other) }),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BundleJson {
    media_type: String,
    verification_material: MaterialJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<EnvelopeJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MessageJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_digest: Option<MessageDigestJson>,
    signature: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MessageDigestJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<HashAlgorithm>,
    #[serde(default)]
    digest: Base64,
}

/// `HashAlgorithm` of <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_common.proto>.
#[derive(Clone, Copy, Deserialize, Serialize)]
enum HashAlgorithm {
    #[serde(rename = "SHA2_256")]
    Sha256,
    #[serde(rename = "SHA2_384")]
    Sha384,
    #[serde(rename = "SHA2_512")]
    Sha512,
}

impl MessageJson {
    fn into_content(self) -> Result<SignedContent, BundleError> {
        if self.signature.0.is_empty() {
            return Err(BundleError::EmptySignature);
        }
        let digest = match self.message_digest {
            None => None,
            // Cosign 3 writes `{}` beside Ed25519 signatures, which have no digest.
            Some(MessageDigestJson { algorithm: None, digest }) if digest.0.is_empty() => None,
            Some(MessageDigestJson { algorithm, digest }) => {
                let algorithm = match algorithm.ok_or(BundleError::MessageDigest(DigestError::NoAlgorithm))? {
                    HashAlgorithm::Sha256 => DigestAlgorithm::Sha256,
                    HashAlgorithm::Sha384 => DigestAlgorithm::Sha384,
                    HashAlgorithm::Sha512 => DigestAlgorithm::Sha512,
                };
                Some(Digest::from_bytes(algorithm, &digest.0).map_err(BundleError::MessageDigest)?)
            }
        };
        Ok(SignedContent::MessageSignature { digest, signature: self.signature.0 })
    }

    fn of(digest: Option<&Digest>, signature: &[u8]) -> Self {
        let message_digest = digest.map(|digest| MessageDigestJson {
            algorithm: Some(match digest.algorithm() {
                DigestAlgorithm::Sha256 => HashAlgorithm::Sha256,
                DigestAlgorithm::Sha384 => HashAlgorithm::Sha384,
                DigestAlgorithm::Sha512 => HashAlgorithm::Sha512,
            }),
            digest: Base64(digest.as_bytes().to_vec()),
        });
        Self { message_digest, signature: Base64(signature.to_vec()) }
    }
}

/// Media type of version 0.1.
const V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
/// Media type of version 0.2.
const V02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
/// The largest bundle read: the largest envelope, and room for certificates, proofs and timestamps.
pub const MAX_BUNDLE_BYTES: usize = MAX_ENVELOPE_BYTES + 2 * 1024 * 1024;

/// Says why bytes are not a bundle this crate takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The chain is empty or too long.
    #[error("a chain of {certificates} certificates is no chain")]
    CertificateChain {
        /// Certificates found.
        certificates: usize,
    },
    /// There is not exactly one content.
    #[error("the bundle must have either an envelope or a message signature")]
    Content,
    /// The signature is empty.
    #[error("the bundle's signature is empty")]
    EmptySignature,
    /// The envelope is unusable.
    #[error("the bundle's envelope is unusable")]
    Envelope(#[source] EnvelopeError),
    /// It is not the JSON of a bundle.
    #[error("the bundle is malformed JSON")]
    Json(#[source] serde_json::Error),
    /// There is not exactly one of public key, certificate and chain.
    #[error("the bundle must have exactly one of public key, certificate and certificate chain")]
    KeyMaterial,
    /// A log entry lacks what its version demands.
    #[error("log entry {position} has no {what}")]
    LogEntryWithout {
        /// Which entry, from 0.
        position: usize,
        /// What is missing.
        what: &'static str,
    },
    /// The media type is no known version's.
    #[error("`{found}` is no media type of a bundle of version 0.1 to 0.3")]
    MediaType {
        /// The media type found, bounded and printable.
        found: String,
    },
    /// The message digest is no digest.
    #[error("the message digest is malformed")]
    MessageDigest(#[source] DigestError),
    /// A log entry is there twice.
    #[error("log entry {position} is a repetition")]
    RepeatedLogEntry {
        /// Which entry, from 0.
        position: usize,
    },
    /// A timestamp is there twice.
    #[error("timestamp {position} is a repetition")]
    RepeatedTimestamp {
        /// Which timestamp, from 0.
        position: usize,
    },
    /// It is too large.
    #[error("the bundle exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
    /// There are too many of something.
    #[error("the bundle has more than {limit} {what}")]
    TooMany {
        /// Of what, such as `log entries`.
        what: &'static str,
        /// The most taken.
        limit: usize,
    },
}
