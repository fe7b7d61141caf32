//! The agent of Buildkite.
//!
//! Speaks the API that `buildkite-agent oidc request-token` speaks.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken, MAX_ANSWER_BYTES, read_json, token_for};
use crate::secret::Secret;
use crate::transport::{JSON, Request, Transport};

/// Asks Buildkite as the agent that runs the job.
#[derive(Debug)]
pub(super) struct Buildkite {
    url: Url,
    access_token: Secret,
    transport: Transport,
}

impl Buildkite {
    pub(super) fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let access_token = environment.secret("BUILDKITE_AGENT_ACCESS_TOKEN")?;
        let job = environment.variable("BUILDKITE_JOB_ID")?;
        let mut url = Url::parse(environment.variable("BUILDKITE_AGENT_ENDPOINT").unwrap_or(ENDPOINT)).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(["jobs", job, "oidc", "tokens"]);
        Some(Self { url, access_token, transport })
    }
}

#[async_trait]
impl IdentityProvider for Buildkite {
    fn name(&self) -> &'static str {
        "Buildkite"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let request = Request::post(self.url.clone(), JSON, json!({ "audience": audience }).to_string())
            .authorization("Token", self.access_token.expose())
            .limit(MAX_ANSWER_BYTES);
        let answer = self.transport.send(&request).await?;
        let token: Token = read_json(&answer, "Buildkite")?;
        token_for(audience, token.token.expose())
    }
}

#[derive(Deserialize)]
struct Token {
    token: Secret,
}

/// Where agents ask that were told nothing else.
const ENDPOINT: &str = "https://agent.buildkite.com/v3";
