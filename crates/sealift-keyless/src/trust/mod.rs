//! Whom to trust, and how that stays up to date.
//!
//! An instance of Sigstore says it through a TUF repository. What was fetched is kept, verified again whenever it is
//! read, and asked for again when it is no longer young; offline, no socket is opened at all. Never passes over expired
//! or rolled back metadata: an older trust root would still trust what has been taken out since.

mod document;
mod error;
mod instance;
mod store;

pub use document::{MAX_TRUST_CONFIG_BYTES, TrustConfig, TrustConfigError};
pub use error::TrustError;
pub use instance::{Instance, github, public_good};
pub use store::{Access, DEFAULT_MAX_AGE, Source, TrustMaterial, TrustStore};
