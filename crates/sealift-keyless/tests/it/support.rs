//! Small HTTP services on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response, Uri};
use axum::response::IntoResponse;
use base64::Engine as _;
use sealift_keyless::transport::{Transport, TransportOptions};
use url::Url;

/// One request, as a service saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A service that answers each request with the next answer, the last one for ever.
pub(crate) struct Service {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    /// Starts a service on the runtime of the test.
    pub(crate) async fn answering<A>(answers: impl IntoIterator<Item = A>) -> Self
    where
        A: IntoResponse + Clone + Send + Sync + 'static,
    {
        let answers: Vec<A> = answers.into_iter().collect();
        Self::with(move |number, _| answers[number.min(answers.len() - 1)].clone().into_response()).await
    }

    /// Starts a service that makes its answers of the number of the request and the request.
    pub(crate) async fn with(answer: impl Fn(usize, &Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let answer = Arc::new(answer);
        let router = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1024 * 1024).await.unwrap();
                let body = String::from_utf8_lossy(&body).into_owned();
                let request = Seen { uri: parts.uri, headers: parts.headers, body };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                answer(number, &request)
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, task }
    }

    pub(crate) fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a client that tries again at once.
pub(crate) fn transport() -> Transport {
    transport_with(|_| {})
}

pub(crate) fn transport_with(change: impl FnOnce(&mut TransportOptions)) -> Transport {
    let mut options = TransportOptions::default();
    options.retry.base_delay = Duration::ZERO;
    change(&mut options);
    Transport::new(options).unwrap()
}

/// Returns the time, which the services of the sandbox have too.
#[expect(clippy::disallowed_methods, reason = "a test is its own composition root")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns an error and all that caused it in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns a token with these claims, signed by nobody: clients do not look.
pub(crate) fn token(claims: &serde_json::Value) -> String {
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"ES256"}"#), part(&claims.to_string()), part("signature"))
}

/// Returns a token for Sigstore.
pub(crate) fn sigstore_token() -> String {
    token(&serde_json::json!({ "iss": "https://idp.test", "sub": "job", "aud": "sigstore", "exp": 4_000_000_000_u64 }))
}
