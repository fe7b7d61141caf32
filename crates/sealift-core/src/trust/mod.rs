//! Whom to trust: certificate authorities, transparency logs and timestamp authorities, each for a span of time.
//!
//! Comes from `trusted_root.json` documents or from certificates and keys given by hand; how those got here, and
//! whether they are fresh, is decided where they are fetched.

mod authority;
mod log;
mod trusted_root;

pub use authority::{Authority, AuthorityError};
pub use log::{Log, LogError};
pub use trusted_root::{EntryError, MAX_TRUSTED_ROOT_BYTES, TrustedRootError};

/// Everything a verifier trusts. Empty trusts nobody.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TrustRoot {
    /// Who issues certificates for signers.
    pub certificate_authorities: Vec<Authority>,
    /// Certificate transparency logs.
    pub ctlogs: Vec<Log>,
    /// Who issues timestamps.
    pub timestamp_authorities: Vec<Authority>,
    /// Transparency logs of signatures.
    pub tlogs: Vec<Log>,
}

impl TrustRoot {
    /// Returns a trust root that trusts whom either trusts.
    ///
    /// Requirements are then common to both: an instance that needs fewer, as GitHub's that has no log, is better
    /// given to its own verifier.
    #[must_use]
    pub fn combined_with(mut self, other: Self) -> Self {
        self.certificate_authorities.extend(other.certificate_authorities);
        self.ctlogs.extend(other.ctlogs);
        self.timestamp_authorities.extend(other.timestamp_authorities);
        self.tlogs.extend(other.tlogs);
        self
    }

    /// Returns the same trust root, also trusting `authority` to issue signers' certificates.
    #[must_use]
    pub fn with_certificate_authority(mut self, authority: Authority) -> Self {
        self.certificate_authorities.push(authority);
        self
    }

    /// Returns the same trust root, also trusting `authority` for timestamps.
    #[must_use]
    pub fn with_timestamp_authority(mut self, authority: Authority) -> Self {
        self.timestamp_authorities.push(authority);
        self
    }

    /// Returns the same trust root, also trusting `log` to log signatures.
    #[must_use]
    pub fn with_tlog(mut self, log: Log) -> Self {
        self.tlogs.push(log);
        self
    }

    /// Returns the same trust root, also trusting `log` to log certificates.
    #[must_use]
    pub fn with_ctlog(mut self, log: Log) -> Self {
        self.ctlogs.push(log);
        self
    }
}
