//! Blobs: asked for and read.
//!
//! A download whose connection breaks goes on where it was, and its digest is computed over both parts as one.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, Stream};
use http::header::{CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};
use sealift_core::oci::Descriptor;
use sealift_core::repository::{Content, ContentError, RepositoryError};

use super::client::{Endpoint, Request, Turn};
use super::error::TransportError;
use super::manifest::knows_no_head;
use super::response::Response;

/// How often a download is resumed without real progress in between; stops servers that cut every connection.
const MAX_RESUMES: u32 = 5;
/// Progress after which a download may be resumed as often as before.
const RESUME_PROGRESS_BYTES: u64 = 8 * 1024 * 1024;
/// The largest blob that has to come in the time of a document; layers take as long as they take.
const MAX_DOCUMENT_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of a blob as they come.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, ContentError>>;

impl Endpoint {
    /// Says whether the content is here.
    pub(super) async fn has(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let request = if descriptor.media_type.is_manifest() {
            self.manifest_request("look up", Method::HEAD, &descriptor.digest.clone().into())
        } else {
            let url = self.url(&format!("blobs/{}", descriptor.digest));
            Request::new("look up", Method::HEAD, url, self.to_pull())
        };
        let mut response = self.send(request).await?;
        if knows_no_head(response.status()) {
            if descriptor.media_type.is_manifest() {
                return match self.read_manifest(&descriptor.digest.clone().into()).await {
                    // What ACR keeps in quarantine is there.
                    Ok(_) | Err(RepositoryError::Quarantined { .. }) => Ok(true),
                    Err(error) if error.is_not_found() => Ok(false),
                    Err(error) => Err(error),
                };
            }
            // Its body is left unread.
            response = self.send(self.blob_request(descriptor, 0)).await?;
        }
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(response.into_error(&self.name, "look up", format!("blob {}", descriptor.digest)).await),
        }
    }

    /// Returns a blob as a checked stream.
    pub(super) async fn fetch_blob(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.read_blob(descriptor, 0).await.map(|stream| Content::verified(descriptor, stream))
    }

    /// Returns a blob from a byte on, unchecked.
    pub(super) async fn read_blob(&self, descriptor: &Descriptor, from: u64) -> Result<Pieces, RepositoryError> {
        let response = self.send(self.blob_request(descriptor, from)).await?;
        let Some(to_skip) = self.repeated(&response, from)? else {
            return Err(response.into_error(&self.name, "read", format!("blob {}", descriptor.digest)).await);
        };
        if let Some(length) = response.content_length() {
            self.check_size(descriptor.size, length.saturating_add(from - to_skip))?;
        }
        let response = in_time(response, descriptor.size);
        let download = Download {
            endpoint: self.clone(),
            descriptor: descriptor.to_plain(),
            response,
            received: from,
            to_skip,
            resumes: 0,
            received_at_resume: from,
        };
        Ok(download.into_stream().boxed())
    }

    fn blob_request(&self, descriptor: &Descriptor, from: u64) -> Request {
        let url = self.url(&format!("blobs/{}", descriptor.digest));
        let request = Request::new("read", Method::GET, url, self.to_pull());
        if from == 0 { request } else { request.header(RANGE, &format!("bytes={from}-")) }
    }

    /// Returns how many bytes before `from` an answer repeats, or `None` when it holds nothing of the blob.
    fn repeated(&self, response: &Response, from: u64) -> Result<Option<u64>, RepositoryError> {
        match response.status() {
            StatusCode::OK => Ok(Some(from)),
            StatusCode::PARTIAL_CONTENT if from > 0 && first_byte(response) == Some(from) => Ok(Some(0)),
            StatusCode::PARTIAL_CONTENT if from > 0 => {
                Err(self.malformed("range of a blob", "it begins elsewhere than asked for"))
            }
            _ => Ok(None),
        }
    }
}

/// A blob on its way.
struct Download {
    endpoint: Endpoint,
    descriptor: Descriptor,
    response: Response,
    received: u64,
    /// Bytes that come a second time, because the server ignored the range.
    to_skip: u64,
    resumes: u32,
    received_at_resume: u64,
}

impl Download {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static {
        stream::unfold(Some(self), |download| async {
            let mut download = download?;
            match download.next().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), Some(download))),
                Err(error) => Some((Err(ContentError::Read(Box::new(error))), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, RepositoryError> {
        loop {
            match self.response.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(mut piece)) => {
                    let skipped = usize::try_from(self.to_skip).unwrap_or(usize::MAX).min(piece.len());
                    self.to_skip -= skipped as u64;
                    let piece = piece.split_off(skipped);
                    if piece.is_empty() {
                        continue;
                    }
                    self.received += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Asks for the rest after the connection broke with `error`.
    async fn resume(&mut self, error: TransportError) -> Result<(), RepositoryError> {
        if self.received - self.received_at_resume >= RESUME_PROGRESS_BYTES {
            self.resumes = 0;
        }
        // A server that stopped sending is not asked again: each time would take as long as the first.
        let is_cut = matches!(&error, TransportError::Http(_)) && error.may_pass();
        if !is_cut || self.resumes == MAX_RESUMES || self.received >= self.descriptor.size {
            return Err(self.endpoint.unavailable(error, "read"));
        }
        self.resumes += 1;
        self.received_at_resume = self.received;
        tracing::debug!(digest = %self.descriptor.digest, received = self.received, "resuming a download");
        let request = self.endpoint.blob_request(&self.descriptor, self.received).turn(Turn::Skipped);
        let response = self.endpoint.send(request).await?;
        match self.endpoint.repeated(&response, self.received)? {
            Some(repeated) => self.to_skip = repeated,
            // Not the answer that there is no such blob: its first part came from here.
            None => return Err(self.endpoint.unavailable(error, "read")),
        }
        self.response = in_time(response, self.descriptor.size);
        Ok(())
    }
}

/// Bounds the time of a body as a document's, where it may be one: a signature, an attestation.
fn in_time(response: Response, size: u64) -> Response {
    if size <= MAX_DOCUMENT_BYTES { response.within_time_of(size) } else { response }
}

/// Returns where a partial answer begins: `bytes 5-9/10`.
fn first_byte(response: &Response) -> Option<u64> {
    let range = response.header(CONTENT_RANGE)?.strip_prefix("bytes")?.trim_start();
    range.split_once('-')?.0.parse().ok()
}
