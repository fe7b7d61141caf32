//! What a registry shows of itself only when it is written to.
//!
//! Pushes a few small blobs and manifests under a tag of their own, and removes them again whatever happens in between; what
//! cannot be removed is told. Touches nothing that was there before.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use sealift_core::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::RepositoryError;
use serde_json::json;
use url::Url;

use super::Capability as C;
use super::Verdict::{No, Unknown, Yes};
use super::reading::NO_TYPE;
use super::{Finding, described, finding, unanswered};
use crate::auth::{Need, ScopeSet};
use crate::registry::client::{Body, Endpoint, Repeat, Request};
use crate::registry::referrer::{Answer, ask};
use crate::registry::response::Response;

const OPERATION: &str = "probe";
/// Names a subject that the registry noticed.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Size of the first of two chunks, unless the registry asks for larger ones.
const CHUNK_BYTES: usize = 1024;

/// Everything that was pushed, or may have been, in the order to remove it.
struct Probe<'a> {
    endpoint: &'a Endpoint,
    tag: Tag,
    /// What makes this probe's content its own.
    mark: String,
    manifests: Vec<Digest>,
    blobs: Vec<Digest>,
    has_tag: bool,
}

/// Finds out what only writing shows, and tells what it left behind.
pub(super) async fn probe(endpoint: &Endpoint, findings: &mut Vec<Finding>, left_behind: &mut Vec<String>) {
    let mark = format!("{:016x}", fastrand::u64(..));
    let Ok(tag) = format!("sealift-probe-{mark}").parse() else { return };
    let mut probe = Probe { endpoint, tag, mark, manifests: Vec::new(), blobs: Vec::new(), has_tag: false };
    findings.extend(probe.uploads().await);
    match probe.manifests().await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.extend(MANIFESTS.map(|capability| unanswered(capability, &error))),
    }
    findings.extend(probe.clean(left_behind).await);
}

/// What pushing manifests shows.
const MANIFESTS: [C; 4] = [C::SubjectHeader, C::ImmutableTags, C::ConditionalWrites, C::LargeManifest];

/// Blobs.
impl Probe<'_> {
    async fn uploads(&mut self) -> Vec<Finding> {
        let mut found = Vec::new();
        let content = |what: &str| Bytes::from(format!("{what} {}", self.mark));
        let (single, mounted) = (content("single"), content("mounted"));
        found.push(self.single_post(&single).await.unwrap_or_else(|error| unanswered(C::SinglePost, &error)));
        found.push(self.chunked().await.unwrap_or_else(|error| unanswered(C::ChunkedUpload, &error)));
        found.push(self.cancel().await.unwrap_or_else(|error| unanswered(C::UploadCancel, &error)));
        found.push(self.mount(&mounted).await.unwrap_or_else(|error| unanswered(C::Mount, &error)));
        found
    }

    async fn single_post(&mut self, content: &Bytes) -> Result<Finding, RepositoryError> {
        let digest = Digest::sha256(content);
        let mut url = self.endpoint.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let request = self.request(Method::POST, url).header(CONTENT_TYPE, media_type::OCTET_STREAM);
        let response = self.endpoint.send(request.body(Body::Bytes(content.clone()))).await?;
        let session = self.endpoint.location(&response).ok();
        let (status, answer) = described(response).await;
        if status == 201 {
            self.blobs.push(digest);
            return Ok(finding(C::SinglePost, Yes, answer));
        }
        if let Some(session) = session.filter(|_| status == 202) {
            // Opened in the blob's place; a registry that cannot cancel forgets it in time.
            let _ = self.endpoint.send(self.request(Method::DELETE, session)).await;
        }
        Ok(finding(C::SinglePost, No, answer))
    }

    async fn chunked(&mut self) -> Result<Finding, RepositoryError> {
        let session = self.endpoint.open_session(&Digest::sha256(b"")).await?;
        let size = session.min_chunk().and_then(|size| usize::try_from(size).ok()).unwrap_or(CHUNK_BYTES);
        let announced =
            session.min_chunk().map_or_else(String::new, |size| format!(", chunks of at least {size} bytes"));
        if size > MAX_PROBE_CHUNK_BYTES {
            return Ok(finding(C::ChunkedUpload, Unknown, format!("it wants chunks of at least {size} bytes")));
        }
        let mut content = format!("chunked {}", self.mark).into_bytes();
        content.resize(size * 2, b' ');
        let content = Bytes::from(content);
        let mut location = session.into_location();
        for (number, start) in [(1, 0), (2, size)] {
            let chunk = content.slice(start..start + size);
            let request = self
                .request(Method::PATCH, location.clone())
                .header(CONTENT_TYPE, media_type::OCTET_STREAM)
                .header(CONTENT_RANGE, &format!("{start}-{}", start + size - 1))
                .body(Body::Bytes(chunk))
                .repeat(Repeat::WhenUndone);
            let response = self.endpoint.send(request).await?;
            if response.status() != http::StatusCode::ACCEPTED {
                let (_, answer) = described(response).await;
                let _ = self.endpoint.send(self.request(Method::DELETE, location)).await;
                return Ok(finding(C::ChunkedUpload, No, format!("{answer} to chunk {number}")));
            }
            location = self.endpoint.location(&response)?;
        }
        let digest = Digest::sha256(&content);
        location.query_pairs_mut().append_pair("digest", &digest.to_string());
        let (status, answer) = described(self.endpoint.send(self.request(Method::PUT, location)).await?).await;
        if status != 201 {
            return Ok(finding(C::ChunkedUpload, No, format!("{answer} to the end")));
        }
        self.blobs.push(digest);
        Ok(finding(C::ChunkedUpload, Yes, format!("two chunks{announced}")))
    }

    async fn cancel(&self) -> Result<Finding, RepositoryError> {
        let session = self.endpoint.open_session(&Digest::sha256(b"")).await?;
        let response = self.endpoint.send(self.request(Method::DELETE, session.into_location())).await?;
        let (status, answer) = described(response).await;
        Ok(finding(C::UploadCancel, if status < 300 { Yes } else { No }, answer))
    }

    /// Mounts within the repository: another one would have to be written to.
    async fn mount(&mut self, content: &Bytes) -> Result<Finding, RepositoryError> {
        let digest = self.push(content).await?;
        let mut url = self.endpoint.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", &self.endpoint.path);
        let response = self.endpoint.send(self.request(Method::POST, url)).await?;
        let session = self.endpoint.location(&response).ok();
        let (status, answer) = described(response).await;
        if let Some(session) = session.filter(|_| status == 202) {
            let _ = self.endpoint.send(self.request(Method::DELETE, session)).await;
        }
        Ok(finding(C::Mount, if status == 201 { Yes } else { No }, format!("{answer}, within the repository")))
    }

    async fn push(&mut self, content: &Bytes) -> Result<Digest, RepositoryError> {
        let descriptor = Descriptor::of(media_type::OCTET_STREAM, content);
        self.endpoint.push_blob(&descriptor, content.clone().into()).await?;
        self.blobs.push(descriptor.digest.clone());
        Ok(descriptor.digest)
    }
}

/// Manifests.
impl Probe<'_> {
    async fn manifests(&mut self) -> Result<Vec<Finding>, RepositoryError> {
        let config = Bytes::from_static(b"{}");
        let config_descriptor = Descriptor::of(media_type::EMPTY, &config);
        // The blob that every artifact has is left where it is: others may need it.
        self.endpoint.push_blob(&config_descriptor, config.into()).await?;
        let (one, two) = (self.manifest("one", None, 0), self.manifest("two", None, 0));
        let tag = Selector::Tag(self.tag.clone());
        let (status, answer) = described(self.put(&one, &tag, None).await?).await;
        if status >= 300 {
            return Ok(MANIFESTS.map(|capability| finding(capability, Unknown, format!("{answer} to a tag"))).into());
        }
        let mut found = Vec::new();
        let (status, answer) = described(self.put(&two, &tag, None).await?).await;
        let is_mutable = status < 300;
        found.push(finding(C::ImmutableTags, if is_mutable { No } else { Yes }, format!("{answer} to moving a tag")));
        found.push(match is_mutable {
            true => {
                self.conditions(&one, &two, &tag).await.unwrap_or_else(|error| unanswered(C::ConditionalWrites, &error))
            }
            false => finding(C::ConditionalWrites, Unknown, "no tag can be moved"),
        });
        found.push(self.subject(&one).await.unwrap_or_else(|error| unanswered(C::SubjectHeader, &error)));
        found.push(self.large().await.unwrap_or_else(|error| unanswered(C::LargeManifest, &error)));
        Ok(found)
    }

    /// The tag holds `two`, so neither condition is true.
    async fn conditions(
        &mut self,
        one: &RawManifest,
        two: &RawManifest,
        tag: &Selector,
    ) -> Result<Finding, RepositoryError> {
        let absent = described(self.put(one, tag, Some((IF_NONE_MATCH, "*"))).await?).await;
        // Where that was ignored the tag has moved; back, so that the second question is the same.
        if absent.0 < 300 {
            drop(self.put(two, tag, None).await?);
        }
        let other = format!("\"{}\"", one.descriptor().digest);
        let changed = described(self.put(one, tag, Some((IF_MATCH, &other))).await?).await;
        let detail = format!("If-None-Match: {}, If-Match: {}", absent.1, changed.1);
        let verdict = match (absent.0, changed.0) {
            (412, 412) => Yes,
            (200..=299, _) | (_, 200..=299) => No,
            _ => Unknown,
        };
        Ok(finding(C::ConditionalWrites, verdict, detail))
    }

    /// Says whether what `OCI-Subject` says is true.
    async fn subject(&mut self, subject: &RawManifest) -> Result<Finding, RepositoryError> {
        let referrer = self.manifest("referrer", Some(subject.descriptor()), 0);
        let digest = referrer.descriptor().digest.clone();
        let response = self.put(&referrer, &digest.clone().into(), None).await?;
        let announces = response.headers().contains_key(OCI_SUBJECT);
        let (status, answer) = described(response).await;
        if status >= 300 {
            return Ok(finding(C::SubjectHeader, Unknown, format!("{answer} to a referrer")));
        }
        let listed = match ask(self.endpoint, &subject.descriptor().digest, &mut self.endpoint.pages()).await? {
            Answer::Listing(page, _) => page.iter().any(|entry| entry.digest == digest),
            _ => false,
        };
        Ok(match (announces, listed) {
            (true, true) => finding(C::SubjectHeader, Yes, "announced and listed"),
            (true, false) => finding(C::SubjectHeader, No, "announced, but not listed"),
            (false, true) => finding(C::SubjectHeader, No, "listed, but not announced"),
            (false, false) => finding(C::SubjectHeader, No, "neither announced nor listed"),
        })
    }

    async fn large(&mut self) -> Result<Finding, RepositoryError> {
        let empty = self.manifest("large", None, 0).bytes().len();
        let padding = usize::try_from(MAX_MANIFEST_BYTES).unwrap_or(usize::MAX) - empty;
        let manifest = self.manifest("large", None, padding);
        let selector = manifest.descriptor().digest.clone().into();
        let (status, answer) = described(self.put(&manifest, &selector, None).await?).await;
        let answer = format!("{answer} to {} bytes", manifest.bytes().len());
        Ok(finding(C::LargeManifest, if status < 300 { Yes } else { No }, answer))
    }

    fn manifest(&self, what: &str, subject: Option<&Descriptor>, padding: usize) -> RawManifest {
        let empty = Descriptor::of(media_type::EMPTY, b"{}");
        let mut body = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "artifactType": NO_TYPE,
            "config": empty,
            "layers": [empty],
            "annotations": { "probe": format!("{what} {}", self.mark), "padding": " ".repeat(padding) },
        });
        if let Some(subject) = subject {
            body["subject"] = json!(subject.to_plain());
        }
        RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string())
    }

    /// Puts a manifest once, as it is: what a refusal means is the question.
    async fn put(
        &mut self,
        manifest: &RawManifest,
        selector: &Selector,
        condition: Option<(HeaderName, &str)>,
    ) -> Result<Response, RepositoryError> {
        let url = self.endpoint.url(&format!("manifests/{selector}"));
        let mut request = self
            .request(Method::PUT, url)
            .header(CONTENT_TYPE, manifest.descriptor().media_type.as_str())
            .body(Body::Bytes(manifest.bytes().clone()));
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        let answer = self.endpoint.send(request).await;
        // Where the answer got lost it may be there.
        if answer.as_ref().map_or(true, |response| response.status().is_success()) {
            let digest = &manifest.descriptor().digest;
            if !self.manifests.contains(digest) {
                self.manifests.push(digest.clone());
            }
            self.has_tag |= matches!(selector, Selector::Tag(_));
        }
        answer
    }
}

/// Removal.
impl Probe<'_> {
    /// Removes everything, the last first, and says what cannot be removed.
    async fn clean(&self, left_behind: &mut Vec<String>) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut tag_is_gone = !self.has_tag;
        if self.has_tag {
            let deleted = self.delete(&format!("manifests/{}", self.tag)).await;
            tag_is_gone = deleted.verdict == Yes;
            found.push(Finding { capability: C::DeleteTag, ..deleted });
        } else {
            found.push(finding(C::DeleteTag, Unknown, "no tag was made"));
        }
        found.push(self.delete_all(C::DeleteManifest, left_behind).await);
        found.push(self.delete_all(C::DeleteBlob, left_behind).await);
        // Where tags are not deleted alone, they go with their manifests.
        if !tag_is_gone && !self.is_absent(&self.tag.clone().into()).await {
            left_behind.insert(0, self.tag.to_string());
        }
        found
    }

    async fn delete_all(&self, capability: C, left_behind: &mut Vec<String>) -> Finding {
        let (folder, digests) = match capability {
            C::DeleteManifest => ("manifests", &self.manifests),
            _ => ("blobs", &self.blobs),
        };
        let mut result = finding(capability, Unknown, "nothing was pushed");
        for digest in digests.iter().rev() {
            result = Finding { capability, ..self.delete(&format!("{folder}/{digest}")).await };
            let is_manifest = capability == C::DeleteManifest;
            if result.verdict != Yes && !(is_manifest && self.is_absent(&digest.clone().into()).await) {
                left_behind.push(digest.to_string());
            }
        }
        result
    }

    /// Says whether a manifest is surely not there.
    async fn is_absent(&self, selector: &Selector) -> bool {
        self.endpoint.resolve_manifest(selector).await.is_err_and(|error| error.is_not_found())
    }

    async fn delete(&self, rest: &str) -> Finding {
        let need = Need::exactly(ScopeSet::delete(&self.endpoint.path));
        let request = Request::new(OPERATION, Method::DELETE, self.endpoint.url(rest), need);
        match self.endpoint.send(request.header(ACCEPT, "*/*")).await {
            Err(error) => unanswered(C::DeleteTag, &error),
            Ok(response) => {
                let (status, answer) = described(response).await;
                finding(C::DeleteTag, if status < 300 { Yes } else { No }, answer)
            }
        }
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(OPERATION, method, url, self.endpoint.to_push())
    }
}

/// The largest chunk sent for a test.
const MAX_PROBE_CHUNK_BYTES: usize = 8 * 1024 * 1024;
