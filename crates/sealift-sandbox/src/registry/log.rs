//! The request log: what was asked, in which order, and how long chains of dependent requests are.
//!
//! Never holds a credential: of `Authorization` only its presence is kept.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sealift_core::locked;

use super::route::{Call, Endpoint};

/// One request, as logged.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Method, such as `GET`.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Query, decoded.
    pub query: Vec<(String, String)>,
    /// Endpoint of the specification.
    #[serde(skip)]
    pub endpoint: Endpoint,
    /// Repository named in the path; empty where there is none.
    pub repository: String,
    /// Whether the request carried an `Authorization` header.
    pub authorized: bool,
    /// `Content-Type`, `Content-Range`, `Content-Length`, `Range`, `Accept`, `If-Match`, `If-None-Match` and
    /// `User-Agent`, where sent.
    pub headers: Vec<(&'static str, String)>,
    /// Status of the answer, 0 until there is one.
    pub status: u16,
    /// Position of the request's arrival among all arrivals and answers of all registries of the process.
    pub started: u64,
    /// Position of the answer's departure among the same; `u64::MAX` until there is one.
    pub ended: u64,
}

impl LoggedRequest {
    /// Returns method and path, as in `GET /v2/`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl std::fmt::Display for LoggedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (number, (key, value)) in self.query.iter().enumerate() {
            write!(f, "{}{key}={value}", if number == 0 { '?' } else { '&' })?;
        }
        write!(f, " -> {}", self.status)
    }
}

/// Returns the length of the longest chain of requests in which each began after the one before was answered.
///
/// An upper bound for the round trips that depend on each other; give the registry some latency, so that requests
/// made side by side overlap. The requests may be of several registries of one process.
pub fn longest_chain(requests: &[LoggedRequest]) -> usize {
    let mut spans: Vec<_> = requests.iter().map(|request| (request.ended, request.started)).collect();
    spans.sort_unstable();
    let mut last_end = None;
    let mut length = 0;
    for (ended, started) in spans {
        if last_end.is_none_or(|last| started > last) {
            length += 1;
            last_end = Some(ended);
        }
    }
    length
}

/// The log of one registry.
#[derive(Default)]
pub(super) struct Log(Mutex<LogState>);

#[derive(Default)]
struct LogState {
    requests: Vec<LoggedRequest>,
    /// Number of the first request kept, which grows as the log is cleared.
    first: usize,
}

/// One clock for all registries, so that their logs have one order.
static CLOCK: AtomicU64 = AtomicU64::new(0);

fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::Relaxed) + 1
}

impl Log {
    /// Notes a request's arrival and returns its number.
    pub(super) fn start(&self, call: &Call) -> usize {
        let mut state = locked(&self.0);
        let started = tick();
        state.requests.push(LoggedRequest {
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            endpoint: call.endpoint,
            repository: call.repository.clone(),
            authorized: call.headers.contains_key("authorization"),
            headers: LOGGED_HEADERS.iter().filter_map(|name| Some((*name, call.header(*name)?.to_owned()))).collect(),
            status: 0,
            started,
            ended: u64::MAX,
        });
        state.first + state.requests.len() - 1
    }

    /// Notes the answer to the request `number` and returns the request, if the log still has it.
    pub(super) fn end(&self, number: usize, status: u16) -> Option<LoggedRequest> {
        let mut state = locked(&self.0);
        let ended = tick();
        let index = number.checked_sub(state.first)?;
        let request = state.requests.get_mut(index)?;
        (request.status, request.ended) = (status, ended);
        Some(request.clone())
    }

    pub(super) fn requests(&self) -> Vec<LoggedRequest> {
        locked(&self.0).requests.clone()
    }

    pub(super) fn clear(&self) {
        let mut state = locked(&self.0);
        state.first += state.requests.len();
        state.requests.clear();
    }
}

/// Headers worth asserting on; none of them is a secret.
const LOGGED_HEADERS: [&str; 8] =
    ["content-type", "content-range", "content-length", "range", "accept", "if-match", "if-none-match", "user-agent"];

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Method};

    use super::*;

    /// Plays a script in which `a` is the arrival of request a, and `A` its answer.
    fn chain_of(script: &str) -> usize {
        let log = Log::default();
        let call = Call::new(Method::GET, &"/v2/".parse().unwrap(), HeaderMap::new());
        let mut numbers = std::collections::HashMap::new();
        for letter in script.chars() {
            if letter.is_ascii_lowercase() {
                numbers.insert(letter, log.start(&call));
            } else {
                assert!(log.end(numbers[&letter.to_ascii_lowercase()], 200).is_some());
            }
        }
        longest_chain(&log.requests())
    }

    #[test]
    fn only_requests_after_an_answer_prolong_the_chain() {
        for (script, expected) in
            [("", 0), ("aA", 1), ("aAbB", 2), ("abAB", 1), ("abAcBC", 2), ("abBcCA", 2), ("abBcCAdD", 3), ("ab", 1)]
        {
            assert_eq!(chain_of(script), expected, "{script}");
        }
    }

    #[test]
    fn an_answer_to_a_forgotten_request_is_not_noted() {
        let log = Log::default();
        let call = Call::new(Method::GET, &"/v2/".parse().unwrap(), HeaderMap::new());
        let first = log.start(&call);
        log.clear();
        let second = log.start(&call);
        assert!(log.end(first, 200).is_none());
        assert_eq!(log.end(second, 404).map(|request| request.status), Some(404));
        assert_eq!(log.requests().len(), 1);
    }
}
