//! The retries of one request: core's, with the dice, the time waited and the headers of HTTP.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use sealift_core::retry::{self, Backoff, RetryPolicy};

/// How often one request is waited for to the end of its time. Stops a registry that never answers from taking that long
/// for each retry; once more helps where only the connection was lost.
const MAX_SILENCES: u32 = 2;

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retries {
    backoff: Backoff,
    waited: Duration,
    silences: u32,
}

impl Retries {
    /// Starts counting.
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { backoff: Backoff::new(policy), waited: Duration::ZERO, silences: 0 }
    }

    /// Counts an attempt that ended without any answer in its time; says whether there may be another.
    pub(crate) fn endures_silence(&mut self) -> bool {
        self.silences += 1;
        self.silences < MAX_SILENCES
    }

    /// Returns how long to wait before the next retry, or `None` to give up: no retries are left, or the registry
    /// asks for more time than there is. What it returns is taken as waited.
    pub(crate) fn next_delay(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let delay = self.backoff.next_delay(self.waited, asked, fastrand::f64())?;
        self.waited = self.waited.saturating_add(delay);
        Some(delay)
    }
}

/// Says whether an answer may be different the next time.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    retry::is_transient(status.as_u16())
}

/// Returns how long the registry asks to wait.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry::retry_after(|name| headers.get(name)?.to_str().ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{DATE, RETRY_AFTER};

    use super::*;

    #[test]
    fn headers_say_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Tue, 24 Nov 2026 08:00:30 GMT"));
        assert_eq!(retry_after(&headers), None, "the answer has no date of its own");
        headers.insert(DATE, HeaderValue::from_static("Tue, 24 Nov 2026 08:00:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
    }

    #[test]
    fn gives_up_when_retries_or_time_are_spent() {
        let policy = RetryPolicy { retries: 3, ..RetryPolicy::default() };
        let mut retries = Retries::new(policy);
        for _ in 0..3 {
            assert!(retries.next_delay(None).unwrap() <= policy.max_delay);
        }
        assert_eq!(retries.next_delay(None), None);

        let mut retries = Retries::new(policy);
        assert_eq!(retries.next_delay(Some(policy.budget * 2)), None, "more than the budget");
        assert!(retries.next_delay(Some(Duration::from_secs(30))).unwrap() >= Duration::from_secs(30));
        assert_eq!(retries.next_delay(Some(Duration::from_secs(31))), None, "together more than the budget");
        assert_eq!(retries.next_delay(Some(Duration::MAX)), None, "more than there ever is, after a wait");
    }
}
