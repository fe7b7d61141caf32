//! Sign-in with a browser anywhere: the person carries the code over.

use std::sync::Arc;

use async_trait::async_trait;

use super::party::SignIn;
use super::{IdentityError, IdentityProvider, IdentityToken, Person, RelyingParty};

/// Signs a person in who types the code that the issuer's page shows.
#[derive(Debug)]
pub struct OutOfBandFlow {
    party: RelyingParty,
    person: Arc<dyn Person>,
}

impl OutOfBandFlow {
    /// Signs `person` in.
    pub fn new(party: RelyingParty, person: Arc<dyn Person>) -> Self {
        Self { party, person }
    }
}

#[async_trait]
impl IdentityProvider for OutOfBandFlow {
    fn name(&self) -> &'static str {
        "code"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let issuer = self.party.discover().await?;
        let sign_in = SignIn::begin(OUT_OF_BAND)?;
        let url = sign_in.url(&self.party, &issuer);
        let code = self.person.ask_for_code(&url).await.map_err(IdentityError::Person)?;
        // No state comes back by hand; the nonce in the token says that it is of this sign-in.
        sign_in.redeem(code.trim(), &self.party, &issuer, audience).await
    }
}

/// The address that means "show the code".
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";
