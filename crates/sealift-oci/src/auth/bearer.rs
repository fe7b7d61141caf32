//! Tokens from a registry's token service.
//!
//! Never follows a redirect: the request carries the password.
//! Specifications: <https://distribution.github.io/distribution/spec/auth/token/> and
//! <https://distribution.github.io/distribution/spec/auth/oauth/>.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use sealift_core::retry::RetryPolicy;
use serde::Deserialize;
use tokio::time::Instant;
use url::{Host, Url};

use super::realm::RealmProblem;
use super::scope::ScopeSet;
use super::{AuthError, basic};
use crate::access::Timeouts;
use crate::clients::{Clients, Reach};
use crate::keychain::{Credential, IDENTITY_TOKEN_USER};
use crate::redact::{SafeUrl, Secret};
use crate::registry::error::{ErrorBody, TransportError};
use crate::registry::response::Response;
use crate::registry::retry::{Retries, is_transient, retry_after};

/// How long a token lives when its service does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// The longest lifetime believed; an absurd one would overflow the clock.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its end a token is replaced, so that none expires on the way.
const EARLY: Duration = Duration::from_secs(10);
/// The largest answer read of a token service.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;
/// Name that this program gives itself in OAuth requests.
const CLIENT_ID: &str = "sealift";
/// User name under which `az acr login` stores a refresh token as a password.
const ACR_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Where tokens come from, as a challenge says.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
}

/// A token and its time.
#[derive(Debug)]
pub(crate) struct Token {
    /// Marked sensitive.
    pub(crate) header: HeaderValue,
    /// How long it lives, if its service says so.
    pub(crate) told: Option<Duration>,
    replace_at: Instant,
}

impl Token {
    /// Says whether the token can still be presented.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.replace_at
    }
}

/// Fetches tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenService {
    pub(crate) http: Clients,
    /// Where the registry is that names the realms.
    pub(crate) registry: Url,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
}

/// How to ask for a token.
enum Ask<'a> {
    /// `GET`, with a user name and password or without.
    Get(Option<(&'a str, &'a Secret)>),
    /// `POST`, exchanging a refresh token.
    Refresh(&'a Secret),
}

impl TokenService {
    /// Fetches a token for `scopes`. One for fewer actions than asked for is not an error: the registry will say.
    pub(crate) async fn fetch(
        &self,
        demand: &Demand,
        scopes: &ScopeSet,
        credential: &Credential,
    ) -> Result<Token, AuthError> {
        match credential {
            Credential::Anonymous => self.ask(demand, scopes, Ask::Get(None)).await,
            Credential::RegistryToken(token) => {
                let header = basic::bearer_header(token).ok_or(AuthError::UnusableSecret)?;
                Ok(Token { header, told: None, replace_at: Instant::now() + MAX_LIFETIME })
            }
            Credential::Basic { username, password } => {
                let answer = self.ask(demand, scopes, Ask::Get(Some((username, password)))).await;
                match answer {
                    Err(AuthError::Refused { .. }) if username == ACR_TOKEN_USER => {
                        self.ask(demand, scopes, Ask::Refresh(password)).await
                    }
                    answer => answer,
                }
            }
            Credential::IdentityToken(token) => {
                match self.ask(demand, scopes, Ask::Refresh(token)).await {
                    // The service knows only the older protocol.
                    Err(AuthError::Refused { status: 404 | 405, .. }) => {
                        self.ask(demand, scopes, Ask::Get(Some((IDENTITY_TOKEN_USER, token)))).await
                    }
                    answer => answer,
                }
            }
        }
    }

    async fn ask(&self, demand: &Demand, scopes: &ScopeSet, ask: Ask<'_>) -> Result<Token, AuthError> {
        let mut retries = Retries::new(self.retry);
        let client = self.client_for(&demand.realm).await?;
        loop {
            let asked_at = Instant::now();
            let request = self.request(client, demand, scopes, &ask)?;
            tracing::debug!(realm = %SafeUrl(&demand.realm), %scopes, "asking for a token");
            let answer = tokio::time::timeout(self.timeouts.answer, request.send()).await;
            let failure = match answer {
                Ok(Ok(response)) => {
                    let response = Response::new(response, self.timeouts.idle);
                    if !is_transient(response.status()) {
                        return self.read(demand, response, asked_at, &ask).await;
                    }
                    let asked = retry_after(response.headers());
                    let status = response.status();
                    if let Some(delay) = retries.next_delay(asked) {
                        tokio::time::sleep(delay).await;
                        continue;
                    }
                    if status == StatusCode::TOO_MANY_REQUESTS {
                        return Err(AuthError::Throttled(asked));
                    }
                    TransportError::Answered { status: status.as_u16(), message: String::new() }
                }
                Ok(Err(error)) => TransportError::http(error),
                Err(_) => TransportError::TimedOut { what: "token", limit: self.timeouts.answer },
            };
            let may_pass = failure.may_pass() && (!failure.is_silence() || retries.endures_silence());
            match retries.next_delay(None).filter(|_| may_pass) {
                Some(delay) => tokio::time::sleep(delay).await,
                None if failure.is_out_of_reach() => {
                    let realm = SafeUrl(&demand.realm).to_string();
                    return Err(AuthError::Realm { realm, problem: RealmProblem::PrivateAddress });
                }
                None => return Err(AuthError::Unavailable(Arc::new(failure))),
            }
        }
    }

    /// Returns the client that may talk to a realm: a realm elsewhere is no nearer to this machine than its registry.
    async fn client_for(&self, realm: &Url) -> Result<&reqwest::Client, AuthError> {
        let failed = |error| AuthError::Unavailable(Arc::new(TransportError::http(error)));
        if realm.host() == self.registry.host() {
            return self.http.own(realm).map_err(failed);
        }
        let registry = match self.registry.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            // A name that cannot be looked up is behind a proxy, and no reason to be lenient.
            Some(Host::Domain(name)) => self.http.look_up(name).await.unwrap_or_default(),
            None => Vec::new(),
        };
        self.http.elsewhere(Reach::of_realms(&registry)).map_err(failed)
    }

    fn request(
        &self,
        client: &reqwest::Client,
        demand: &Demand,
        scopes: &ScopeSet,
        ask: &Ask<'_>,
    ) -> Result<reqwest::RequestBuilder, AuthError> {
        let service = demand.service.iter().map(|service| ("service", service.clone()));
        match ask {
            Ask::Get(pair) => {
                let scopes = scopes.iter().map(|scope| ("scope", scope.to_string()));
                let query: Vec<_> = service.chain(scopes).collect();
                let request = client.get(demand.realm.clone()).query(&query);
                Ok(match pair {
                    None => request,
                    Some((username, password)) => {
                        let header = basic::basic_header(username, password).ok_or(AuthError::UnusableSecret)?;
                        request.header(AUTHORIZATION, header)
                    }
                })
            }
            Ask::Refresh(token) => {
                let fixed = [
                    ("grant_type", "refresh_token".to_owned()),
                    ("client_id", CLIENT_ID.to_owned()),
                    ("scope", scopes.to_string()),
                    ("refresh_token", token.expose().to_owned()),
                ];
                let form: Vec<_> = fixed.into_iter().chain(service).collect();
                Ok(client.post(demand.realm.clone()).form(&form))
            }
        }
    }

    async fn read(
        &self,
        demand: &Demand,
        response: Response,
        asked_at: Instant,
        ask: &Ask<'_>,
    ) -> Result<Token, AuthError> {
        let realm = SafeUrl(&demand.realm).to_string();
        let status = response.status();
        let body = response.bytes(MAX_ANSWER_BYTES).await;
        if status != StatusCode::OK {
            let message = body.map(|body| ErrorBody::parse(&body).message).unwrap_or_default();
            let who = if matches!(ask, Ask::Get(None)) { "anonymous access" } else { "the credentials" };
            return Err(AuthError::Refused { realm, who, status: status.as_u16(), message });
        }
        let Ok(body) = body else { return Err(AuthError::Malformed { realm, problem: "an unreadable answer" }) };
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| AuthError::Malformed { realm: realm.clone(), problem: "an answer that is not JSON" })?;
        let told = answer.expires_in.and_then(|value| value.as_u64()).map(Duration::from_secs);
        let lifetime = told.unwrap_or(DEFAULT_LIFETIME).clamp(Duration::from_secs(1), MAX_LIFETIME);
        let filled = |token: Option<Secret>| token.filter(|token| !token.expose().is_empty());
        let token = filled(answer.access_token).or(filled(answer.token));
        let header = token.as_ref().and_then(basic::bearer_header);
        let header = header.ok_or(AuthError::Malformed { realm, problem: "no usable token" })?;
        Ok(Token { header, told, replace_at: asked_at + lifetime - EARLY.min(lifetime / 4) })
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<Secret>,
    token: Option<Secret>,
    /// A number, but some services write other things: those count as absent.
    expires_in: Option<serde_json::Value>,
}
