//! Gets what keyless signing needs from Sigstore services: identities, certificates, log entries,
//! timestamps and trust roots.
//!
//! Every request goes through one [`Transport`]. Never reads the environment: what it says is an argument. Time is an
//! argument too, except how long something takes.

pub mod fulcio;
pub mod oidc;
pub mod rekor;
mod secret;
pub mod signing_config;
pub mod timestamp;
pub mod transport;
pub mod trust;
pub mod tuf;

pub use fulcio::{FulcioClient, FulcioSigner};
pub use transport::{Transport, TransportError, TransportOptions};
