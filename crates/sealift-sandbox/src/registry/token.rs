//! The token service: gives random tokens and remembers what each allows.
//!
//! Specifications: <https://distribution.github.io/distribution/spec/auth/token/> (`GET`),
//! <https://distribution.github.io/distribution/spec/auth/oauth/> (`POST`), and
//! <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md> (exchange).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Instant;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use sealift_core::locked;
use serde_json::json;

use super::auth::{Need, basic};
use super::fault::matches_glob;
use super::options::{Auth, Excess, Exchange, TokenAuth};
use super::reply::{Refusal, Reply, json};
use super::route::Call;
use super::server::Server;

/// Every token given by one registry.
#[derive(Default)]
pub(super) struct Tokens {
    access: Mutex<HashMap<String, Grant>>,
    /// By token: whose it is.
    refresh: Mutex<HashMap<String, String>>,
}

struct Grant {
    /// Resources and what is allowed on them, as in `repository:team/app` and `pull`.
    actions: HashSet<(String, String)>,
    /// Whose it is; nobody's when it was given to anybody.
    user: Option<String>,
    expires: Instant,
}

impl Tokens {
    /// Says whether a token allows everything needed; `None` for a token that is unknown or expired.
    pub(super) fn allows(&self, token: &str, needs: &[Need]) -> Option<bool> {
        let access = locked(&self.access);
        let grant = access.get(token).filter(|grant| grant.expires > Instant::now())?;
        let is_allowed = |need: &Need| {
            let allows = |action: &str| grant.actions.contains(&(need.resource.clone(), action.to_owned()));
            allows(need.action) || allows("*")
        };
        Some(needs.iter().all(is_allowed))
    }

    /// Returns whose token it is.
    pub(super) fn user(&self, token: &str) -> Option<String> {
        locked(&self.access).get(token)?.user.clone()
    }

    /// Returns a new refresh token of a user.
    pub(super) fn new_refresh(&self, user: &str) -> String {
        let token = new_token("refresh");
        locked(&self.refresh).insert(token.clone(), user.to_owned());
        token
    }

    /// Makes every access token worthless; refresh tokens stay.
    pub(super) fn revoke(&self) {
        locked(&self.access).clear();
    }
}

/// `GET` and `POST` at the token service, and at the exchange beside it.
pub(super) async fn issue(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    let Auth::Token(options) = &server.options.auth else { return Err(no_such_endpoint()) };
    if let Some(exchange) = options.exchange.as_ref().filter(|exchange| exchange.path == call.path) {
        return exchanged(server, call, options, exchange, body).await;
    }
    if call.path != options.path {
        return Err(no_such_endpoint());
    }
    let request = match call.method {
        Method::GET => TokenRequest::from_query(call, options),
        Method::POST if options.oauth => TokenRequest::from_form(body).await?,
        _ => return Err(Refusal::unsupported("this method is not allowed here")),
    };
    let caller = request.caller(server, options)?;
    let actions = request.granted(&caller, options)?;
    let user = match &caller {
        Caller::Anonymous => None,
        Caller::User(name) => Some(name.clone()),
    };
    let grant = Grant { actions, user, expires: Instant::now() + options.lifetime };
    let token = match &options.signed {
        None => new_token("access"),
        Some(tokens) => tokens
            .mint(&service(server, call, options), &options.user, &grant.actions)
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", error.to_string()))?,
    };
    locked(&server.tokens.access).insert(token.clone(), grant);
    let mut answer = json!({});
    for field in options.fields {
        answer[field] = token.clone().into();
    }
    if let Some(seconds) = options.expires_in {
        answer["expires_in"] = seconds.into();
    }
    if let (true, Caller::User(name)) = (request.offline, &caller) {
        answer["refresh_token"] = server.tokens.new_refresh(name).into();
    }
    Ok(json(StatusCode::OK, &answer))
}

/// `POST` at the exchange: a token of somebody else for a refresh token.
async fn exchanged(
    server: &Server,
    call: &Call,
    options: &TokenAuth,
    exchange: &Exchange,
    body: Body,
) -> Result<Reply, Refusal> {
    if call.method != Method::POST {
        return Err(Refusal::unsupported("this method is not allowed here"));
    }
    let form = read_form(body).await?;
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("grant_type") != "access_token" || field("service").is_empty() {
        return Err(Refusal::bad_request("UNSUPPORTED", "grant_type must be access_token, and service is needed"));
    }
    let is_known = field("access_token") == exchange.access_token && field("service") == service(server, call, options);
    if !is_known {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "the token was not issued for this registry",
        ));
    }
    Ok(json(StatusCode::OK, &json!({ "refresh_token": server.tokens.new_refresh(&options.user) })))
}

enum Caller {
    Anonymous,
    User(String),
}

/// What is asked of the token service, in either of its two ways.
struct TokenRequest {
    proof: Proof,
    scopes: Vec<String>,
    /// Whether a refresh token is wanted too.
    offline: bool,
}

enum Proof {
    None,
    Password(String, String),
    Refresh(String),
}

impl TokenRequest {
    fn from_query(call: &Call, options: &TokenAuth) -> Self {
        let scopes = call.query.iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.clone()).collect();
        let proof = match basic(call) {
            None => Proof::None,
            Some((user, token)) if options.refresh_user == Some(user.as_str()) => Proof::Refresh(token),
            Some((user, password)) => Proof::Password(user, password),
        };
        Self { proof, scopes, offline: call.parameter("offline_token") == Some("true") }
    }

    async fn from_form(body: Body) -> Result<Self, Refusal> {
        let form = read_form(body).await?;
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let proof = match field("grant_type").as_str() {
            "password" => Proof::Password(field("username"), field("password")),
            "refresh_token" => Proof::Refresh(field("refresh_token")),
            _ => return Err(Refusal::bad_request("UNSUPPORTED", "unknown grant type")),
        };
        let scopes = field("scope").split_whitespace().map(str::to_owned).collect();
        Ok(Self { proof, scopes, offline: field("access_type") == "offline" })
    }

    fn caller(&self, server: &Server, options: &TokenAuth) -> Result<Caller, Refusal> {
        let user = match &self.proof {
            Proof::None if options.anonymous_pull => return Ok(Caller::Anonymous),
            Proof::None => None,
            Proof::Password(user, password) => options.knows(user, password).then(|| user.clone()),
            Proof::Refresh(token) => locked(&server.tokens.refresh).get(token).cloned(),
        };
        let refused = || Refusal::unauthorized("Basic realm=\"sandbox token service\"".to_owned());
        user.map(Caller::User).ok_or_else(refused)
    }

    /// Returns what is granted of the scopes asked for; the rest is left out without a word, or refused.
    fn granted(&self, caller: &Caller, options: &TokenAuth) -> Result<HashSet<(String, String)>, Refusal> {
        let mut actions = HashSet::new();
        let scopes = self.scopes.iter().flat_map(|scope| scope.split(' '));
        for (resource, asked) in scopes.filter_map(|scope| scope.rsplit_once(':')) {
            for action in asked.split(',') {
                if may(caller, resource, action, options) {
                    actions.insert((resource.to_owned(), action.to_owned()));
                } else if let Excess::Refused(answer) = options.excess {
                    return Err(answer.about(resource.trim_start_matches("repository:")));
                }
            }
        }
        Ok(actions)
    }
}

fn may(caller: &Caller, resource: &str, action: &str, options: &TokenAuth) -> bool {
    if options.denied_actions.iter().any(|denied| denied == action) {
        return false;
    }
    let is_user = matches!(caller, Caller::User(_));
    match resource.strip_prefix("repository:") {
        Some(name) => is_user || (action == "pull" && matches_glob(options.public, name)),
        None => options.catalog && is_user,
    }
}

/// Returns what the registry calls itself: its address where it has no other name.
pub(super) fn service(server: &Server, call: &Call, options: &TokenAuth) -> String {
    match options.service {
        "" => server.origin(call).trim_start_matches("http://").to_owned(),
        service => service.to_owned(),
    }
}

async fn read_form(body: Body) -> Result<HashMap<String, String>, Refusal> {
    let bytes = axum::body::to_bytes(body, MAX_FORM_BYTES).await;
    let bytes = bytes.map_err(|error| Refusal::bad_request("UNSUPPORTED", error.to_string()))?;
    Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
}

fn no_such_endpoint() -> Refusal {
    Refusal::not_found("UNSUPPORTED", "no such endpoint")
}

fn new_token(kind: &str) -> String {
    format!("{kind}-{:032x}", fastrand::u128(..))
}

/// Largest form read; stops an endless request.
const MAX_FORM_BYTES: usize = 64 * 1024;
