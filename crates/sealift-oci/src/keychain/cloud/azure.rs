//! Who this process is to Microsoft Entra: a service principal, or a managed identity.
//!
//! Reference: <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::path::Path;

use http::StatusCode;
use serde::Deserialize;

use super::host::Azure;
use super::sources::{
    AZURE_AUTHORITY_HOST, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_FEDERATED_TOKEN_FILE,
    AZURE_POD_IDENTITY_AUTHORITY_HOST, AZURE_TENANT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER,
};
use super::transport::{self, CloudProblem, NO_IDENTITY};
use super::{CloudFailure, Surroundings, of};
use crate::redact::Secret;

const SERVICE_PRINCIPAL: &str = "Azure service principal";
const FEDERATED: &str = "Azure federated token";
const APP_IDENTITY: &str = "Azure managed identity of the app";
const MACHINE_IDENTITY: &str = "Azure managed identity of the machine";

/// What tokens are for: the registries' own audience, which every registry takes, in every cloud.
const AUDIENCE: &str = "https://containerregistry.azure.net";
/// Where Azure serves the metadata of its machines.
const METADATA_HOST: &str = "http://169.254.169.254";

/// An access token for registries.
pub(super) struct EntraToken {
    pub(super) token: Secret,
    /// The tenant, where the environment says it.
    pub(super) tenant: Option<String>,
    pub(super) origin: &'static str,
    /// Whether it is that of whatever runs here, which nobody chose for this registry.
    pub(super) is_of_surroundings: bool,
}

impl Surroundings {
    /// Returns an access token for registries, or `None` when nothing says who this process is.
    pub(super) async fn entra_token(&self, azure: Azure) -> Result<Option<EntraToken>, CloudFailure> {
        let sources = &self.sources;
        let principal = sources.value(AZURE_TENANT_ID).zip(sources.value(AZURE_CLIENT_ID));
        if let Some((tenant, client)) = principal {
            let chosen = |token, origin| EntraToken {
                token,
                tenant: Some(tenant.to_owned()),
                origin,
                is_of_surroundings: false,
            };
            if let Some(secret) = sources.value(AZURE_CLIENT_SECRET) {
                let proof = [("client_secret", secret)];
                let token = self.client_token(azure, tenant, client, &proof).await.map_err(of(SERVICE_PRINCIPAL))?;
                return Ok(Some(chosen(token, SERVICE_PRINCIPAL)));
            }
            if let Some(path) = sources.value(AZURE_FEDERATED_TOKEN_FILE) {
                let assertion = transport::read_token(Path::new(path)).await.map_err(of(FEDERATED))?;
                let proof = [
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", assertion.expose()),
                ];
                let token = self.client_token(azure, tenant, client, &proof).await.map_err(of(FEDERATED))?;
                return Ok(Some(chosen(token, FEDERATED)));
            }
        }
        let is_of_surroundings = sources.value(AZURE_CLIENT_ID).is_none();
        let managed = |origin| move |token| EntraToken { token, tenant: None, origin, is_of_surroundings };
        if let Some(token) = self.app_token().await.map_err(of(APP_IDENTITY))? {
            return Ok(Some(managed(APP_IDENTITY)(token)));
        }
        Ok(self.machine_token().await.map_err(of(MACHINE_IDENTITY))?.map(managed(MACHINE_IDENTITY)))
    }

    async fn client_token(
        &self,
        azure: Azure,
        tenant: &str,
        client: &str,
        proof: &[(&str, &str)],
    ) -> Result<Secret, CloudProblem> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if !tenant.chars().all(is_name) {
            return Err(CloudProblem::Setting { what: AZURE_TENANT_ID, problem: "it is not a tenant" });
        }
        let usual = match azure {
            Azure::China => "https://login.chinacloudapi.cn",
            Azure::Government => "https://login.microsoftonline.us",
            Azure::Public => "https://login.microsoftonline.com",
        };
        let authority = self.sources.value(AZURE_AUTHORITY_HOST).unwrap_or(usual).trim_end_matches('/');
        let url = transport::service(&format!("{authority}/{tenant}/oauth2/v2.0/token"), AZURE_AUTHORITY_HOST)?;
        let scope = format!("{AUDIENCE}/.default");
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
        form.extend_from_slice(proof);
        let answer: TokenAnswer = transport::send(self.http.public()?.post(url).form(&form)).await?.json()?;
        Ok(answer.access_token)
    }

    /// Asks what App Service, Functions and Container Apps give their programs.
    async fn app_token(&self) -> Result<Option<Secret>, CloudProblem> {
        let Some(endpoint) = self.sources.value(IDENTITY_ENDPOINT) else { return Ok(None) };
        let Some(header) = self.sources.value(IDENTITY_HEADER) else { return Ok(None) };
        let url = transport::metadata(endpoint, IDENTITY_ENDPOINT)?;
        let request = self.http.metadata()?.get(url).query(&self.managed_query("2019-08-01"));
        let answer: TokenAnswer = transport::send(request.header("x-identity-header", header)).await?.json()?;
        Ok(Some(answer.access_token))
    }

    /// Asks the machine's metadata. A machine without an identity says 400; other clouds' metadata services, which have
    /// the same address, say 404, or 401 where they want a session first (EC2 with IMDSv2 alone).
    async fn machine_token(&self) -> Result<Option<Secret>, CloudProblem> {
        let host = self.sources.value(AZURE_POD_IDENTITY_AUTHORITY_HOST).unwrap_or(METADATA_HOST);
        let host = host.trim_end_matches('/');
        let url =
            transport::metadata(&format!("{host}/metadata/identity/oauth2/token"), AZURE_POD_IDENTITY_AUTHORITY_HOST)?;
        let request =
            self.http.metadata()?.get(url).query(&self.managed_query("2018-02-01")).header("metadata", "true");
        let Some(answer) = transport::probe(request).await? else { return Ok(None) };
        let is_named = self.sources.value(AZURE_CLIENT_ID).is_some();
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if !is_named && NO_IDENTITY.contains(&status) => {
                tracing::debug!(%status, "no identity of Azure");
                Ok(None)
            }
            _ => answer.json().map(|answer: TokenAnswer| Some(answer.access_token)),
        }
    }

    fn managed_query<'a>(&'a self, version: &'a str) -> Vec<(&'a str, &'a str)> {
        let client = self.sources.value(AZURE_CLIENT_ID).map(|client| ("client_id", client));
        [("api-version", version), ("resource", AUDIENCE)].into_iter().chain(client).collect()
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
}
