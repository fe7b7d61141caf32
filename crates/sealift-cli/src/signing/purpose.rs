//! What is signed about an artifact, and as what a verifier will see it.

use std::collections::BTreeMap;

use sealift_core::oci::Digest;
use sealift_core::statement::{Statement, StatementError, StatementVersion, Subject};
use sealift_core::verify::Claim;
use serde_json::value::RawValue;

/// What is signed about each artifact.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A predicate about it.
    Attestation {
        predicate_type: String,
        predicate: Box<RawValue>,
        /// Digest of the file that the predicate was made from.
        file: Digest,
        replace: Replace,
    },
    /// That it is signed.
    ImageSignature { annotations: BTreeMap<String, String>, identity: Option<String>, existing: Existing },
    /// A statement made elsewhere.
    Statement(Statement),
}

/// What becomes of an artifact that the key has signed already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Existing {
    SignAgain,
    Skip,
}

/// What becomes of earlier attestations of the same type by the same key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replace {
    Earlier,
    Nothing,
}

impl Purpose {
    /// Returns what a verifier will be asked.
    pub(super) fn claim(&self) -> Claim {
        match self {
            Self::Attestation { predicate_type, .. } => {
                Claim::Attestation { predicate_type: Some(predicate_type.clone()) }
            }
            Self::ImageSignature { .. } => Claim::ImageSignature,
            Self::Statement(statement) => {
                Claim::Attestation { predicate_type: Some(statement.predicate_type().to_owned()) }
            }
        }
    }

    /// Returns a text that tells it from other purposes, and is the same whenever it is made.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Attestation { predicate_type, file, .. } => format!("attestation {predicate_type} {file}"),
            Self::ImageSignature { annotations, identity, .. } => format!("signature {annotations:?} {identity:?}"),
            Self::Statement(statement) => format!("statement {}", Digest::sha256(&statement.to_bytes())),
        }
    }

    /// Returns the annotations that are signed too.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        match self {
            Self::ImageSignature { annotations, .. } => annotations.clone(),
            Self::Attestation { .. } | Self::Statement(_) => BTreeMap::new(),
        }
    }

    /// Returns the statement a bundle holds.
    pub(super) fn statement(&self, digest: &Digest) -> Result<Statement, StatementError> {
        match self {
            Self::Attestation { predicate_type, predicate, .. } => {
                Statement::new(vec![Subject::of(digest)], predicate_type, predicate)
            }
            Self::ImageSignature { annotations, .. } => Statement::image_signature(digest, annotations.clone()),
            Self::Statement(statement) => Ok(statement.clone()),
        }
    }

    /// Returns the statement a `.att` layer holds: cosign 2 writes version 0.1, and a name.
    pub(super) fn legacy_statement(&self, digest: &Digest, name: String) -> Result<Statement, StatementError> {
        match self {
            Self::Attestation { predicate_type, predicate, .. } => {
                let subject = Subject::of(digest).named(name);
                Statement::with_version(StatementVersion::V01, vec![subject], predicate_type, predicate)
            }
            _ => self.statement(digest),
        }
    }
}

/// Says whether one of the statement's subjects has this digest.
pub(crate) fn is_about(statement: &Statement, digest: &Digest) -> bool {
    let hex = digest.hex();
    let mut subjects = statement.subjects().iter();
    subjects.any(|subject| subject.digest.get(digest.algorithm().as_str()).is_some_and(|found| *found == hex))
}
