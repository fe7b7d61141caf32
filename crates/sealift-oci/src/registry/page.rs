//! Listings that come in pages.
//!
//! The next page is fetched from the same origin only, and there is an end to pages.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags>.

use http::header::LINK;
use sealift_core::repository::RepositoryError;
use url::Url;

use super::client::Endpoint;
use super::response::Response;
use crate::auth::realm::is_same_origin;
use crate::redact::SafeUrl;

/// The most pages of one listing; stops a registry whose pages never end.
const MAX_PAGES: usize = 1_000;
/// The most bytes of one listing, all pages together; keeps memory flat whatever is listed.
const MAX_LISTING_BYTES: u64 = 16 * 1024 * 1024;

/// Where a reader of pages is.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    endpoint: &'a Endpoint,
    what: &'static str,
    count: usize,
    bytes_left: u64,
}

impl<'a> Pages<'a> {
    /// Starts at the first page of `what`.
    pub(crate) fn new(endpoint: &'a Endpoint, what: &'static str) -> Self {
        Self { endpoint, what, count: 1, bytes_left: MAX_LISTING_BYTES }
    }

    /// Returns the number of the page, the first being 1.
    pub(crate) fn number(&self) -> usize {
        self.count
    }

    /// Reads a page; returns its body and where the next one is.
    pub(crate) async fn read(
        &mut self,
        response: Response,
        operation: &'static str,
    ) -> Result<(bytes::Bytes, Option<Url>), RepositoryError> {
        let next = self.next(&response)?;
        let name = &self.endpoint.name;
        let body = response.read(name, operation, self.what, self.bytes_left).await?;
        self.bytes_left -= body.len() as u64;
        if next.is_some() {
            self.count += 1;
        }
        if self.count > MAX_PAGES {
            let (repository, what) = (name.clone(), self.what);
            return Err(RepositoryError::TooLarge { repository, what, limit: MAX_PAGES as u64 });
        }
        Ok((body, next))
    }

    /// Returns the error of a page after the first that was refused: it is not the answer that nothing is there.
    pub(crate) async fn broken(&self, response: Response, operation: &'static str) -> RepositoryError {
        let status = response.status().as_u16();
        if status < 400 {
            return self.endpoint.malformed(self.what, format_args!("page {} is none", self.count));
        }
        match response.into_error(&self.endpoint.name, operation, self.what).await {
            RepositoryError::NotFound { .. } | RepositoryError::Unsupported { .. } => {
                self.endpoint.malformed(self.what, format!("page {} answers HTTP {status}", self.count))
            }
            error => error,
        }
    }

    fn next(&self, response: &Response) -> Result<Option<Url>, RepositoryError> {
        let links = response.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(target) = links.flat_map(links_to_next).next() else { return Ok(None) };
        let malformed = |problem: String| self.endpoint.malformed(self.what, problem);
        let next = response.url().join(target).map_err(|_| malformed("the next page has no URL".to_owned()))?;
        if !is_same_origin(&next, &self.endpoint.host.base) {
            // Followed, it would let anyone who can write a header add to the listing, or watch who reads it.
            return Err(malformed(format!("the next page is at another host, {}", SafeUrl(&next))));
        }
        if next == *response.url() {
            return Err(malformed("the next page is the same page".to_owned()));
        }
        Ok(Some(next))
    }
}

/// Returns the targets of a `Link` header whose relation is `next`: <https://www.rfc-editor.org/rfc/rfc8288>.
fn links_to_next(header: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else { break };
        // The parameters end where the next link begins.
        let (parameters, _) = after.split_once('<').unwrap_or((after, ""));
        let is_next =
            parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('=')).any(|(key, value)| {
                let relations = value.trim().trim_matches('"');
                key.trim().eq_ignore_ascii_case("rel")
                    && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
            });
        if is_next {
            targets.push(target);
        }
        rest = after;
    }
    targets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_next_page() {
        for (header, expected) in [
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, vec!["/v2/a/tags/list?n=2&last=b"]),
            ("</x>; rel=next", vec!["/x"]),
            (r#"</p>; rel="prev", </n>; title="a"; REL="last next""#, vec!["/n"]),
            (r#"</p>; rel="prev""#, vec![]),
            (r#"</p>; rel="nextish""#, vec![]),
            ("rel=next", vec![]),
            ("<unclosed; rel=next", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(links_to_next(header), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total(header in "\\PC{0,120}") {
            let _ = links_to_next(&header);
        }
    }
}
