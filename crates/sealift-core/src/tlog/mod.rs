//! Transparency logs: what an entry says, that it is in the log, and what the log signed.
//!
//! Nothing here knows which log to trust: see [`crate::trust`].

pub mod checkpoint;
pub mod entry;
mod expected;
pub mod merkle;

pub use expected::ExpectedSignature;
