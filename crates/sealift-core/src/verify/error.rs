//! Why an entity does not verify.

use super::Claim;
use crate::entity::SimpleSigningError;
use crate::statement::StatementError;

/// Says why an entity does not verify: one variant per way to fail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signature was made with a certificate, and keys are accepted.
    #[error("signed with a certificate; it is not the signature of an accepted key")]
    CertificateUnsupported,
    /// The signature names an accepted key and does not verify under it.
    #[error("the signature names the accepted key {key_id} and does not verify under it")]
    InvalidSignature {
        /// [`crate::crypto::PublicKey::key_id`] of the key.
        key_id: String,
    },
    /// A log entry is required; entries came along but there is no trust root to check them with.
    #[error("{entries} log entries came along and cannot be checked without a trust root")]
    LogNotChecked {
        /// How many.
        entries: usize,
    },
    /// A log entry is required and none came along.
    #[error("the signature is in no transparency log")]
    NoLogEntry,
    /// The envelope's payload is no statement.
    #[error("the envelope holds `{found}`, not an in-toto statement")]
    PayloadType {
        /// The type found, bounded and printable.
        found: String,
    },
    /// The legacy payload is unusable.
    #[error("the signed payload is unusable")]
    SimpleSigning(#[source] SimpleSigningError),
    /// The statement is unusable.
    #[error("the signed statement is unusable")]
    Statement(#[source] StatementError),
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
            Self::CertificateUnsupported => Some(1),
            Self::LogNotChecked { .. } | Self::NoLogEntry => Some(4),
            Self::InvalidSignature { .. } | Self::WrongKey { .. } => Some(7),
            Self::WrongAnnotation { .. } | Self::WrongSubject { .. } => Some(8),
        }
    }

    /// Orders errors by how much they tell: of many, the one of the highest rank is worth showing.
    pub fn rank(&self) -> u8 {
        match self {
            Self::WrongPredicate { .. } => 0,
            Self::PayloadType { .. } => 1,
            Self::SimpleSigning(_) | Self::Statement(_) => 2,
            Self::CertificateUnsupported => 3,
            Self::WrongKey { .. } => 4,
            Self::InvalidSignature { .. } => 5,
            Self::NoLogEntry | Self::LogNotChecked { .. } => 6,
            Self::WrongSubject { .. } => 7,
            Self::WrongAnnotation { .. } => 8,
        }
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
