//! Gets what keyless signing needs from Sigstore services.
//!
//! Holds the identity side today: OpenID Connect tokens, read and checked for what signing needs of them. Opens no
//! socket yet, reads no clock: the time is an argument.

pub mod oidc;
