//! Blobs: read, whole or in part, and delete.

use std::io::SeekFrom;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use sealift_core::oci::{Digest, DigestAlgorithm};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::reply::{DOCKER_CONTENT_DIGEST, Refusal, Reply, empty, set, with_body};
use super::route::Call;
use super::server::Server;
use super::store::{Blob, check_name};

/// `GET` and `HEAD /v2/<name>/blobs/<digest>`
pub(super) fn read(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    check_name(&call.repository)?;
    let digest = parse_digest(&call.reference)?;
    let blob = server
        .store
        .blob(&call.repository, &digest)
        .ok_or_else(|| Refusal::not_found("BLOB_UNKNOWN", "blob unknown to the registry"))?;
    let size = blob.size();
    let range = call.header(RANGE).and_then(|range| parse_range(range, size));
    let (status, (start, end)) = match range {
        None => (StatusCode::OK, (0, size)),
        Some(Ok(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Err(())) => return Ok(unsatisfiable(size)),
    };
    let length = (end - start).to_string();
    let digest = digest.to_string();
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_LENGTH, length.as_str()),
        (DOCKER_CONTENT_DIGEST, &digest),
        (ACCEPT_RANGES, "bytes"),
    ];
    let body = if call.method == Method::HEAD { Body::empty() } else { Body::from_stream(pieces(blob, start, end)) };
    let mut reply = with_body(status, &headers, body);
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut reply, CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1));
    }
    Ok(reply)
}

/// `DELETE /v2/<name>/blobs/<digest>`
pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    if !server.options.deletes {
        return Err(Refusal::unsupported("deleting is switched off"));
    }
    server.store.delete_blob(&call.repository, &parse_digest(&call.reference)?)?;
    Ok(empty(StatusCode::ACCEPTED, &[]))
}

/// Parses a digest of an algorithm that the image specification registers.
pub(super) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    match text.parse::<Digest>() {
        Ok(digest) if digest.algorithm() != DigestAlgorithm::Sha384 => Ok(digest),
        _ => Err(Refusal::bad_request("DIGEST_INVALID", "the digest is not one of sha256 or sha512")),
    }
}

/// Parses a single range into its start and the position after its end; `None` is a header to ignore.
///
/// Specification: RFC 9110 section 14.2.
fn parse_range(header: &str, size: u64) -> Option<Result<(u64, u64), ()>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first, last) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), size),
        (first, "") => (first.parse().ok()?, size),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.saturating_add(1).min(size)),
    };
    Some(if start < end { Ok((start, end)) } else { Err(()) })
}

fn unsatisfiable(size: u64) -> Reply {
    let mut reply =
        Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", "the range is not in the blob").into_reply();
    set(&mut reply, CONTENT_RANGE, &format!("bytes */{size}"));
    reply
}

fn pieces(blob: Blob, start: u64, end: u64) -> BoxStream<'static, std::io::Result<Bytes>> {
    match blob {
        Blob::Bytes(bytes) => {
            let within = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
            let part = bytes.slice(within(start)..within(end));
            stream::once(async move { Ok(part) }).boxed()
        }
        Blob::Pattern(pattern) => stream::try_unfold(start, move |position| async move {
            if position >= end {
                return Ok(None);
            }
            let mut piece = pattern.read_at(position);
            piece.truncate(usize::try_from(end - position).unwrap_or(usize::MAX));
            let next = position + piece.len() as u64;
            Ok(Some((piece, next)))
        })
        .boxed(),
        Blob::File { path, .. } => stream::once(async move {
            let mut file = tokio::fs::File::open(path).await?;
            file.seek(SeekFrom::Start(start)).await?;
            Ok(file_pieces(file.take(end - start)))
        })
        .flat_map(|opened| match opened {
            Ok(pieces) => pieces,
            Err(error) => stream::once(async move { Err(error) }).boxed(),
        })
        .boxed(),
    }
}

fn file_pieces(file: tokio::io::Take<tokio::fs::File>) -> BoxStream<'static, std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(FILE_PIECE_BYTES);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), file)))
    })
    .boxed()
}

/// Size of the pieces a file is read in.
const FILE_PIECE_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (header, expected) in [
            ("bytes=0-9", Some(Ok((0, 10)))),
            ("bytes=5-", Some(Ok((5, 20)))),
            ("bytes=-5", Some(Ok((15, 20)))),
            ("bytes=-50", Some(Ok((0, 20)))),
            ("bytes=10-100", Some(Ok((10, 20)))),
            ("bytes=20-", Some(Err(()))),
            ("bytes=9-3", Some(Err(()))),
            ("items=0-1", None),
            ("bytes=a-b", None),
        ] {
            assert_eq!(parse_range(header, 20), expected, "{header}");
        }
    }
}
