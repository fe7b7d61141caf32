//! Registries whose manners and faults can be chosen, and a whole Sigstore, on loopback, for people and for tests.
//!
//! Never linked into the product. A registry keeps to the OCI distribution specification 1.1 unless an option or a
//! fault says otherwise: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.
//!
//! ```
//! use sealift_sandbox::fixture;
//! use sealift_sandbox::registry::{Registry, RegistryOptions};
//!
//! let registry = Registry::start(RegistryOptions::default())?;
//! registry.add("team/app", &fixture::image(1), Some("v1"))?;
//! assert_eq!(registry.tags("team/app"), ["v1"]);
//! # Ok::<(), sealift_sandbox::registry::RegistryError>(())
//! ```

pub mod cloud;
pub mod conformance;
pub mod external;
pub mod fixture;
pub mod peers;
pub mod registry;
pub mod sigstore;
pub mod tls;
mod watched;

pub use watched::{Loss, WatchedRepository};
