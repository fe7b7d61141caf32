//! Tags: listed, read, and moved under a condition.

use http::{Method, StatusCode};
use sealift_core::oci::{Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{RepositoryError, TagMove};
use serde::{Deserialize, Deserializer};

use super::client::{Endpoint, Redirects, Request};
use super::manifest::{Condition, Read};
use super::page::Pages;
use super::shared_tag;

/// Tags asked for on one page, the most that common registries give.
const PAGE_TAGS: &str = "1000";

impl Endpoint {
    /// Returns every tag.
    pub(crate) async fn list_tags(&self) -> Result<Vec<Tag>, RepositoryError> {
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
            tags.extend(page.tags.iter().filter_map(|tag| tag.parse::<Tag>().ok()));
            match next {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
    }

    /// Points a tag at a manifest if it holds `previous`.
    pub(super) async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        let digest_of = |found: &Read| found.manifest.descriptor().digest.clone();
        let found = shared_tag::read(self, tag).await?;
        if found.as_ref().map(digest_of).as_ref() != previous {
            return Ok(TagMove::Holds(found.as_ref().map(digest_of)));
        }
        let selector = Selector::Tag(tag.clone());
        let condition = match &found {
            Some(found) => found.etag.as_deref().map_or(Condition::Always, Condition::Unchanged),
            None if self.host.habits().gives_etags => Condition::Absent,
            None => Condition::Always,
        };
        let response = self.put_manifest(manifest, &selector, condition).await?;
        if response.status().is_success() {
            return Ok(TagMove::Done);
        }
        // 409 and 412 say that somebody was faster, and at some registries that the tag is immutable.
        let is_condition = matches!(response.status().as_u16(), 409 | 412);
        let refusal = response.into_refusal(&self.name, "tag").await;
        if is_condition {
            let now = shared_tag::read(self, tag).await?.as_ref().map(digest_of);
            if now.as_ref() != previous {
                return Ok(TagMove::Holds(now));
            }
        }
        Err(refusal)
    }
}

/// A page of tags. One without the field is none, such as an object that a gateway answers with, and an error in the body
/// of a 200; `null` is what registries written in Go say where there is no tag.
#[derive(Deserialize)]
struct TagPage {
    #[serde(deserialize_with = "null_as_no_tags")]
    tags: Vec<String>,
}

fn null_as_no_tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_tags_is_none() {
        for (body, expected) in [
            (r#"{"name":"a","tags":["v1"]}"#, Some(1)),
            (r#"{"tags":[]}"#, Some(0)),
            (r#"{"tags":null}"#, Some(0)),
            ("{}", None),
            (r#"{"name":"a"}"#, None),
            (r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#, None),
            (r#"{"tags":{}}"#, None),
        ] {
            let read = serde_json::from_str::<TagPage>(body).ok().map(|page| page.tags.len());
            assert_eq!(read, expected, "{body}");
        }
    }
}
