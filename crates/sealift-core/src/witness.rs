//! Witnesses: those who testify that a signature was there at some time.

use async_trait::async_trait;
use std::fmt::Debug;

use crate::entity::{LogEntry, SignedContent};
use crate::sign::KeyMaterial;

/// Testifies that a signature was there: a transparency log, a timestamp authority.
#[async_trait]
pub trait Witness: Debug + Send + Sync {
    /// Shows what was signed to the witness and returns what it says.
    ///
    /// An implementation returns only testimony about this very signature. Asked twice about one signature it may
    /// return the same testimony, but counts on nobody asking once only: a reply may be lost on the way.
    ///
    /// # Errors
    /// [`WitnessError`] says whether asking again can help.
    async fn testify(&self, signed: &SignedMessage<'_>) -> Result<Testimony, WitnessError>;
}

/// A signature, what it is over, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct SignedMessage<'a> {
    /// What was signed, and the signature.
    pub content: &'a SignedContent,
    /// The key, or what vouches for it.
    pub key: &'a KeyMaterial,
}

/// What a witness says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Testimony {
    /// The entry of a transparency log.
    LogEntry(Box<LogEntry>),
    /// An RFC 3161 timestamp response in DER.
    Timestamp(Vec<u8>),
}

/// Says why a witness did not testify.
#[derive(Debug, thiserror::Error)]
#[error("{witness} did not testify")]
pub struct WitnessError {
    /// Who was asked, as people know it: its address.
    pub witness: String,
    /// Whether asking again can help.
    pub retry: Retry,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Says whether doing something again can help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// It was unavailable or busy.
    CanHelp,
    /// It said no, or said something wrong.
    Hopeless,
}
