//! The referrers API: whether a registry has it, and what it lists.
//!
//! Only an index is a listing. What a registry without the API answers differs from one to the next, and a registry
//! that announces the API may not have it, so the answer to the question itself decides (probe, never assume).
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use http::header::{ACCEPT, HeaderName};
use http::{Method, StatusCode};
use sealift_core::oci::{Descriptor, Digest, IndexDocument, media_type};
use sealift_core::repository::{Pushed, RepositoryError};
use serde::de::IgnoredAny;
use url::Url;

use super::client::{Endpoint, Redirects, Request};
use super::page::Pages;
use super::response::Response;

/// Says that the registry noticed the subject of a manifest.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The most entries of one listing; stops a registry that makes memory run out.
const MAX_REFERRERS: usize = 50_000;
const OPERATION: &str = "list referrers";
const LISTING: &str = "referrers listing";

/// What is known about a repository's referrers API.
#[derive(Debug, Default)]
pub(super) struct ReferrersApi {
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whether the API answers.
    exists: Option<bool>,
    /// Whether a manifest with a subject was taken without a word about it: then the client lists it.
    ignores_subjects: bool,
}

impl ReferrersApi {
    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns what the API lists, or `None` where there is none.
    pub(super) async fn list(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        if self.known().exists == Some(false) {
            return Ok(None);
        }
        let mut pages = Pages::new(endpoint, LISTING);
        let Some(first) = self.first_page(endpoint, listing_url(endpoint, subject)).await? else { return Ok(None) };
        let mut response = first;
        let mut listed = Vec::new();
        loop {
            let (body, next) = pages.read(response, OPERATION).await?;
            let page = parse_page(&body).map_err(|problem| endpoint.malformed(LISTING, problem))?;
            listed.extend(page.entries().cloned());
            if listed.len() > MAX_REFERRERS {
                let (repository, limit) = (endpoint.name.clone(), MAX_REFERRERS as u64);
                return Err(RepositoryError::TooLarge { repository, what: LISTING, limit });
            }
            let Some(next) = next else { return Ok(Some(listed)) };
            response = endpoint.send(request(endpoint, next)).await?;
            if !is_listing(&response) {
                return Err(pages.broken(response, OPERATION).await);
            }
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

    /// Says whether the repository lists by itself what is pushed to it.
    pub(super) async fn lists_by_itself(&self, endpoint: &Endpoint, subject: &Digest) -> Result<bool, RepositoryError> {
        Ok(!self.known().ignores_subjects && self.exists(endpoint, subject).await?)
    }

    async fn exists(&self, endpoint: &Endpoint, subject: &Digest) -> Result<bool, RepositoryError> {
        match self.known().exists {
            Some(exists) => Ok(exists),
            None => Ok(self.first_page(endpoint, listing_url(endpoint, subject)).await?.is_some()),
        }
    }

    async fn first_page(&self, endpoint: &Endpoint, url: Url) -> Result<Option<Response>, RepositoryError> {
        let response = endpoint.send(request(endpoint, url)).await?;
        if is_listing(&response) {
            self.note(|known| known.exists = Some(true));
            return Ok(Some(response));
        }
        match response.status().as_u16() {
            // Another type of content, or a redirect to a web page (GHCR): some page, not the API.
            200..=399 | 400 | 405 | 406 | 501 => {
                self.note(|known| known.exists = Some(false));
                Ok(None)
            }
            404 => {
                let (_, body) = response.into_error_body().await;
                // The repository or the subject is missing, which says nothing about the API; anything else does.
                if !matches!(body.code.as_str(), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN") {
                    self.note(|known| known.exists = Some(false));
                }
                Ok(None)
            }
            _ => Err(response.into_error(&endpoint.name, OPERATION, LISTING).await),
        }
    }
}

/// Reads a page; without `manifests` it is no index, and not one without entries.
fn parse_page(body: &[u8]) -> Result<IndexDocument, String> {
    let fields: HashMap<String, IgnoredAny> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if !fields.contains_key("manifests") {
        return Err("it has no `manifests`".to_owned());
    }
    IndexDocument::parse(body).map_err(|error| error.to_string())
}

fn listing_url(endpoint: &Endpoint, subject: &Digest) -> Url {
    endpoint.url(&format!("referrers/{subject}"))
}

fn request(endpoint: &Endpoint, url: Url) -> Request {
    Request::new(OPERATION, Method::GET, url, endpoint.to_pull())
        .header(ACCEPT, media_type::IMAGE_INDEX)
        .redirects(Redirects::SameOrigin)
}

fn is_listing(response: &Response) -> bool {
    response.status() == StatusCode::OK && response.media_type() == Some(media_type::IMAGE_INDEX)
}
