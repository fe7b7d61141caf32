//! The predicate cosign wraps a file of any form in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::MAX_STATEMENT_BYTES;

/// A file as text, with the time it was attested.
///
/// Specification: <https://github.com/sigstore/cosign/blob/main/specs/COSIGN_PREDICATE_SPEC.md>.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CosignCustom {
    /// The file.
    #[serde(rename = "Data")]
    pub data: String,
    /// The time, RFC 3339; empty on old attestations.
    #[serde(default, rename = "Timestamp")]
    pub timestamp: String,
}

impl CosignCustom {
    /// Wraps a file; `now` is written in seconds of UTC, as cosign does.
    ///
    /// # Errors
    /// [`CustomPredicateError`] when the file is not UTF-8 or too large for a statement.
    pub fn new(file: &[u8], now: Timestamp) -> Result<Self, CustomPredicateError> {
        if file.len() > MAX_STATEMENT_BYTES {
            return Err(CustomPredicateError::TooLarge { limit: MAX_STATEMENT_BYTES });
        }
        let data = std::str::from_utf8(file).map_err(CustomPredicateError::NotText)?.to_owned();
        Ok(Self { data, timestamp: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() })
    }
}

/// Says why a file cannot be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustomPredicateError {
    /// The file is not text.
    #[error("the predicate is not UTF-8 text")]
    NotText(#[source] std::str::Utf8Error),
    /// The file is too large.
    #[error("the predicate exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_cosign_writes() {
        let predicate = CosignCustom::new(b"{ // not JSON", Timestamp::UNIX_EPOCH).unwrap();
        let json = r#"{"Data":"{ // not JSON","Timestamp":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(serde_json::to_string(&predicate).unwrap(), json);
        assert!(matches!(CosignCustom::new(b"\xff", Timestamp::UNIX_EPOCH), Err(CustomPredicateError::NotText(_))));
    }
}
