//! Requests to a cloud's own services: bounded, never redirected, metadata services never through a proxy.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sealift_core::host::is_loopback;
use sealift_core::repository::foreign_text;
use sealift_core::retry::RetryPolicy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use url::{Host, Url};

use crate::clients::strict_builder;
use crate::redact::{SafeUrl, Secret};
use crate::registry::error::ErrorBody;
use crate::registry::response::Response;
use crate::registry::retry::{Retries, is_transient, retry_after};

/// The largest answer read; credentials have a few KiB.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;
/// The largest file with a token or a key read.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Longest time to connect to a metadata service: outside of its cloud nothing is there, and everyone waits for it.
const METADATA_CONNECT: Duration = Duration::from_secs(1);
/// Longest time for a metadata service to answer.
const METADATA_ANSWER: Duration = Duration::from_secs(5);
/// Longest time to connect to a service on the network.
const PUBLIC_CONNECT: Duration = Duration::from_secs(10);
/// Longest time for a service on the network to answer.
const PUBLIC_ANSWER: Duration = Duration::from_secs(30);
/// What a metadata service answers that has no identity for this machine, is told not to tell, or is another cloud's: they
/// have one address, and each refuses the others' questions in its own way.
pub(super) const NO_IDENTITY: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::NOT_FOUND,
    StatusCode::UNAUTHORIZED,
];
/// What AWS calls the error that says so, depending on the service:
/// <https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>, and as its SDKs know them.
const THROTTLED: [&str; 8] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
];
/// How often and how patiently a service that is busy is asked again.
const RETRY: RetryPolicy = RetryPolicy {
    retries: 3,
    base_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(2),
    budget: Duration::from_secs(10),
};

/// The clients for services on the network and for metadata services, made when first needed: reading the system's
/// certificates takes a while.
#[derive(Debug, Default)]
pub(super) struct CloudHttp {
    public: OnceLock<reqwest::Client>,
    metadata: OnceLock<reqwest::Client>,
}

impl CloudHttp {
    /// Returns the client for services on the network, which goes through the proxy that the environment names.
    pub(super) fn public(&self) -> Result<&reqwest::Client, CloudProblem> {
        made(&self.public, || builder(PUBLIC_CONNECT, PUBLIC_ANSWER))
    }

    /// Returns the client for metadata services, which goes through no proxy: they answer for the machine that asks.
    pub(super) fn metadata(&self) -> Result<&reqwest::Client, CloudProblem> {
        made(&self.metadata, || builder(METADATA_CONNECT, METADATA_ANSWER).no_proxy())
    }
}

fn made(
    cell: &OnceLock<reqwest::Client>,
    make: impl FnOnce() -> reqwest::ClientBuilder,
) -> Result<&reqwest::Client, CloudProblem> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    let client = make().build().map_err(|error| CloudProblem::Client { problem: deepest(&error) })?;
    Ok(cell.get_or_init(|| client))
}

fn builder(connect: Duration, answer: Duration) -> reqwest::ClientBuilder {
    strict_builder(concat!("sealift/", env!("CARGO_PKG_VERSION"))).connect_timeout(connect).timeout(answer)
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    endpoint: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Returns the answer if it is a success.
    pub(super) fn success(self) -> Result<Self, CloudProblem> {
        if self.status.is_success() {
            return Ok(self);
        }
        let ErrorBody { message, .. } = ErrorBody::parse(&self.body);
        if self.is_throttled() {
            return Err(CloudProblem::Throttled { endpoint: self.endpoint, message });
        }
        Err(CloudProblem::Answered { endpoint: self.endpoint, status: self.status.as_u16(), message })
    }

    /// Says whether a service had too many requests to look at this one: AWS says so with status 400.
    fn is_throttled(&self) -> bool {
        #[derive(Default, Deserialize)]
        struct Refusal {
            #[serde(default, rename = "__type")]
            kind: String,
            #[serde(default, rename = "Error")]
            error: Code,
        }
        #[derive(Default, Deserialize)]
        struct Code {
            #[serde(default, rename = "Code")]
            code: String,
        }
        if self.status != StatusCode::BAD_REQUEST {
            return false;
        }
        let Refusal { kind, error } = serde_json::from_slice(&self.body).unwrap_or_default();
        let header = self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        let xml = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let xml = xml.map_or("", |(code, _)| code);
        // As in `com.amazonaws.ecr#ThrottlingException`, and `ThrottlingException:http://...` of the header.
        let name = |code: &str| code.rsplit('#').next().and_then(|code| code.split(':').next()).map(str::to_owned);
        let mut codes = [kind.as_str(), error.code.as_str(), header, xml].into_iter().filter_map(name);
        codes.any(|code| THROTTLED.contains(&code.as_str()))
    }

    /// Reads a success as JSON.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, CloudProblem> {
        let answer = self.success()?;
        serde_json::from_slice(&answer.body).map_err(|_| answer.malformed("an answer that is not what it should be"))
    }

    /// Says that the answer is not usable.
    pub(super) fn malformed(&self, what: &'static str) -> CloudProblem {
        CloudProblem::Malformed { endpoint: self.endpoint.clone(), what }
    }
}

/// Sends a request to a service on the network, again while it is busy.
pub(super) async fn send(request: reqwest::RequestBuilder) -> Result<Answer, CloudProblem> {
    let mut retries = Retries::new(RETRY);
    loop {
        let again = request.try_clone();
        let (problem, asked) = match send_once(again.ok_or(CloudProblem::Unsendable)?).await {
            Ok(answer) if is_transient(answer.status) || answer.is_throttled() => {
                let asked = retry_after(&answer.headers);
                match answer.success() {
                    Ok(answer) => return Ok(answer),
                    Err(problem) => (problem, asked),
                }
            }
            Ok(answer) => return Ok(answer),
            Err(problem) => (problem, None),
        };
        match retries.next_delay(asked).filter(|_| problem.may_pass()) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return Err(problem),
        }
    }
}

/// Sends a request to a metadata service; `None` when nothing is there, as outside of its cloud.
pub(super) async fn probe(request: reqwest::RequestBuilder) -> Result<Option<Answer>, CloudProblem> {
    match send_once(request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(problem @ CloudProblem::Unreachable { .. }) => {
            tracing::debug!(%problem, "no metadata service");
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

async fn send_once(request: reqwest::RequestBuilder) -> Result<Answer, CloudProblem> {
    let (client, request) = request.build_split();
    let request = request.map_err(|_| CloudProblem::Unsendable)?;
    let endpoint = SafeUrl(request.url()).to_string();
    tracing::debug!(%endpoint, "asking a cloud's service");
    let unreachable = |problem: &dyn Error| CloudProblem::Unreachable {
        endpoint: endpoint.clone(),
        problem: foreign_text(&deepest(problem)),
    };
    let response = client.execute(request).await.map_err(|error| unreachable(&error.without_url()))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = Response::new(response, PUBLIC_ANSWER).bytes(MAX_ANSWER_BYTES).await;
    let body = body.map_err(|error| unreachable(&error))?;
    Ok(Answer { endpoint, status, headers, body })
}

/// Returns what the cause below all others says.
fn deepest(error: &dyn Error) -> String {
    std::iter::successors(Some(error), |&error| error.source()).last().map_or_else(String::new, ToString::to_string)
}

/// Reads the address of a service from a variable or a file: https, or this machine.
pub(super) fn service(text: &str, what: &'static str) -> Result<Url, CloudProblem> {
    let url = Url::parse(text).map_err(|_| CloudProblem::Setting { what, problem: "it is not a URL" })?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        _ => Err(CloudProblem::Setting { what, problem: "it is neither https nor on this machine" }),
    }
}

/// Reads the address of a metadata service: https, this machine, or the link that leads to no other machine.
pub(super) fn metadata(text: &str, what: &'static str) -> Result<Url, CloudProblem> {
    let url = Url::parse(text).map_err(|_| CloudProblem::Setting { what, problem: "it is not a URL" })?;
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if url.host_str().is_some_and(is_loopback) || is_local(&host) => Ok(url),
        _ => Err(CloudProblem::Setting { what, problem: "plain http goes to this machine or its link only" }),
    }
}

/// Link-local addresses, and the two names and addresses that clouds reserve for their metadata.
fn is_local(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "metadata.google.internal",
        Host::Ipv4(address) => address.is_link_local(),
        // fd00:ec2::/32 is Amazon's.
        Host::Ipv6(address) => address.segments()[..2] == [0xfd00, 0x0ec2] || address.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Reads a file with a token, without the white space around it.
pub(super) async fn read_token(path: &Path) -> Result<Secret, CloudProblem> {
    let bytes = read_file(path).await?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    if text.is_empty() {
        let empty = io::Error::new(io::ErrorKind::InvalidData, "it holds no token");
        return Err(CloudProblem::File { path: path.to_owned(), error: empty });
    }
    Ok(Secret::from(text))
}

/// Reads a file whole.
pub(super) async fn read_file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, CloudProblem> {
    let failed = |error| CloudProblem::File { path: path.to_owned(), error };
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is too large")));
    }
    Ok(bytes)
}

/// Says why a cloud gave no credentials. Never holds any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudProblem {
    /// A service refused.
    #[error("{endpoint} says HTTP {status}{}", and(.message))]
    Answered {
        /// The service.
        endpoint: String,
        /// Its status.
        status: u16,
        /// Its words, bounded.
        message: String,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {problem}")]
    Client {
        /// What went wrong.
        problem: String,
    },
    /// A file that the environment names cannot be read.
    #[error("`{}` cannot be read: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A service's answer is not usable.
    #[error("{endpoint} gave {what}")]
    Malformed {
        /// The service.
        endpoint: String,
        /// What it gave.
        what: &'static str,
    },
    /// A variable, or a file that one names, is not usable.
    #[error("{what} is not usable: {problem}")]
    Setting {
        /// The variable, or the part of a file.
        what: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A service has too many requests to look at this one.
    #[error("{endpoint} has too many requests{}", and(.message))]
    Throttled {
        /// The service.
        endpoint: String,
        /// Its words, bounded.
        message: String,
    },
    /// A service does not answer.
    #[error("{endpoint} does not answer: {problem}")]
    Unreachable {
        /// The service.
        endpoint: String,
        /// What went wrong.
        problem: String,
    },
    /// A value has characters that no request may have.
    #[error("a value has characters that no request may have")]
    Unsendable,
}

impl CloudProblem {
    /// Says whether a service looked at the identity and refused it. One that could not be reached, or whose answer means
    /// something else or nothing, did not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Answered { status: 400 | 401 | 403, .. })
    }

    /// Says whether it may go better the next time.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Answered { status, .. } => StatusCode::from_u16(*status).is_ok_and(is_transient),
            Self::Throttled { .. } | Self::Unreachable { .. } => true,
            _ => false,
        }
    }
}

fn and(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel_plain_on_this_machine_only() {
        for (text, is_service, is_metadata) in [
            ("https://sts.amazonaws.com", true, true),
            ("http://127.0.0.1:1/x", true, true),
            ("http://localhost:1/x", true, true),
            ("http://credentials.localhost:1/x", true, true),
            ("http://[::1]:1/", true, true),
            ("http://[::ffff:127.0.0.1]/", true, true),
            ("http://169.254.170.2/v2", false, true),
            ("http://[fd00:ec2::254]/", false, true),
            ("http://metadata.google.internal/", false, true),
            ("http://10.0.0.1/", false, false),
            ("http://evil.test/", false, false),
            ("http://metadata.google.internal.evil.test/", false, false),
            ("file:///etc/passwd", false, false),
            ("x", false, false),
        ] {
            assert_eq!(service(text, "x").is_ok(), is_service, "{text}");
            assert_eq!(metadata(text, "x").is_ok(), is_metadata, "{text}");
        }
    }
}
