//! Why the answer is not yes.

use std::path::PathBuf;

use sealift_core::crypto::KeyError;
use sealift_core::entity::BundleError;
use sealift_core::identity::EmptyIdentity;
use sealift_core::trust::TrustedRootError;
use sealift_core::verify::VerifyError;

/// Says why the answer is not yes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the bundle is unusable")]
    Bundle(#[from] BundleError),
    #[error("nobody is named whose signature counts")]
    Identity(#[from] EmptyIdentity),
    #[error("the key is unusable")]
    Key(#[from] KeyError),
    #[error("`{path}` cannot be read", path = .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("name a verb: verify-bundle")]
    NoVerb,
    #[error("the trusted root is unusable")]
    TrustedRoot(#[from] TrustedRootError),
    #[error("`{verb}` is no verb of the protocol")]
    UnknownVerb { verb: String },
    #[error("{}", usage(.argument))]
    Usage { argument: String },
    #[error("the signature does not verify")]
    Verify(#[from] VerifyError),
}

fn usage(argument: &str) -> String {
    if argument.starts_with("--") {
        format!("`{argument}` is unknown, repeated, or without its value")
    } else {
        format!("{argument} is missing or too many")
    }
}
