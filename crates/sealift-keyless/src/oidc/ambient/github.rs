//! GitHub Actions.
//!
//! Specification: <https://docs.github.com/en/actions/reference/security/oidc>.

use async_trait::async_trait;
use http::header::ACCEPT;
use serde::Deserialize;
use url::Url;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken, MAX_ANSWER_BYTES, read_json, token_for};
use crate::secret::Secret;
use crate::transport::{Request, Transport};

/// Asks the runner's own service, which knows the job by a token.
#[derive(Debug)]
pub(super) struct GitHub {
    url: Url,
    request_token: Secret,
    transport: Transport,
}

impl GitHub {
    /// Both variables are there when the job has the permission `id-token: write`.
    pub(super) fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let url = Url::parse(environment.variable("ACTIONS_ID_TOKEN_REQUEST_URL")?).ok()?;
        let request_token = environment.secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
        Some(Self { url, request_token, transport })
    }
}

#[async_trait]
impl IdentityProvider for GitHub {
    fn name(&self) -> &'static str {
        "GitHub Actions"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", audience);
        let request = Request::get(url)
            .header(ACCEPT, "application/json; api-version=2.0")
            .authorization("Bearer", self.request_token.expose())
            .limit(MAX_ANSWER_BYTES);
        let answer = self.transport.send(&request).await?;
        let token: Token = read_json(&answer, "GitHub Actions")?;
        token_for(audience, token.value.expose())
    }
}

#[derive(Deserialize)]
struct Token {
    value: Secret,
}
