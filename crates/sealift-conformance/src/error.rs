//! Why the answer is not yes.

use std::path::PathBuf;

use sealift_core::crypto::KeyError;
use sealift_core::entity::BundleError;
use sealift_core::evidence::{Evidence, Verdict};
use sealift_core::identity::EmptyIdentity;
use sealift_core::oci::ReferenceError;
use sealift_core::repository::RepositoryError;
use sealift_core::sign::SignError;
use sealift_core::statement::StatementError;
use sealift_core::trust::TrustedRootError;
use sealift_core::verify::VerifyError;
use sealift_keyless::TransportError;
use sealift_keyless::fulcio::FulcioError;
use sealift_keyless::oidc::TokenError;
use sealift_keyless::signing_config::SigningConfigError;
use sealift_keyless::trust::TrustError;
use sealift_keyless::tuf::TufError;

/// Says why the answer is not yes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the bundle is unusable")]
    Bundle(#[from] BundleError),
    #[error("nobody is named whose signature counts")]
    Identity(#[from] EmptyIdentity),
    #[error("the registry client cannot be built")]
    Client(#[from] sealift_oci::ClientError),
    #[error("the key is unusable")]
    Key(#[from] KeyError),
    #[error("`{path}` cannot be read or written", path = .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("no certificate was issued")]
    Fulcio(#[from] FulcioError),
    #[error("the image must be named by its digest")]
    NoDigest,
    #[error("name a verb: sign-bundle, verify-bundle, verify-image; or one of TUF behind its options")]
    NoVerb,
    #[error("the image's name is unusable")]
    Reference(#[from] ReferenceError),
    #[error("the repository cannot be opened")]
    Repository(#[from] RepositoryError),
    #[error("the file cannot be signed")]
    Sign(#[from] SignError),
    #[error("the signing configuration is unusable")]
    SigningConfig(#[from] SigningConfigError),
    #[error("the statement is unusable")]
    Statement(#[from] StatementError),
    #[error("the identity token is unusable")]
    Token(#[from] TokenError),
    #[error("the HTTP client cannot be built")]
    Transport(#[from] TransportError),
    #[error("the public-good instance is unusable")]
    Trust(#[from] TrustError),
    #[error("the repository of TUF is not trusted, or cannot be had")]
    Tuf(#[from] TufError),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("the trusted root is unusable")]
    TrustedRoot(#[from] TrustedRootError),
    #[error("`{verb}` is no verb of the protocol")]
    UnknownVerb { verb: String },
    #[error("`{url}` is not a URL")]
    Url { url: String, source: url::ParseError },
    #[error("{}", usage(.argument))]
    Usage { argument: String },
    #[error("{verdict:?}: {evidence:#?}")]
    Verdict { verdict: Verdict, evidence: Box<Evidence> },
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
