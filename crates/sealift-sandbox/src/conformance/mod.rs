//! The contracts of core's traits as test suites that every kind passes.
//!
//! A suite panics with the sentence of the contract that does not hold: it is test support, never linked into the
//! product.

mod repository;
mod signer;

pub use repository::repository;
pub use signer::signer;
