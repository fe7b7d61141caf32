//! Blobs: written, in the fewest requests that the registry allows, or mounted.
//!
//! A small blob goes with the first request where the registry is known to take it so, else into the session that the
//! request opens. A large one is streamed into its session in one request, or in chunks where the registry wants them.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE};
use http::{Method, StatusCode};
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, media_type};
use sealift_core::repository::{Content, ContentError, RepositoryError};
use url::Url;

use super::ahead::read_ahead;
use super::client::{Body, Endpoint, Repeat, Request};
use super::manifest::DOCKER_CONTENT_DIGEST;
use super::response::Response;
use super::retry::Retries;
use crate::auth::realm::check_target;
use crate::auth::{Need, ScopeSet};
use crate::redact::SafeUrl;

/// Smallest chunk that the registry takes, announced when a session opens.
const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// The largest blob sent along with the first request on trial: it is sent twice where that is not honoured.
const MAX_TRIAL_BYTES: usize = 64 * 1024;
/// The largest stream that is read whole before it is sent, so that it can be sent again.
const MAX_BUFFERED_BYTES: u64 = 1024 * 1024;
/// Size of a chunk; one is held in memory for each chunked upload.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// The largest chunk that a registry may ask for; stops one that asks for all memory.
const MAX_CHUNK_BYTES: u64 = 16 * 1024 * 1024;

/// An upload that was begun.
#[derive(Debug)]
pub(crate) struct Session {
    location: Url,
    min_chunk: Option<u64>,
}

impl Session {
    /// Returns the smallest chunk the registry wants, in bytes, if it says so.
    pub(crate) fn min_chunk(&self) -> Option<u64> {
        self.min_chunk
    }

    /// Returns where the upload goes on.
    pub(crate) fn into_location(self) -> Url {
        self.location
    }
}

/// What a request that may complete an upload at once led to.
#[derive(Debug)]
pub(super) enum Opened {
    Done,
    Session(Session),
}

impl Endpoint {
    /// Stores a blob.
    pub(crate) async fn push_blob(&self, descriptor: &Descriptor, content: Content) -> Result<(), RepositoryError> {
        self.check_size(descriptor.size, content.size())?;
        if content.as_bytes().is_none() && descriptor.size > MAX_BUFFERED_BYTES {
            let session = self.open_session(&descriptor.digest).await?;
            return self.push_stream(session, descriptor, content).await;
        }
        let bytes = content.read_all(descriptor.size).await;
        let bytes = bytes.map_err(|error| RepositoryError::of_content(&self.name, error))?;
        self.check_digest(&descriptor.digest, &bytes)?;
        self.push_bytes(descriptor, &bytes, None).await
    }

    /// Asks to take a blob over from another repository of the same registry.
    pub(super) async fn mount(&self, digest: &Digest, source: &str) -> Result<Opened, RepositoryError> {
        let mut url = self.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", source);
        let need = Need::exactly(ScopeSet::mount(&self.path, source));
        let response = self.send(Request::new("mount", Method::POST, url, need)).await?;
        self.opened(response, "mount", digest).await
    }

    /// Stores a blob whose content cannot be had again, in `session`.
    pub(super) async fn push_stream(
        &self,
        session: Session,
        descriptor: &Descriptor,
        content: Content,
    ) -> Result<(), RepositoryError> {
        self.check_size(descriptor.size, content.size())?;
        if content.as_bytes().is_some() || descriptor.size <= MAX_BUFFERED_BYTES {
            let bytes = content.read_all(descriptor.size).await;
            let bytes = bytes.map_err(|error| RepositoryError::of_content(&self.name, error))?;
            return self.push_bytes(descriptor, &bytes, Some(session)).await;
        }
        let chunk = session.min_chunk.unwrap_or(CHUNK_BYTES).max(CHUNK_BYTES);
        let is_asked_for = self.host.habits().wants_chunks || session.min_chunk.is_some();
        if is_asked_for && chunk <= MAX_CHUNK_BYTES {
            return self.push_chunks(session, descriptor, content, chunk).await;
        }
        let source = SourceErrors::default();
        let body = Body::Stream(source.watch(read_ahead(content.into_stream())), descriptor.size);
        let finished = self.finish(session, &descriptor.digest, body).await;
        if matches!(finished, Err(RepositoryError::Registry { status: 413, .. })) {
            self.host.note(|habits| habits.wants_chunks = true);
        }
        finished.map_err(|error| source.first(self).unwrap_or(error))
    }

    /// Stores a blob at hand, beginning anew when a session is lost.
    async fn push_bytes(
        &self,
        descriptor: &Descriptor,
        bytes: &Bytes,
        mut session: Option<Session>,
    ) -> Result<(), RepositoryError> {
        let mut retries = Retries::new(self.host.retry);
        loop {
            let opened = match session.take() {
                Some(session) => Opened::Session(session),
                None => self.open_with(&descriptor.digest, bytes).await?,
            };
            let Opened::Session(session) = opened else { return Ok(()) };
            let finished = self.finish(session, &descriptor.digest, Body::Bytes(bytes.clone())).await;
            let Err(error) = finished else { return Ok(()) };
            let delay = retries.next_delay(None).filter(|_| may_begin_anew(&error));
            tokio::time::sleep(delay.ok_or(error)?).await;
        }
    }

    /// Opens a session, with the blob in the same request where that is known or may be tried.
    async fn open_with(&self, digest: &Digest, bytes: &Bytes) -> Result<Opened, RepositoryError> {
        let is_known = self.host.habits().stores_on_post;
        let is_worth_it = is_known.unwrap_or(bytes.len() <= MAX_TRIAL_BYTES);
        if !is_worth_it {
            return self.open_session(digest).await.map(Opened::Session);
        }
        let mut url = self.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let request = Request::new("push", Method::POST, url, self.to_push())
            .header(CONTENT_TYPE, media_type::OCTET_STREAM)
            .body(Body::Bytes(bytes.clone()));
        let response = self.send(request).await?;
        let stored = match response.status().as_u16() {
            201 => true,
            // 400, 411, 413 and 415: a registry or a gateway before it that knows no body here.
            202 | 400 | 411 | 413 | 415 => false,
            _ => return self.opened(response, "push", digest).await,
        };
        self.host.note(|habits| habits.stores_on_post = Some(stored));
        match response.status() {
            StatusCode::CREATED | StatusCode::ACCEPTED => self.opened(response, "push", digest).await,
            _ => self.open_session(digest).await.map(Opened::Session),
        }
    }

    pub(crate) async fn open_session(&self, digest: &Digest) -> Result<Session, RepositoryError> {
        let request = Request::new("push", Method::POST, self.url("blobs/uploads/"), self.to_push());
        match self.opened(self.send(request).await?, "push", digest).await? {
            Opened::Session(session) => Ok(session),
            Opened::Done => Err(self.malformed("answer to a push", "it stored a blob that was not sent")),
        }
    }

    async fn opened(
        &self,
        response: Response,
        operation: &'static str,
        digest: &Digest,
    ) -> Result<Opened, RepositoryError> {
        match response.status() {
            StatusCode::CREATED => self.check_stored(&response, digest).map(|()| Opened::Done),
            StatusCode::ACCEPTED => {
                let min_chunk = response.header(OCI_CHUNK_MIN_LENGTH).and_then(|length| length.parse().ok());
                let location = self.location(&response)?;
                Ok(Opened::Session(Session { location, min_chunk }))
            }
            _ => Err(response.into_refusal(&self.name, operation).await),
        }
    }

    /// Sends the whole blob, or nothing more after the last chunk, and closes the session.
    async fn finish(&self, session: Session, digest: &Digest, body: Body) -> Result<(), RepositoryError> {
        let mut url = session.location;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let request = Request::new("push", Method::PUT, url, self.to_push())
            .header(CONTENT_TYPE, media_type::OCTET_STREAM)
            .body(body)
            .repeat(Repeat::WhenUndone);
        let response = self.send(request).await?;
        match response.status().as_u16() {
            200 | 201 | 204 => self.check_stored(&response, digest),
            _ => Err(response.into_refusal(&self.name, "push").await),
        }
    }

    /// Sends the blob in chunks, each again when it got lost.
    async fn push_chunks(
        &self,
        mut session: Session,
        descriptor: &Descriptor,
        content: Content,
        chunk: u64,
    ) -> Result<(), RepositoryError> {
        let mut stream = content.into_stream();
        let mut buffer = BytesMut::new();
        let mut sent = 0;
        loop {
            let piece = stream.next().await.transpose();
            let piece = piece.map_err(|error| RepositoryError::of_content(&self.name, error))?;
            let is_end = piece.is_none();
            buffer.extend_from_slice(&piece.unwrap_or_default());
            while buffer.len() as u64 >= chunk || (is_end && !buffer.is_empty()) {
                let size = usize::try_from(chunk).unwrap_or(usize::MAX).min(buffer.len());
                let bytes = buffer.split_to(size).freeze();
                session.location = self.send_chunk(session.location, sent, &bytes).await?;
                sent += bytes.len() as u64;
            }
            if is_end {
                return self.finish(session, &descriptor.digest, Body::Empty).await;
            }
        }
    }

    /// Sends one chunk that begins at `start`; returns where the next one goes.
    async fn send_chunk(&self, location: Url, start: u64, chunk: &Bytes) -> Result<Url, RepositoryError> {
        let end = start + chunk.len() as u64;
        let (mut location, mut received) = (location, start);
        let mut retries = Retries::new(self.host.retry);
        loop {
            let missing = chunk.slice(usize::try_from(received - start).unwrap_or(chunk.len())..);
            let request = Request::new("push", Method::PATCH, location.clone(), self.to_push())
                .header(CONTENT_TYPE, media_type::OCTET_STREAM)
                .header(CONTENT_RANGE, &format!("{received}-{}", end - 1))
                .body(Body::Bytes(missing))
                .repeat(Repeat::WhenUndone);
            let error = match self.send(request).await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => return self.location(&response),
                Ok(response) => response.into_refusal(&self.name, "push").await,
                Err(error) => error,
            };
            let may_resume =
                matches!(error, RepositoryError::Unavailable { .. } | RepositoryError::Registry { status: 416, .. });
            let delay = retries.next_delay(None).filter(|_| may_resume);
            tokio::time::sleep(delay.ok_or(error)?).await;
            (location, received) = self.session_state(location).await?;
            if received == end {
                return Ok(location);
            }
            if !(start..end).contains(&received) {
                return Err(self.malformed("upload session", format_args!("it has {received} bytes, not {start}")));
            }
        }
    }

    /// Asks how much of an upload arrived.
    async fn session_state(&self, location: Url) -> Result<(Url, u64), RepositoryError> {
        let response = self.send(Request::new("push", Method::GET, location, self.to_push())).await?;
        if response.status() != StatusCode::NO_CONTENT {
            return Err(response.into_refusal(&self.name, "push").await);
        }
        // `0-0` stands for one byte, and for none; a chunk is never one byte long.
        let last = response.header(RANGE).and_then(|range| range.rsplit('-').next()?.parse::<u64>().ok());
        let received = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        Ok((self.location(&response)?, received))
    }

    /// Returns where an upload goes on.
    pub(crate) fn location(&self, response: &Response) -> Result<Url, RepositoryError> {
        let malformed = |problem: String| self.malformed("upload location", problem);
        let text = response.header(LOCATION).ok_or_else(|| malformed("there is none".to_owned()))?;
        let location = response.url().join(text).map_err(|_| malformed("it is no URL".to_owned()))?;
        // Another host is fine, it only gets no credentials (CVE-2026-50151).
        check_target(response.url(), &location)
            .map_err(|problem| malformed(format!("{}: {problem}", SafeUrl(&location))))?;
        Ok(location)
    }

    fn check_stored(&self, response: &Response, digest: &Digest) -> Result<(), RepositoryError> {
        let stored = response.header(DOCKER_CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
        match stored.filter(|stored| stored.algorithm() == digest.algorithm() && stored != digest) {
            None => Ok(()),
            Some(stored) => {
                Err(self.malformed("answer to a push", format_args!("it stored {stored}, which was not sent")))
            }
        }
    }

    fn check_digest(&self, expected: &Digest, bytes: &[u8]) -> Result<(), RepositoryError> {
        let found = Digest::of(expected.algorithm(), bytes);
        if found == *expected {
            return Ok(());
        }
        let source = ContentError::DigestMismatch { expected: expected.clone(), found };
        Err(RepositoryError::Content { repository: self.name.clone(), source })
    }
}

/// Says whether an upload may succeed in a new session.
pub(super) fn may_begin_anew(error: &RepositoryError) -> bool {
    match error {
        RepositoryError::Unavailable { .. } => true,
        // The session is gone, or in a state that the client does not know of; or a large body was refused, and goes
        // in chunks next time.
        RepositoryError::Registry { status, .. } => matches!(status, 404 | 413 | 416),
        // Another place gives it the next time.
        RepositoryError::Source(source) => {
            matches!(**source, RepositoryError::Content { source: ContentError::Mirror(_), .. })
        }
        _ => false,
    }
}

/// Keeps the error that a body's source breaks with: the HTTP client would report it as its own.
///
/// Holds back the last piece until all is known to be good: a body whose digest is wrong never arrives whole.
#[derive(Clone, Default)]
struct SourceErrors(Arc<Mutex<Option<ContentError>>>);

impl SourceErrors {
    fn watch(
        &self,
        stream: BoxStream<'static, Result<Bytes, ContentError>>,
    ) -> BoxStream<'static, Result<Bytes, io::Error>> {
        let slot = Arc::clone(&self.0);
        let checked = stream::unfold((stream, None), move |(mut stream, mut held)| {
            let slot = Arc::clone(&slot);
            async move {
                loop {
                    match stream.next().await.transpose() {
                        Err(error) => {
                            *locked(&slot) = Some(error);
                            return Some((Err(io::Error::other("the content could not be read")), (stream, None)));
                        }
                        Ok(None) => return Some((Ok(held?), (stream, None))),
                        Ok(next) => {
                            if let Some(piece) = std::mem::replace(&mut held, next) {
                                return Some((Ok(piece), (stream, held)));
                            }
                        }
                    }
                }
            }
        });
        checked.boxed()
    }

    fn first(&self, endpoint: &Endpoint) -> Option<RepositoryError> {
        let error = locked(&self.0).take()?;
        Some(RepositoryError::Source(Box::new(RepositoryError::of_content(&endpoint.name, error))))
    }
}
