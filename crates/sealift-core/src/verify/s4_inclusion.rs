//! Step 4: is the signature in a transparency log?
//!
//! No trust root reaches this crate yet, so an entry is counted and reported, and never taken for proof.

use super::{LogRequirement, VerifyError};
use crate::entity::VerificationMaterial;

/// What is known from transparency logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogEvidence {
    /// The signature came with no entry.
    None,
    /// Entries came along and were not checked.
    NotChecked {
        /// How many.
        entries: usize,
    },
}

pub(super) fn verify(material: &VerificationMaterial, requirement: LogRequirement) -> Result<LogEvidence, VerifyError> {
    let entries = material.log_entries.len();
    let is_required = match requirement {
        LogRequirement::Required => true,
        // Step 7 refuses certificates by itself until they can be verified.
        LogRequirement::ForCertificates | LogRequirement::IgnoredUnsafe => false,
    };
    match (is_required, entries) {
        (true, 0) => Err(VerifyError::NoLogEntry),
        (true, entries) => Err(VerifyError::LogNotChecked { entries }),
        (false, 0) => Ok(LogEvidence::None),
        (false, entries) => Ok(LogEvidence::NotChecked { entries }),
    }
}
