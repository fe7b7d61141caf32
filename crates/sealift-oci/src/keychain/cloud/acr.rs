//! Tokens for Azure Container Registry: an Entra token is exchanged at the registry for its own refresh token.
//!
//! Reference: <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>.

use std::time::Duration;

use sealift_core::oci::RegistryHost;
use serde::Deserialize;
use url::Url;

use super::azure::EntraToken;
use super::host::Azure;
use super::transport::{self, CloudProblem};
use super::{CloudFailure, Surroundings, of};
use crate::keychain::{Credential, Resolved};
use crate::redact::Secret;

/// How long a refresh token is used; the registry's last about three hours.
const LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// Asks for a refresh token of the registry at `host`.
pub(super) async fn resolve(
    azure: Azure,
    host: &RegistryHost,
    around: &Surroundings,
) -> Result<Resolved, CloudFailure> {
    let Some(entra) = around.entra_token(azure).await? else { return Ok(Resolved::anonymous()) };
    match around.exchange(host, &entra).await.map_err(of(entra.origin)) {
        Ok(refresh) => Ok(Resolved::new(Credential::IdentityToken(refresh), entra.origin).lasting(LIFETIME)),
        Err(failure) if entra.is_of_surroundings => failure.or_anonymous(host),
        Err(failure) => Err(failure),
    }
}

impl Surroundings {
    async fn exchange(&self, host: &RegistryHost, entra: &EntraToken) -> Result<Secret, CloudProblem> {
        #[derive(Deserialize)]
        struct Answer {
            refresh_token: Secret,
        }
        let origin = match &self.sources.acr_origin {
            Some(origin) => origin.clone(),
            None => Url::parse(&format!("https://{host}/")).map_err(|_| CloudProblem::Unsendable)?,
        };
        let url = origin.join("/oauth2/exchange").map_err(|_| CloudProblem::Unsendable)?;
        let mut form =
            vec![("grant_type", "access_token"), ("service", host.as_str()), ("access_token", entra.token.expose())];
        form.extend(entra.tenant.as_deref().map(|tenant| ("tenant", tenant)));
        let answer: Answer = transport::send(self.http.public()?.post(url).form(&form)).await?.json()?;
        Ok(answer.refresh_token)
    }
}
