//! What a registry's refusals mean.
//!
//! Everything a registry says is untrusted: bounded, without control characters, and without URLs that carry
//! signatures.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::StatusCode;
use sealift_core::oci::RepositoryName;
use sealift_core::repository::{RepositoryError, foreign_text};
use serde::Deserialize;

use crate::auth::AuthError;
use crate::clients::OutOfReach;
use crate::deadline::OutOfTime;

/// Says why no usable answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The server answers, but says that it cannot do its work now.
    #[error("HTTP {status}{}", and(.message))]
    Answered { status: u16, message: String },
    /// The connection, TLS or the protocol failed.
    #[error("the connection failed")]
    Http(#[source] reqwest::Error),
    /// The time for all requests together is over.
    #[error(transparent)]
    OutOfTime(#[from] OutOfTime),
    /// Nothing came for too long.
    #[error("no {what} came within {} s", .limit.as_secs())]
    TimedOut { what: &'static str, limit: Duration },
    /// A body came too slowly for too long.
    #[error("fewer than {least} bytes came within {} s, which is too slow", .limit.as_secs())]
    TooSlow { least: u64, limit: Duration },
}

impl TransportError {
    /// Wraps an error of the HTTP client, without its URL: that may carry a signature.
    pub(crate) fn http(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }

    /// Says whether the next attempt may go better.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Answered { .. } | Self::TimedOut { .. } | Self::TooSlow { .. } => true,
            Self::OutOfTime(_) => false,
            Self::Http(error) => !error.is_builder() && !is_tls_refusal(error) && !self.is_out_of_reach(),
        }
    }

    /// Says whether nothing came at all, or as good as nothing: another attempt would take as long.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::TooSlow { .. })
    }

    /// Returns what it means to who asked.
    pub(crate) fn into_repository_error(self, repository: &RepositoryName, operation: &'static str) -> RepositoryError {
        if let Self::OutOfTime(late) = self {
            return late.of(repository, operation, "rest of the answer to");
        }
        let (is_refused, repository, source) = (self.is_client_refused(), repository.clone(), Box::new(self));
        match is_refused {
            true => RepositoryError::ClientCertificate { repository, operation, source },
            false => RepositoryError::Unavailable { repository, operation, source },
        }
    }

    /// Says whether a connection that was made was closed before an answer, and nobody said why.
    pub(crate) fn is_unexplained(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_request() && !error.is_connect() && !error.is_timeout())
            && !self.is_client_refused()
    }

    /// Says whether the server wants another certificate of the client than it got, if any (RFC 8446, section 6.2).
    pub(crate) fn is_client_refused(&self) -> bool {
        let Self::Http(error) = self else { return false };
        let mut causes = std::iter::successors(error.source(), |&error| error.source());
        causes.any(|error| error.downcast_ref::<io::Error>().is_some_and(is_client_refusal))
    }

    /// Says whether the host was not connected to, because of its address.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        let Self::Http(error) = self else { return false };
        let mut causes = std::iter::successors(error.source(), |&error| error.source());
        causes.any(|error| error.downcast_ref::<OutOfReach>().is_some())
    }
}

/// A certificate that is refused stays refused; rustls reports it as invalid data.
fn is_tls_refusal(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_invalid_data) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Looks into errors that wrap others of their kind, which their `source` leaves out.
fn is_invalid_data(error: &io::Error) -> bool {
    let inner = || error.get_ref()?.downcast_ref::<io::Error>();
    error.kind() == io::ErrorKind::InvalidData || inner().is_some_and(is_invalid_data)
}

fn is_client_refusal(error: &io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let Some(inner) = error.get_ref() else { return false };
    match inner.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            Alert::AccessDenied
                | Alert::BadCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRequired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::UnsupportedCertificate
        ),
        _ => inner.downcast_ref::<io::Error>().is_some_and(is_client_refusal),
    }
}

fn and(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// The first error that a body reports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ErrorBody {
    /// `MANIFEST_UNKNOWN` and the like; empty when the body has none.
    pub(crate) code: String,
    /// Words for people.
    pub(crate) message: String,
    /// Whether it is the specification's JSON: a registry speaks, and not what stands before it.
    pub(crate) is_specified: bool,
}

impl ErrorBody {
    /// Reads any body: the specification's JSON, a token service's, or just text.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let Ok(json) = serde_json::from_slice::<ErrorJson>(body) else {
            let text = String::from_utf8_lossy(body);
            // A page of HTML says nothing to anybody here.
            let message = if text.trim_start().starts_with('<') { String::new() } else { foreign_text(text.trim()) };
            return Self { message, ..Self::default() };
        };
        let first = json.errors.unwrap_or_default().into_iter().next().unwrap_or_default();
        let is_specified = first.code.is_some();
        let message = first.message.or(json.details).or(json.error_description).or(json.message);
        Self {
            code: foreign_text(&first.code.or(json.error).unwrap_or_default()),
            message: foreign_text(&message.unwrap_or_default()),
            is_specified,
        }
    }

    /// Returns the error that the answer stands for; `what` is what a 404 says is missing.
    pub(crate) fn into_error(
        self,
        status: StatusCode,
        repository: &RepositoryName,
        operation: &'static str,
        what: impl Into<String>,
    ) -> RepositoryError {
        let repository = repository.clone();
        let Self { code, message, is_specified } = self;
        match status.as_u16() {
            _ if code == DISALLOWED => RepositoryError::Denied { repository, operation, message },
            401 => RepositoryError::Unauthenticated { repository, operation, message },
            403 => RepositoryError::Denied { repository, operation, message },
            404 if code == NAME_UNKNOWN => RepositoryError::NotFound { repository, what: REPOSITORY.to_owned() },
            404 => RepositoryError::NotFound { repository, what: what.into() },
            405 => RepositoryError::Unsupported { repository, operation },
            429 => RepositoryError::Throttled { repository, retry_after: None },
            status @ 500.. => RepositoryError::Unavailable {
                repository,
                operation,
                source: Box::new(TransportError::Answered { status, message }),
            },
            status => Self { code, message, is_specified }.otherwise(status, repository, operation),
        }
    }

    /// Returns the error that the refusal of a write stands for: what it lacks (a blob, a session) is not what was
    /// asked for, so that only a missing repository is "not found".
    pub(crate) fn into_refusal(
        self,
        status: StatusCode,
        repository: &RepositoryName,
        operation: &'static str,
    ) -> RepositoryError {
        if status == StatusCode::NOT_FOUND && self.code != NAME_UNKNOWN {
            return self.otherwise(status.as_u16(), repository.clone(), operation);
        }
        self.into_error(status, repository, operation, REPOSITORY)
    }

    fn otherwise(self, status: u16, repository: RepositoryName, operation: &'static str) -> RepositoryError {
        let code = if self.code.is_empty() { "-".to_owned() } else { self.code };
        RepositoryError::Registry { repository, operation, status, code, message: self.message }
    }
}

/// The code for a repository that does not exist.
const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
/// ACR's code, under several statuses, for what its rules do not let: locks, and the quarantine.
pub(super) const DISALLOWED: &str = "REGISTRY_DISALLOWED_OPERATION";
/// What is missing then.
const REPOSITORY: &str = "such repository";

#[derive(Default, Deserialize)]
struct ErrorJson {
    errors: Option<Vec<ErrorItem>>,
    error: Option<String>,
    error_description: Option<String>,
    details: Option<String>,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
struct ErrorItem {
    code: Option<String>,
    message: Option<String>,
}

/// Returns the error of a request for which nothing could be presented.
pub(crate) fn of_auth(error: AuthError, repository: &RepositoryName, operation: &'static str) -> RepositoryError {
    let repository = repository.clone();
    match error {
        AuthError::Throttled(retry_after) => RepositoryError::Throttled { repository, retry_after },
        AuthError::Unavailable(_) | AuthError::Cancelled => {
            RepositoryError::Unavailable { repository, operation, source: Box::new(error) }
        }
        AuthError::Keychain(cause) if cause.may_pass() => {
            RepositoryError::Unavailable { repository, operation, source: Box::new(AuthError::Keychain(cause)) }
        }
        AuthError::Malformed { .. } => {
            RepositoryError::Malformed { repository, what: "token", problem: foreign_text(&error.to_string()) }
        }
        error => RepositoryError::Unauthenticated { repository, operation, message: foreign_text(&error.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_body() {
        let specified = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m","detail":{}},{"code":"X"}]}"#;
        for (body, code, message) in [
            (specified.as_slice(), "DENIED", "no[31m"),
            (br#"{"details":"incorrect username or password"}"#, "", "incorrect username or password"),
            (br#"{"error":"invalid_grant","error_description":"expired"}"#, "invalid_grant", "expired"),
            (b"404 page not found\n", "", "404 page not found"),
            (b"<html>..", "", ""),
            (br#"{"errors":null}"#, "", ""),
            (b"\xff\xfe", "", "\u{fffd}\u{fffd}"),
        ] {
            let is_specified = body == specified;
            assert_eq!(ErrorBody::parse(body), ErrorBody { code: code.into(), message: message.into(), is_specified });
        }
    }

    #[test]
    fn invalid_data_is_found_below_other_errors() {
        let refused = io::Error::new(io::ErrorKind::InvalidData, "certificate");
        assert!(is_invalid_data(&io::Error::other(io::Error::other(refused))));
        assert!(!is_invalid_data(&io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset))));
    }

    #[test]
    fn every_status_has_its_meaning() {
        let repository = RepositoryName::Memory("r".to_owned());
        let of = |status, code: &str| {
            let body = ErrorBody { code: code.to_owned(), ..ErrorBody::default() };
            body.into_error(StatusCode::from_u16(status).unwrap(), &repository, "push", "tag v1")
        };
        assert!(matches!(of(401, ""), RepositoryError::Unauthenticated { .. }));
        assert!(matches!(of(403, ""), RepositoryError::Denied { .. }));
        assert!(matches!(of(404, ""), RepositoryError::NotFound { what, .. } if what == "tag v1"));
        assert!(matches!(of(404, "NAME_UNKNOWN"), RepositoryError::NotFound { what, .. } if what == "such repository"));
        assert!(matches!(of(405, ""), RepositoryError::Unsupported { .. }));
        assert!(matches!(of(405, DISALLOWED), RepositoryError::Denied { .. }));
        assert!(matches!(of(429, ""), RepositoryError::Throttled { .. }));
        assert!(matches!(of(500, ""), RepositoryError::Unavailable { .. }));
        assert!(matches!(of(400, "X"), RepositoryError::Registry { status: 400, code, .. } if code == "X"));
    }
}
