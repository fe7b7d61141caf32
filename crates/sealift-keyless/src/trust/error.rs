//! Why it is not known whom to trust.

use std::path::PathBuf;

use sealift_core::trust::TrustedRootError;

use crate::tuf::TufError;

/// Says why it is not known whom to trust. Instances are named by the URL of their repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// What the store keeps of an instance is not trusted, and nobody may be asked.
    #[error("what is kept of {url} is not trusted")]
    Cached {
        /// Which instance.
        url: String,
        /// Why.
        source: TufError,
    },
    /// Nothing is kept of an instance, and nobody may be asked.
    #[error("nothing is kept of {url}")]
    NothingCached {
        /// Which instance.
        url: String,
    },
    /// What the instance's repository says now is not trusted, or it did not answer.
    #[error("{url} does not say whom to trust")]
    Refresh {
        /// Which instance.
        url: String,
        /// Why.
        source: TufError,
    },
    /// The root to start with is unusable.
    #[error("the first root of {url} is unusable")]
    Root {
        /// Which instance.
        url: String,
        /// Why.
        source: TufError,
    },
    /// A file of the store cannot be read or written.
    #[error("the trust store cannot use `{path}`", path = .path.display())]
    Store {
        /// Which directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The trusted root is unusable.
    #[error("the trusted root of {url} is unusable")]
    TrustedRoot {
        /// Which instance.
        url: String,
        /// Why.
        source: TrustedRootError,
    },
    /// The URL of an instance is none.
    #[error("`{url}` is not a URL")]
    Url {
        /// What stands there.
        url: String,
        /// Why.
        source: url::ParseError,
    },
}
