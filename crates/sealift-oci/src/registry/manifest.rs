//! Manifests: resolved, read, written and deleted.
//!
//! What is read has the digest asked for, computed here; a registry's own word is checked against it
//! (GHSA-qv35-3gw6-8q4j, CVE-2023-33959). What is read under a tag, of which no digest is known beforehand, is the page of a
//! gateway until it shows that it is a manifest.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName};
use http::{Method, StatusCode};
use sealift_core::oci::{
    Descriptor, Digest, MAX_MANIFEST_BYTES, ManifestError, MediaType, RawManifest, Selector, media_type,
};
use sealift_core::repository::{Content, ContentError, RepositoryError};
use serde::Deserialize;

use super::client::{Body, Endpoint, Request};
use super::response::Response;
use super::retry::Retries;
use crate::auth::{Need, ScopeSet};

/// Digest of the content that an answer holds or would hold.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Every kind of manifest that can be read; the first ones are preferred.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";
/// Media types that say nothing about a manifest.
pub(super) const GENERIC_MEDIA_TYPES: [&str; 4] =
    ["application/json", "application/octet-stream", "binary/octet-stream", "text/plain"];

/// A manifest as read, and its entity tag.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) manifest: RawManifest,
    pub(super) etag: Option<String>,
}

/// What a registry says of content that has another digest than it should, and of much else.
const DIGEST_INVALID: &str = "DIGEST_INVALID";

/// A condition for a write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition<'a> {
    /// `If-None-Match: *`
    Absent,
    Always,
    /// `If-Match`
    Unchanged(&'a str),
}

impl Condition<'_> {
    fn of(self, request: Request) -> Request {
        match self {
            Self::Absent => request.header(http::header::IF_NONE_MATCH, "*"),
            Self::Always => request,
            Self::Unchanged(etag) => request.header(http::header::IF_MATCH, etag),
        }
    }
}

impl Endpoint {
    /// Returns the descriptor of a manifest, without its bytes where the registry tells.
    pub(crate) async fn resolve_manifest(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        let response = self.send(self.manifest_request("resolve", Method::HEAD, selector)).await?;
        match response.status() {
            StatusCode::OK => {
                self.note_etag(&response);
                if let Some(descriptor) = self.described(&response, selector)? {
                    return Ok(descriptor);
                }
            }
            status if knows_no_head(status) => {}
            _ => return Err(self.refused_manifest(response, "resolve", selector).await),
        }
        self.read_manifest(selector).await.map(|read| read.manifest.descriptor().clone())
    }

    /// Returns a manifest.
    ///
    /// What a tag holds decides what is attached, so the answer for a tag is taken only where it is the registry's: the
    /// digest of the content that the registry announces is that of the body, or the body is a manifest. A web page, such
    /// as gateways show with status 200 when a session has expired, is neither: then it stays open what the tag holds.
    pub(super) async fn read_manifest(&self, selector: &Selector) -> Result<Read, RepositoryError> {
        let response = self.send(self.manifest_request("read", Method::GET, selector)).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refused_manifest(response, "read", selector).await);
        }
        self.note_etag(&response);
        let etag = response.header(ETAG).map(str::to_owned);
        let served = response.media_type().map(str::to_owned);
        let claimed = claimed_digest(&response);
        let bytes = response.read(&self.name, "read", "manifest", MAX_MANIFEST_BYTES).await?;
        let media_type = effective_media_type(served.clone(), &bytes);
        let unusable = |source| self.unusable_manifest(selector, source);
        let manifest = match selector {
            Selector::Digest(digest) => {
                RawManifest::with_digest(media_type, bytes.clone(), digest).map_err(unusable)?
            }
            Selector::Tag(_) => RawManifest::new(media_type, bytes.clone()),
        };
        match claimed {
            Some(claimed) => {
                let found = Digest::of(claimed.algorithm(), &bytes);
                if found != claimed {
                    return Err(unusable(ManifestError::DigestMismatch { expected: claimed, found }));
                }
            }
            None if matches!(selector, Selector::Tag(_)) && !is_manifest(manifest.descriptor(), &bytes) => {
                let served = served.as_deref().unwrap_or("none");
                let problem = format_args!("tag {selector} with HTTP 200, the type `{served}` and no manifest");
                return Err(self.malformed("answer for a tag", problem));
            }
            None => {}
        }
        Ok(Read { manifest, etag })
    }

    /// Returns the manifest that `descriptor` names, as content.
    pub(super) async fn fetch_manifest(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let read = self.read_manifest(&descriptor.digest.clone().into()).await?;
        let bytes = read.manifest.bytes().clone();
        self.check_size(descriptor.size, bytes.len() as u64)?;
        Ok(Content::from(bytes))
    }

    /// Writes a manifest under its digest or a tag, and returns the registry's answer.
    ///
    /// docker-registry rewrites the link to a blob in place whenever the blob is pushed again. A manifest that names the
    /// blob at that moment is refused as `DIGEST_INVALID`, though nothing is wrong with it: it is sent again.
    pub(super) async fn put_manifest(
        &self,
        manifest: &RawManifest,
        selector: &Selector,
        condition: Condition<'_>,
    ) -> Result<Response, RepositoryError> {
        let url = self.url(&format!("manifests/{selector}"));
        let mut retries = Retries::new(self.host.retry);
        let response = loop {
            let request = Request::new("push", Method::PUT, url.clone(), self.to_push())
                .header(CONTENT_TYPE, manifest.descriptor().media_type.as_str())
                .body(Body::Bytes(manifest.bytes().clone()));
            let response = self.send(condition.of(request)).await?;
            if response.status().is_success() {
                break response;
            }
            if response.status() != StatusCode::BAD_REQUEST {
                return Ok(response);
            }
            let (status, body) = response.into_error_body().await;
            let delay = retries.next_delay(None).filter(|_| body.code == DIGEST_INVALID);
            let Some(delay) = delay else { return Err(body.into_refusal(status, &self.name, "push")) };
            tokio::time::sleep(delay).await;
        };
        let stored = claimed_digest(&response).filter(|stored| {
            let expected = &manifest.descriptor().digest;
            stored.algorithm() == expected.algorithm() && stored != expected
        });
        if let Some(stored) = stored {
            return Err(self.malformed("answer to a push", format_args!("it stored {stored}, which was not sent")));
        }
        Ok(response)
    }

    /// Deletes a manifest or a tag, under a condition that many registries ignore.
    pub(super) async fn delete_manifest(
        &self,
        selector: &Selector,
        condition: Condition<'_>,
    ) -> Result<(), RepositoryError> {
        let need = Need::exactly(ScopeSet::delete(&self.path));
        let url = self.url(&format!("manifests/{selector}"));
        let request = Request::new("delete", Method::DELETE, url, need);
        let response = self.send(condition.of(request)).await?;
        if response.status().is_success() {
            return Ok(());
        }
        let error = response.into_error(&self.name, "delete", format!("manifest {selector}")).await;
        let is_tag = matches!(selector, Selector::Tag(_));
        match error {
            // docker-registry 2 takes only digests here, and says so in several ways.
            RepositoryError::Registry { status: 400 | 501, code, .. }
                if is_tag && matches!(code.as_str(), DIGEST_INVALID | "UNSUPPORTED" | "TAG_INVALID") =>
            {
                Err(RepositoryError::Unsupported { repository: self.name.clone(), operation: "deleting a tag" })
            }
            error => Err(error),
        }
    }

    /// Refuses content whose size is not the one described.
    pub(super) fn check_size(&self, described: u64, found: u64) -> Result<(), RepositoryError> {
        let source = match found.cmp(&described) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Greater => ContentError::TooLong { size: described },
            std::cmp::Ordering::Less => ContentError::TooShort { size: described, missing: described - found },
        };
        Err(RepositoryError::Content { repository: self.name.clone(), source })
    }

    pub(super) fn unusable_manifest(&self, selector: &Selector, source: ManifestError) -> RepositoryError {
        RepositoryError::Manifest { repository: self.name.clone(), digest: selector.to_string(), source }
    }

    /// Returns a request for a manifest of any kind; without the kinds, distribution has none of them (404).
    pub(crate) fn manifest_request(&self, operation: &'static str, method: Method, selector: &Selector) -> Request {
        let url = self.url(&format!("manifests/{selector}"));
        Request::new(operation, method, url, self.to_pull()).header(ACCEPT, ACCEPTED)
    }

    fn note_etag(&self, response: &Response) {
        if response.headers().contains_key(ETAG) {
            self.host.note(|habits| habits.gives_etags = true);
        }
    }

    /// Returns what an answer to HEAD describes, or `None` when it leaves something open.
    fn described(&self, response: &Response, selector: &Selector) -> Result<Option<Descriptor>, RepositoryError> {
        let claimed = claimed_digest(response);
        let digest = match (selector, claimed) {
            (Selector::Tag(_), claimed) => claimed,
            (Selector::Digest(digest), None) => Some(digest.clone()),
            (Selector::Digest(digest), Some(claimed)) if claimed == *digest => Some(claimed),
            (Selector::Digest(digest), Some(found)) => {
                let mismatch = ManifestError::DigestMismatch { expected: digest.clone(), found };
                return Err(self.unusable_manifest(selector, mismatch));
            }
        };
        let media_type = response.media_type().map(MediaType::from).filter(MediaType::is_manifest);
        let is_encoded = response.headers().contains_key(CONTENT_ENCODING);
        let size = response.content_length().filter(|size| *size > 0 && !is_encoded);
        if size.is_some_and(|size| size > MAX_MANIFEST_BYTES) {
            return Err(self.unusable_manifest(selector, ManifestError::TooLarge { limit: MAX_MANIFEST_BYTES }));
        }
        let Some(((digest, media_type), size)) = digest.zip(media_type).zip(size) else { return Ok(None) };
        Ok(Some(Descriptor::new(media_type, digest, size)))
    }
}

/// Says whether `HEAD` was answered as by gateways that do not know it; what they mean, `GET` will say.
pub(super) fn knows_no_head(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 406 | 415 | 501)
}

fn claimed_digest(response: &Response) -> Option<Digest> {
    response.header(DOCKER_CONTENT_DIGEST)?.parse().ok()
}

/// Returns the type it was served as, unless that says nothing; then the type it gives itself, or looks like.
fn effective_media_type(served: Option<String>, bytes: &[u8]) -> MediaType {
    let served = served.unwrap_or_default();
    if !served.is_empty() && !GENERIC_MEDIA_TYPES.contains(&served.to_ascii_lowercase().as_str()) {
        return MediaType::from(served);
    }
    match serde_json::from_slice::<Outline>(bytes) {
        Ok(Outline { media_type: Some(declared), .. }) => declared,
        Ok(Outline { manifests: Some(_), .. }) => MediaType::from_static(media_type::IMAGE_INDEX),
        Ok(Outline { layers: Some(_), .. }) => MediaType::from_static(media_type::IMAGE_MANIFEST),
        _ => MediaType::from(served),
    }
}

/// Says whether a body shows by itself that it is a manifest, good or bad: it has the type of one, and says so or has what
/// manifests consist of. An object that a gateway answers with has neither, whatever type it takes over from `Accept`.
fn is_manifest(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    let outline = serde_json::from_slice::<Outline>(bytes).ok().filter(|_| bytes.trim_ascii_start().starts_with(b"{"));
    let says_so = |it: Outline| it.media_type.is_some() || it.manifests.is_some() || it.layers.is_some();
    descriptor.media_type.is_manifest() && outline.is_some_and(says_so)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    media_type: Option<MediaType>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shows_that_it_is_a_manifest_is_one() {
        let (index, image) = (media_type::IMAGE_INDEX, media_type::IMAGE_MANIFEST);
        let declared = format!(r#"{{"mediaType":"{image}"}}"#);
        for (media_type, body, expected) in [
            (index, r#"{"manifests":[]}"#, true),
            (image, r#" {"layers":[]}"#, true),
            // It contradicts itself, and is a manifest that does.
            (index, declared.as_str(), true),
            (index, "{}", false),
            (index, r#"{"error":"session expired"}"#, false),
            (index, "<html>session expired</html>", false),
            (index, r#"["application/x",[],[]]"#, false),
            ("application/json", declared.as_str(), false),
            ("text/html", r#"{"manifests":[]}"#, false),
            ("", "", false),
        ] {
            let descriptor = Descriptor::of(media_type, body.as_bytes());
            assert_eq!(is_manifest(&descriptor, body.as_bytes()), expected, "{media_type} {body}");
        }
    }

    #[test]
    fn a_generic_type_gives_way_to_the_body() {
        for (served, body, expected) in [
            (Some(media_type::IMAGE_MANIFEST), r#"{"mediaType":"x/y"}"#, media_type::IMAGE_MANIFEST),
            (Some("text/plain"), r#"{"mediaType":"x/y"}"#, "x/y"),
            (Some("application/json"), r#"{"manifests":[]}"#, media_type::IMAGE_INDEX),
            (None, r#"{"layers":[]}"#, media_type::IMAGE_MANIFEST),
            (Some("application/json"), "{}", "application/json"),
            (None, "not json", ""),
        ] {
            let found = effective_media_type(served.map(str::to_owned), body.as_bytes());
            assert_eq!(found.as_str(), expected, "{served:?} {body}");
        }
    }
}
