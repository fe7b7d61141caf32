//! Why metadata is not trusted.

use std::time::Duration;

use jiff::Timestamp;

use crate::transport::{Refusal, TransportError};

/// Says why a repository's metadata or files are not trusted, or could not be had. Names of files and roles are
/// bounded and printable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufError {
    /// A file has a hash other than the one that was signed.
    #[error("`{file}` is not the file that was signed: its {algorithm} differs")]
    Digest {
        /// Which file.
        file: String,
        /// Which hash.
        algorithm: &'static str,
    },
    /// One key signs a file twice.
    #[error("`{file}` has two signatures of key {key_id}")]
    DuplicateSignature {
        /// Which file.
        file: String,
        /// Identifier of the key.
        key_id: String,
    },
    /// Metadata has expired: there may be newer that says something else.
    #[error("`{file}` has expired at {at}")]
    Expired {
        /// Which file.
        file: String,
        /// When.
        at: Timestamp,
    },
    /// A file has a length other than the one that was signed.
    #[error("`{file}` has {found} bytes instead of the {expected} that were signed")]
    Length {
        /// Which file.
        file: String,
        /// Length signed.
        expected: u64,
        /// Length found.
        found: u64,
    },
    /// It is not the JSON of its role.
    #[error("`{file}` is malformed")]
    Json {
        /// Which file.
        file: String,
        /// Where.
        source: serde_json::Error,
    },
    /// It breaks a rule of its format.
    #[error("`{file}` is malformed: {what}")]
    Malformed {
        /// Which file.
        file: String,
        /// Which rule.
        what: &'static str,
    },
    /// The repository does not have a file that its metadata names.
    #[error("the repository does not have `{file}`")]
    Missing {
        /// Which file.
        file: String,
    },
    /// No trusted metadata names a file by hash and version.
    #[error("no trusted metadata names `{file}`")]
    NotListed {
        /// Which file.
        file: String,
    },
    /// A file is not in the cache, and nobody may be asked.
    #[error("`{file}` is not in the cache")]
    NotCached {
        /// Which file.
        file: String,
    },
    /// The repository refused a file that its metadata names.
    #[error("the repository does not hand out `{file}`")]
    Refused {
        /// Which file.
        file: String,
        /// What it said.
        source: Refusal,
    },
    /// Older than what was there before.
    #[error("`{file}` is rolled back: version {found} after version {trusted}")]
    RolledBack {
        /// Which file.
        file: String,
        /// Version seen before.
        trusted: u64,
        /// Version found.
        found: u64,
    },
    /// The repository answers, but too slowly for all that is needed.
    #[error("the repository did not give all that is needed within {limit:?}")]
    Slow {
        /// Longest time.
        limit: Duration,
    },
    /// Fewer keys signed than have to.
    #[error("`{file}` is signed by {found} of the {required} keys that its role demands")]
    Threshold {
        /// Which file.
        file: String,
        /// Keys demanded.
        required: usize,
        /// Keys found.
        found: usize,
    },
    /// A file is larger than its bound.
    #[error("`{file}` has more than {limit} bytes")]
    TooLarge {
        /// Which file.
        file: String,
        /// Largest size, in bytes.
        limit: usize,
    },
    /// The search for a file meets more roles than one search may; a later one may list it.
    #[error("more than {limit} roles would have to be searched for `{file}`")]
    TooManyRoles {
        /// Which file.
        file: String,
        /// Most roles.
        limit: usize,
    },
    /// The repository has new roots without end.
    #[error("the repository has more than {limit} new roots")]
    TooManyRoots {
        /// Most roots in one go.
        limit: u64,
    },
    /// The repository did not answer.
    #[error("the repository did not answer for `{file}`")]
    Transport {
        /// Which file.
        file: String,
        /// Why.
        source: TransportError,
    },
    /// A file has a version other than the one that was signed.
    #[error("`{file}` has version {found} instead of {expected}")]
    Version {
        /// Which file.
        file: String,
        /// Version signed.
        expected: u64,
        /// Version found.
        found: u64,
    },
}

impl TufError {
    /// Says whether the repository could not be asked, rather than that it said something wrong.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Slow { .. } => true,
            Self::Transport { source, .. } => source.may_pass(),
            _ => false,
        }
    }
}
