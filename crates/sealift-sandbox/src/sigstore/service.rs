//! What all services share: requests and replies, the clock, the log, faults, and serving them over HTTP.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sealift_core::locked;
use serde_json::{Value, json};

use super::fault::Faults;

/// A service of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Certificate transparency log.
    CtLog,
    /// Certificate authority.
    Fulcio,
    /// Identity provider.
    Oidc,
    /// Transparency log with signed promises.
    RekorV1,
    /// Transparency log made of tiles.
    RekorV2,
    /// Timestamp authority.
    Timestamp,
    /// Repository of trust roots.
    Tuf,
}

impl Service {
    /// Every service, in the order they are listed in.
    pub const ALL: [Self; 7] =
        [Self::Oidc, Self::Fulcio, Self::CtLog, Self::RekorV1, Self::RekorV2, Self::Timestamp, Self::Tuf];

    /// Returns the service's name, as in `rekor-v1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CtLog => "ct-log",
            Self::Fulcio => "fulcio",
            Self::Oidc => "oidc",
            Self::RekorV1 => "rekor-v1",
            Self::RekorV2 => "rekor-v2",
            Self::Timestamp => "timestamp",
            Self::Tuf => "tuf",
        }
    }
}

/// One request to a service, as logged. Credentials and bodies are not kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ServiceRequest {
    /// The service asked.
    pub service: Service,
    /// Method, such as `POST`.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Position of the request's arrival among all arrivals and answers.
    pub started: u64,
    /// Position of the answer's departure among all arrivals and answers.
    pub ended: u64,
}

/// What one service does with one request.
pub(super) trait Handler: Send + Sync + 'static {
    /// Answers. Never waits.
    fn handle(&self, call: &Call) -> Result<Reply, Refusal>;
}

/// What the services of one sandbox have in common.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) faults: Faults,
    pub(super) log: Log,
}

/// The time that services believe it is.
#[derive(Default)]
pub(super) struct Clock(Mutex<SignedDuration>);

impl Clock {
    /// Returns the services' time.
    #[expect(clippy::disallowed_methods, reason = "the sandbox is a world of its own: this is its only clock")]
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(*locked(&self.0)).unwrap_or(now)
    }

    /// Moves the services' time away from the system's.
    pub(super) fn set_offset(&self, offset: SignedDuration) {
        *locked(&self.0) = offset;
    }
}

/// The requests, in order of arrival.
#[derive(Default)]
pub(super) struct Log(Mutex<(u64, Vec<ServiceRequest>)>);

impl Log {
    fn tick(&self) -> u64 {
        let mut state = locked(&self.0);
        state.0 += 1;
        state.0
    }

    fn add(&self, request: ServiceRequest) {
        locked(&self.0).1.push(request);
    }

    /// Returns the answered requests, in order of arrival.
    pub(super) fn requests(&self) -> Vec<ServiceRequest> {
        let mut requests = locked(&self.0).1.clone();
        requests.sort_by_key(|request| request.started);
        requests
    }

    /// Forgets all requests.
    pub(super) fn clear(&self) {
        locked(&self.0).1.clear();
    }
}

/// A request, read whole.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// Returns the segments of the path.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// Returns the first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// Returns a header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the bearer token.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }

    /// Reads the body as JSON.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| Refusal::bad(format!("body is not JSON: {error}")))
    }

    /// Reads the body as a form.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// Returns the first value of a named field.
pub(super) fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Returns JSON.
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string().into_bytes())
    }

    /// Returns bytes of a content type.
    pub(super) fn bytes(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(Body::from(self.body)).unwrap_or_else(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// A refusal to do what was asked, in the words of Google's RPC status, which Fulcio and Rekor use.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// Refuses with a status.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), headers: Vec::new() }
    }

    /// Refuses a malformed or untrue request.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Refuses what is not there.
    pub(super) fn not_found() -> Self {
        Self::new(404, "no such thing in this sandbox")
    }

    fn into_reply(self) -> Reply {
        let mut reply =
            Reply::json(self.status, &json!({ "code": self.status, "message": self.message, "details": [] }));
        reply.headers.extend(self.headers);
        reply
    }
}

impl From<Unspecified> for Refusal {
    fn from(_: Unspecified) -> Self {
        Self::new(500, "the sandbox could not sign")
    }
}

/// Serves one service until dropped.
pub(super) async fn serve(
    service: Service,
    listener: std::net::TcpListener,
    handler: Arc<dyn Handler>,
    shared: Arc<Shared>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let router = Router::new().fallback(answer).with_state(Serving { service, handler, shared });
    // Never returns: accepting goes on after an error.
    let _ = axum::serve(listener, router).await;
}

#[derive(Clone)]
struct Serving {
    service: Service,
    handler: Arc<dyn Handler>,
    shared: Arc<Shared>,
}

async fn answer(State(serving): State<Serving>, request: Request) -> Result<Response<Body>, Infallible> {
    let Serving { service, handler, shared } = serving;
    let started = shared.log.tick();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = parts.uri.path().to_owned();
    let call = Call { method: parts.method, path, query, headers: parts.headers, body };
    let latency = shared.faults.latency(service);
    if latency > Duration::ZERO {
        tokio::time::sleep(latency).await;
    }
    let reply = match shared.faults.instead(service) {
        Some(reply) => reply,
        None => handler.handle(&call).unwrap_or_else(Refusal::into_reply),
    };
    shared.log.add(ServiceRequest {
        service,
        method: call.method.to_string(),
        path: call.path,
        status: reply.status,
        started,
        ended: shared.log.tick(),
    });
    Ok(reply.with_header("server", SERVER.to_owned()).into_response())
}

/// Largest body read, 16 MiB, so that a runaway client cannot fill the memory of the machine.
const MAX_BODY: usize = 16 << 20;
const SERVER: &str = "sealift-sandbox";
