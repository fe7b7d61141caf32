//! When to try again, and how long to wait before.
//!
//! An HTTP date in `Retry-After` is taken relative to the answer's own `Date`: this machine's clock is not asked.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

/// When and how often a request is tried again: after 408, 429, most 5xx, and broken connections.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Most retries of one request.
    pub retries: u32,
    /// Longest delay before the first retry; doubles each time, and the actual delay is random below it.
    pub base_delay: Duration,
    /// Longest delay of any retry that the service does not ask for.
    pub max_delay: Duration,
    /// How long after its start a request is still tried again, `Retry-After` included.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            base_delay: Duration::from_millis(300),
            max_delay: Duration::from_secs(10),
            budget: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// Tries once.
    pub fn never() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// Returns the policy with another number of retries.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }
}

/// The retries of one request.
#[derive(Debug)]
pub(super) struct Retries {
    policy: RetryPolicy,
    used: u32,
    started: Instant,
}

impl Retries {
    /// Starts counting.
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0, started: Instant::now() }
    }

    /// Returns how long to wait before the next retry, or `None` to give up: no retries are left, or the service asks
    /// for more time than there is.
    pub(super) fn next_delay(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.used >= self.policy.retries {
            return None;
        }
        let ceiling = self.policy.base_delay.saturating_mul(1 << self.used.min(16)).min(self.policy.max_delay);
        // Full jitter: clients that failed together do not come back together.
        let delay = asked.unwrap_or(Duration::ZERO).saturating_add(ceiling.mul_f64(fastrand::f64()));
        if self.started.elapsed().saturating_add(delay) > self.policy.budget {
            return None;
        }
        self.used += 1;
        Some(delay)
    }
}

/// Says whether an answer may be different the next time.
pub(super) fn is_transient(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 429 => true,
        // Not implemented, and HTTP version not supported, stay so.
        501 | 505 => false,
        status => status >= 500,
    }
}

/// Returns how long the service asks to wait: seconds, or a date.
///
/// Specification: <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now = Some("Tue, 24 Nov 2026 08:00:00 GMT");
        for (asked, date, expected) in [
            ("17", None, Some(17)),
            ("Tue, 24 Nov 2026 08:00:30 GMT", now, Some(30)),
            ("Tue, 24 Nov 2026 07:00:00 GMT", now, Some(0)),
            ("Tue, 24 Nov 2026 08:00:30 GMT", None, None),
            ("soon", now, None),
            ("-1", None, None),
        ] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(asked))]);
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_retries_or_time_are_spent() {
        let policy = RetryPolicy::default().with_retries(3);
        let mut retries = Retries::new(policy);
        for _ in 0..3 {
            assert!(retries.next_delay(None).unwrap() <= policy.max_delay);
        }
        assert_eq!(retries.next_delay(None), None);

        let mut retries = Retries::new(policy);
        assert_eq!(retries.next_delay(Some(Duration::MAX)), None, "more than the budget");
        assert!(retries.next_delay(Some(Duration::from_secs(60))).unwrap() >= Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(retries.next_delay(Some(Duration::from_secs(60))), None, "together more than the budget");
    }

    #[test]
    fn only_some_answers_change() {
        for (status, expected) in [(200, false), (404, false), (408, true), (429, true), (500, true), (501, false)] {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
