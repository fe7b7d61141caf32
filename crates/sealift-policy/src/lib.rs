//! Judges evidence against a policy and explains the decision.
//!
//! Never reads a clock, a file or the environment, and reaches a repository only through core's evidence. An empty
//! policy denies; what could not be read is undecided, which is not allowed either, but is not a "no".
//!
//! ```text
//!  Policy ──gather──▶ Gathered ──evaluate──▶ Decision { ruling, repository, digest, findings }
//!    └ checks: signed_by, attested, ...        the only way to make one
//! ```

pub mod check;
mod decision;
mod policy;

pub use decision::{Decision, Finding, Ruling};
pub use policy::{Gathered, Policy};
