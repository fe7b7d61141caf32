//! Listings and their pages: tags, referrers, repositories.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION};
use sealift_core::oci::media_type;
use serde_json::json;

use super::blob::parse_digest;
use super::quirk::MissingApi;
use super::reply::{API_VERSION, OCI_FILTERS_APPLIED, Refusal, Reply, empty, json, set, web_page, with_body};
use super::route::Call;
use super::server::Server;
use super::store::check_name;

/// `GET /v2/<name>/tags/list`
pub(super) fn tags(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    check_name(&call.repository)?;
    let tags = server.store.tags(&call.repository);
    let tags = tags.ok_or_else(|| Refusal::not_found("NAME_UNKNOWN", "repository name not known to the registry"))?;
    let (tags, next) = page_of_names(server, call, tags)?;
    Ok(page(json!({ "name": call.repository, "tags": tags }), next))
}

/// `GET /v2/_catalog`
pub(super) fn catalog(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    let (repositories, next) = page_of_names(server, call, server.store.repositories())?;
    Ok(page(json!({ "repositories": repositories }), next))
}

/// `GET /v2/<name>/referrers/<digest>`
///
/// Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.
pub(super) fn referrers(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    let quirks = &server.options.quirks;
    if !server.options.referrers_api {
        return missing_api(quirks.missing_api, call);
    }
    check_name(&call.repository)?;
    let subject = parse_digest(&call.reference)?;
    if let Some(answer) = quirks.unknown_subject
        && server.store.manifest(&call.repository, &call.reference).is_none()
    {
        return Err(answer.about(&call.repository));
    }
    let mut entries = server.store.referrers(&call.repository, &subject);
    let filter = call.parameter("artifactType").filter(|filter| !filter.is_empty() && server.options.filters);
    if let Some(filter) = filter {
        entries.retain(|entry| entry.artifact_type.as_deref() == Some(filter));
    }
    let size = server.options.page_size.unwrap_or(usize::MAX).max(1);
    let start = size.saturating_mul(call.page().saturating_sub(1)).min(entries.len());
    let end = start.saturating_add(size).min(entries.len());
    let next = (end < entries.len()).then(|| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.parameter("artifactType").map(|filter| ("artifactType", filter)));
        query.append_pair("page", &(call.page() + 1).to_string());
        format!("{}?{}", call.path, query.finish())
    });
    let body = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries[start..end] });
    let mut reply = page(body, next);
    set(&mut reply, CONTENT_TYPE, quirks.listing_type.unwrap_or(media_type::IMAGE_INDEX));
    if filter.is_some() {
        set(&mut reply, OCI_FILTERS_APPLIED, "artifactType");
    }
    Ok(reply)
}

/// Answers as registries without the referrers API do.
fn missing_api(quirk: MissingApi, call: &Call) -> Result<Reply, Refusal> {
    match quirk {
        MissingApi::Code(code) => Err(Refusal::not_found(code, "manifest unknown")),
        MissingApi::PlainText => {
            let body = Body::from("404 page not found\n");
            Ok(with_body(StatusCode::NOT_FOUND, &[(CONTENT_TYPE, "text/plain; charset=utf-8"), API_VERSION], body))
        }
        MissingApi::SeeOther(origin) => {
            let location = format!("{origin}/{}/referrers/sha256", call.repository);
            Ok(empty(StatusCode::SEE_OTHER, &[(LOCATION, &location)]))
        }
        MissingApi::WebPage => Ok(web_page(StatusCode::OK)),
    }
}

/// Cuts sorted names by `n` and `last`, and says where the rest is.
fn page_of_names(server: &Server, call: &Call, names: Vec<String>) -> Result<(Vec<String>, Option<String>), Refusal> {
    let asked = match call.parameter("n").map(str::parse::<usize>) {
        None => None,
        Some(Ok(asked)) => Some(asked),
        Some(Err(_)) => return Err(Refusal::bad_request("PAGINATION_NUMBER_INVALID", "n is not a number")),
    };
    let last = call.parameter("last").unwrap_or_default();
    let size = asked.unwrap_or(usize::MAX).min(server.options.page_size.unwrap_or(usize::MAX));
    let mut names: Vec<_> = names.into_iter().filter(|name| name.as_str() > last).collect();
    let rest = names.len() > size;
    names.truncate(size);
    let next = names.last().filter(|_| rest).map(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(asked.map(|asked| ("n", asked.to_string())));
        query.append_pair("last", last).append_pair("page", &(call.page() + 1).to_string());
        format!("{}?{}", call.path, query.finish())
    });
    Ok((names, next))
}

fn page(body: serde_json::Value, next: Option<String>) -> Reply {
    let mut reply = json(StatusCode::OK, &body);
    if let Some(next) = next {
        set(&mut reply, LINK, &format!("<{next}>; rel=\"next\""));
    }
    reply
}
