//! The referrers API: whether a registry has it, and what it lists.
//!
//! Only an index is a listing: what calls itself one, or has a type that says nothing and is one. What a registry without
//! the API answers differs from one to the next, and a registry that announces the API may not have it, so the answer to
//! the question itself decides (probe, never assume). An answer that is no listing, and not what is usual where there is
//! none, decides nothing alone: the same question about a digest that nothing has tells whether it is a habit. Nor does a
//! usual refusal that anything before the registry might have given, such as a load balancer without a route for a moment.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.

use std::collections::HashSet;
use std::sync::Mutex;

use http::header::{ACCEPT, HeaderName};
use http::{Method, StatusCode};
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, ManifestError, media_type, parse_listing};
use sealift_core::repository::{Pushed, RepositoryError};
use url::Url;

use super::client::{Endpoint, Redirects, Request};
use super::manifest::GENERIC_MEDIA_TYPES;
use super::page::Pages;
use super::response::Response;

/// Says that the registry noticed the subject of a manifest.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The most entries of one listing; stops a registry that makes memory run out.
const MAX_REFERRERS: usize = 50_000;
/// The most annotations of all entries of one listing; stops pages of nothing but tiny ones.
const MAX_ANNOTATIONS: usize = 250_000;
/// The most manifests remembered to be in a repository; stops a long-running process from growing without end.
const MAX_SEEN: usize = 100_000;
/// Says that docker-registry, or what behaves like it, answers: it is on every answer, refusals included.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const OPERATION: &str = "list referrers";
const LISTING: &str = "referrers listing";

/// What is known about a repository's referrers API.
#[derive(Debug, Default)]
pub(super) struct ReferrersApi {
    known: Mutex<Known>,
    /// Held by whoever asks first: the answer tells the others whether they need to ask.
    first: tokio::sync::Mutex<()>,
    /// Manifests that this process saw in the repository: an API that knows nothing of one contradicts that.
    seen: Mutex<HashSet<Digest>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whether the API answers.
    exists: Option<bool>,
    /// Whether it was asked, which need not tell.
    was_asked: bool,
    /// Whether a manifest with a subject was taken without a word about it: then the client lists it.
    ignores_subjects: bool,
}

impl ReferrersApi {
    fn known(&self) -> Known {
        *locked(&self.known)
    }

    fn note(&self, change: impl FnOnce(&mut Known)) {
        change(&mut locked(&self.known));
    }

    /// Notes that the repository holds a manifest.
    pub(super) fn saw(&self, manifest: &Digest) {
        let mut seen = locked(&self.seen);
        if seen.len() < MAX_SEEN {
            seen.insert(manifest.clone());
        }
    }

    /// Forgets which manifests the repository holds, after something was deleted.
    pub(super) fn forget(&self) {
        locked(&self.seen).clear();
    }

    fn has_seen(&self, manifest: &Digest) -> bool {
        locked(&self.seen).contains(manifest)
    }

    /// Returns what the API lists, or `None` where there is none.
    pub(super) async fn list(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let turn = self.turn().await;
        if self.known().exists == Some(false) {
            return Ok(None);
        }
        let mut pages = endpoint.pages();
        let first = self.first_page(endpoint, subject, &mut pages).await;
        drop(turn);
        let Some((mut page, mut next)) = first? else { return Ok(None) };
        let mut listed = Vec::new();
        loop {
            listed.append(&mut page);
            let annotations: usize = listed.iter().map(|entry| entry.annotations.len()).sum();
            for (found, most) in [(listed.len(), MAX_REFERRERS), (annotations, MAX_ANNOTATIONS)] {
                if found > most {
                    let (repository, limit) = (endpoint.name.clone(), most as u64);
                    return Err(RepositoryError::TooLarge { repository, what: LISTING, limit });
                }
            }
            let Some(url) = next else { return Ok(Some(listed)) };
            let response = endpoint.send(request(endpoint, url)).await?;
            if response.status() != StatusCode::OK || Type::of(&response) == Type::Other {
                return Err(pages.broken(response, OPERATION).await);
            }
            let (body, after) = pages.read(response, OPERATION).await?;
            page = parse_listing(&body).map_err(|problem| endpoint.malformed(LISTING, problem))?;
            next = after;
        }
    }

    /// Says what pushing a manifest with a subject leaves to do, judging by the registry's answer.
    pub(super) async fn after_push(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        response: &Response,
    ) -> Result<Pushed, RepositoryError> {
        if !response.headers().contains_key(OCI_SUBJECT) {
            self.note(|known| known.ignores_subjects = true);
            return Ok(Pushed::Unlisted);
        }
        // ECR and Docker Hub have said so without having the API (hub-feedback#2372, sigstore-js#1183).
        Ok(if self.exists(endpoint, subject).await? { Pushed::Stored } else { Pushed::Unlisted })
    }

    /// Says whether the repository lists by itself what is pushed to it, as far as it was asked.
    pub(super) fn answers(&self) -> Option<bool> {
        let known = self.known();
        if known.ignores_subjects { Some(false) } else { known.exists }
    }

    /// Says whether the repository lists by itself what is pushed to it.
    pub(super) async fn lists_by_itself(&self, endpoint: &Endpoint, subject: &Digest) -> Result<bool, RepositoryError> {
        Ok(!self.known().ignores_subjects && self.exists(endpoint, subject).await?)
    }

    async fn exists(&self, endpoint: &Endpoint, subject: &Digest) -> Result<bool, RepositoryError> {
        if let Some(exists) = self.known().exists {
            return Ok(exists);
        }
        // Also after a question that did not tell: of many referrers pushed at the same time one asks for all.
        let _first = self.first.lock().await;
        match self.known().exists {
            Some(exists) => Ok(exists),
            None => {
                let mut pages = endpoint.pages();
                Ok(self.first_page(endpoint, subject, &mut pages).await?.is_some())
            }
        }
    }

    /// Waits while somebody else asks for the first time.
    async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.known().was_asked {
            return None;
        }
        let turn = self.first.lock().await;
        (!self.known().was_asked).then_some(turn)
    }

    /// Returns the first page and where the next one is, or `None` where there is no API.
    async fn first_page(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        pages: &mut Pages<'_>,
    ) -> Result<Option<(Vec<Descriptor>, Option<Url>)>, RepositoryError> {
        let answer = ask(endpoint, subject, pages).await;
        self.note(|known| known.was_asked = true);
        let exists = self.known().exists == Some(true);
        match answer? {
            Answer::Listing(page, next) => {
                self.note(|known| known.exists = Some(true));
                endpoint.host.note(|habits| habits.lacks_referrers_api = Some(false));
                Ok(Some((page, next)))
            }
            // As of a replica that lags behind. Where signatures are kept apart the subject is another repository's.
            Answer::NotHere(answer) if exists && self.has_seen(subject) => Err(contradicts(endpoint, &answer)),
            Answer::NotHere(_) => Ok(None),
            Answer::NoApi { answer, .. } | Answer::Odd(answer) if exists => Err(contradicts(endpoint, &answer)),
            Answer::NoApi { speaker, .. }
                if speaker == Speaker::Registry || endpoint.host.habits().lacks_referrers_api == Some(true) =>
            {
                self.note(|known| known.exists = Some(false));
                Ok(None)
            }
            Answer::NoApi { answer, .. } | Answer::Odd(answer) => self.confirm(endpoint, &answer).await.map(|()| None),
        }
    }

    /// Asks about a digest that nothing has, because `answer` need not be the registry's: it is where that one gets the
    /// like.
    ///
    /// # Errors
    /// Where that one is answered otherwise: then nothing is known about what refers to the subject.
    async fn confirm(&self, endpoint: &Endpoint, answer: &str) -> Result<(), RepositoryError> {
        match ask(endpoint, &nothing(), &mut endpoint.pages()).await? {
            Answer::Listing(..) => {
                self.note(|known| known.exists = Some(true));
                Err(contradicts(endpoint, answer))
            }
            Answer::NotHere(other) => {
                Err(endpoint.malformed(LISTING, format_args!("{answer}, and about a digest that nothing has {other}")))
            }
            Answer::NoApi { .. } => {
                // One confirmation for each registry, not for each of its repositories; unless another of them was listed.
                endpoint.host.note(|habits| {
                    habits.lacks_referrers_api.get_or_insert(true);
                });
                self.note(|known| known.exists = Some(false));
                Ok(())
            }
            Answer::Odd(_) => {
                self.note(|known| known.exists = Some(false));
                Ok(())
            }
        }
    }
}

fn contradicts(endpoint: &Endpoint, answer: &str) -> RepositoryError {
    endpoint.malformed(LISTING, format_args!("{answer}, though the referrers API answers other questions"))
}

/// What a registry answers to the question what refers to something.
pub(crate) enum Answer {
    Listing(Vec<Descriptor>, Option<Url>),
    /// What registries without the API answer, what it was, and who may have said so.
    NoApi {
        answer: String,
        speaker: Speaker,
    },
    /// The repository or the subject is missing, which says nothing about the API, and what it was.
    NotHere(String),
    /// Some page, or a redirect to another host (GHCR), and what it was.
    Odd(String),
}

/// Who refuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Speaker {
    /// The registry: in the specification's words, or as docker-registry refuses what it does not know.
    Registry,
    /// The registry, or whatever stands before it.
    Unknown,
}

/// Asks what refers to `subject`.
pub(crate) async fn ask(
    endpoint: &Endpoint,
    subject: &Digest,
    pages: &mut Pages<'_>,
) -> Result<Answer, RepositoryError> {
    let url = endpoint.url(&format!("referrers/{subject}"));
    let response = endpoint.send(request(endpoint, url)).await?;
    let status = response.status().as_u16();
    let answer = format!("it answers HTTP {status}");
    match (status, Type::of(&response)) {
        (200, Type::Index) => {
            let (body, next) = pages.read(response, OPERATION).await?;
            let page = parse_listing(&body).map_err(|problem| endpoint.malformed(LISTING, problem))?;
            Ok(Answer::Listing(page, next))
        }
        (200, Type::Unsaid) => {
            let (body, next) = pages.read(response, OPERATION).await?;
            match parse_listing(&body) {
                Ok(page) => Ok(Answer::Listing(page, next)),
                Err(problem @ (ManifestError::Json(_) | ManifestError::NoObject)) => {
                    Ok(Answer::Odd(format!("{answer} and no index: {problem}")))
                }
                // A listing all the same.
                Err(problem) => Err(endpoint.malformed(LISTING, problem)),
            }
        }
        (200, Type::Other) => {
            let media_type = response.media_type().unwrap_or_default();
            Ok(Answer::Odd(format!("{answer} and the type {media_type}")))
        }
        (201..=399, _) => Ok(Answer::Odd(answer)),
        (400 | 404 | 405 | 406 | 501, _) => {
            let is_marked = response.headers().contains_key(API_VERSION);
            let body = response.read_error_body(&endpoint.name, OPERATION, LISTING).await?;
            let answer = format!("{answer} {}", body.code).trim_end().to_owned();
            // Quay says 400 where others say 404.
            let is_missing = matches!(body.code.as_str(), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN" | "MANIFEST_INVALID");
            if is_missing && matches!(status, 400 | 404) {
                return Ok(Answer::NotHere(answer));
            }
            // Proxies are told to set the header themselves, but their own refusals are pages, or empty:
            // <https://distribution.github.io/distribution/recipes/nginx/>.
            let is_registry = body.is_specified || (is_marked && !body.message.is_empty());
            let speaker = if is_registry { Speaker::Registry } else { Speaker::Unknown };
            Ok(Answer::NoApi { answer, speaker })
        }
        _ => Err(response.into_error(&endpoint.name, OPERATION, LISTING).await),
    }
}

impl Endpoint {
    /// Starts at the first page of a listing of referrers.
    pub(crate) fn pages(&self) -> Pages<'_> {
        Pages::new(self, LISTING)
    }
}

/// What an answer calls itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Type {
    Index,
    Other,
    /// Nothing that would say what it is.
    Unsaid,
}

impl Type {
    fn of(response: &Response) -> Self {
        match response.media_type() {
            Some(media_type::IMAGE_INDEX) => Self::Index,
            Some(other) if !GENERIC_MEDIA_TYPES.contains(&other.to_ascii_lowercase().as_str()) => Self::Other,
            _ => Self::Unsaid,
        }
    }
}

/// Returns a digest that no content has.
pub(crate) fn nothing() -> Digest {
    Digest::sha256(b"sealift asks what a registry answers about a digest that nothing has")
}

fn request(endpoint: &Endpoint, url: Url) -> Request {
    Request::new(OPERATION, Method::GET, url, endpoint.to_pull())
        .header(ACCEPT, media_type::IMAGE_INDEX)
        .redirects(Redirects::SameOrigin)
}
