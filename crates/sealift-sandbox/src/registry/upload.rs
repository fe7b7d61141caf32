//! Uploads: at once, in two requests, in chunks, or not at all by mounting.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs>.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_RANGE, LOCATION, RANGE};
use bytes::BytesMut;
use futures_util::StreamExt;
use sealift_core::locked;
use sealift_core::oci::{Digest, DigestAlgorithm, Hasher};
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::blob::parse_digest;
use super::options::Mount;
use super::reply::{DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, OCI_CHUNK_MIN_LENGTH, Refusal, Reply, empty, set};
use super::route::Call;
use super::server::Server;
use super::store::{Blob, Store, check_name, check_repository};

/// The upload sessions of one registry.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Session>>);

#[derive(Clone)]
struct Session {
    repository: String,
    /// One request at a time writes.
    spool: Arc<tokio::sync::Mutex<Spool>>,
}

/// `POST /v2/<name>/blobs/uploads/`
pub(super) async fn open(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    check_name(&call.repository)?;
    check_repository(server, call)?;
    if let Some(digest) = call.parameter("mount") {
        let digest = parse_digest(digest)?;
        let mounts = server.options.mount == Mount::Yes;
        if mounts && server.store.mount(&call.repository, &digest, call.parameter("from"))? {
            return Ok(created(server, call, &digest));
        }
    }
    if let Some(digest) = call.parameter("digest").filter(|_| server.options.single_post) {
        let digest = parse_digest(digest)?;
        let mut spool = Spool::create(&server.store, &new_id()).await?;
        spool.append(body, server.options.quirks.max_upload).await?;
        spool.store(&server.store, &call.repository, &digest).await?;
        return Ok(created(server, call, &digest));
    }
    let id = new_id();
    let spool = Arc::new(tokio::sync::Mutex::new(Spool::create(&server.store, &id).await?));
    locked(&server.uploads.0).insert(id.clone(), Session { repository: call.repository.clone(), spool });
    let mut reply = progress(server, call, StatusCode::ACCEPTED, &id, 0);
    if let Some(length) = server.options.chunk_min_length {
        set(&mut reply, OCI_CHUNK_MIN_LENGTH, &length.to_string());
    }
    Ok(reply)
}

/// `GET /v2/<name>/blobs/uploads/<id>`
pub(super) async fn status(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    let received = session(server, call)?.spool.lock().await.received;
    Ok(progress(server, call, StatusCode::NO_CONTENT, &call.reference, received))
}

/// `PATCH /v2/<name>/blobs/uploads/<id>`
pub(super) async fn append(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    let session = session(server, call)?;
    let mut spool = session.spool.lock().await;
    if let Some(refused) = check_chunk(server, call, spool.received)? {
        return Ok(refused);
    }
    if server.options.quirks.single_patch && spool.received > 0 {
        return Ok(progress(server, call, StatusCode::RANGE_NOT_SATISFIABLE, &call.reference, spool.received));
    }
    spool.append(body, server.options.quirks.max_upload).await?;
    Ok(progress(server, call, StatusCode::ACCEPTED, &call.reference, spool.received))
}

/// `PUT /v2/<name>/blobs/uploads/<id>?digest=<digest>`
pub(super) async fn finish(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    let session = session(server, call)?;
    let missing = || Refusal::bad_request("DIGEST_INVALID", "the upload is finished without a digest");
    let digest = parse_digest(call.parameter("digest").ok_or_else(missing)?)?;
    let mut spool = session.spool.lock().await;
    if let Some(refused) = check_chunk(server, call, spool.received)? {
        return Ok(refused);
    }
    spool.append(body, server.options.quirks.max_upload).await?;
    locked(&server.uploads.0).remove(&call.reference);
    spool.store(&server.store, &call.repository, &digest).await?;
    Ok(created(server, call, &digest))
}

/// `DELETE /v2/<name>/blobs/uploads/<id>`
pub(super) fn cancel(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    session(server, call)?;
    if let Some(answer) = server.options.quirks.cancelled_upload {
        return Err(answer.about(&call.repository));
    }
    locked(&server.uploads.0).remove(&call.reference);
    Ok(empty(StatusCode::NO_CONTENT, &[]))
}

fn session(server: &Server, call: &Call) -> Result<Session, Refusal> {
    let session = locked(&server.uploads.0).get(&call.reference).cloned();
    session
        .filter(|session| session.repository == call.repository)
        .ok_or_else(|| Refusal::not_found("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to the registry"))
}

/// Returns the 416 for a chunk that does not begin where the last one ended.
fn check_chunk(server: &Server, call: &Call, received: u64) -> Result<Option<Reply>, Refusal> {
    let Some(range) = call.header(CONTENT_RANGE) else { return Ok(None) };
    let malformed = || Refusal::bad_request("BLOB_UPLOAD_INVALID", "Content-Range is not `<start>-<end>`");
    let (start, end) = range.split_once('-').ok_or_else(malformed)?;
    let start: u64 = start.parse().map_err(|_| malformed())?;
    let end: u64 = end.parse().map_err(|_| malformed())?;
    let length = call.header("content-length").and_then(|length| length.parse::<u64>().ok());
    let is_next = start == received && end.checked_sub(start).is_some();
    if is_next && length.is_none_or(|length| length == end - start + 1) {
        return Ok(None);
    }
    Ok(Some(progress(server, call, StatusCode::RANGE_NOT_SATISFIABLE, &call.reference, received)))
}

fn progress(server: &Server, call: &Call, status: StatusCode, id: &str, received: u64) -> Reply {
    // The query makes clients append `digest` with `&`, as with docker-registry, whose locations have one too.
    let path = format!("/v2/{}/blobs/uploads/{id}?_state={received}", call.repository);
    let location = server.location(call, &path);
    let range = format!("0-{}", received.saturating_sub(1));
    empty(status, &[(LOCATION, &location), (RANGE, &range), (DOCKER_UPLOAD_UUID, id)])
}

fn created(server: &Server, call: &Call, digest: &Digest) -> Reply {
    let location = server.location(call, &format!("/v2/{}/blobs/{digest}", call.repository));
    empty(StatusCode::CREATED, &[(LOCATION, &location), (DOCKER_CONTENT_DIGEST, &digest.to_string())])
}

fn new_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Bytes of a blob still arriving.
struct Spool {
    sink: Sink,
    hasher: Hasher,
    received: u64,
}

enum Sink {
    File { file: fs::File, path: PathBuf },
    Memory(BytesMut),
}

impl Spool {
    async fn create(store: &Store, id: &str) -> Result<Self, Refusal> {
        let sink = match store.folder() {
            None => Sink::Memory(BytesMut::new()),
            Some(folder) => {
                let path = folder.upload_path(id);
                Sink::File { file: fs::File::create(&path).await?, path }
            }
        };
        Ok(Self { sink, hasher: Hasher::new(DigestAlgorithm::Sha256), received: 0 })
    }

    /// Takes the bytes of one request, unless it has more than `limit`; what arrived before the client went away is
    /// kept.
    async fn append(&mut self, body: Body, limit: Option<u64>) -> Result<(), Refusal> {
        let before = self.received;
        let mut stream = body.into_data_stream();
        while let Some(piece) = stream.next().await {
            if limit.is_some_and(|limit| self.received - before > limit) {
                // The rest is read, so that the client sees the answer; the session is of no more use.
                continue;
            }
            let piece = piece.map_err(|error| Refusal::bad_request("BLOB_UPLOAD_INVALID", error.to_string()))?;
            match &mut self.sink {
                Sink::File { file, .. } => file.write_all(&piece).await?,
                Sink::Memory(bytes) => bytes.extend_from_slice(&piece),
            }
            self.hasher.update(&piece);
            self.received += piece.len() as u64;
        }
        if let Sink::File { file, .. } = &mut self.sink {
            file.flush().await?;
        }
        match limit.filter(|limit| self.received - before > *limit) {
            None => Ok(()),
            Some(limit) => {
                let message = format!("a request uploads at most {limit} bytes");
                Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message))
            }
        }
    }

    /// Makes the bytes a blob, if they have `digest`.
    async fn store(&mut self, store: &Store, repository: &str, digest: &Digest) -> Result<(), Refusal> {
        let found = self.digest(digest.algorithm()).await?;
        if found != *digest {
            return Err(Refusal::bad_request("DIGEST_INVALID", format!("the content has digest {found}")));
        }
        let blob = match &mut self.sink {
            Sink::Memory(bytes) => Blob::Bytes(bytes.split().freeze()),
            Sink::File { path, .. } => {
                let folder = store.folder().ok_or_else(|| Refusal::not_found("BLOB_UPLOAD_UNKNOWN", "no folder"))?;
                let blob = folder.blob_path(digest);
                fs::rename(&path, &blob).await?;
                Blob::File { path: blob, size: self.received }
            }
        };
        Ok(store.put_blob(repository, digest, blob)?)
    }

    async fn digest(&self, algorithm: DigestAlgorithm) -> std::io::Result<Digest> {
        if algorithm == DigestAlgorithm::Sha256 {
            return Ok(self.hasher.clone().finish());
        }
        let path = match &self.sink {
            Sink::File { path, .. } => path,
            Sink::Memory(bytes) => return Ok(Digest::of(algorithm, bytes)),
        };
        let mut hasher = Hasher::new(algorithm);
        let mut file = fs::File::open(path).await?;
        let mut piece = BytesMut::with_capacity(REREAD_BYTES);
        while file.read_buf(&mut piece).await? > 0 {
            hasher.update(&piece);
            piece.clear();
        }
        Ok(hasher.finish())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Sink::File { path, .. } = &self.sink {
            // Gone already when it became a blob; removed at the next start otherwise.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Size of the pieces a spooled file is read again in, for a digest other than SHA-256.
const REREAD_BYTES: usize = 256 * 1024;
