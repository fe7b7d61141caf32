//! Says what an artifact, a signature and a proof are; builds, parses, attaches and verifies them through traits.
//!
//! Opens no socket, reads no clock, no environment and no file, prints nothing: time, randomness and storage are
//! arguments.
//!
//! ```text
//!  Reference ──resolve──▶ Descriptor ──▶ attach  ──▶ Repository ◀── copy ── ReadRepository
//!                             │            ▲
//!                             ▼            │
//!                         Statement ─sign─▶ Bundle ──▶ SignedEntity ──▶ Verifier ──▶ Verified
//! ```

pub mod attach;
pub mod chart;
pub mod copy;
pub mod crypto;
pub mod document;
pub mod dsse;
pub mod entity;
pub mod evidence;
pub mod hex;
pub mod host;
pub mod identity;
pub mod json_canonical;
mod locked;
pub mod oci;
pub mod pattern;
mod protojson;
pub mod repository;
pub mod retry;
pub mod sign;
pub mod statement;
pub mod timestamp;
pub mod tlog;
pub mod trust;
pub mod verify;
pub mod witness;
pub mod x509;

pub use locked::locked;
