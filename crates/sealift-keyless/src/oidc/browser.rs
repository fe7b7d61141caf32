//! Sign-in with a browser on this machine.
//!
//! The code comes back to a port on loopback. Specifications: RFC 8252 section 7.3, RFC 7636.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::loopback::Listener;
use super::party::SignIn;
use super::{IdentityError, IdentityProvider, IdentityToken, Person, RelyingParty};

/// Signs a person in with a browser on this machine.
#[derive(Debug)]
pub struct BrowserFlow {
    party: RelyingParty,
    person: Arc<dyn Person>,
    port: u16,
    patience: Duration,
}

impl BrowserFlow {
    /// Signs `person` in. The browser comes back to any free port and has five minutes for it.
    pub fn new(party: RelyingParty, person: Arc<dyn Person>) -> Self {
        Self { party, person, port: 0, patience: PATIENCE }
    }

    /// Sets the port that the browser comes back to, for issuers that know one only.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Sets how long the person may take.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

#[async_trait]
impl IdentityProvider for BrowserFlow {
    fn name(&self) -> &'static str {
        "browser"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let issuer = self.party.discover().await?;
        let listener = Listener::bind(self.port).await.map_err(IdentityError::Listen)?;
        let sign_in = SignIn::begin(&listener.redirect())?;
        self.person.visit(&sign_in.url(&self.party, &issuer)).await.map_err(IdentityError::Person)?;
        let waiting = listener.code(sign_in.state.expose(), &issuer.name);
        let waited = tokio::time::timeout(self.patience, waiting).await;
        let code = waited.map_err(|_| IdentityError::Expired)??;
        sign_in.redeem(code.expose(), &self.party, &issuer, audience).await
    }
}

/// How long a person may take to sign in, second factors included.
const PATIENCE: Duration = Duration::from_secs(300);
