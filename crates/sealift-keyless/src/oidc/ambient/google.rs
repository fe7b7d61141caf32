//! Google Cloud: the machine's service account, or another that it may act as.
//!
//! Specifications: <https://cloud.google.com/compute/docs/instances/verifying-instance-identity>,
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken>.

use async_trait::async_trait;
use http::HeaderName;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken, MAX_ANSWER_BYTES, read_json, token_for};
use crate::secret::Secret;
use crate::transport::{Answer, JSON, Request, Transport};

/// Asks the metadata server for a token of the machine's own service account.
#[derive(Debug)]
pub(super) struct Google {
    metadata: Metadata,
}

impl Google {
    pub(super) fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let is_named = environment.variable("GCE_METADATA_HOST").is_some();
        let product = || std::fs::read_to_string(environment.product_name_file()).unwrap_or_default();
        if !is_named && !PRODUCT_NAMES.contains(&product().trim()) {
            return None;
        }
        Some(Self { metadata: Metadata::new(environment, transport)? })
    }
}

#[async_trait]
impl IdentityProvider for Google {
    fn name(&self) -> &'static str {
        WHO
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let answer = self.metadata.ask("identity", &[("audience", audience), ("format", "full")]).await?;
        let malformed = IdentityError::Malformed { who: WHO };
        token_for(audience, std::str::from_utf8(answer.body()).map_err(|_| malformed)?)
    }
}

/// Lets the machine's own service account act as another one.
#[derive(Debug)]
pub(super) struct GoogleImpersonation {
    metadata: Metadata,
    url: Url,
    transport: Transport,
}

impl GoogleImpersonation {
    pub(super) fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let account = environment.variable("GOOGLE_SERVICE_ACCOUNT_NAME")?;
        let service = environment.variable("GOOGLE_IAM_CREDENTIALS_ENDPOINT").unwrap_or(IAM_CREDENTIALS);
        let mut url = Url::parse(service).ok()?;
        let action = format!("{account}:generateIdToken");
        url.path_segments_mut().ok()?.clear().extend(["v1", "projects", "-", "serviceAccounts", &action]);
        Some(Self { metadata: Metadata::new(environment, transport.clone())?, url, transport })
    }
}

#[async_trait]
impl IdentityProvider for GoogleImpersonation {
    fn name(&self) -> &'static str {
        WHO
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let answer = self.metadata.ask("token", &[("scopes", CLOUD_PLATFORM)]).await?;
        let access: AccessToken = read_json(&answer, WHO)?;
        let body = json!({ "audience": audience, "includeEmail": true }).to_string();
        let request = Request::post(self.url.clone(), JSON, body)
            .authorization("Bearer", access.access_token.expose())
            .limit(MAX_ANSWER_BYTES);
        let answer = self.transport.send(&request).await?;
        let token: Token = read_json(&answer, WHO)?;
        token_for(audience, token.token.expose())
    }
}

/// The metadata server of a machine, which speaks plain HTTP and is reached within the host only.
#[derive(Debug)]
struct Metadata {
    url: Url,
    transport: Transport,
}

impl Metadata {
    fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let host = environment.variable("GCE_METADATA_HOST").unwrap_or(METADATA_HOST);
        Some(Self { url: Url::parse(&format!("http://{host}/")).ok()?, transport })
    }

    async fn ask(&self, what: &str, query: &[(&str, &str)]) -> Result<Answer, IdentityError> {
        let mut url = self.url.clone();
        url.set_path(&format!("/computeMetadata/v1/instance/service-accounts/default/{what}"));
        url.query_pairs_mut().extend_pairs(query);
        let request = Request::get(url).header(FLAVOR, "Google").limit(MAX_ANSWER_BYTES).plain_http_unsafe();
        let answer = self.transport.send(&request).await?;
        if !answer.status().is_success() {
            return Err(IdentityError::Refused { who: WHO, source: answer.refusal() });
        }
        // Every metadata server says so, and other machines that answer under its name do not.
        match answer.headers().get(FLAVOR) {
            Some(flavor) if flavor == "Google" => Ok(answer),
            _ => Err(IdentityError::Malformed { who: WHO }),
        }
    }
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: Secret,
}

#[derive(Deserialize)]
struct Token {
    token: Secret,
}

const WHO: &str = "Google Cloud";
const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const METADATA_HOST: &str = "metadata.google.internal";
const IAM_CREDENTIALS: &str = "https://iamcredentials.googleapis.com/";
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What the firmware of Google's machines calls itself.
const PRODUCT_NAMES: [&str; 2] = ["Google", "Google Compute Engine"];
