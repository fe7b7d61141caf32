//! The token service: gives random tokens and remembers what each allows.
//!
//! Specifications: <https://distribution.github.io/distribution/spec/auth/token/> (`GET`) and
//! <https://distribution.github.io/distribution/spec/auth/oauth/> (`POST`).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Instant;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::auth::{Need, basic};
use super::locked;
use super::options::{Auth, TokenAuth};
use super::reply::{Refusal, Reply, json};
use super::route::Call;
use super::server::Server;

/// Every token given by one registry.
#[derive(Default)]
pub(super) struct Tokens {
    access: Mutex<HashMap<String, Grant>>,
    refresh: Mutex<HashSet<String>>,
}

struct Grant {
    /// Resources and what is allowed on them, as in `repository:team/app` and `pull`.
    actions: HashSet<(String, String)>,
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

    /// Makes every access token worthless; refresh tokens stay.
    pub(super) fn revoke(&self) {
        locked(&self.access).clear();
    }
}

/// `GET` and `POST /token`
pub(super) async fn issue(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    let Auth::Token(options) = &server.options.auth else {
        return Err(Refusal::not_found("UNSUPPORTED", "no such endpoint"));
    };
    let request = match call.method {
        Method::GET => TokenRequest::from_query(call),
        Method::POST if options.oauth => TokenRequest::from_form(body).await?,
        _ => return Err(Refusal::unsupported("this method is not allowed here")),
    };
    let caller = request.caller(server, options)?;
    let grant =
        Grant { actions: granted(&request.scopes, caller, options), expires: Instant::now() + options.lifetime };
    let token = new_token("access");
    locked(&server.tokens.access).insert(token.clone(), grant);
    let mut answer = json!({ "token": token, "access_token": token });
    if let Some(seconds) = options.expires_in {
        answer["expires_in"] = seconds.into();
    }
    if request.offline && caller == Caller::User {
        let refresh = new_token("refresh");
        locked(&server.tokens.refresh).insert(refresh.clone());
        answer["refresh_token"] = refresh.into();
    }
    Ok(json(StatusCode::OK, &answer))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Caller {
    Anonymous,
    User,
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
    fn from_query(call: &Call) -> Self {
        let scopes = call.query.iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.clone()).collect();
        let proof = basic(call).map_or(Proof::None, |(user, password)| Proof::Password(user, password));
        Self { proof, scopes, offline: call.parameter("offline_token") == Some("true") }
    }

    async fn from_form(body: Body) -> Result<Self, Refusal> {
        let bytes = axum::body::to_bytes(body, MAX_FORM_BYTES).await;
        let bytes = bytes.map_err(|error| Refusal::bad_request("UNSUPPORTED", error.to_string()))?;
        let form: HashMap<_, _> = url::form_urlencoded::parse(&bytes).into_owned().collect();
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
        let is_known = match &self.proof {
            Proof::None if options.anonymous_pull => return Ok(Caller::Anonymous),
            Proof::None => false,
            Proof::Password(user, password) => *user == options.user && *password == options.password,
            Proof::Refresh(token) => locked(&server.tokens.refresh).contains(token),
        };
        let refused = || Refusal::unauthorized("Basic realm=\"sandbox token service\"".to_owned());
        is_known.then_some(Caller::User).ok_or_else(refused)
    }
}

/// Returns what is granted of the scopes asked for; as token services do, the rest is left out without a word.
fn granted(scopes: &[String], caller: Caller, options: &TokenAuth) -> HashSet<(String, String)> {
    let mut actions = HashSet::new();
    for (resource, asked) in scopes.iter().flat_map(|scope| scope.split(' ')).filter_map(|scope| scope.rsplit_once(':'))
    {
        for action in asked.split(',') {
            let is_denied = options.denied_actions.iter().any(|denied| denied == action);
            if !is_denied && (caller == Caller::User || action == "pull") {
                actions.insert((resource.to_owned(), action.to_owned()));
            }
        }
    }
    actions
}

fn new_token(kind: &str) -> String {
    format!("{kind}-{:032x}", fastrand::u128(..))
}

/// Largest form read; stops an endless request.
const MAX_FORM_BYTES: usize = 64 * 1024;
