//! Requests to one registry: in turn, authenticated, repeated where that helps, and followed only where it is safe.
//!
//! Credentials are attached to requests for the registry's own origin and to no other, wherever redirects and upload
//! locations lead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sealift_core::locked;
use sealift_core::oci::{RegistryHost, RepositoryName};
use sealift_core::repository::RepositoryError;
use sealift_core::retry::RetryPolicy;
use url::Url;

use super::error::{ErrorBody, TransportError, of_auth};
use super::limiter::Limiter;
use super::response::Response;
use super::retry::{Retries, is_transient, retry_after};
use super::shared_blob::SharedBlobs;
use crate::access::{Access, Timeouts};
use crate::auth::realm::{check_target, is_same_origin};
use crate::auth::{Authenticator, Challenge, Grant, Need, ScopeSet};
use crate::clients::{Clients, Reach};
use crate::deadline::Deadline;
use crate::layout::Mode;
use crate::redact::SafeUrl;

/// The most redirects followed; stops loops.
const MAX_REDIRECTS: usize = 5;
/// Size of the pieces that bytes at hand are sent in, so that slow uploads show progress.
const PIECE_BYTES: usize = 128 * 1024;
/// What is waited for while identities and token services are asked.
const CREDENTIALS: &str = "credentials for";

/// One registry, shared by all its repositories.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) base: Url,
    pub(crate) retry: RetryPolicy,
    http: Clients,
    timeouts: Timeouts,
    limiter: Limiter,
    auth: Authenticator,
    habits: Mutex<Habits>,
    /// Blobs that several images need.
    pub(super) blobs: SharedBlobs,
}

/// What a registry was seen to do, so that it is not tried again and again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// Whether `POST ...?digest=` stores the body; `None` until tried.
    pub(crate) stores_on_post: Option<bool>,
    /// Whether it refused a large upload in one request.
    pub(crate) wants_chunks: bool,
    /// Whether it mounts blobs that this process has brought to it; `None` until tried.
    pub(crate) mounts: Option<bool>,
    /// Whether its manifests have entity tags, so that conditions may mean something to it.
    pub(crate) gives_etags: bool,
    /// Whether it ever answered.
    pub(crate) answers: bool,
    /// Whether it refuses a write whose condition does not hold; `None` until tried.
    pub(crate) honours_conditions: Option<bool>,
    /// Whether it refused two questions about referrers, in one repository, as where there is no API for them; not where
    /// it had listed what refers to something in another.
    pub(crate) lacks_referrers_api: Option<bool>,
}

impl Host {
    /// Returns the registry `name`, not contacted yet; `None` when its name makes no URL.
    pub(crate) fn new(name: &RegistryHost, http: Clients, access: &Access) -> Option<Self> {
        let host = name.api_host();
        let base = match access.is_plain_http(name) {
            true if name.writes_https_port() => format!("http://{host}:443/"),
            true => format!("http://{host}/"),
            false => format!("https://{host}/"),
        };
        let base = Url::parse(&base).ok()?;
        let keychain = Arc::clone(&access.keychain);
        let auth =
            Authenticator::new(name.clone(), base.clone(), keychain, http.clone(), access.timeouts, access.retry);
        Some(Self {
            base,
            retry: access.retry,
            http,
            timeouts: access.timeouts,
            limiter: Limiter::new(access.concurrency, &access.retry),
            auth,
            habits: Mutex::default(),
            blobs: SharedBlobs::default(),
        })
    }

    /// Returns what the registry was seen to do.
    pub(crate) fn habits(&self) -> Habits {
        *locked(&self.habits)
    }

    /// Notes what the registry was seen to do.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut locked(&self.habits));
    }

    /// Returns the authenticator, for logins.
    pub(crate) fn auth(&self) -> &Authenticator {
        &self.auth
    }
}

/// One repository of a registry, as requests see it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: RepositoryName,
    pub(crate) path: String,
    pub(crate) host: Arc<Host>,
    pub(crate) mode: Mode,
    /// When everything must have been answered, if ever.
    pub(crate) deadline: Option<Deadline>,
}

/// A request to come.
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) url: Url,
    method: Method,
    headers: HeaderMap,
    body: Body,
    need: Need,
    turn: Turn,
    repeat: Repeat,
    redirects: Redirects,
}

/// What a request carries.
pub(crate) enum Body {
    Bytes(Bytes),
    Empty,
    /// Sent already, and not to be had again.
    Spent,
    /// A stream of this many bytes, and its error should it break.
    Stream(BoxStream<'static, Result<Bytes, std::io::Error>>, u64),
}

/// Whether a request waits for its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Only for pauses: another request that holds a turn waits for this one.
    Skipped,
    Waited,
}

/// When a request may be repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    Always,
    /// Only when the registry said that it did nothing (429): the request changes an upload session, and a part of it
    /// that was taken twice spoils the blob.
    WhenUndone,
}

/// Where redirects are followed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Redirects {
    Anywhere,
    Nowhere,
    /// A redirect to another origin is an answer: it says that the registry has no such endpoint.
    SameOrigin,
}

impl Request {
    pub(crate) fn new(operation: &'static str, method: Method, url: Url, need: Need) -> Self {
        let is_read = matches!(method, Method::GET | Method::HEAD);
        Self {
            operation,
            url,
            method,
            headers: HeaderMap::new(),
            body: Body::Empty,
            need,
            turn: Turn::Waited,
            repeat: Repeat::Always,
            redirects: if is_read { Redirects::Anywhere } else { Redirects::Nowhere },
        }
    }

    /// Adds a header; a value that no header may have is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn turn(self, turn: Turn) -> Self {
        Self { turn, ..self }
    }

    pub(crate) fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    pub(crate) fn redirects(self, redirects: Redirects) -> Self {
        Self { redirects, ..self }
    }

    fn is_replayable(&self) -> bool {
        matches!(self.body, Body::Bytes(_) | Body::Empty)
    }
}

/// Why an attempt gave no answer.
enum Failure {
    Final(RepositoryError),
    Transport(TransportError),
}

impl Endpoint {
    /// Returns the address of something in the repository, such as `blobs/sha256:..`.
    pub(crate) fn url(&self, rest: &str) -> Url {
        let mut url = self.host.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.path));
        url
    }

    /// Returns what reading needs; a repository opened for writing asks for that at the same time.
    pub(crate) fn to_pull(&self) -> Need {
        let scopes = ScopeSet::pull(&self.path);
        match self.mode {
            Mode::Read => Need::exactly(scopes),
            Mode::Write | Mode::WriteAtEnd => Need { scopes, preferred: ScopeSet::push(&self.path) },
        }
    }

    /// Returns what writing needs.
    pub(crate) fn to_push(&self) -> Need {
        Need::exactly(ScopeSet::push(&self.path))
    }

    /// Sends a request until there is an answer that will not get better.
    ///
    /// The answer may be a refusal; 401 and what remains after the retries are errors.
    pub(crate) async fn send(&self, mut request: Request) -> Result<Response, RepositoryError> {
        let operation = request.operation;
        let failed = |error| self.with_refusal(of_auth(error, &self.name, operation));
        let grant = self.host.auth.prepare(&self.path, &request.need);
        let grant = self.in_time(operation, CREDENTIALS, grant).await?.map_err(failed)?;
        let response = self.exchange(&mut request, grant.as_ref()).await?;
        let Some(challenges) = self.challenges(&response, grant.as_ref()) else { return Ok(response) };
        if !request.is_replayable() {
            return Err(self.unauthenticated(response, operation).await);
        }
        let better = self.host.auth.answer(&self.path, &request.need, &challenges, grant.as_ref());
        let Some(better) = self.in_time(operation, CREDENTIALS, better).await?.map_err(failed)? else {
            return Err(self.unauthenticated(response, operation).await);
        };
        // Once: a registry that refuses what its own token service granted would go on for ever.
        let response = self.exchange(&mut request, Some(&better)).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(self.unauthenticated(response, operation).await),
            _ => Ok(response),
        }
    }

    /// Sends a request with what is presented, repeating it while answers are only for now.
    pub(crate) async fn exchange(
        &self,
        request: &mut Request,
        grant: Option<&Grant>,
    ) -> Result<Response, RepositoryError> {
        let operation = request.operation;
        let exchange = self.exchange_with(request, grant.map(|grant| &grant.header));
        self.in_time(operation, "answer to", exchange).await?
    }

    /// Waits for a part of the work no longer than there is time for all of it.
    async fn in_time<T>(
        &self,
        operation: &'static str,
        awaited: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, RepositoryError> {
        match self.deadline {
            Some(deadline) => deadline.bound(work).await.map_err(|late| late.of(&self.name, operation, awaited)),
            None => Ok(work.await),
        }
    }

    /// As [`Endpoint::exchange`], with a header.
    pub(crate) async fn exchange_with(
        &self,
        request: &mut Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RepositoryError> {
        let mut retries = Retries::new(self.host.retry);
        let mut was_asked_why = false;
        loop {
            let (asked, error, is_undone) = match self.follow(request, authorization).await {
                Ok(response) if is_transient(response.status()) => {
                    let asked = retry_after(response.headers());
                    let is_own = is_same_origin(response.url(), &self.host.base);
                    let is_undone = response.status() == StatusCode::TOO_MANY_REQUESTS;
                    let error = self.transient(response, request.operation, asked).await;
                    let throttled = matches!(error, RepositoryError::Throttled { .. });
                    // One that asks for more time than there is gets an error instead.
                    if throttled && is_own && asked.is_none_or(|delay| delay <= self.host.retry.budget) {
                        self.host.limiter.throttled(asked);
                    }
                    (asked, error, is_undone)
                }
                Ok(response) => {
                    self.host.note(|habits| habits.answers = true);
                    self.host.limiter.answered();
                    return Ok(response);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transport(error)) => {
                    let error = match std::mem::replace(&mut was_asked_why, true) {
                        false => self.explained(error).await,
                        true => error,
                    };
                    let may_pass = error.may_pass() && (!error.is_silence() || retries.endures_silence());
                    let error = self.unavailable(error, request.operation);
                    if !may_pass {
                        return Err(error);
                    }
                    (None, error, false)
                }
            };
            let may_repeat = request.is_replayable() && (is_undone || request.repeat == Repeat::Always);
            match retries.next_delay(asked).filter(|_| may_repeat) {
                None => return Err(error),
                Some(delay) => {
                    tracing::debug!(operation = request.operation, ?delay, %error, "trying again");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Asks anew in a simpler way why a registry that never answered closed the connection: what TLS says last is lost
    /// in HTTP/2.
    async fn explained(&self, error: TransportError) -> TransportError {
        let host = &*self.host;
        if host.base.scheme() != "https" || !error.is_unexplained() || host.habits().answers {
            return error;
        }
        let Ok(client) = host.http.simple() else { return error };
        let asked = client.head(host.base.clone()).send();
        match tokio::time::timeout(host.timeouts.answer, asked).await {
            Ok(Err(reason)) => {
                Some(TransportError::http(reason)).filter(TransportError::is_client_refused).unwrap_or(error)
            }
            Ok(Ok(_)) | Err(_) => error,
        }
    }

    /// Sends a request once, and on to where it is redirected.
    async fn follow(&self, request: &mut Request, authorization: Option<&HeaderValue>) -> Result<Response, Failure> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.attempt(request, &url, authorization).await.map_err(Failure::Transport)?;
            let Some(next) = redirect_target(&response, request.redirects, &self.host.base) else {
                return Ok(response);
            };
            if let Err(problem) = check_target(&url, &next) {
                let problem = format!("it leads to {}: {problem}", SafeUrl(&next));
                return Err(Failure::Final(self.malformed("redirect", problem)));
            }
            url = next;
        }
        Err(Failure::Final(self.malformed("redirect", format!("more than {MAX_REDIRECTS} in a row"))))
    }

    async fn attempt(
        &self,
        request: &mut Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, TransportError> {
        let host = &*self.host;
        let _permit = match request.turn {
            Turn::Waited => host.limiter.admit().await,
            Turn::Skipped => {
                host.limiter.wait_out_pause().await;
                None
            }
        };
        let is_own = is_same_origin(url, &host.base);
        let client = match is_own {
            true => host.http.own(url),
            false => host.http.elsewhere(Reach::Anywhere),
        };
        let client = client.map_err(TransportError::http)?;
        let mut builder = client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(header) = authorization.filter(|_| is_own) {
            builder = builder.header(AUTHORIZATION, header.clone());
        }
        let progress = Arc::new(AtomicU64::new(0));
        builder = request.body.attach(builder, &progress);
        let answer = watch(builder.send(), &progress, host.timeouts.answer).await?;
        tracing::debug!(method = %request.method, url = %SafeUrl(url), status = answer.status().as_u16(), "answer");
        Ok(Response::new(answer, host.timeouts.idle).until(self.deadline))
    }

    /// Returns the challenges of an answer that better credentials may change.
    fn challenges(&self, response: &Response, grant: Option<&Grant>) -> Option<Vec<Challenge>> {
        if !is_same_origin(response.url(), &self.host.base) {
            return None;
        }
        let challenges = Challenge::parse_all(response.headers());
        let lacks_scope = challenges.iter().any(|challenge| challenge.parameter("error") == Some("insufficient_scope"));
        match response.status() {
            StatusCode::UNAUTHORIZED => Some(challenges),
            StatusCode::FORBIDDEN if lacks_scope => Some(challenges),
            StatusCode::BAD_REQUEST => self.host.auth.stale_token_challenge(grant).map(|challenge| vec![challenge]),
            _ => None,
        }
    }

    async fn unauthenticated(&self, response: Response, operation: &'static str) -> RepositoryError {
        let (_, ErrorBody { message, .. }) = response.into_error_body().await;
        let tried = if self.host.auth.has_credential(&self.path) { "with credentials" } else { "without credentials" };
        let message = if message.is_empty() { tried.to_owned() } else { format!("{tried}: {message}") };
        let error = RepositoryError::Unauthenticated { repository: self.name.clone(), operation, message };
        self.with_refusal(error)
    }

    /// Adds to an error for want of credentials who was refused them before.
    fn with_refusal(&self, error: RepositoryError) -> RepositoryError {
        match (error, self.host.auth.refusal(&self.path)) {
            (RepositoryError::Unauthenticated { repository, operation, message }, Some(refusal)) => {
                RepositoryError::Unauthenticated { repository, operation, message: format!("{message}; {refusal}") }
            }
            (error, _) => error,
        }
    }

    async fn transient(&self, response: Response, operation: &'static str, asked: Option<Duration>) -> RepositoryError {
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            return RepositoryError::Throttled { repository: self.name.clone(), retry_after: asked };
        }
        let (status, ErrorBody { message, .. }) = response.into_error_body().await;
        self.unavailable(TransportError::Answered { status: status.as_u16(), message }, operation)
    }

    pub(crate) fn unavailable(&self, error: TransportError, operation: &'static str) -> RepositoryError {
        error.into_repository_error(&self.name, operation)
    }

    pub(crate) fn malformed(&self, what: &'static str, problem: impl std::fmt::Display) -> RepositoryError {
        let problem = sealift_core::repository::foreign_text(&problem.to_string());
        RepositoryError::Malformed { repository: self.name.clone(), what, problem }
    }
}

impl Body {
    /// Hands the body over; a stream can be handed over only once.
    fn attach(&mut self, builder: reqwest::RequestBuilder, progress: &Arc<AtomicU64>) -> reqwest::RequestBuilder {
        let progress = Arc::clone(progress);
        match std::mem::replace(self, Self::Spent) {
            Self::Empty => {
                *self = Self::Empty;
                builder
            }
            Self::Spent => builder,
            Self::Bytes(bytes) => {
                *self = Self::Bytes(bytes.clone());
                if bytes.len() <= PIECE_BYTES {
                    return builder.body(bytes);
                }
                let length = bytes.len();
                let pieces = (0..length).step_by(PIECE_BYTES).map(move |start| {
                    progress.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, std::io::Error>(bytes.slice(start..length.min(start + PIECE_BYTES)))
                });
                builder.header(CONTENT_LENGTH, length).body(reqwest::Body::wrap_stream(stream::iter(pieces)))
            }
            Self::Stream(stream, length) => {
                let counted = stream.inspect(move |_| {
                    progress.fetch_add(1, Ordering::Relaxed);
                });
                builder.header(CONTENT_LENGTH, length).body(reqwest::Body::wrap_stream(counted))
            }
        }
    }
}

/// Waits for an answer as long as the body moves, and `limit` after it last did.
async fn watch(
    sending: impl Future<Output = Result<reqwest::Response, reqwest::Error>>,
    progress: &AtomicU64,
    limit: Duration,
) -> Result<reqwest::Response, TransportError> {
    let mut sending = std::pin::pin!(sending);
    let mut seen = 0;
    loop {
        if let Ok(answer) = tokio::time::timeout(limit, &mut sending).await {
            return answer.map_err(TransportError::http);
        }
        let moved = progress.load(Ordering::Relaxed);
        if moved == seen {
            return Err(TransportError::TimedOut { what: "answer", limit });
        }
        seen = moved;
    }
}

fn redirect_target(response: &Response, redirects: Redirects, base: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let next = response.url().join(response.header(LOCATION)?).ok()?;
    match redirects {
        Redirects::Anywhere => Some(next),
        Redirects::Nowhere => None,
        Redirects::SameOrigin => Some(next).filter(|next| is_same_origin(next, base)),
    }
}
