//! The one HTTP client of this crate: every request to an identity provider or a Sigstore service goes through it.
//!
//! Never sends anything over plain HTTP to another machine, never follows a redirect to another origin, never reads a
//! body without a bound, and never waits without one. Proxies are those of the environment; services on loopback are
//! reached without. Never shows what a request carries.

mod answer;
mod error;
mod request;

use std::collections::HashMap;
#[cfg(unix)]
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use sealift_core::retry::{self, Backoff, is_transient};
use sealift_core::{host, locked};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

pub use answer::{Answer, Refusal};
pub use error::TransportError;
pub(crate) use request::{JSON, shown};
pub use request::{Repeat, Request, endpoint};
pub use sealift_core::retry::RetryPolicy;

/// What a [`Transport`] is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportOptions {
    /// PEM bundles of certificate authorities trusted besides the system's.
    pub authorities: Vec<Vec<u8>>,
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest time for one attempt, from its start to the last byte of its answer; stops servers that feed drop by
    /// drop. A log on tiles answers only after its next checkpoint, so seconds are usual.
    pub attempt_timeout: Duration,
    /// When and how often to try again.
    pub retry: RetryPolicy,
    /// Most requests in flight at a time; protects the services and this machine's memory.
    pub concurrency: usize,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(60),
            retry: RetryPolicy { budget: RETRY_BUDGET, ..RetryPolicy::default() },
            concurrency: 16,
            user_agent: concat!("sealift/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The HTTP client, shared by all services of a run: a copy shares connections, turns and pauses.
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Made when first needed, as it reads all the certificate authorities of the system.
    http: OnceLock<reqwest::Client>,
    /// Knows no proxy and no TLS: for plain HTTP, which stays on this machine.
    plain: OnceLock<reqwest::Client>,
    authorities: Vec<reqwest::Certificate>,
    options: TransportOptions,
    turns: Semaphore,
    /// Until when hosts asked to be left alone.
    pauses: Mutex<HashMap<String, Instant>>,
}

impl Transport {
    /// Makes a client; opens no connection.
    ///
    /// # Errors
    /// [`TransportError::Authority`], [`TransportError::Setup`].
    pub fn new(options: TransportOptions) -> Result<Self, TransportError> {
        let mut authorities = Vec::new();
        for bundle in &options.authorities {
            let found = reqwest::Certificate::from_pem_bundle(bundle)
                .map_err(|source| TransportError::Authority(Some(source)))?;
            if found.is_empty() {
                return Err(TransportError::Authority(None));
            }
            authorities.extend(found);
        }
        let turns = Semaphore::new(options.concurrency.max(1));
        let (http, plain, pauses) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        let shared = Shared { http, plain, authorities, options, turns, pauses };
        if !shared.authorities.is_empty() {
            // PEM around something else than a certificate is told before anything is sent.
            shared.https()?;
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Sends a request until there is an answer that will not get better, and reads it.
    ///
    /// The answer may be a refusal, which the caller knows how to read.
    ///
    /// # Errors
    /// [`TransportError`] when no answer came, or none that stays as it is: [`TransportError::Unavailable`] after the
    /// retries.
    pub async fn send(&self, request: &Request) -> Result<Answer, TransportError> {
        let (mut backoff, started) = (Backoff::new(self.shared.options.retry), Instant::now());
        loop {
            let error = match self.attempt(request).await {
                Ok(answer) if is_transient(answer.status().as_u16()) => {
                    self.note_pause(request, &answer);
                    TransportError::Unavailable {
                        host: host_of(request.url()),
                        retry_after: retry_after(answer.headers()),
                        source: answer.refusal(),
                    }
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let delay = backoff.next_delay(started.elapsed(), error.retry_after(), fastrand::f64());
            let Some(delay) = delay.filter(|_| request.may_repeat(&error)) else { return Err(error) };
            tracing::debug!(host = %host_of(request.url()), ?delay, %error, "trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends a request once to a service that listens on a socket of this machine and speaks HTTP/2 only, as gRPC does.
    #[cfg(unix)]
    pub(crate) async fn send_to_socket(&self, socket: &Path, request: &Request) -> Result<Answer, TransportError> {
        let builder = client(&self.shared.options).no_proxy().tls_certs_only([]);
        let client = builder.http2_prior_knowledge().unix_socket(socket).build().map_err(TransportError::Setup)?;
        self.exchange(&client, request).await
    }

    async fn attempt(&self, request: &Request) -> Result<Answer, TransportError> {
        let client = self.client_for(request)?;
        self.wait_out_pause(request).await;
        // The semaphore is never closed; without a turn the request would only be less polite.
        let _turn = self.shared.turns.acquire().await.ok();
        self.exchange(client, request).await
    }

    /// Sends a request once, and on to where its own origin redirects it.
    async fn exchange(&self, client: &reqwest::Client, request: &Request) -> Result<Answer, TransportError> {
        let host = || host_of(request.url());
        let limit = self.shared.options.attempt_timeout;
        let mut url = request.url().clone();
        let exchange = async {
            for _ in 0..=MAX_REDIRECTS {
                let response = request.builder(client, url.clone()).send().await;
                let response = response.map_err(|source| TransportError::connection(host(), source))?;
                tracing::debug!(host = %host(), path = url.path(), status = response.status().as_u16(), "answer");
                let Some(next) = redirect(&response) else { return read(response, request).await };
                if next.origin() != url.origin() || request.method() != Method::GET {
                    let to = format!("{}://{}", next.scheme(), host_of(&next));
                    return Err(TransportError::Redirected { host: host(), to });
                }
                url = next;
            }
            Err(TransportError::TooManyRedirects { host: host(), limit: MAX_REDIRECTS })
        };
        let timed = tokio::time::timeout(limit, exchange).await;
        timed.unwrap_or_else(|_| Err(TransportError::TimedOut { host: host(), limit }))
    }

    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, TransportError> {
        let url = request.url();
        match url.scheme() {
            "https" => self.shared.https(),
            "http" if is_loopback(url) || request.is_plain_allowed() => self.shared.plain(),
            _ => Err(TransportError::NotHttps { host: host_of(url) }),
        }
    }

    /// Leaves the whole host alone for as long as it asked.
    fn note_pause(&self, request: &Request, answer: &Answer) {
        let asked = retry_after(answer.headers()).filter(|asked| *asked <= self.shared.options.retry.budget);
        if let (StatusCode::TOO_MANY_REQUESTS, Some(asked)) = (answer.status(), asked) {
            let mut pauses = locked(&self.shared.pauses);
            pauses.insert(host_of(request.url()), Instant::now() + asked);
        }
    }

    async fn wait_out_pause(&self, request: &Request) {
        let until = {
            let pauses = locked(&self.shared.pauses);
            pauses.get(&host_of(request.url())).copied()
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Shared {
    fn https(&self) -> Result<&reqwest::Client, TransportError> {
        made(&self.http, || {
            let mut builder = client(&self.options).https_only(true);
            if !self.authorities.is_empty() {
                builder = builder.tls_certs_merge(self.authorities.clone());
            }
            builder
        })
    }

    fn plain(&self) -> Result<&reqwest::Client, TransportError> {
        made(&self.plain, || client(&self.options).no_proxy().tls_certs_only([]))
    }
}

/// Returns what is in `slot`, made by `builder` when first needed.
fn made(
    slot: &OnceLock<reqwest::Client>,
    builder: impl FnOnce() -> reqwest::ClientBuilder,
) -> Result<&reqwest::Client, TransportError> {
    match slot.get() {
        Some(client) => Ok(client),
        None => {
            let client = builder().build().map_err(TransportError::Setup)?;
            Ok(slot.get_or_init(|| client))
        }
    }
}

fn client(options: &TransportOptions) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(&options.user_agent)
        // Followed by hand, so that each step is looked at first.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Nothing is unpacked: bombs stay small.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.concurrency.max(1))
        .tcp_nodelay(true)
}

async fn read(mut response: reqwest::Response, request: &Request) -> Result<Answer, TransportError> {
    let (status, limit) = (response.status(), request.max_bytes());
    let host = || host_of(request.url());
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    let failed = |source| TransportError::connection(host(), source);
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > limit {
            return match status.is_success() {
                true => Err(TransportError::TooLarge { host: host(), limit }),
                // What is wrong stands in the status; words without end add nothing.
                false => Ok(Answer::new(status, headers, Bytes::new(), request)),
            };
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer::new(status, headers, body.freeze(), request))
}

/// Returns how long a service asks to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry::retry_after(|name| headers.get(name)?.to_str().ok())
}

fn redirect(response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    response.url().join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// Says whether only this machine answers at `url`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(host::is_loopback)
}

/// Returns the host with its port where that is unusual.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("-");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// How long after its start a request is still tried again, unless told otherwise: a log may be busy for a minute.
const RETRY_BUDGET: Duration = Duration::from_secs(120);
/// The most redirects followed within an origin; stops loops.
const MAX_REDIRECTS: usize = 5;
