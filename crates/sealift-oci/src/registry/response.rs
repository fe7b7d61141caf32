//! Answers of a registry, read within bounds.
//!
//! No body is read without a limit, and none that makes no progress.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use sealift_core::oci::RepositoryName;
use sealift_core::repository::RepositoryError;
use tokio::time::Instant;
use url::Url;

use super::error::{ErrorBody, TransportError};
use crate::deadline::Deadline;
use crate::redact::SafeUrl;

/// The least that must arrive within one idle time; stops servers that send a byte now and then.
const MIN_PROGRESS_BYTES: u64 = 1024;
/// The slowest that any body may come, in bytes a second: a thirtieth of a modem's line, because a layer shares a line with
/// others. Stops servers that make a layer of a gigabyte take a year, which the least in one idle time allows.
const MIN_RATE_BYTES: u64 = 256;
/// Over how many idle times that is averaged: a line that fails for a while is no such server.
const RATE_IDLE_TIMES: u32 = 10;
/// How many idle times a whole document may take: so many whatever its size, and one more for each further mebibyte.
/// Stops servers that feed just faster than they must.
const WHOLE_IDLE_TIMES: u64 = 10;
/// The largest error body read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// An answer whose body has not been read yet.
pub(crate) struct Response {
    inner: reqwest::Response,
    pace: Pace,
    deadline: Option<Deadline>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status()).field("url", &SafeUrl(self.url())).finish()
    }
}

impl Response {
    pub(crate) fn new(inner: reqwest::Response, idle: Duration) -> Self {
        Self { inner, pace: Pace::new(idle), deadline: None }
    }

    /// Lets the body come until `deadline`, if there is one.
    pub(crate) fn until(self, deadline: Option<Deadline>) -> Self {
        Self { deadline, ..self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Returns the address that answered, after redirects.
    pub(crate) fn url(&self) -> &Url {
        self.inner.url()
    }

    /// Returns a header as text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok().map(str::trim)
    }

    /// Returns the media type, without parameters.
    pub(crate) fn media_type(&self) -> Option<&str> {
        let text = self.header(CONTENT_TYPE)?;
        Some(text.split(';').next().unwrap_or(text).trim()).filter(|text| !text.is_empty())
    }

    /// Returns the length that the answer announces; also of an answer to `HEAD`.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// Lets the body, a document of at most `size` bytes, take no longer than such a one may.
    pub(crate) fn within_time_of(mut self, size: u64) -> Self {
        let times = u32::try_from(WHOLE_IDLE_TIMES + size / (1024 * 1024)).unwrap_or(u32::MAX);
        self.pace.whole = self.pace.idle.saturating_mul(times);
        self
    }

    /// Reads the next piece of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        let started = Instant::now();
        let (left, bound) = self.pace.left();
        let piece = tokio::time::timeout(left, self.inner.chunk());
        let piece = match self.deadline {
            Some(deadline) => deadline.bound(piece).await?,
            None => piece.await,
        };
        let piece = piece.map_err(|_| bound.exceeded())?.map_err(TransportError::http)?;
        self.pace.note(started.elapsed(), piece.as_ref().map_or(0, Bytes::len));
        Ok(piece)
    }

    /// Reads the body, of at most `limit` bytes.
    pub(crate) async fn bytes(self, limit: u64) -> Result<Bytes, BodyError> {
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        let mut body = self.within_time_of(limit);
        let mut all = BytesMut::new();
        while let Some(piece) = body.next().await? {
            if all.len() as u64 + piece.len() as u64 > limit {
                return Err(BodyError::TooLarge { limit });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Reads the body, saying what it was when that fails.
    pub(crate) async fn read(
        self,
        repository: &RepositoryName,
        operation: &'static str,
        what: &'static str,
        limit: u64,
    ) -> Result<Bytes, RepositoryError> {
        self.bytes(limit).await.map_err(|error| error.into_repository_error(repository, operation, what))
    }

    /// Returns the error that a refusing answer stands for; `what` is what a 404 says is missing.
    pub(crate) async fn into_error(
        self,
        repository: &RepositoryName,
        operation: &'static str,
        what: impl Into<String>,
    ) -> RepositoryError {
        let (status, body) = self.into_error_body().await;
        body.into_error(status, repository, operation, what)
    }

    /// Returns the error that the refusal of a write stands for.
    pub(crate) async fn into_refusal(self, repository: &RepositoryName, operation: &'static str) -> RepositoryError {
        let (status, body) = self.into_error_body().await;
        body.into_refusal(status, repository, operation)
    }

    /// Reads what a refusing answer says.
    pub(crate) async fn into_error_body(self) -> (StatusCode, ErrorBody) {
        let status = self.status();
        let body = self.bytes(MAX_ERROR_BYTES).await.unwrap_or_default();
        (status, ErrorBody::parse(&body))
    }

    /// Reads what a refusing answer says, where what it says decides something: a body that breaks off is an error. One
    /// that is larger than an error may be says nothing.
    pub(crate) async fn read_error_body(
        self,
        repository: &RepositoryName,
        operation: &'static str,
        what: &'static str,
    ) -> Result<ErrorBody, RepositoryError> {
        let body = match self.bytes(MAX_ERROR_BYTES).await {
            Ok(body) => body,
            Err(BodyError::TooLarge { .. }) => return Ok(ErrorBody::default()),
            Err(error) => return Err(error.into_repository_error(repository, operation, what)),
        };
        // Where no length is announced, the end of the connection is the end of the body, wherever it comes.
        match serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
            Err(problem) if problem.is_eof() && body.trim_ascii_start().starts_with(b"{") => {
                let (repository, problem) = (repository.clone(), format!("its refusal breaks off: {problem}"));
                Err(RepositoryError::Malformed { repository, what, problem })
            }
            _ => Ok(ErrorBody::parse(&body)),
        }
    }
}

/// How fast a body comes: only time spent waiting counts, not the reader's own.
#[derive(Debug)]
struct Pace {
    idle: Duration,
    /// Longest time for the whole body.
    whole: Duration,
    waited_in_all: Duration,
    /// That something comes at all, and that enough does.
    windows: [Window; 2],
}

/// A time in which so many bytes must come.
#[derive(Clone, Copy, Debug)]
struct Window {
    bound: Bound,
    limit: Duration,
    least: u64,
    waited: Duration,
    bytes: u64,
}

/// What a body may not take longer than.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bound {
    Rate { least: u64, limit: Duration },
    Time { limit: Duration },
}

impl Bound {
    fn exceeded(self) -> TransportError {
        match self {
            Self::Rate { least, limit } => TransportError::TooSlow { least, limit },
            Self::Time { limit } => TransportError::TimedOut { what: "body", limit },
        }
    }
}

impl Pace {
    fn new(idle: Duration) -> Self {
        let limit = idle.saturating_mul(RATE_IDLE_TIMES);
        let least = limit.as_secs().saturating_mul(MIN_RATE_BYTES).max(MIN_PROGRESS_BYTES);
        let windows = [
            Window::new(Bound::Time { limit: idle }, idle, MIN_PROGRESS_BYTES),
            Window::new(Bound::Rate { least, limit }, limit, least),
        ];
        Self { idle, whole: Duration::MAX, waited_in_all: Duration::ZERO, windows }
    }

    /// Returns how long the next piece may take, and the bound that says so.
    fn left(&self) -> (Duration, Bound) {
        let whole = (self.whole.saturating_sub(self.waited_in_all), Bound::Time { limit: self.whole });
        let windows = self.windows.iter().map(|window| (window.limit.saturating_sub(window.waited), window.bound));
        std::iter::once(whole).chain(windows).min_by_key(|(left, _)| *left).unwrap_or(whole)
    }

    fn note(&mut self, waited: Duration, bytes: usize) {
        self.waited_in_all += waited;
        for window in &mut self.windows {
            window.waited += waited;
            window.bytes += bytes as u64;
            if window.bytes >= window.least {
                (window.waited, window.bytes) = (Duration::ZERO, 0);
            }
        }
    }
}

impl Window {
    fn new(bound: Bound, limit: Duration, least: u64) -> Self {
        Self { bound, limit, least, waited: Duration::ZERO, bytes: 0 }
    }
}

/// Says why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl BodyError {
    pub(crate) fn into_repository_error(
        self,
        repository: &RepositoryName,
        operation: &'static str,
        what: &'static str,
    ) -> RepositoryError {
        match self {
            Self::TooLarge { limit } => RepositoryError::TooLarge { repository: repository.clone(), what, limit },
            Self::Transport(error) => error.into_repository_error(repository, operation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_do_not_count_as_progress() {
        let mut pace = Pace::new(Duration::from_secs(30));
        for _ in 0..10 {
            pace.note(Duration::from_secs(2), 1);
        }
        let idle = Bound::Time { limit: Duration::from_secs(30) };
        assert_eq!(pace.left(), (Duration::from_secs(10), idle));
        pace.note(Duration::from_secs(2), 2000);
        assert_eq!(pace.left(), (Duration::from_secs(30), idle));
    }

    #[test]
    fn a_document_has_an_end() {
        let mut pace = Pace { whole: Duration::from_secs(300), ..Pace::new(Duration::from_secs(30)) };
        for _ in 0..14 {
            pace.note(Duration::from_secs(20), 2000);
        }
        let whole = Bound::Time { limit: Duration::from_secs(300) };
        assert_eq!(pace.left(), (Duration::from_secs(20), whole));
        pace.note(Duration::from_secs(20), 2000);
        assert_eq!(pace.left().0, Duration::ZERO);
    }

    #[test]
    fn a_trickle_is_no_layer() {
        let seconds = Duration::from_secs;
        let comes = |bytes: usize, every: u64| {
            let mut pace = Pace::new(seconds(30));
            let mut waited = seconds(0);
            while pace.left().0 > seconds(every) && waited < seconds(24 * 60 * 60) {
                pace.note(seconds(every), bytes);
                waited += seconds(every);
            }
            (waited, pace.left().1)
        };
        let slow = Bound::Rate { least: 300 * MIN_RATE_BYTES, limit: seconds(300) };
        let (ended, bound) = comes(1024, 29);
        assert_eq!((ended < seconds(300), bound), (true, slow), "just more than the least in one idle time");
        assert_eq!(comes(250, 1).1, slow);
        assert_eq!(comes(270, 1).0, seconds(24 * 60 * 60), "as slow as may be");
        assert_eq!(comes(64 * 1024, 20).0, seconds(24 * 60 * 60), "in bursts");
        assert!(slow.exceeded().to_string().contains("76800 bytes came within 300 s"));
    }
}
