//! Step 5: did the log sign when it took the entry?
//!
//! The signed entry timestamp is the only thing that makes a log's time believable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{TimeSource, VerifiedTime, VerifyError};
use crate::entity::LogEntry;
use crate::json_canonical::to_canonical_json;
use crate::oci::{Digest, DigestAlgorithm};
use crate::trust::Log;

/// Returns the time of logging; `None` when the entry has no promise. Then it may not state a time either: nobody
/// signed that.
pub(super) fn verify(position: usize, entry: &LogEntry, logs: &[&Log]) -> Result<Option<VerifiedTime>, VerifyError> {
    let (promise, time) = match (&entry.inclusion_promise, entry.integrated_time) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(VerifyError::LogTimeUnproven { position }),
        (Some(_), None) => return Err(VerifyError::InclusionPromise { position }),
        (Some(promise), Some(time)) => (promise, time),
    };
    let log_id = Digest::from_bytes(DigestAlgorithm::Sha256, &entry.log_id);
    let log_id = log_id.map_err(|_| VerifyError::InclusionPromise { position })?;
    let signed = to_canonical_json(&json!({
        "body": STANDARD.encode(&entry.canonicalized_body),
        "integratedTime": time,
        "logID": log_id.hex(),
        "logIndex": entry.log_index,
    }));
    if !logs.iter().any(|log| log.key().verify(signed.as_bytes(), promise).is_ok()) {
        return Err(VerifyError::InclusionPromise { position });
    }
    Ok(Some(VerifiedTime { time, source: TimeSource::TransparencyLog }))
}
