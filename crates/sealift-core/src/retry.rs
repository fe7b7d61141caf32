//! When a request is tried again, and how long to wait before.
//!
//! Reads no clock and rolls no dice: the time spent and the jitter are arguments, and an HTTP date is taken relative to the
//! answer's own.

use std::time::Duration;

/// When and how often a request is tried again: after 408, 429, most 5xx, and broken connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    /// Most retries of one request.
    pub retries: u32,
    /// Longest delay before the first retry; doubles each time, and the actual delay is random below it.
    pub base_delay: Duration,
    /// Longest delay of any retry that the service does not ask for.
    pub max_delay: Duration,
    /// Longest time spent on one request before its last retry, `Retry-After` included. Registries count what was waited,
    /// as uploads take their time; Sigstore services count from the start of the first attempt.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            base_delay: Duration::from_millis(300),
            max_delay: Duration::from_secs(10),
            budget: Duration::from_secs(60),
        }
    }
}

/// The retries of one request: exponential, with full jitter, and as late as the service asks.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    used: u32,
}

impl Backoff {
    /// Starts counting.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, used: 0 }
    }

    /// Returns how long to wait before the next retry when `spent` is behind us, or `None` to give up: no retries are
    /// left, or the service asked for more time than there is.
    ///
    /// `jitter` is random, from 0 to 1: clients that failed together do not come back together.
    pub fn next_delay(&mut self, spent: Duration, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        if self.used >= self.policy.retries {
            return None;
        }
        let ceiling = self.policy.base_delay.saturating_mul(1 << self.used.min(16)).min(self.policy.max_delay);
        // Saturating: a service may ask for all the seconds there are.
        let delay = asked.unwrap_or(Duration::ZERO).saturating_add(ceiling.mul_f64(jitter.clamp(0.0, 1.0)));
        if spent.saturating_add(delay) > self.policy.budget {
            return None;
        }
        self.used += 1;
        Some(delay)
    }
}

/// Says whether an answer with this HTTP status may be different the next time.
pub fn is_transient(status: u16) -> bool {
    match status {
        408 | 429 => true,
        // Not implemented, and HTTP version not supported, stay so.
        501 | 505 => false,
        status => status >= 500,
    }
}

/// Returns how long a service asks to wait, from the headers of its answer: `Retry-After` has seconds, or a date, which says
/// nothing without the answer's own `Date`. `header` returns the text of the header of a name.
///
/// Specification: <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>.
pub fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let asked = header("retry-after")?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = httpdate::parse_http_date(header("date")?).ok()?;
    Some(until.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates() {
        let now = Some("Tue, 24 Nov 2026 08:00:00 GMT");
        for (asked, date, expected) in [
            (None, now, None),
            (Some("17"), None, Some(17)),
            (Some(" 17 "), now, Some(17)),
            (Some("18446744073709551615"), None, Some(u64::MAX)),
            (Some("18446744073709551616"), None, None),
            (Some("Tue, 24 Nov 2026 08:00:30 GMT"), now, Some(30)),
            (Some("Tue, 24 Nov 2026 07:00:00 GMT"), now, Some(0)),
            (Some("Tue, 24 Nov 2026 08:00:30 GMT"), None, None),
            (Some("Tue, 24 Nov 2026 08:00:30 GMT"), Some("today"), None),
            (Some("soon"), now, None),
            (Some("-1"), None, None),
            (Some(""), now, None),
        ] {
            let header = |name: &str| match name {
                "retry-after" => asked,
                "date" => date,
                _ => None,
            };
            assert_eq!(retry_after(header), expected.map(Duration::from_secs), "{asked:?}");
        }
    }

    #[test]
    fn doubles_to_the_longest_delay() {
        let mut backoff = Backoff::new(RetryPolicy { retries: 40, ..RetryPolicy::default() });
        let delays: Vec<_> =
            std::iter::repeat_with(|| backoff.next_delay(Duration::ZERO, None, 1.0)).take(41).collect();
        assert_eq!(delays[..3], [300, 600, 1200].map(|millis| Some(Duration::from_millis(millis))));
        assert!(delays[6..40].iter().all(|delay| *delay == Some(Duration::from_secs(10))));
        assert_eq!(delays[40], None, "no retries are left");
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(backoff.next_delay(Duration::ZERO, None, 0.0), Some(Duration::ZERO));
        assert_eq!(backoff.next_delay(Duration::ZERO, None, 0.5), Some(Duration::from_millis(300)));
    }

    #[test]
    fn gives_up_when_time_is_spent() {
        let policy = RetryPolicy::default();
        let (half, second) = (policy.budget / 2, Duration::from_secs(1));
        for (spent, asked, expected) in [
            (Duration::ZERO, Some(half), Some(half)),
            (half, Some(half), Some(half)),
            (half + second, Some(half), None),
            (Duration::ZERO, Some(policy.budget + second), None),
            (policy.budget + second, None, None),
            (Duration::ZERO, Some(Duration::MAX), None),
            (half, Some(Duration::MAX), None),
            (Duration::MAX, None, None),
        ] {
            assert_eq!(Backoff::new(policy).next_delay(spent, asked, 0.0), expected, "{spent:?} {asked:?}");
        }
        assert_eq!(Backoff::new(policy).next_delay(half, Some(Duration::MAX), 1.0), None);
    }

    #[test]
    fn only_some_answers_change() {
        for (status, expected) in [(200, false), (404, false), (408, true), (429, true), (500, true), (501, false)] {
            assert_eq!(is_transient(status), expected, "{status}");
        }
    }
}
