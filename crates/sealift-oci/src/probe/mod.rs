//! Asks registries what they can do, and how they authenticate, for people to read.
//!
//! Never decides anything for the rest of the crate, which finds out for itself as it goes. Everything that registries say
//! is shown bounded, without control characters, and without what could be a secret.

mod auth;
mod reading;
mod writing;

use sealift_core::oci::{RegistryHost, RepositoryName, Selector};
use sealift_core::repository::{RepositoryError, foreign_text};

pub use auth::{AuthProbe, AuthReport, Place, ShownChallenge, TokenOutcome};

use crate::Client;
use crate::layout::Mode;
use crate::registry::client::Endpoint;
use crate::registry::response::Response;

/// Something that a registry can do, or does in its own way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Capability {
    /// Lists what refers to a manifest.
    ReferrersApi,
    /// Filters that listing by artifact type.
    ReferrersFilter,
    /// Says truly, with `OCI-Subject`, that it lists a manifest under its subject.
    SubjectHeader,
    /// Answers `sha256-<hex>` with the image of that digest, though there is no such tag.
    FallbackAlias,
    /// Cuts listings of tags into pages.
    TagPaging,
    /// Tells how many requests are left.
    RateLimit,
    /// Gives manifests entity tags.
    EntityTags,
    /// Honours `If-Match` and `If-None-Match` when a manifest is put.
    ConditionalWrites,
    /// Keeps a tag where it is.
    ImmutableTags,
    /// Takes a blob over from another repository.
    Mount,
    /// Takes a blob in chunks.
    ChunkedUpload,
    /// Takes a blob in one `POST`.
    SinglePost,
    /// Cancels uploads.
    UploadCancel,
    /// Takes a manifest of 4 MiB, which the specification asks for.
    LargeManifest,
    /// Deletes manifests by digest.
    DeleteManifest,
    /// Deletes tags alone.
    DeleteTag,
    /// Deletes blobs.
    DeleteBlob,
}

impl Capability {
    /// Returns the name, for programs and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReferrersApi => "referrers-api",
            Self::ReferrersFilter => "referrers-filter",
            Self::SubjectHeader => "subject-header",
            Self::FallbackAlias => "fallback-alias",
            Self::TagPaging => "tag-paging",
            Self::RateLimit => "rate-limit",
            Self::EntityTags => "entity-tags",
            Self::ConditionalWrites => "conditional-writes",
            Self::ImmutableTags => "immutable-tags",
            Self::Mount => "mount",
            Self::ChunkedUpload => "chunked-upload",
            Self::SinglePost => "single-post",
            Self::UploadCancel => "upload-cancel",
            Self::LargeManifest => "large-manifest",
            Self::DeleteManifest => "delete-manifest",
            Self::DeleteTag => "delete-tag",
            Self::DeleteBlob => "delete-blob",
        }
    }
}

/// Whether a registry has a capability.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It has not.
    No,
    /// It would have to be written to.
    NotTried,
    /// Its answer does not tell.
    Unknown,
    /// It has.
    Yes,
}

impl Verdict {
    /// Returns the name, for programs and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::NotTried => "not tried",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }
}

/// What was found out about one capability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The capability.
    pub capability: Capability,
    /// Whether the registry has it.
    pub verdict: Verdict,
    /// How that is known, for people.
    pub detail: String,
}

/// What a registry can do with one repository.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The repository.
    pub repository: RepositoryName,
    /// One finding for each capability, in their order.
    pub findings: Vec<Finding>,
    /// What a test that wrote could not remove again: tags and digests.
    pub left_behind: Vec<String>,
}

impl ProbeReport {
    /// Returns the finding about a capability.
    pub fn finding(&self, capability: Capability) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.capability == capability)
    }
}

/// Whether a probe may write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteTest {
    /// Small blobs and manifests are pushed, under a tag of their own, and removed again as far as the registry lets.
    Allowed,
    /// Nothing is changed.
    Refused,
}

impl Client {
    /// Asks a registry at four places how it authenticates: its root, its API, its catalog and a repository.
    ///
    /// # Errors
    /// [`RepositoryError`] when the API does not answer at all.
    pub async fn probe_auth(&self, host: &RegistryHost, path: Option<&str>) -> Result<AuthReport, RepositoryError> {
        let name = RepositoryName::Registry { host: host.clone(), path: path.unwrap_or_default().to_owned() };
        auth::probe(&self.endpoint(&name, host, path.unwrap_or_default(), Mode::Read)?).await
    }

    /// Asks a registry what it can do with a repository; a manifest there lets it be asked more.
    ///
    /// # Errors
    /// [`RepositoryError`] when the registry does not answer, or refuses the repository altogether.
    pub async fn probe(
        &self,
        name: &RepositoryName,
        selector: Option<&Selector>,
        write_test: WriteTest,
    ) -> Result<ProbeReport, RepositoryError> {
        let RepositoryName::Registry { host, path } = name else {
            return Err(RepositoryError::Unsupported { repository: name.clone(), operation: "probing" });
        };
        let mode = if write_test == WriteTest::Allowed { Mode::Write } else { Mode::Read };
        let endpoint = self.endpoint(name, host, path, mode)?;
        let mut findings = reading::probe(&endpoint, selector).await?;
        let mut left_behind = Vec::new();
        match write_test {
            WriteTest::Allowed => writing::probe(&endpoint, &mut findings, &mut left_behind).await,
            WriteTest::Refused => findings.extend(WRITTEN.map(|capability| Finding {
                capability,
                verdict: Verdict::NotTried,
                detail: String::new(),
            })),
        }
        findings.sort_by_key(|finding| finding.capability);
        Ok(ProbeReport { repository: name.clone(), findings, left_behind })
    }
}

/// What only a test that writes finds out.
const WRITTEN: [Capability; 11] = [
    Capability::SubjectHeader,
    Capability::ConditionalWrites,
    Capability::ImmutableTags,
    Capability::Mount,
    Capability::ChunkedUpload,
    Capability::SinglePost,
    Capability::UploadCancel,
    Capability::LargeManifest,
    Capability::DeleteManifest,
    Capability::DeleteTag,
    Capability::DeleteBlob,
];

fn finding(capability: Capability, verdict: Verdict, detail: impl Into<String>) -> Finding {
    Finding { capability, verdict, detail: detail.into() }
}

/// Returns the finding for a question that got no answer.
fn unanswered(capability: Capability, error: &RepositoryError) -> Finding {
    finding(capability, Verdict::Unknown, foreign_text(&with_causes(error)))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Returns what an answer was, as in `HTTP 404 MANIFEST_UNKNOWN`, and its status.
async fn described(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    if status < 400 {
        let media_type = response.media_type().map(foreign_text).unwrap_or_default();
        return (status, format!("HTTP {status} {media_type}").trim_end().to_owned());
    }
    let (_, body) = response.into_error_body().await;
    let words = if body.code.is_empty() { body.message } else { body.code };
    (status, format!("HTTP {status} {words}").trim_end().to_owned())
}

/// Returns the address of something beside the repositories, such as `/v2/_catalog`.
fn beside(endpoint: &Endpoint, path: &str) -> url::Url {
    let mut url = endpoint.host.base.clone();
    url.set_path(path);
    url
}
