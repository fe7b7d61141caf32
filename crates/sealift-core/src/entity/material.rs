//! What comes along with a signature to verify it: key, certificates, log entries, timestamps.
//!
//! Parsed and bounded, not verified.

use serde::{Deserialize, Serialize};

use super::BundleError;
use super::bundle::BundleVersion;
use crate::protojson::{Base64, Int64};

/// Everything that came along with a signature.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct VerificationMaterial {
    /// The key, or what says whose it is.
    pub key: MaterialKey,
    /// Entries of transparency logs, at most [`MAX_LOG_ENTRIES`].
    pub log_entries: Vec<LogEntry>,
    /// RFC 3161 timestamp responses in DER, at most [`MAX_TIMESTAMPS`].
    pub timestamps: Vec<Vec<u8>>,
}

/// What says whose the signature is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum MaterialKey {
    /// Certificates in DER, the signer's first.
    Certificates(Vec<Vec<u8>>),
    /// Nothing, as on cosign's legacy layers made with a key.
    #[default]
    None,
    /// The name of a key that the verifier must have already.
    PublicKey {
        /// The name: cosign writes the key's [`crate::crypto::PublicKey::key_id`].
        hint: String,
    },
}

impl MaterialKey {
    /// Says whether there is a certificate.
    pub fn has_certificate(&self) -> bool {
        matches!(self, Self::Certificates(_))
    }

    /// Returns the hint, if there is one that says anything.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::PublicKey { hint } if !hint.is_empty() => Some(hint),
            _ => None,
        }
    }
}

/// An entry of a transparency log.
///
/// Exhaustive: what a log returns must be carried over whole, so a new field has to be thought of where one is made.
///
/// Specification: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_rekor.proto>.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// Index in the log.
    pub log_index: i64,
    /// SHA-256 of the log's public key.
    pub log_id: Vec<u8>,
    /// Kind, such as `hashedrekord`.
    pub kind: String,
    /// Version of the kind, such as `0.0.1`.
    pub version: String,
    /// Time of logging in seconds since the epoch, where the log gives one.
    pub integrated_time: Option<i64>,
    /// Signed entry timestamp.
    pub inclusion_promise: Option<Vec<u8>>,
    /// Inclusion proof.
    pub inclusion_proof: Option<InclusionProof>,
    /// The entry, canonical JSON.
    pub canonicalized_body: Vec<u8>,
}

impl LogEntry {
    /// Reads an entry as Rekor 2 returns it: the specification's message as JSON.
    ///
    /// # Errors
    /// [`BundleError`] as for the same message within a bundle.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        serde_json::from_slice::<LogEntryJson>(json).map_err(BundleError::Json)?.into_entry()
    }

    /// Says whether it came with an inclusion proof and the checkpoint that the proof leads to, as bundles since version
    /// 0.2 must.
    pub fn has_proof(&self) -> bool {
        self.inclusion_proof.as_ref().is_some_and(|proof| proof.checkpoint.is_some())
    }
}

/// A Merkle inclusion proof (RFC 9162 section 2.1.3). Exhaustive, as [`LogEntry`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// Index within the tree.
    pub log_index: i64,
    /// Root hash.
    pub root_hash: Vec<u8>,
    /// Leaves in the tree.
    pub tree_size: i64,
    /// Sibling hashes, leaf to root.
    pub hashes: Vec<Vec<u8>>,
    /// Signed note that states the root, if any.
    pub checkpoint: Option<String>,
}

/// The most log entries of one entity; stops endless verification (CVE-2024-45395).
pub const MAX_LOG_ENTRIES: usize = 32;
/// The most timestamps of one entity; stops the same.
pub const MAX_TIMESTAMPS: usize = 32;
/// The most certificates of one entity; real chains have three. Stops a chain that takes for ever to build.
pub(super) const MAX_CERTIFICATES: usize = 16;
/// The most hashes of one proof: a tree of 2^63 leaves has no more levels.
const MAX_PROOF_HASHES: usize = 64;

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MaterialJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<ChainJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tlog_entries: Option<Vec<LogEntryJson>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<TimestampsJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyJson {
    #[serde(default)]
    hint: String,
    /// The key itself, as model-signing writes it: passed over, a signature cannot bring its own key.
    #[serde(default, rename = "rawBytes", skip_serializing)]
    _raw_bytes: serde::de::IgnoredAny,
    #[serde(default, rename = "keyDetails", skip_serializing)]
    _key_details: serde::de::IgnoredAny,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawJson {
    raw_bytes: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ChainJson {
    certificates: Vec<RawJson>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimestampsJson {
    #[serde(default)]
    rfc3161_timestamps: Option<Vec<TimestampJson>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimestampJson {
    signed_timestamp: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogEntryJson {
    #[serde(default)]
    log_index: Int64,
    log_id: LogIdJson,
    kind_version: KindVersionJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    integrated_time: Option<Int64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<PromiseJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<ProofJson>,
    canonicalized_body: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogIdJson {
    key_id: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KindVersionJson {
    kind: String,
    version: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PromiseJson {
    signed_entry_timestamp: Base64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ProofJson {
    #[serde(default)]
    log_index: Int64,
    root_hash: Base64,
    tree_size: Int64,
    #[serde(default)]
    hashes: Option<Vec<Base64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<CheckpointJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CheckpointJson {
    #[serde(default)]
    envelope: String,
}

impl MaterialJson {
    pub(super) fn into_material(self, version: BundleVersion) -> Result<VerificationMaterial, BundleError> {
        let key = match (self.public_key, self.certificate, self.x509_certificate_chain) {
            (Some(key), None, None) => MaterialKey::PublicKey { hint: key.hint },
            (None, Some(certificate), None) => MaterialKey::Certificates(vec![certificate.raw_bytes.0]),
            (None, None, Some(chain)) => {
                // Version 0.3 forbids chains, since the trust root brings the issuers; model-signing writes one where
                // there is no trust root and no log, but an authority of one's own.
                let has_log = self.tlog_entries.as_ref().is_some_and(|entries| !entries.is_empty());
                let is_chain = (1..=MAX_CERTIFICATES).contains(&chain.certificates.len());
                if version >= BundleVersion::V03 && has_log || !is_chain {
                    return Err(BundleError::CertificateChain { certificates: chain.certificates.len() });
                }
                MaterialKey::Certificates(chain.certificates.into_iter().map(|raw| raw.raw_bytes.0).collect())
            }
            _ => return Err(BundleError::KeyMaterial),
        };
        let entries = self.tlog_entries.unwrap_or_default();
        if entries.len() > MAX_LOG_ENTRIES {
            return Err(BundleError::TooMany { what: "log entries", limit: MAX_LOG_ENTRIES });
        }
        let timestamps = self.timestamp_verification_data.unwrap_or_default().rfc3161_timestamps.unwrap_or_default();
        if timestamps.len() > MAX_TIMESTAMPS {
            return Err(BundleError::TooMany { what: "timestamps", limit: MAX_TIMESTAMPS });
        }
        let log_entries = entries.into_iter().map(LogEntryJson::into_entry).collect::<Result<Vec<_>, _>>()?;
        refuse_incomplete_or_repeated(version, &log_entries)?;
        let timestamps: Vec<_> = timestamps.into_iter().map(|timestamp| timestamp.signed_timestamp.0).collect();
        if let Some(position) = (1..timestamps.len()).find(|at| timestamps[..*at].contains(&timestamps[*at])) {
            return Err(BundleError::RepeatedTimestamp { position });
        }
        Ok(VerificationMaterial { key, log_entries, timestamps })
    }
}

/// Version 0.1 must bring promises, later versions proofs; one entry twice would count twice towards a threshold.
fn refuse_incomplete_or_repeated(version: BundleVersion, entries: &[LogEntry]) -> Result<(), BundleError> {
    for (position, entry) in entries.iter().enumerate() {
        let (what, is_there) = match version {
            BundleVersion::V01 => ("inclusion promise", entry.inclusion_promise.is_some()),
            BundleVersion::V02 | BundleVersion::V03 => ("inclusion proof with a checkpoint", entry.has_proof()),
        };
        if !is_there {
            return Err(BundleError::LogEntryWithout { position, what });
        }
        let is_same = |other: &LogEntry| other.log_id == entry.log_id && other.log_index == entry.log_index;
        if entries[..position].iter().any(is_same) {
            return Err(BundleError::RepeatedLogEntry { position });
        }
    }
    Ok(())
}

impl LogEntryJson {
    fn into_entry(self) -> Result<LogEntry, BundleError> {
        let inclusion_proof = self.inclusion_proof.map(ProofJson::into_proof).transpose()?;
        Ok(LogEntry {
            log_index: self.log_index.0,
            log_id: self.log_id.key_id.0,
            kind: self.kind_version.kind,
            version: self.kind_version.version,
            // Zero is how Protocol Buffers spell "not given"; Rekor 2 gives none.
            integrated_time: self.integrated_time.map(|time| time.0).filter(|time| *time != 0),
            inclusion_promise: self.inclusion_promise.map(|promise| promise.signed_entry_timestamp.0),
            inclusion_proof,
            canonicalized_body: self.canonicalized_body.0,
        })
    }
}

impl ProofJson {
    fn into_proof(self) -> Result<InclusionProof, BundleError> {
        let hashes = self.hashes.unwrap_or_default();
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(BundleError::TooMany { what: "hashes in a proof", limit: MAX_PROOF_HASHES });
        }
        Ok(InclusionProof {
            log_index: self.log_index.0,
            root_hash: self.root_hash.0,
            tree_size: self.tree_size.0,
            hashes: hashes.into_iter().map(|hash| hash.0).collect(),
            checkpoint: self.checkpoint.map(|checkpoint| checkpoint.envelope).filter(|text| !text.is_empty()),
        })
    }
}

impl MaterialJson {
    /// Returns the JSON form of `material`; a lone certificate is written as one, several as a chain.
    pub(super) fn of(material: &VerificationMaterial, version: BundleVersion) -> Self {
        let raw = |der: &Vec<u8>| RawJson { raw_bytes: Base64(der.clone()) };
        let mut json = Self::default();
        match &material.key {
            MaterialKey::None => json.public_key = Some(PublicKeyJson::default()),
            MaterialKey::PublicKey { hint } => {
                json.public_key = Some(PublicKeyJson { hint: hint.clone(), ..PublicKeyJson::default() });
            }
            MaterialKey::Certificates(certificates) => match &certificates[..] {
                [certificate] if version >= BundleVersion::V03 => json.certificate = Some(raw(certificate)),
                certificates => {
                    let certificates = certificates.iter().map(raw).collect();
                    json.x509_certificate_chain = Some(ChainJson { certificates });
                }
            },
        }
        if !material.log_entries.is_empty() {
            json.tlog_entries = Some(material.log_entries.iter().map(LogEntryJson::of).collect());
        }
        if !material.timestamps.is_empty() {
            let timestamp = |der: &Vec<u8>| TimestampJson { signed_timestamp: Base64(der.clone()) };
            let timestamps = material.timestamps.iter().map(timestamp).collect();
            json.timestamp_verification_data = Some(TimestampsJson { rfc3161_timestamps: Some(timestamps) });
        }
        json
    }
}

impl LogEntryJson {
    fn of(entry: &LogEntry) -> Self {
        Self {
            log_index: Int64(entry.log_index),
            log_id: LogIdJson { key_id: Base64(entry.log_id.clone()) },
            kind_version: KindVersionJson { kind: entry.kind.clone(), version: entry.version.clone() },
            integrated_time: entry.integrated_time.map(Int64),
            inclusion_promise: entry
                .inclusion_promise
                .as_ref()
                .map(|promise| PromiseJson { signed_entry_timestamp: Base64(promise.clone()) }),
            inclusion_proof: entry.inclusion_proof.as_ref().map(ProofJson::of),
            canonicalized_body: Base64(entry.canonicalized_body.clone()),
        }
    }
}

impl ProofJson {
    fn of(proof: &InclusionProof) -> Self {
        Self {
            log_index: Int64(proof.log_index),
            root_hash: Base64(proof.root_hash.clone()),
            tree_size: Int64(proof.tree_size),
            hashes: Some(proof.hashes.iter().cloned().map(Base64).collect()),
            checkpoint: proof.checkpoint.clone().map(|envelope| CheckpointJson { envelope }),
        }
    }
}
