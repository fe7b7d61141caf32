//! Why there is no timestamp.

use sealift_core::crypto::KeyError;
use sealift_core::timestamp::TimestampError;

use crate::transport::{Refusal, TransportError};

/// Says why an authority did not testify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampWitnessError {
    /// The answer has no nonce, though the request had one.
    #[error("the timestamp has no nonce: it may be an old one")]
    NoNonce,
    /// The answer is over something else.
    #[error("the timestamp is over another signature")]
    OtherImprint,
    /// The answer is to another request.
    #[error("the timestamp has another nonce than its request: it may be an old one")]
    OtherNonce,
    /// There is no randomness for a nonce.
    #[error("no nonce could be made")]
    Random(#[source] KeyError),
    /// The authority refused the request.
    #[error("the timestamp authority refused")]
    Refused(#[source] Refusal),
    /// The answer is malformed, or grants nothing.
    #[error("the timestamp authority's answer is unusable")]
    Response(#[source] TimestampError),
    /// The authority did not answer.
    #[error("the timestamp authority did not answer")]
    Transport(#[source] TransportError),
}

impl TimestampWitnessError {
    /// Says whether trying again later may go better.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Transport(source) if source.may_pass())
    }
}
