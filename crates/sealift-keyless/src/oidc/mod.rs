//! Identities: who signs, as an OpenID Connect issuer says it.
//!
//! A machine has its identity from where it runs ([`ambient`]), a person signs in ([`BrowserFlow`], [`OutOfBandFlow`],
//! [`DeviceFlow`]), and whoever has a token already gives it ([`GivenToken`]).

pub mod ambient;

mod browser;
mod device;
mod error;
mod given;
mod loopback;
mod out_of_band;
mod party;
mod person;
mod token;

use std::fmt::Debug;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::transport::Answer;

pub use browser::BrowserFlow;
pub use device::DeviceFlow;
pub use error::IdentityError;
pub use given::GivenToken;
pub use out_of_band::OutOfBandFlow;
pub use party::RelyingParty;
pub use person::{DeviceCode, Person};
pub use token::{IdentityToken, TokenError};

/// Says who signs.
#[async_trait]
pub trait IdentityProvider: Debug + Send + Sync {
    /// Returns what people call it, such as `GitHub Actions`.
    fn name(&self) -> &'static str;

    /// Returns a token for `audience`: an implementation checks that it is, asks for a new one each time it can, and
    /// keeps none.
    ///
    /// # Errors
    /// [`IdentityError`] says whether trying again can help.
    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError>;
}

/// Reads a token that came from a provider.
fn token_for(audience: &str, text: &str) -> Result<IdentityToken, IdentityError> {
    let token = IdentityToken::parse(text).map_err(IdentityError::Token)?;
    token.check_audience(audience).map_err(IdentityError::Token)?;
    Ok(token)
}

/// Reads what a service answers that says yes.
fn read_json<T: DeserializeOwned>(answer: &Answer, who: &'static str) -> Result<T, IdentityError> {
    if !answer.status().is_success() {
        return Err(IdentityError::Refused { who, source: answer.refusal() });
    }
    answer.json().map_err(|_| IdentityError::Malformed { who })
}

/// The audience of tokens for Sigstore's certificate authorities.
pub const SIGSTORE_AUDIENCE: &str = "sigstore";

/// The most bytes read of any answer about identities.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
