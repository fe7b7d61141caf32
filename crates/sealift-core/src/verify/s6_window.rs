//! Step 6: were key, certificate and logs valid at the proven times?

use super::VerifyError;
use super::s4_inclusion::VerifiedEntry;
use crate::x509::{UnixTime, Validity};

/// Refuses entries of logs that were not trusted then, and times outside of `certificate`.
///
/// A log that gives no time is held to the other proven times; without any, one whose time has run out proves nothing.
pub(super) fn verify(
    entries: &[VerifiedEntry<'_>],
    times: &[UnixTime],
    certificate: Option<Validity>,
) -> Result<(), VerifyError> {
    for VerifiedEntry { position, logs, time, .. } in entries {
        let position = *position;
        let proven: Vec<UnixTime> = match time {
            Some(time) => vec![time.time],
            None => times.to_vec(),
        };
        let is_trusted = |time: UnixTime| logs.iter().any(|log| log.validity().contains(time));
        if let Some(time) = proven.iter().copied().find(|time| !is_trusted(*time)) {
            return Err(VerifyError::LogOutsideWindow { position, time: Some(time) });
        }
        if proven.is_empty() && logs.iter().all(|log| log.validity().end.is_some()) {
            return Err(VerifyError::LogOutsideWindow { position, time: None });
        }
        let own = time.filter(|time| certificate.is_some_and(|certificate| !certificate.contains(time.time)));
        if let Some(time) = own {
            return Err(VerifyError::LogTimeOutsideCertificate { time: time.time });
        }
    }
    Ok(())
}

/// Refuses a key outside of its window, or when nothing says when it signed (CVE-2026-54787).
pub(super) fn verify_key(validity: Option<Validity>, times: &[UnixTime]) -> Result<(), VerifyError> {
    let Some(validity) = validity else { return Ok(()) };
    if times.is_empty() {
        return Err(VerifyError::KeyOutsideValidity { time: None });
    }
    match times.iter().find(|time| !validity.contains(**time)) {
        Some(time) => Err(VerifyError::KeyOutsideValidity { time: Some(*time) }),
        None => Ok(()),
    }
}
