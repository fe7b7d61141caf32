//! Why there is no certificate.

use sealift_core::crypto::KeyError;
use sealift_core::x509::CertificateError;

use crate::oidc::TokenError;
use crate::transport::{Refusal, TransportError};

/// Says why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FulcioError {
    /// A certificate of the answer cannot be read.
    #[error("the certificate authority issued a malformed certificate")]
    Certificate(#[source] CertificateError),
    /// The key could not be made, or used.
    #[error("the signing key could not be made or used")]
    Key(#[source] KeyError),
    /// The certificate issued is over another key.
    #[error("the certificate authority issued a certificate over another key than the one asked for")]
    OtherKey,
    /// The certificate issued is no signer's.
    #[error("the certificate authority issued a certificate that may not sign")]
    NotForSigning,
    /// The answer is not of the form. What the parser says is left out: it repeats what it read.
    #[error("the answer of the certificate authority is malformed")]
    Malformed,
    /// The answer holds no certificate, or several answers at once.
    #[error("the answer of the certificate authority holds {found} answers instead of one")]
    NotOneAnswer {
        /// How many it holds.
        found: usize,
    },
    /// The answer holds no certificate, or more than any chain.
    #[error("the answer of the certificate authority holds {found} certificates")]
    ChainLength {
        /// How many it holds.
        found: usize,
    },
    /// The authority said no.
    #[error("the certificate authority refused")]
    Refused(#[source] Refusal),
    /// The token cannot be used.
    #[error("the identity token cannot be used")]
    Token(#[source] TokenError),
    /// No answer came.
    #[error("the certificate authority could not be asked")]
    Transport(#[from] TransportError),
}

impl FulcioError {
    /// Says whether trying again later may go better.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Transport(error) if error.may_pass())
    }
}
