//! Which endpoint of the specification a path names.

use axum::http::{HeaderMap, Method, Uri};
use sealift_core::oci::Reference;

/// An endpoint, as fault rules and the request log name it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/acr/v1/<name>/_manifests/<digest>` and `/acr/v1/<name>/_tags/<tag>`
    Attributes,
    /// `/v2/<name>/blobs/<digest>`
    Blob,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/manifests/<reference>`
    Manifest,
    /// Anything else.
    Other,
    /// `/v2/`
    Ping,
    /// `/v2/<name>/referrers/<digest>`
    Referrers,
    /// `/v2/<name>/tags/list`
    Tags,
    /// `/token`, or where the emulated registry has its token service.
    Token,
    /// `/v2/<name>/blobs/uploads/` and the sessions below it.
    Upload,
}

/// One request, taken apart.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) endpoint: Endpoint,
    /// Repository named in the path; empty where there is none.
    pub(super) repository: String,
    /// What follows the endpoint's name: a tag, a digest or an upload session; empty where there is none.
    pub(super) reference: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Self {
        let path = percent_decoded(uri.path());
        let (endpoint, repository, reference) = parts(&path);
        let (repository, reference) = (repository.to_owned(), reference.to_owned());
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { method, path, endpoint, repository, reference, query, headers }
    }

    /// Returns the first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a header, if it is text.
    pub(super) fn header(&self, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns which page of a listing is asked for, the first being 1.
    pub(super) fn page(&self) -> usize {
        self.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(1)
    }
}

/// Says whether `name` is a repository name of the specification's grammar.
pub(super) fn is_repository(name: &str) -> bool {
    format!("sandbox.invalid/{name}")
        .parse::<Reference>()
        .is_ok_and(|reference| reference.selector().is_none() && reference.repository().path() == Some(name))
}

fn parts(path: &str) -> (Endpoint, &str, &str) {
    if is_token_service(path) {
        return (Endpoint::Token, "", "");
    }
    match path {
        "/v2" | "/v2/" => return (Endpoint::Ping, "", ""),
        "/v2/_catalog" => return (Endpoint::Catalog, "", ""),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/acr/v1/") {
        let found = ["/_manifests/", "/_tags/"].iter().find_map(|marker| rest.rsplit_once(marker));
        return found.map_or((Endpoint::Other, "", ""), |(name, reference)| (Endpoint::Attributes, name, reference));
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return (Endpoint::Other, "", "") };
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return (Endpoint::Tags, name, "");
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return (Endpoint::Upload, name, "");
    }
    for (marker, endpoint) in [
        ("/blobs/uploads/", Endpoint::Upload),
        ("/blobs/", Endpoint::Blob),
        ("/manifests/", Endpoint::Manifest),
        ("/referrers/", Endpoint::Referrers),
    ] {
        match rest.rsplit_once(marker) {
            Some((name, reference)) if !reference.contains('/') => return (endpoint, name, reference),
            _ => {}
        }
    }
    (Endpoint::Other, "", "")
}

/// Says whether a registry of some kind has its token service here.
fn is_token_service(path: &str) -> bool {
    TOKEN_SERVICES.contains(&path) || (path.starts_with("/artifactory/api/docker/") && path.ends_with("/v2/token"))
}

/// Where registries have their token service, and what belongs to it. None can be a repository.
const TOKEN_SERVICES: [&str; 8] =
    ["/jwt/auth", "/oauth2/exchange", "/oauth2/token", "/service/token", "/token", "/token/", "/v2/auth", "/v2/token"];

fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let decoded = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_endpoint() {
        for (path, expected) in [
            ("/v2/", (Endpoint::Ping, "", "")),
            ("/v2/_catalog", (Endpoint::Catalog, "", "")),
            ("/token", (Endpoint::Token, "", "")),
            ("/v2/a/b/tags/list", (Endpoint::Tags, "a/b", "")),
            ("/v2/a/manifests/v1", (Endpoint::Manifest, "a", "v1")),
            ("/v2/a/blobs/sha256:00", (Endpoint::Blob, "a", "sha256:00")),
            ("/v2/a/blobs/uploads/", (Endpoint::Upload, "a", "")),
            ("/v2/a/blobs/uploads", (Endpoint::Upload, "a", "")),
            ("/v2/a/blobs/uploads/7", (Endpoint::Upload, "a", "7")),
            ("/v2/manifests/manifests/manifests/v1", (Endpoint::Manifest, "manifests/manifests", "v1")),
            ("/v2/a/referrers/sha256:00", (Endpoint::Referrers, "a", "sha256:00")),
            ("/acr/v1/a/b/_manifests/sha256:00", (Endpoint::Attributes, "a/b", "sha256:00")),
            ("/acr/v1/a/_tags/v1", (Endpoint::Attributes, "a", "v1")),
            ("/acr/v1/a", (Endpoint::Other, "", "")),
            ("/v2/a", (Endpoint::Other, "", "")),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
    }

    #[test]
    fn decodes_escapes_and_keeps_the_rest() {
        assert_eq!(percent_decoded("/a%3Ab%2"), "/a:b%2");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
    }

    #[test]
    fn knows_repository_names() {
        for name in ["a", "a/b-c", "a__b/c.d"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["", "A", "a//b", "a:b", "a/../b", "-a", "a@sha256:00"] {
            assert!(!is_repository(name), "{name}");
        }
    }
}
