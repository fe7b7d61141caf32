//! Trying credentials before they are stored.

use http::{Method, StatusCode};
use sealift_core::repository::RepositoryError;

use super::client::{Endpoint, Request};
use super::error::of_auth;
use crate::LoginCheck;
use crate::auth::{Challenge, Need, ScopeSet};
use crate::keychain::Credential;

const OPERATION: &str = "log in";

impl Endpoint {
    /// Asks `/v2/` without credentials, then with what its challenge makes of them.
    pub(crate) async fn check_login(&self, credential: &Credential) -> Result<LoginCheck, RepositoryError> {
        let mut url = self.host.base.clone();
        url.set_path("/v2/");
        let mut request = Request::new(OPERATION, Method::GET, url, Need::exactly(ScopeSet::default()));
        let answer = self.exchange_with(&mut request, None).await?;
        match answer.status() {
            StatusCode::OK => return Ok(LoginCheck::NotAsked),
            StatusCode::UNAUTHORIZED => {}
            _ => return Err(answer.into_error(&self.name, OPERATION, "registry API").await),
        }
        let challenges = Challenge::parse_all(answer.headers());
        let header = self.host.auth().try_credential(&challenges, credential).await;
        let header = header.map_err(|error| of_auth(error, &self.name, OPERATION))?;
        let answer = self.exchange_with(&mut request, header.as_ref()).await?;
        match answer.status() {
            StatusCode::OK => Ok(LoginCheck::Accepted),
            _ => Err(answer.into_error(&self.name, OPERATION, "registry API").await),
        }
    }
}
