//! Manifests: read, put, delete.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use sealift_core::oci::{Digest, DigestAlgorithm, MAX_MANIFEST_BYTES, RawManifest, Tag, media_type};
use serde::Deserialize;

use super::attributes;
use super::blob::parse_digest;
use super::reply::{DOCKER_CONTENT_DIGEST, OCI_SUBJECT, Refusal, Reply, empty, set, with_body};
use super::route::Call;
use super::server::Server;
use super::store::{Condition, check_name, check_repository, unknown_manifest};

/// `GET` and `HEAD /v2/<name>/manifests/<reference>`
pub(super) fn read(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    let manifest = find(server, call)?;
    attributes::check_pull(server, call, &manifest.descriptor().digest)?;
    let descriptor = manifest.descriptor();
    let digest = descriptor.digest.to_string();
    let etag = format!("\"{digest}\"");
    if quoted(call.header(IF_NONE_MATCH)).contains(&digest) {
        return Ok(empty(StatusCode::NOT_MODIFIED, &[(DOCKER_CONTENT_DIGEST, &digest), (ETAG, &etag)]));
    }
    let body = if call.method == Method::HEAD { Body::empty() } else { Body::from(manifest.bytes().clone()) };
    let headers = [
        (CONTENT_TYPE, descriptor.media_type.as_str()),
        (CONTENT_LENGTH, &descriptor.size.to_string()),
        (DOCKER_CONTENT_DIGEST, &digest),
        (ETAG, &etag),
    ];
    Ok(with_body(StatusCode::OK, &headers, body))
}

/// `PUT /v2/<name>/manifests/<reference>`
pub(super) async fn put(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    check_name(&call.repository)?;
    let bytes = read_bounded(body).await?;
    let (tag, expected) = match parse_digest(&call.reference) {
        Ok(digest) => (None, Some(digest)),
        Err(refusal) if call.reference.contains(':') => return Err(refusal),
        Err(_) => (Some(parse_tag(&call.reference)?), None),
    };
    let algorithm = expected.as_ref().map_or(DigestAlgorithm::Sha256, Digest::algorithm);
    let digest = Digest::of(algorithm, &bytes);
    if expected.is_some_and(|expected| expected != digest) {
        return Err(Refusal::bad_request("DIGEST_INVALID", format!("the content has digest {digest}")));
    }
    let media_type = media_type_of(call, &bytes)?;
    let manifest = RawManifest::with_digest(media_type.as_str(), bytes, &digest)
        .map_err(|error| Refusal::bad_request("MANIFEST_INVALID", error.to_string()))?;
    check_quirks(server, call, &manifest, tag)?;
    let (condition, sparse) = (condition(server, call), server.options.quirks.sparse_index);
    let subject = server.store.put_manifest(&call.repository, &manifest, tag, &condition, sparse)?;
    let location = server.location(call, &format!("/v2/{}/manifests/{digest}", call.repository));
    let digest = digest.to_string();
    let mut reply = empty(StatusCode::CREATED, &[(LOCATION, &location), (DOCKER_CONTENT_DIGEST, &digest)]);
    if let Some(subject) = subject.filter(|_| server.options.referrers_api || server.options.claims_subject) {
        set(&mut reply, OCI_SUBJECT, &subject.to_string());
    }
    Ok(reply)
}

/// `DELETE /v2/<name>/manifests/<reference>`
pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    if !server.options.deletes {
        return Err(Refusal::unsupported("deleting is switched off"));
    }
    match parse_digest(&call.reference) {
        Ok(digest) => server.store.delete_manifest(&call.repository, &digest)?,
        Err(refusal) if call.reference.contains(':') => return Err(refusal),
        Err(_) => server.store.delete_tag(&call.repository, &call.reference, &condition(server, call))?,
    }
    Ok(empty(StatusCode::ACCEPTED, &[]))
}

/// Refuses what only some registries refuse.
fn check_quirks(server: &Server, call: &Call, manifest: &RawManifest, tag: Option<&str>) -> Result<(), Refusal> {
    let (quirks, repository) = (&server.options.quirks, &call.repository);
    check_repository(server, call)?;
    let is_here = |reference: &str| server.store.manifest(repository, reference).is_some();
    if let Some(answer) = quirks.taken_tag.filter(|_| tag.is_some_and(is_here)) {
        return Err(answer.about(repository));
    }
    let subject = manifest.parse().ok().and_then(|parsed| parsed.subject);
    if let Some(answer) = quirks.subject_first
        && subject.is_some_and(|subject| !is_here(&subject.digest.to_string()))
    {
        return Err(answer.about(repository));
    }
    Ok(())
}

fn find(server: &Server, call: &Call) -> Result<RawManifest, Refusal> {
    check_name(&call.repository)?;
    if call.reference.contains(':') {
        parse_digest(&call.reference)?;
    }
    let stored = server.store.manifest(&call.repository, &call.reference);
    stored
        .or_else(|| {
            let digest = call.reference.strip_prefix("sha256-").filter(|_| server.options.fallback_tag_is_image)?;
            server.store.manifest(&call.repository, &format!("sha256:{digest}"))
        })
        .ok_or_else(unknown_manifest)
}

fn parse_tag(text: &str) -> Result<&str, Refusal> {
    match text.parse::<Tag>() {
        Ok(_) => Ok(text),
        Err(_) => Err(Refusal::bad_request("MANIFEST_INVALID", "the reference is neither a tag nor a digest")),
    }
}

/// The type sent, else the type the body gives itself, else the one of an image manifest.
fn media_type_of(call: &Call, bytes: &[u8]) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Typed = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request("MANIFEST_INVALID", format!("manifest is not JSON: {error}")))?;
    let sent = call.header(CONTENT_TYPE).and_then(|sent| sent.split(';').next()).map(|sent| sent.trim().to_owned());
    Ok(sent.or(typed.media_type).unwrap_or_else(|| media_type::IMAGE_MANIFEST.to_owned()))
}

fn condition(server: &Server, call: &Call) -> Condition {
    if !server.options.conditional_writes {
        return Condition::Always;
    }
    match (call.header(IF_MATCH), call.header(IF_NONE_MATCH)) {
        (Some(digests), _) => Condition::Holds(quoted(Some(digests))),
        (None, Some("*")) => Condition::Absent,
        _ => Condition::Always,
    }
}

fn quoted(header: Option<&str>) -> Vec<String> {
    let tags = header.unwrap_or_default().split(',');
    tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()).collect()
}

/// Reads a manifest's body. What is too large is read to its end, in moderation, so that the client sees the answer.
async fn read_bounded(body: Body) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut all = BytesMut::new();
    let mut size = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| Refusal::bad_request("MANIFEST_INVALID", error.to_string()))?;
        size += piece.len() as u64;
        if size > MAX_DRAINED_BYTES {
            break;
        }
        if size <= MAX_MANIFEST_BYTES {
            all.extend_from_slice(&piece);
        }
    }
    if size > MAX_MANIFEST_BYTES {
        let message = format!("a manifest has at most {MAX_MANIFEST_BYTES} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", message));
    }
    Ok(all.freeze())
}

/// Most bytes read of a manifest that is refused for its size; stops an endless request.
const MAX_DRAINED_BYTES: u64 = 16 * MAX_MANIFEST_BYTES;
