//! Gets what keyless signing needs from Sigstore services.
//!
//! Every request goes through one [`Transport`]. Never reads the environment: what it says is an argument. Time is an
//! argument too, except how long something takes.

pub mod oidc;
pub mod transport;

pub use transport::{Transport, TransportError, TransportOptions};
