//! Why no answer came.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::Refusal;

/// Says why a request has no answer. Never holds what the request carried, nor its full address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A certificate authority's file is not PEM.
    #[error("the certificate authority file holds no PEM certificate")]
    Authority(#[source] Option<reqwest::Error>),
    /// The connection, TLS or the protocol failed.
    #[error("the connection to {host} failed")]
    Connection {
        /// The service.
        host: String,
        /// What failed.
        #[source]
        source: reqwest::Error,
    },
    /// The address is not `https`, and not on this machine.
    #[error("{host} is not reached over https, and is not on this machine")]
    NotHttps {
        /// The service.
        host: String,
    },
    /// The service sends requests on to somebody else.
    #[error("{host} redirects to {to}, where nothing is sent")]
    Redirected {
        /// The service.
        host: String,
        /// Scheme and host it names.
        to: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
    /// The answer did not come in time.
    #[error("{host} did not answer in full within {} s", .limit.as_secs())]
    TimedOut {
        /// The service.
        host: String,
        /// Longest time.
        limit: Duration,
    },
    /// The answer is larger than any of its kind.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The service.
        host: String,
        /// Most bytes.
        limit: usize,
    },
    /// The service redirects within itself without end.
    #[error("{host} redirects more than {limit} times")]
    TooManyRedirects {
        /// The service.
        host: String,
        /// Most redirects.
        limit: usize,
    },
    /// The service answers, but says that it cannot do its work now.
    #[error("{host} cannot answer now")]
    Unavailable {
        /// The service.
        host: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
        /// What it said.
        #[source]
        source: Refusal,
    },
}

impl TransportError {
    /// Wraps an error of the HTTP client, without its URL: that may carry a code or a token.
    pub(super) fn connection(host: String, source: reqwest::Error) -> Self {
        Self::Connection { host, source: source.without_url() }
    }

    /// Says whether trying again later may go better.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Unavailable { .. } => true,
            Self::Connection { source, .. } => !source.is_builder() && !is_tls_refusal(source),
            _ => false,
        }
    }

    /// Says whether the service certainly did nothing: it said so, or was not reached.
    pub(super) fn is_undone(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => source.status == 429,
            Self::Connection { source, .. } => source.is_connect() && self.may_pass(),
            _ => false,
        }
    }

    /// Returns how long the service asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
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
