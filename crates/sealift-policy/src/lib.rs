//! Judges evidence against a policy and explains the decision.
//!
//! Never reads a clock, a file or the environment, and reaches a repository only through core's evidence. An empty
//! policy denies, and so does one without a scope for the repository; what could not be read is undecided, which is not
//! allowed either, but is not a "no".
//!
//! ```text
//!  PolicyDocument ──policy_for(repository)──▶ Policy ──gather──▶ Gathered ──evaluate──▶ Decision { ruling, findings }
//!    a file: scopes, signers                   └ checks: signed_by, attested, ...        the only way to make one
//! ```

mod age;
pub mod check;
mod decision;
pub mod document;
pub mod edition;
mod facts;
pub mod lifecycle;
mod policy;
mod quorum;
mod reason;

pub use age::{AgeLimit, Duration, DurationError};
pub use decision::{Decision, Finding, Ruling};
pub use document::PolicyDocument;
pub use facts::{Demand, Facts};
pub use policy::{Gathered, Policy, PolicySource};
pub use quorum::{Count, Quorum, Signer};
pub use reason::Reason;
