//! What to present to a registry: nothing, Basic credentials, or a token for the scopes at hand.
//!
//! Tokens are fetched once per set of scopes, however many requests wait for them, and again shortly before they
//! expire. Credentials go to the registry they were meant for, and to the realm it names when that passes
//! [`realm::parse_realm`].

mod basic;
mod bearer;
mod challenge;
mod quirk;
pub(crate) mod realm;
mod scope;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::HeaderValue;
use sealift_core::locked;
use sealift_core::oci::RegistryHost;
use sealift_core::retry::RetryPolicy;
use url::Url;

use bearer::{Demand, Token, TokenService};
pub(crate) use challenge::Challenge;
use realm::RealmProblem;
pub(crate) use scope::ScopeSet;

use crate::access::Timeouts;
use crate::clients::Clients;
use crate::keychain::memo::Memo;
use crate::keychain::{Credential, IDENTITY_TOKEN_USER, Keychain, KeychainError, Resolved, Resource};
use crate::redact::SafeUrl;
use crate::registry::error::TransportError;

/// The most tokens kept; stops a long-running process that visits every repository from growing without end.
const MAX_TOKENS: usize = 4096;
/// The most foreign scopes remembered of one repository; stops a registry that names another one each time.
const MAX_HINTS: usize = 16;

/// Authenticates the requests to one registry.
#[derive(Debug)]
pub(crate) struct Authenticator {
    host: RegistryHost,
    /// Where the registry's API is.
    base: Url,
    keychain: Arc<dyn Keychain>,
    /// What the keychain answered, by path.
    credentials: Memo<String>,
    service: TokenService,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    scheme: Option<Scheme>,
    /// Scopes that challenges named besides the ones we knew to need (JFrog maps repositories), by path.
    hints: HashMap<String, ScopeSet>,
    /// Paths whose token service refuses to hand out more than is needed.
    narrow: HashSet<String>,
    tokens: Vec<Slot>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("scheme", &self.scheme).field("hints", &self.hints).finish_non_exhaustive()
    }
}

/// What the registry demands, known from its first challenge.
#[derive(Clone, Debug)]
enum Scheme {
    Basic,
    Bearer(Demand),
}

/// A token, or the fetch that will give it.
struct Slot {
    path: String,
    scopes: ScopeSet,
    fetch: TokenFetch,
}

type TokenFetch = Shared<BoxFuture<'static, Result<Arc<Token>, AuthError>>>;

impl Slot {
    /// Says whether the slot still leads to a token: it is being fetched, or has not expired.
    fn is_live(&self) -> bool {
        self.fetch.peek().is_none_or(|fetched| fetched.as_ref().is_ok_and(|token| token.is_fresh()))
    }
}

/// What a request needs to be allowed, and what to ask for at the same occasion.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    /// Without these the request fails.
    pub(crate) scopes: ScopeSet,
    /// These as well, if the token service gives them: saves a token later.
    pub(crate) preferred: ScopeSet,
}

impl Need {
    /// Returns a need for nothing more than `scopes`.
    pub(crate) fn exactly(scopes: ScopeSet) -> Self {
        Self { preferred: scopes.clone(), scopes }
    }
}

/// A header to present, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) header: HeaderValue,
    token: Option<Arc<Token>>,
}

impl Authenticator {
    pub(crate) fn new(
        host: RegistryHost,
        base: Url,
        keychain: Arc<dyn Keychain>,
        http: Clients,
        timeouts: Timeouts,
        retry: RetryPolicy,
    ) -> Self {
        let service = TokenService { http, registry: base.clone(), timeouts, retry };
        Self { host, base, keychain, credentials: Memo::default(), service, state: Mutex::default() }
    }

    /// Returns what to present before the registry asks: nothing until its first challenge is known.
    pub(crate) async fn prepare(&self, path: &str, need: &Need) -> Result<Option<Grant>, AuthError> {
        let scheme = self.state().scheme.clone();
        match scheme {
            None => Ok(None),
            Some(Scheme::Basic) => Ok(basic_grant(&self.credential(path).await?)),
            Some(Scheme::Bearer(demand)) => self.token_for(path, need, &demand).await.map(Some),
        }
    }

    /// Returns what to present after `challenges`, or `None` when there is nothing better than `rejected`.
    pub(crate) async fn answer(
        &self,
        path: &str,
        need: &Need,
        challenges: &[Challenge],
        rejected: Option<&Grant>,
    ) -> Result<Option<Grant>, AuthError> {
        let of_scheme = |name| challenges.iter().find(|challenge| challenge.scheme == name);
        if let Some(challenge) = of_scheme("bearer") {
            let demand = self.demand(challenge)?;
            self.note(path, &demand, challenge, need, rejected);
            return self.token_for(path, need, &demand).await.map(Some);
        }
        if of_scheme("basic").is_some() {
            self.state().scheme = Some(Scheme::Basic);
            let credential = self.credential(path).await?;
            return Ok(basic_grant(&credential).filter(|_| rejected.is_none()));
        }
        Err(AuthError::NoScheme)
    }

    /// Tries `credential` as the answer to `challenges`, without keeping anything: for logins.
    pub(crate) async fn try_credential(
        &self,
        challenges: &[Challenge],
        credential: &Credential,
    ) -> Result<Option<HeaderValue>, AuthError> {
        let of_scheme = |name| challenges.iter().find(|challenge| challenge.scheme == name);
        if let Some(challenge) = of_scheme("bearer") {
            let demand = self.demand(challenge)?;
            let token = self.service.fetch(&demand, &ScopeSet::default(), credential).await?;
            return Ok(Some(token.header.clone()));
        }
        if of_scheme("basic").is_some() {
            return Ok(basic_grant(credential).map(|grant| grant.header));
        }
        Err(AuthError::NoScheme)
    }

    /// Asks the token service of a challenge for what is needed, without keeping anything: for probes. Says what it was
    /// asked for, too.
    pub(crate) async fn try_challenge(
        &self,
        challenge: &Challenge,
        need: &Need,
        credential: &Credential,
    ) -> (ScopeSet, Result<Token, AuthError>) {
        let demand = match self.demand(challenge) {
            Ok(demand) => demand,
            Err(error) => return (need.scopes.clone(), Err(error)),
        };
        let scopes = self.challenged_scopes(&demand, challenge, need).with(&need.scopes);
        let token = self.service.fetch(&demand, &scopes, credential).await;
        (scopes, token)
    }

    /// Looks up the credentials for `path`.
    pub(crate) async fn look_up(&self, path: &str) -> Result<Resolved, AuthError> {
        let resource = Resource { host: self.host.clone(), path: (!path.is_empty()).then(|| path.to_owned()) };
        let found = self.credentials.get_or_find(path.to_owned(), || self.keychain.resolve(&resource)).await;
        found.map_err(|error| AuthError::Keychain(Arc::new(error)))
    }

    /// Says whether there are credentials for `path`, as far as they have been looked up.
    pub(crate) fn has_credential(&self, path: &str) -> bool {
        self.credentials.known(&path.to_owned()).is_some_and(|found| !found.is_anonymous())
    }

    /// Says who was refused credentials for `path`, and why, as far as they have been looked up.
    pub(crate) fn refusal(&self, path: &str) -> Option<String> {
        self.credentials.known(&path.to_owned())?.refusal().map(str::to_owned)
    }

    fn demand(&self, challenge: &Challenge) -> Result<Demand, AuthError> {
        let text = challenge.parameter("realm").unwrap_or_default();
        // What it names may be meant to be seen by whoever reads the error.
        let shown = || Url::parse(text).map_or_else(|_| text.to_owned(), |url| SafeUrl(&url).to_string());
        let realm = realm::parse_realm(text, &self.base)
            .map_err(|problem| AuthError::Realm { realm: sealift_core::repository::foreign_text(&shown()), problem })?;
        Ok(Demand { realm, service: challenge.parameter("service").map(str::to_owned) })
    }

    /// Returns the challenge that a refusal stands for which has none: some services answer a token that went stale so.
    pub(crate) fn stale_token_challenge(&self, rejected: Option<&Grant>) -> Option<Challenge> {
        rejected?.token.as_ref()?;
        match self.state().scheme.clone()? {
            Scheme::Bearer(demand) if quirk::of(demand.service.as_deref()).stale_token_is_bad_request => {
                Some(Challenge::bearer(demand.realm.as_str(), demand.service.as_deref()))
            }
            _ => None,
        }
    }

    /// Says whether the registry asks for tokens as ACR does: of itself, under its own name, at `/oauth2/token`.
    pub(crate) fn is_azure(&self) -> bool {
        match &self.state().scheme {
            Some(Scheme::Bearer(demand)) => {
                realm::is_same_origin(&demand.realm, &self.base)
                    && demand.realm.path() == "/oauth2/token"
                    && demand.service.as_deref() == Some(self.host.as_str())
            }
            _ => false,
        }
    }

    /// Returns what of a challenge's scope may be asked for.
    ///
    /// A token goes to the registry, so one for more than the request needs would be the registry's gain. Foreign
    /// scopes count only where the registry is its own token service, which could give itself anything.
    fn challenged_scopes(&self, demand: &Demand, challenge: &Challenge, need: &Need) -> ScopeSet {
        if !realm::is_same_origin(&demand.realm, &self.base) {
            return ScopeSet::default();
        }
        ScopeSet::parse_challenge(challenge.parameter("scope").unwrap_or_default()).limited_to(&need.preferred)
    }

    /// Learns from a challenge: the scheme, foreign scopes, and that `rejected` is of no more use.
    fn note(&self, path: &str, demand: &Demand, challenge: &Challenge, need: &Need, rejected: Option<&Grant>) {
        let challenged = self.challenged_scopes(demand, challenge, need);
        let mut state = self.state();
        state.scheme = Some(Scheme::Bearer(demand.clone()));
        if !need.preferred.covers(&challenged) {
            let hints = state.hints.entry(path.to_owned()).or_default();
            let union = challenged.with(hints);
            if union.iter().count() <= MAX_HINTS {
                *hints = union;
            }
        }
        if let Some(rejected) = rejected.and_then(|grant| grant.token.as_ref()) {
            let is_rejected =
                |fetched: &Result<Arc<Token>, _>| fetched.as_ref().is_ok_and(|token| Arc::ptr_eq(token, rejected));
            state.tokens.retain(|slot| !slot.fetch.peek().is_some_and(is_rejected));
        }
    }

    async fn token_for(&self, path: &str, need: &Need, demand: &Demand) -> Result<Grant, AuthError> {
        let credential = self.credential(path).await?;
        if let Credential::RegistryToken(token) = &credential {
            let header = basic::bearer_header(token).ok_or(AuthError::UnusableSecret)?;
            return Ok(Grant { header, token: None });
        }
        let is_narrow = self.state().narrow.contains(path);
        let scopes = if is_narrow { &need.scopes } else { &need.preferred };
        let mut token = self.token(path, scopes, demand, &credential).await;
        if scopes != &need.scopes && matches!(token, Err(AuthError::Refused { .. })) {
            // Some services (GHCR) refuse altogether where others give fewer actions than asked.
            self.state().narrow.insert(path.to_owned());
            token = self.token(path, &need.scopes, demand, &credential).await;
        }
        let token = token?;
        Ok(Grant { header: token.header.clone(), token: Some(token) })
    }

    async fn token(
        &self,
        path: &str,
        scopes: &ScopeSet,
        demand: &Demand,
        credential: &Credential,
    ) -> Result<Arc<Token>, AuthError> {
        let fetch = {
            let mut state = self.state();
            // Challenged scopes first: some services read only the first.
            let wanted = state.hints.get(path).map_or_else(|| scopes.clone(), |hints| hints.with(scopes));
            let serves = |slot: &&Slot| slot.path == path && slot.scopes.covers(&wanted) && slot.is_live();
            match state.tokens.iter().find(serves) {
                Some(slot) => slot.fetch.clone(),
                None => {
                    let fetch = self.start_fetch(demand.clone(), wanted.clone(), credential.clone());
                    state.tokens.retain(Slot::is_live);
                    if state.tokens.len() < MAX_TOKENS {
                        state.tokens.push(Slot { path: path.to_owned(), scopes: wanted, fetch: fetch.clone() });
                    }
                    fetch
                }
            }
        };
        fetch.await
    }

    /// Starts a fetch that goes on even when the request that asked for it is dropped: others may wait for it.
    fn start_fetch(&self, demand: Demand, scopes: ScopeSet, credential: Credential) -> TokenFetch {
        let service = self.service.clone();
        let task = tokio::spawn(async move { service.fetch(&demand, &scopes, &credential).await });
        async move { task.await.unwrap_or(Err(AuthError::Cancelled)).map(Arc::new) }.boxed().shared()
    }

    async fn credential(&self, path: &str) -> Result<Credential, AuthError> {
        self.look_up(path).await.map(|found| found.credential().clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

fn basic_grant(credential: &Credential) -> Option<Grant> {
    let header = match credential {
        Credential::Anonymous => None,
        Credential::Basic { username, password } => basic::basic_header(username, password),
        Credential::IdentityToken(token) => basic::basic_header(IDENTITY_TOKEN_USER, token),
        Credential::RegistryToken(token) => basic::bearer_header(token),
    };
    header.map(|header| Grant { header, token: None })
}

/// Says why there is nothing to present. Cloned for every request that waits for one fetch.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("the token request was cancelled")]
    Cancelled,
    #[error("credentials could not be looked up: {0}")]
    Keychain(Arc<KeychainError>),
    #[error("the token service {realm} gave {problem}")]
    Malformed { realm: String, problem: &'static str },
    #[error("the registry demands no authentication that is known here")]
    NoScheme,
    #[error("the realm `{realm}` gets no credentials: {problem}")]
    Realm { realm: String, problem: RealmProblem },
    #[error("the token service {realm} refuses {who} (HTTP {status}){}", and(.message))]
    Refused { realm: String, who: &'static str, status: u16, message: String },
    #[error("the token service throttles requests")]
    Throttled(Option<Duration>),
    #[error("the token service does not answer")]
    Unavailable(#[source] Arc<TransportError>),
    #[error("the credentials have characters that no header may have")]
    UnusableSecret,
}

fn and(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
