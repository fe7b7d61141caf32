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
pub mod copy;
pub mod oci;
pub mod repository;
