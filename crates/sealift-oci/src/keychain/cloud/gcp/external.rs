//! Workload identity federation: a token of another identity provider is exchanged for one of Google's.
//!
//! Tokens come from a file or an address, as in CI and Kubernetes; programs and AWS keys as sources are refused.
//! Reference: <https://google.aip.dev/auth/4117>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Surroundings;
use super::super::transport::{self, CloudProblem};
use super::{ASSERTION_LIFETIME, AccessToken, SCOPE};
use crate::redact::Secret;

/// A workload identity, as `gcloud iam workload-identity-pools create-cred-config` writes it.
#[derive(Deserialize)]
pub(super) struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: CredentialSource,
    service_account_impersonation_url: Option<String>,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    format: Format,
}

/// What the subject token is wrapped in.
#[derive(Default, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format {
    Json {
        subject_token_field_name: String,
    },
    #[default]
    Text,
}

impl Surroundings {
    /// Exchanges the subject token, and takes on the service account that the file names.
    pub(super) async fn external_token(&self, account: &ExternalAccount) -> Result<AccessToken, CloudProblem> {
        let subject = self.subject_token(&account.credential_source).await?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &account.audience),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &account.subject_token_type),
            ("subject_token", subject.expose()),
        ];
        let url = transport::service(&account.token_url, "`token_url` of the credentials file")?;
        let federated: AccessToken = transport::send(self.http.public()?.post(url).form(&form)).await?.json()?;
        match &account.service_account_impersonation_url {
            Some(url) => self.impersonate(url, &federated).await,
            None => Ok(federated),
        }
    }

    async fn subject_token(&self, source: &CredentialSource) -> Result<Secret, CloudProblem> {
        const SOURCE: &str = "`credential_source` of the credentials file";
        let text = match (&source.file, &source.url) {
            (Some(path), _) => transport::read_token(path).await?,
            (None, Some(url)) => {
                let url = transport::service(url, SOURCE)?;
                let request = source
                    .headers
                    .iter()
                    .fold(self.http.public()?.get(url), |request, (name, value)| request.header(name, value.expose()));
                let answer = transport::send(request).await?.success()?;
                Secret::from(String::from_utf8_lossy(&answer.body).trim())
            }
            (None, None) => {
                return Err(CloudProblem::Setting { what: SOURCE, problem: "it is neither a file nor a URL" });
            }
        };
        let Format::Json { subject_token_field_name } = &source.format else { return Ok(text) };
        let json: Value = serde_json::from_str(text.expose()).unwrap_or_default();
        let token = json.get(subject_token_field_name).and_then(Value::as_str).map(Secret::from);
        token.ok_or(CloudProblem::Setting { what: SOURCE, problem: "what it leads to has no such token" })
    }

    async fn impersonate(&self, url: &str, federated: &AccessToken) -> Result<AccessToken, CloudProblem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            access_token: Secret,
        }
        let url = transport::service(url, "`service_account_impersonation_url` of the credentials file")?;
        let body = json!({ "scope": [SCOPE], "lifetime": format!("{ASSERTION_LIFETIME}s") });
        let request = self.http.public()?.post(url).bearer_auth(federated.access_token.expose()).json(&body);
        let Answer { access_token } = transport::send(request).await?.json()?;
        Ok(AccessToken { access_token, expires_in: u64::try_from(ASSERTION_LIFETIME).ok() })
    }
}
