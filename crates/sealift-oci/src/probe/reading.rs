//! What a registry shows of itself without being written to.

use http::Method;
use http::header::{ACCEPT, ETAG, HeaderName, LINK};
use sealift_core::oci::{Digest, Selector, Tag, media_type};
use sealift_core::repository::{RepositoryError, foreign_text};

use super::Capability::{EntityTags, FallbackAlias, RateLimit, ReferrersApi, ReferrersFilter, TagPaging};
use super::Verdict::{No, Unknown, Yes};
use super::{Finding, described, finding, unanswered};
use crate::registry::client::{Endpoint, Redirects, Request};
use crate::registry::referrer::{Answer, Speaker, ask, nothing};

const OPERATION: &str = "probe";
/// Says by what a listing of referrers is filtered.
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// An artifact type that nothing has.
pub(super) const NO_TYPE: &str = "application/vnd.sealift.probe.nothing";

/// Asks what can be asked about a repository, and about a manifest of it where there is one.
pub(super) async fn probe(endpoint: &Endpoint, selector: Option<&Selector>) -> Result<Vec<Finding>, RepositoryError> {
    let resolved = match selector {
        None => None,
        Some(selector) => Some(endpoint.resolve_manifest(selector).await?.digest),
    };
    let subject = resolved.clone().unwrap_or_else(nothing);
    let api = referrers_api(endpoint, &subject).await;
    let mut findings = vec![referrers_filter(endpoint, &subject, &api).await, api, tag_paging(endpoint).await];
    let manifest = resolved.clone().map_or_else(|| Selector::Digest(subject.clone()), Selector::Digest);
    findings.extend(manifest_headers(endpoint, &manifest).await);
    findings.push(match &resolved {
        Some(digest) => fallback_alias(endpoint, digest).await,
        None => finding(FallbackAlias, Unknown, "no manifest was named"),
    });
    Ok(findings)
}

async fn referrers_api(endpoint: &Endpoint, subject: &Digest) -> Finding {
    match ask(endpoint, subject, &mut endpoint.pages()).await {
        Err(error) => unanswered(ReferrersApi, &error),
        Ok(Answer::Listing(page, _)) => {
            finding(ReferrersApi, Yes, format!("it answers with an index of {}", page.len()))
        }
        Ok(Answer::NotHere(answer)) => {
            finding(ReferrersApi, Unknown, format!("{answer}: the manifest or the repository is missing"))
        }
        Ok(Answer::NoApi { answer, speaker: Speaker::Registry }) => finding(ReferrersApi, No, answer),
        // A page in the listing's place, or anybody's refusal: is it one for every question?
        Ok(Answer::NoApi { answer, .. } | Answer::Odd(answer)) => {
            match ask(endpoint, &nothing(), &mut endpoint.pages()).await {
                Ok(Answer::Listing(..)) => {
                    finding(ReferrersApi, Unknown, format!("{answer}, but an index about nothing"))
                }
                Ok(Answer::NotHere(other)) => {
                    finding(ReferrersApi, Unknown, format!("{answer}, but about nothing {other}"))
                }
                Ok(_) => finding(ReferrersApi, No, format!("{answer}, about nothing, too")),
                Err(error) => unanswered(ReferrersApi, &error),
            }
        }
    }
}

async fn referrers_filter(endpoint: &Endpoint, subject: &Digest, api: &Finding) -> Finding {
    if api.verdict != Yes {
        return finding(ReferrersFilter, api.verdict, "as there is no referrers API that is known of");
    }
    let mut url = endpoint.url(&format!("referrers/{subject}"));
    url.query_pairs_mut().append_pair("artifactType", NO_TYPE);
    let request = Request::new(OPERATION, Method::GET, url, endpoint.to_pull())
        .header(ACCEPT, media_type::IMAGE_INDEX)
        .redirects(Redirects::SameOrigin);
    match endpoint.send(request).await {
        Err(error) => unanswered(ReferrersFilter, &error),
        Ok(response) => match response.header(OCI_FILTERS_APPLIED).map(foreign_text) {
            Some(applied) if applied.split(',').any(|name| name.trim() == "artifactType") => {
                finding(ReferrersFilter, Yes, format!("OCI-Filters-Applied: {applied}"))
            }
            _ => finding(ReferrersFilter, No, "no OCI-Filters-Applied"),
        },
    }
}

async fn tag_paging(endpoint: &Endpoint) -> Finding {
    let mut url = endpoint.url("tags/list");
    url.query_pairs_mut().append_pair("n", "1");
    let request = Request::new(OPERATION, Method::GET, url, endpoint.to_pull()).redirects(Redirects::SameOrigin);
    let response = match endpoint.send(request).await {
        Ok(response) => response,
        Err(error) => return unanswered(TagPaging, &error),
    };
    let has_next = response.headers().contains_key(LINK);
    if response.status() != http::StatusCode::OK {
        return finding(TagPaging, Unknown, described(response).await.1);
    }
    if has_next {
        return finding(TagPaging, Yes, "Link after one tag");
    }
    match endpoint.list_tags().await {
        Err(error) => unanswered(TagPaging, &error),
        Ok(tags) if tags.len() > 1 => {
            finding(TagPaging, No, format!("{} tags at once where one was asked for", tags.len()))
        }
        Ok(tags) => finding(TagPaging, Unknown, format!("the repository has {} tags", tags.len())),
    }
}

async fn manifest_headers(endpoint: &Endpoint, selector: &Selector) -> [Finding; 2] {
    let response = match endpoint.send(endpoint.manifest_request(OPERATION, Method::HEAD, selector)).await {
        Ok(response) => response,
        Err(error) => return [EntityTags, RateLimit].map(|capability| unanswered(capability, &error)),
    };
    let told = RATE_HEADERS.iter().filter_map(|name| {
        let value = response.header(*name)?;
        Some(format!("{name}: {}", foreign_text(value)))
    });
    let told: Vec<_> = told.collect();
    let rate = match told.is_empty() {
        true => finding(RateLimit, No, "no header tells"),
        false => finding(RateLimit, Yes, told.join(", ")),
    };
    let etags = match response.header(ETAG) {
        Some(etag) => finding(EntityTags, Yes, format!("ETag: {}", foreign_text(etag))),
        None if response.status().is_success() => finding(EntityTags, No, "no ETag"),
        None => finding(EntityTags, Unknown, format!("HTTP {}", response.status().as_u16())),
    };
    [etags, rate]
}

/// Says whether the fallback tag of an image answers with the image.
async fn fallback_alias(endpoint: &Endpoint, digest: &Digest) -> Finding {
    let tag = Tag::referrers_fallback(digest);
    let resolved = endpoint.resolve_manifest(&tag.clone().into()).await;
    match resolved {
        Err(error) if error.is_not_found() => finding(FallbackAlias, No, format!("there is no tag {tag}")),
        Err(error) => unanswered(FallbackAlias, &error),
        Ok(found) if found.digest != *digest => finding(FallbackAlias, No, format!("{tag} holds {}", found.digest)),
        Ok(_) => match endpoint.list_tags().await {
            Ok(tags) if tags.contains(&tag) => {
                finding(FallbackAlias, No, format!("a tag {tag} holds the image itself, as `cosign copy` leaves it"))
            }
            Ok(_) => finding(FallbackAlias, Yes, format!("{tag} answers with the image, and is no tag")),
            Err(error) => unanswered(FallbackAlias, &error),
        },
    }
}

/// Headers that tell of limits, as Docker Hub and the draft for HTTP spell them.
const RATE_HEADERS: [&str; 6] = [
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "retry-after",
];
