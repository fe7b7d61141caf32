//! What registries do unlike the specification, or besides it, each as one manner that can be switched on.
//!
//! Which registry has which is in [`super::Emulation`].

use std::time::Duration;

use axum::http::StatusCode;

use super::reply::Refusal;

/// What a registry does unlike the specification, or besides it. The default has no quirk.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// What `/v2/<name>/referrers/` answers where there is no referrers API.
    pub missing_api: MissingApi,
    /// `Content-Type` of a referrers listing instead of that of an index.
    pub listing_type: Option<&'static str>,
    /// What the referrers API answers about a manifest that is not here, instead of an empty list.
    pub unknown_subject: Option<Answer>,
    /// What becomes of a manifest whose subject is not here yet, instead of storing it.
    pub subject_first: Option<Answer>,
    /// What becomes of a push to a repository that nobody created, instead of creating it.
    pub missing_repository: Option<Answer>,
    /// What becomes of a push to a tag that exists, instead of moving the tag.
    pub taken_tag: Option<Answer>,
    /// What becomes of `DELETE` on an upload session, instead of cancelling it.
    pub cancelled_upload: Option<Answer>,
    /// Most bytes of one request that uploads; more is a 413.
    pub max_upload: Option<u64>,
    /// Whether a session takes one `PATCH` only; more of them are a 416.
    pub single_patch: bool,
    /// What `/` answers.
    pub root: Root,
    /// What becomes of an index of which some manifests are not here.
    pub sparse_index: SparseIndex,
    /// How many manifests may be pulled.
    pub pull_limit: Option<PullLimit>,
    /// How many requests of any kind are answered.
    pub throttle: Option<Throttle>,
    /// Whether manifests and tags have attributes below `/acr/v1`, as at ACR.
    pub attributes_api: bool,
    /// Who keeps images back until they are passed, as ACR does with its quarantine policy.
    pub quarantine: Option<Quarantine>,
}

/// A refusal that registries are known for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Error code.
    pub code: &'static str,
    /// Words for people, in which `{}` stands for the repository.
    pub message: &'static str,
}

impl Answer {
    pub(super) fn about(self, repository: &str) -> Refusal {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal::new(status, self.code, self.message.replace("{}", repository))
    }
}

/// What `/v2/<name>/referrers/` answers where there is no referrers API.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MissingApi {
    /// 404 with this error code.
    Code(&'static str),
    /// 404 `page not found` as plain text, as docker-registry answers what it does not know.
    #[default]
    PlainText,
    /// 303 to a web page at another host, with the digest cut off.
    SeeOther(&'static str),
    /// 200 and a page of HTML.
    WebPage,
}

/// What becomes of an index of which some manifests are not here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SparseIndex {
    /// 404, as any manifest of which something is missing.
    #[default]
    Refused,
    /// It is stored.
    Taken,
}

/// What `/` answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Root {
    /// 404.
    #[default]
    Missing,
    /// A redirect to a web page.
    Redirect(&'static str),
    /// 200 and a page of HTML.
    WebPage,
}

/// Keeps every manifest back that nobody passed: no tag leads to it, and its digest leads nobody to it but these users.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quarantine {
    /// The user who may pull what is kept back, as `AcrQuarantineReader` lets.
    pub reader: &'static str,
    /// The user who may pass it, too, as `AcrQuarantineWriter` lets.
    pub writer: &'static str,
}

/// How many manifests may be pulled: `GET` counts, `HEAD` does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PullLimit {
    /// Most pulls within the window.
    pub pulls: u64,
    /// Length of the window, in seconds; only told, the sandbox lives in one window.
    pub window_seconds: u64,
}

/// How many requests are answered: more within one window are a 429.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Throttle {
    /// Most requests within a window.
    pub requests: u32,
    /// Length of a window.
    pub window: Duration,
    /// `Retry-After` of the 429, in seconds.
    pub retry_after: Option<u64>,
}
