//! Why an entity does not verify.

use super::Claim;
use crate::entity::SimpleSigningError;
use crate::statement::StatementError;
use crate::timestamp::TimestampError;
use crate::tlog::checkpoint::CheckpointError;
use crate::tlog::entry::EntryError;
use crate::tlog::merkle::MerkleError;
use crate::x509::{CertificateError, ChainError, FulcioExtensionError, SctError, UnixTime, display_time};

/// Says why an entity does not verify: one variant per way to fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signature was made with a certificate, and keys are accepted.
    #[error("signed with a certificate; it is not the signature of an accepted key")]
    CertificateUnsupported,
    /// The certificate is malformed.
    #[error("the signer's certificate is malformed")]
    Certificate(#[source] CertificateError),
    /// The certificate leads to no trusted authority at a proven time.
    #[error("the signer's certificate does not verify at {}", display_time(*.time))]
    Chain {
        /// The proven time, in seconds since the epoch.
        time: UnixTime,
        /// Why.
        source: ChainError,
    },
    /// The checkpoint of a log entry is malformed.
    #[error("the checkpoint of log entry {position} is malformed")]
    Checkpoint {
        /// Which entry, from 0.
        position: usize,
        /// Why.
        source: CheckpointError,
    },
    /// The checkpoint of a log entry states another tree than the proof.
    #[error("the checkpoint of log entry {position} is of another tree than its proof")]
    CheckpointMismatch {
        /// Which entry, from 0.
        position: usize,
    },
    /// The log did not sign the checkpoint.
    #[error("the checkpoint of log entry {position} is not signed by its log")]
    CheckpointSignature {
        /// Which entry, from 0.
        position: usize,
    },
    /// The certificate's extensions contradict each other or are malformed.
    #[error("the signer's certificate has unusable extensions")]
    Extensions(#[source] FulcioExtensionError),
    /// The proof of a log entry does not lead to the root.
    #[error("the inclusion proof of log entry {position} does not hold")]
    InclusionProof {
        /// Which entry, from 0.
        position: usize,
        /// Why.
        source: MerkleError,
    },
    /// The log did not sign the promise of an entry.
    #[error("the signed entry timestamp of log entry {position} does not verify")]
    InclusionPromise {
        /// Which entry, from 0.
        position: usize,
    },
    /// The signature does not verify under the key of its certificate.
    #[error("the signature does not verify under the key of its certificate")]
    InvalidCertificateSignature,
    /// The signature names an accepted key and does not verify under it.
    #[error("the signature names the accepted key {key_id} and does not verify under it")]
    InvalidSignature {
        /// [`crate::crypto::PublicKey::key_id`] of the key.
        key_id: String,
    },
    /// The key was not valid when it signed, or that cannot be told.
    #[error("the key is valid for another time than {}", .time.map_or("an unknown one".to_owned(), display_time))]
    KeyOutsideValidity {
        /// The proven time, in seconds since the epoch; `None` when there is none.
        time: Option<UnixTime>,
    },
    /// A log entry is malformed, or of an unknown kind.
    #[error("log entry {position} is unusable")]
    LogEntry {
        /// Which entry, from 0.
        position: usize,
        /// Why.
        source: EntryError,
    },
    /// A log entry is about another signature.
    #[error("log entry {position} is of another signature: its {field} differs")]
    LogEntryMismatch {
        /// Which entry, from 0.
        position: usize,
        /// What differs.
        field: &'static str,
    },
    /// A log entry has neither a promise nor a proof under a checkpoint.
    #[error("log entry {position} brings no proof that it is in the log")]
    LogEntryUnproven {
        /// Which entry, from 0.
        position: usize,
    },
    /// The log was not trusted at the time of logging.
    #[error("the log of entry {position} was not trusted at {}", .time.map_or("an unknown time".to_owned(), display_time))]
    LogOutsideWindow {
        /// Which entry, from 0.
        position: usize,
        /// The time, in seconds since the epoch; `None` when none is proven.
        time: Option<UnixTime>,
    },
    /// Fewer logs than demanded hold the signature.
    #[error("the signature is in {found} distinct logs, not {required}")]
    LogThreshold {
        /// Distinct logs demanded.
        required: usize,
        /// Distinct logs found.
        found: usize,
    },
    /// The time of logging lies outside of the certificate's validity.
    #[error("the signature was logged at {}, when its certificate was not valid", display_time(*.time))]
    LogTimeOutsideCertificate {
        /// The time, in seconds since the epoch.
        time: UnixTime,
    },
    /// A log entry states a time that nothing proves.
    #[error("log entry {position} states a time that its log did not sign")]
    LogTimeUnproven {
        /// Which entry, from 0.
        position: usize,
    },
    /// A log entry is required; entries came along but there is no trust root to check them with.
    #[error("{entries} log entries came along and cannot be checked without a trust root")]
    LogNotChecked {
        /// How many.
        entries: usize,
    },
    /// A certificate is demanded and the signature has none.
    #[error("signed with a bare key; a certificate is demanded")]
    NoCertificate,
    /// A log entry has no inclusion proof, and one is demanded.
    #[error("log entry {position} has no inclusion proof under a checkpoint")]
    NoInclusionProof {
        /// Which entry, from 0.
        position: usize,
    },
    /// A log entry is required and none came along.
    #[error("the signature is in no transparency log")]
    NoLogEntry,
    /// Nothing proves when the signature was made, so its certificate cannot be verified.
    #[error("nothing proves when the signature was made")]
    NoProvenTime,
    /// There is no trust root to verify certificates with.
    #[error("signed with a certificate, and no certificate authority is trusted")]
    NoTrustRoot,
    /// The envelope's payload is no statement.
    #[error("the envelope holds `{found}`, not an in-toto statement")]
    PayloadType {
        /// The type found, bounded and printable.
        found: String,
    },
    /// The certificate's transparency timestamps are malformed.
    #[error("the certificate's transparency timestamps are unusable")]
    Sct(#[source] SctError),
    /// A certificate transparency log did not sign its timestamp.
    #[error("a certificate transparency timestamp does not verify")]
    SctSignature,
    /// Fewer certificate transparency logs than demanded know the certificate.
    #[error("the certificate is in {found} trusted certificate transparency logs, not {required}")]
    SctThreshold {
        /// Distinct logs demanded.
        required: usize,
        /// Distinct logs found.
        found: usize,
    },
    /// The legacy payload is unusable.
    #[error("the signed payload is unusable")]
    SimpleSigning(#[source] SimpleSigningError),
    /// The statement is unusable.
    #[error("the signed statement is unusable")]
    Statement(#[source] StatementError),
    /// A timestamp does not verify.
    #[error("timestamp {position} does not verify")]
    Timestamp {
        /// Which timestamp, from 0.
        position: usize,
        /// Why.
        source: TimestampError,
    },
    /// Fewer timestamp authorities than demanded saw the signature.
    #[error("{found} distinct timestamp authorities saw the signature, not {required}")]
    TimestampThreshold {
        /// Distinct authorities demanded.
        required: usize,
        /// Distinct authorities found.
        found: usize,
    },
    /// A log entry is of a log that is not trusted.
    #[error("log entry {position} is of an unknown log")]
    UnknownLog {
        /// Which entry, from 0.
        position: usize,
    },
    /// A demanded annotation is missing or has another value.
    #[error("annotation `{key}` is {}, not `{expected}`", .found.as_ref().map_or("missing".to_owned(), |found| format!("`{found}`")))]
    WrongAnnotation {
        /// The annotation.
        key: String,
        /// The value demanded.
        expected: String,
        /// The value found, bounded and printable.
        found: Option<String>,
    },
    /// Somebody else signed.
    #[error("signed by {}{}", .subject.join(", "), .issuer.as_ref().map_or(String::new(), |issuer| format!(" (by {issuer})")))]
    WrongIdentity {
        /// Names of the certificate, bounded and printable.
        subject: Vec<String>,
        /// Its issuer, bounded and printable.
        issuer: Option<String>,
    },
    /// No accepted key made the signature.
    #[error("signed by another key{}", .hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})")))]
    WrongKey {
        /// What the entity says about its key, unproven, bounded and printable.
        hint: Option<String>,
    },
    /// It claims something else than what is asked for.
    #[error("{}", wrong_predicate(.expected, .found.as_deref()))]
    WrongPredicate {
        /// The claim asked for.
        expected: Claim,
        /// The predicate type found, bounded and printable; `None` when the entity is no statement.
        found: Option<String>,
    },
    /// It is about another artifact.
    #[error("signed is another artifact: {}", .signed.join(", "))]
    WrongSubject {
        /// What was signed, as written; the first few digests.
        signed: Vec<String>,
    },
}

impl VerifyError {
    /// Returns the step that failed, by the numbers of the Sigstore client specification; `None` for what is wrong
    /// before any step.
    pub fn step(&self) -> Option<u8> {
        match self {
            Self::PayloadType { .. } | Self::SimpleSigning(_) | Self::Statement(_) | Self::WrongPredicate { .. } => {
                None
            }
            Self::NoProvenTime | Self::Timestamp { .. } | Self::TimestampThreshold { .. } => Some(0),
            Self::Certificate(_)
            | Self::CertificateUnsupported
            | Self::Chain { .. }
            | Self::NoCertificate
            | Self::NoTrustRoot => Some(1),
            Self::Sct(_) | Self::SctSignature | Self::SctThreshold { .. } => Some(2),
            Self::Extensions(_) | Self::WrongIdentity { .. } => Some(3),
            Self::Checkpoint { .. }
            | Self::CheckpointMismatch { .. }
            | Self::CheckpointSignature { .. }
            | Self::InclusionProof { .. }
            | Self::LogEntryUnproven { .. }
            | Self::LogNotChecked { .. }
            | Self::LogThreshold { .. }
            | Self::NoInclusionProof { .. }
            | Self::NoLogEntry
            | Self::UnknownLog { .. } => Some(4),
            Self::InclusionPromise { .. } | Self::LogTimeUnproven { .. } => Some(5),
            Self::KeyOutsideValidity { .. }
            | Self::LogOutsideWindow { .. }
            | Self::LogTimeOutsideCertificate { .. } => Some(6),
            Self::InvalidCertificateSignature | Self::InvalidSignature { .. } | Self::WrongKey { .. } => Some(7),
            Self::LogEntry { .. }
            | Self::LogEntryMismatch { .. }
            | Self::WrongAnnotation { .. }
            | Self::WrongSubject { .. } => Some(8),
        }
    }

    /// Orders errors by how much they tell: of many, the one of the highest rank is worth showing.
    pub fn rank(&self) -> u8 {
        match self {
            Self::WrongPredicate { .. } => 0,
            Self::PayloadType { .. } => 1,
            Self::SimpleSigning(_) | Self::Statement(_) => 2,
            Self::CertificateUnsupported | Self::NoCertificate | Self::NoTrustRoot => 3,
            Self::WrongKey { .. } => 4,
            Self::WrongIdentity { .. } => 5,
            Self::WrongSubject { .. } => 8,
            Self::WrongAnnotation { .. } => 9,
            // A signature that nearly is one: forged, damaged, or of an instance that is not trusted.
            Self::NoLogEntry | Self::LogNotChecked { .. } => 7,
            _ => 6,
        }
    }

    /// Says whether it is certain that none of the signers accepted claimed this about the artifact: somebody else signed,
    /// or something else is claimed, or of something else. Any other error leaves that open: the signature may be
    /// damaged, or lack evidence that is demanded, and be theirs all the same.
    pub fn is_certainly_other(&self) -> bool {
        matches!(
            self,
            Self::CertificateUnsupported
                | Self::NoCertificate
                | Self::WrongIdentity { .. }
                | Self::WrongKey { .. }
                | Self::WrongPredicate { .. }
                | Self::WrongSubject { .. }
        )
    }

    /// Says whether the entity was no candidate at all: it claims something else than what is asked for.
    pub fn is_other_claim(&self) -> bool {
        matches!(self, Self::WrongPredicate { .. })
    }
}

fn wrong_predicate(expected: &Claim, found: Option<&str>) -> String {
    let found = found.map_or("not a statement".to_owned(), |found| format!("an attestation `{found}`"));
    match expected {
        Claim::Attestation { predicate_type: Some(expected) } => format!("this is {found}, not `{expected}`"),
        Claim::Attestation { predicate_type: None } => format!("this is {found}, not an attestation"),
        Claim::Blob => format!("this is {found}, not a signature over the artifact's bytes"),
        Claim::ImageSignature => format!("this is {found}, not an image signature"),
    }
}
