//! Answers and refusals, with the error codes of the specification.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};

/// An answer on its way out.
pub(super) type Reply = Response<Body>;

/// A refusal with an error body.
///
/// Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    challenge: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), challenge: None }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }

    pub(super) fn unauthorized(challenge: String) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
        }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn into_reply(self) -> Reply {
        let body = serde_json::json!({ "errors": [{ "code": self.code, "message": self.message, "detail": null }] });
        let mut reply = json(self.status, &body);
        if let Some(challenge) = self.challenge.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", error.to_string())
    }
}

/// Returns an answer without a body.
pub(super) fn empty(status: StatusCode, headers: &[(HeaderName, &str)]) -> Reply {
    with_body(status, headers, Body::empty())
}

/// Returns an answer with a body.
pub(super) fn with_body(status: StatusCode, headers: &[(HeaderName, &str)], body: Body) -> Reply {
    let mut reply = Reply::new(body);
    *reply.status_mut() = status;
    for (name, value) in headers {
        set(&mut reply, name.clone(), value);
    }
    reply
}

/// Returns an answer with a JSON body.
pub(super) fn json(status: StatusCode, body: &serde_json::Value) -> Reply {
    let text = body.to_string();
    let length = text.len().to_string();
    with_body(status, &[(CONTENT_TYPE, "application/json"), (CONTENT_LENGTH, &length)], Body::from(text))
}

/// Returns a web page.
pub(super) fn web_page(status: StatusCode) -> Reply {
    let page = "<!DOCTYPE html><title>Packages</title><p>A page for people.";
    with_body(status, &[(CONTENT_TYPE, "text/html; charset=utf-8")], Body::from(page))
}

/// Sets a header; text that cannot be a header value is left out.
pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// The digest of the content, in answers about manifests and blobs.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Says that the registry lists the manifest under its subject.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Says by what a listing is filtered.
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// The smallest chunk of an upload but the last, in bytes.
pub(super) const OCI_CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// What docker-registry says with every answer, also where it knows no such endpoint.
pub(super) const API_VERSION: (HeaderName, &str) =
    (HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
/// Names an upload session.
pub(super) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
