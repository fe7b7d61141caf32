//! Tags: listed.

use http::{Method, StatusCode};
use sealift_core::oci::Tag;
use sealift_core::repository::RepositoryError;
use serde::Deserialize;

use super::client::{Endpoint, Redirects, Request};
use super::page::Pages;

/// Tags asked for on one page, the most that common registries give.
const PAGE_TAGS: &str = "1000";

impl Endpoint {
    /// Returns every tag.
    pub(super) async fn list_tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        let mut pages = Pages::new(self, "tag listing");
        let mut url = self.url("tags/list");
        url.query_pairs_mut().append_pair("n", PAGE_TAGS);
        let mut tags = Vec::new();
        loop {
            let request = Request::new("list tags", Method::GET, url, self.to_pull());
            let response = self.send(request.redirects(Redirects::SameOrigin)).await?;
            match response.status() {
                StatusCode::OK => {}
                _ if pages.number() > 1 => return Err(pages.broken(response, "list tags").await),
                _ => return Err(response.into_error(&self.name, "list tags", "such repository").await),
            }
            let (body, next) = pages.read(response, "list tags").await?;
            let page: TagPage = serde_json::from_slice(&body).map_err(|error| self.malformed("tag listing", error))?;
            // What is no tag by the specification's grammar cannot be asked for either.
            tags.extend(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse::<Tag>().ok()));
            match next {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
    }
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}
