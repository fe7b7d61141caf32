//! When to try again, and how long to wait before.
//!
//! Reads no clock: an HTTP date in `Retry-After` is taken relative to the answer's own `Date`.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::access::RetryPolicy;

/// How often one request is waited for to the end of its time. Stops a registry that never answers from taking that long
/// for each retry; once more helps where only the connection was lost.
const MAX_SILENCES: u32 = 2;

/// The retries of one request.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    used: u32,
    waited: Duration,
    silences: u32,
}

impl Retries {
    /// Starts counting.
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0, waited: Duration::ZERO, silences: 0 }
    }

    /// Counts an attempt that ended without any answer in its time; says whether there may be another.
    pub(crate) fn endures_silence(&mut self) -> bool {
        self.silences += 1;
        self.silences < MAX_SILENCES
    }

    /// Returns how long to wait before the next retry, or `None` to give up: no retries are left, or the registry
    /// asks for more time than there is.
    pub(crate) fn next_delay(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.used >= self.policy.retries {
            return None;
        }
        let ceiling = self.policy.base_delay.saturating_mul(1 << self.used.min(16)).min(self.policy.max_delay);
        // Full jitter: clients that failed together do not come back together.
        let delay = asked.unwrap_or(Duration::ZERO).saturating_add(ceiling.mul_f64(fastrand::f64()));
        // Saturating: a registry may ask for more seconds than a duration holds together with what was waited.
        let waited = self.waited.saturating_add(delay);
        if waited > self.policy.budget {
            return None;
        }
        (self.used, self.waited) = (self.used + 1, waited);
        Some(delay)
    }
}

/// Says whether an answer may be different the next time.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 429 => true,
        // Not implemented, and HTTP version not supported, stay so.
        501 | 505 => false,
        status => status >= 500,
    }
}

/// Returns how long the registry asks to wait: seconds, or a date.
///
/// Specification: <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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

    fn asked(fields: &[(http::HeaderName, &'static str)]) -> Option<Duration> {
        retry_after(&fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn reads_seconds_and_dates() {
        let date = (DATE, "Tue, 24 Nov 2026 08:00:00 GMT");
        for (fields, expected) in [
            (vec![(RETRY_AFTER, "17")], Some(17)),
            (vec![(RETRY_AFTER, "Tue, 24 Nov 2026 08:00:30 GMT"), date.clone()], Some(30)),
            (vec![(RETRY_AFTER, "Tue, 24 Nov 2026 07:00:00 GMT"), date.clone()], Some(0)),
            (vec![(RETRY_AFTER, "Tue, 24 Nov 2026 08:00:30 GMT")], None),
            (vec![(RETRY_AFTER, "soon"), date], None),
            (vec![(RETRY_AFTER, "-1")], None),
            (vec![], None),
        ] {
            assert_eq!(asked(&fields), expected.map(Duration::from_secs), "{fields:?}");
        }
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
        assert_eq!(retries.next_delay(Some(Duration::from_secs(u64::MAX))), None, "more than there ever is");
        assert!(retries.next_delay(Some(Duration::from_secs(30))).unwrap() >= Duration::from_secs(30));
        assert_eq!(retries.next_delay(Some(Duration::from_secs(31))), None, "together more than the budget");
        assert_eq!(retries.next_delay(Some(Duration::MAX)), None, "more than there ever is, after a wait");
    }

    #[test]
    fn only_some_answers_change() {
        for (status, expected) in [(200, false), (404, false), (408, true), (429, true), (500, true), (501, false)] {
            assert_eq!(is_transient(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
