//! Gets what keyless signing needs from Sigstore services.
//!
//! Every request goes through one [`Transport`]. Never reads the environment: what it says is an argument. Time is an
//! argument too, except how long something takes.

mod hex;
pub mod oidc;
pub mod rekor;
pub mod signing_config;
pub mod timestamp;
pub mod transport;
pub mod trust;
pub mod tuf;

pub use transport::{Transport, TransportError, TransportOptions};
