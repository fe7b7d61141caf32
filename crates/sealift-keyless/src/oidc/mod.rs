//! Identities: who signs, as an OpenID Connect issuer says it.

mod token;

pub use token::{IdentityToken, TokenError};
