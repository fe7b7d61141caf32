//! Step 0: when was the signature made, by the word of timestamp authorities?
//!
//! The other source of time, a log's promise, is step 5.

use std::collections::BTreeSet;

use super::{Demand, Requirements, TimeSource, VerifiedTime, VerifyError};
use crate::timestamp::{TimestampError, TimestampResponse};
use crate::trust::TrustRoot;

/// Verifies every timestamp over `signature`: a broken or foreign one is refused, not passed over, unless the signer
/// is known by a key and nothing is demanded.
pub(super) fn verify(
    timestamps: &[Vec<u8>],
    signature: &[u8],
    trust: &TrustRoot,
    requirements: &Requirements,
    demand: Demand,
) -> Result<Vec<VerifiedTime>, VerifyError> {
    let mut times = Vec::new();
    let mut authorities = BTreeSet::new();
    for (position, der) in timestamps.iter().enumerate() {
        match verify_one(der, signature, trust) {
            Ok((authority, time)) => {
                authorities.insert(authority);
                times.push(time);
            }
            Err(TimestampError::UnknownAuthority) if demand == Demand::Optional && requirements.timestamps == 0 => {}
            Err(source) => return Err(VerifyError::Timestamp { position, source }),
        }
    }
    if authorities.len() < requirements.timestamps {
        let (required, found) = (requirements.timestamps, authorities.len());
        return Err(VerifyError::TimestampThreshold { required, found });
    }
    Ok(times)
}

/// Returns the authority, by the key that signed, and the time.
fn verify_one(der: &[u8], signature: &[u8], trust: &TrustRoot) -> Result<(Vec<u8>, VerifiedTime), TimestampError> {
    let response = TimestampResponse::parse(der)?;
    let mut error = TimestampError::UnknownAuthority;
    for authority in &trust.timestamp_authorities {
        match response.verify(signature, authority) {
            Ok(verified) => {
                let time = VerifiedTime { time: verified.time, source: TimeSource::TimestampAuthority };
                return Ok((verified.signer_key_info, time));
            }
            Err(TimestampError::OtherAuthority) => {}
            Err(found) => error = found,
        }
    }
    Err(error)
}
