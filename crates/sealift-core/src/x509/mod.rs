//! Certificates: parsed, asked, and verified up to a root.
//!
//! Never reads a clock: the time at which a certificate must have been valid is an argument.
//! Specification: <https://www.rfc-editor.org/rfc/rfc5280>.

mod certificate;
mod chain;
mod fulcio_extension;
mod sct;

pub use certificate::{Certificate, CertificateError, MAX_CERTIFICATE_BYTES, SubjectName};
pub use chain::{ChainError, IssuerKey, Usage, VerifiedChain, verify_authority_as_signer, verify_chain};
pub use fulcio_extension::{FulcioExtension, FulcioExtensionError, FulcioExtensions};
pub use sct::{MAX_SCTS, SctError, SignedCertificateTimestamp};

/// Seconds since the epoch.
pub type UnixTime = i64;

/// A span of time, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Validity {
    /// First second.
    pub start: UnixTime,
    /// Last second; `None` when there is no end.
    pub end: Option<UnixTime>,
}

impl Validity {
    /// Makes a span.
    pub fn new(start: UnixTime, end: Option<UnixTime>) -> Self {
        Self { start, end }
    }

    /// Says whether `time` lies within.
    pub fn contains(&self, time: UnixTime) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }

    /// Returns what lies within both spans; it may be nothing.
    #[must_use]
    pub fn overlap(self, other: Self) -> Self {
        let end = match (self.end, other.end) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { start: self.start.max(other.start), end }
    }
}

/// Returns a time as RFC 3339, for messages.
pub(crate) fn display_time(time: UnixTime) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}
