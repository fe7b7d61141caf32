//! Who may do what, and the challenge for those who may not.
//!
//! Specifications: RFC 7617 (Basic), <https://distribution.github.io/distribution/spec/auth/token/> (Bearer).

use axum::http::header::AUTHORIZATION;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::options::{Auth, BasicAuth, TokenAuth};
use super::reply::{API_VERSION, Refusal, Reply, empty};
use super::route::{Call, Endpoint};
use super::server::Server;
use super::token::service;

/// One thing a request needs to be allowed: an action on a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Need {
    /// As scopes spell it: `repository:team/app` or `registry:catalog`.
    pub(super) resource: String,
    pub(super) action: &'static str,
}

impl Need {
    fn on_repository(name: &str, action: &'static str) -> Self {
        Self { resource: format!("repository:{name}"), action }
    }
}

/// Returns what a request needs.
pub(super) fn needs(server: &Server, call: &Call) -> Vec<Need> {
    let strips = matches!(&server.options.auth, Auth::Token(options) if options.strips_first_part);
    let on_repository = |name: &str, action| {
        let known_as = name.split_once('/').filter(|_| strips).map_or(name, |(_, rest)| rest);
        Need::on_repository(known_as, action)
    };
    let action = match call.method {
        Method::PATCH if call.endpoint == Endpoint::Attributes => "metadata_write",
        _ if call.endpoint == Endpoint::Attributes => "metadata_read",
        Method::GET | Method::HEAD if call.endpoint == Endpoint::Upload => "push",
        Method::GET | Method::HEAD => "pull",
        Method::DELETE if call.endpoint != Endpoint::Upload => "delete",
        _ => "push",
    };
    match call.endpoint {
        Endpoint::Catalog => vec![Need { resource: "registry:catalog".to_owned(), action: "*" }],
        Endpoint::Other | Endpoint::Ping | Endpoint::Token => Vec::new(),
        _ => {
            let source = call.parameter("from").filter(|_| call.parameter("mount").is_some());
            let source = source.map(|source| on_repository(source, "pull"));
            std::iter::once(on_repository(&call.repository, action)).chain(source).collect()
        }
    }
}

/// Refuses a request that is not allowed what it needs.
pub(super) fn check(server: &Server, call: &Call, needs: &[Need]) -> Result<(), Refusal> {
    match &server.options.auth {
        Auth::None => Ok(()),
        Auth::Basic(options) => check_basic(server, call, options),
        Auth::Token(options) => check_token(server, call, needs, options),
    }
}

/// Returns the user and password of a Basic `Authorization` header.
pub(super) fn basic(call: &Call) -> Option<(String, String)> {
    let encoded = credentials(call, "basic")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Returns who asks, where that is known.
pub(super) fn user(server: &Server, call: &Call) -> Option<String> {
    match credentials(call, "bearer") {
        Some(token) => server.tokens.user(token),
        None => basic(call).map(|(user, _)| user),
    }
}

/// Answers `GET /v2/`.
pub(super) fn respond_to_ping() -> Reply {
    empty(StatusCode::OK, &[API_VERSION])
}

fn check_basic(server: &Server, call: &Call, options: &BasicAuth) -> Result<(), Refusal> {
    match (basic(call), options.wrong) {
        (Some((user, password)), _) if user == options.user && password == options.password => Ok(()),
        (Some(_), Some(answer)) => Err(answer.about(&call.repository)),
        _ => Err(Refusal::unauthorized(match options.service {
            Some(service) => format!("Basic realm=\"{}/\",service=\"{service}\"", server.origin(call)),
            None => "Basic realm=\"sandbox\", charset=\"UTF-8\"".to_owned(),
        })),
    }
}

fn check_token(server: &Server, call: &Call, needs: &[Need], options: &TokenAuth) -> Result<(), Refusal> {
    let is_user = |(user, password): (String, String)| options.knows(&user, &password);
    if options.takes_basic && basic(call).is_some_and(is_user) {
        return Ok(());
    }
    let problem = match credentials(call, "bearer").map(|token| server.tokens.allows(token, needs)) {
        None => None,
        Some(Some(true)) => return Ok(()),
        Some(Some(false)) => Some("insufficient_scope"),
        Some(None) => match options.stale_token {
            Some(answer) => return Err(answer.about(&call.repository)),
            None => Some("invalid_token"),
        },
    };
    let realm = options.realm.clone().unwrap_or_else(|| format!("{}{}", server.origin(call), options.path));
    let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{}\"", service(server, call, options));
    if let Some(scope) = challenged_scope(server, call, needs, options) {
        challenge.push_str(&format!(",scope=\"{scope}\""));
    }
    if let Some(problem) = problem {
        challenge.push_str(&format!(",error=\"{problem}\""));
    }
    Err(Refusal::unauthorized(challenge))
}

fn challenged_scope(server: &Server, call: &Call, needs: &[Need], options: &TokenAuth) -> Option<String> {
    if let Some(scope) = options.fixed_scope {
        return Some(scope.to_owned());
    }
    let is_known = !call.repository.is_empty() && server.store.tags(&call.repository).is_some();
    match &options.placeholder_scope {
        Some(placeholder) if !is_known => Some(placeholder.clone()),
        _ => scope_of(needs),
    }
}

fn scope_of(needs: &[Need]) -> Option<String> {
    let scopes = needs.iter().map(|need| match need.action {
        // As docker-registry asks: who may push may pull.
        "push" => format!("{}:pull,push", need.resource),
        action => format!("{}:{action}", need.resource),
    });
    Some(scopes.collect::<Vec<_>>().join(" ")).filter(|scope| !scope.is_empty())
}

fn credentials<'a>(call: &'a Call, scheme: &str) -> Option<&'a str> {
    let (sent, credentials) = call.header(AUTHORIZATION)?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}
