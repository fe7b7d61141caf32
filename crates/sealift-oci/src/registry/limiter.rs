//! How many requests one registry gets at a time, and how fast, shared by all its repositories.
//!
//! A throttled registry pauses as a whole: the other requests would only be throttled, too. Then it is asked as fast as it
//! answered before, and slowly faster, so that a limit that lasts costs a few refusals and not one for each request.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sealift_core::locked;
use sealift_core::retry::RetryPolicy;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The longest time between two requests that a throttled registry is slowed down to.
const MAX_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two requests worth waiting for.
const MIN_INTERVAL: Duration = Duration::from_micros(100);
/// Answers without throttling after which requests come faster again.
const ANSWERS_TO_SPEED_UP: u32 = 200;
/// The fewest answers that tell how fast a registry answers.
const MIN_ANSWERS: u32 = 10;
/// Time without an answer after which counting begins anew: nobody asked.
const IDLE: Duration = Duration::from_secs(2);

/// Admits requests to one registry.
#[derive(Debug)]
pub(crate) struct Limiter {
    permits: Semaphore,
    pace: Mutex<Pace>,
}

#[derive(Debug)]
struct Pace {
    paused_until: Option<Instant>,
    /// Time between the starts of two requests.
    interval: Duration,
    /// When the next request may start.
    next: Option<Instant>,
    /// Since when answers are counted.
    since: Instant,
    /// The last of them.
    last: Instant,
    /// Answers since then.
    answers: u32,
    /// Pauses in a row without an answer between them.
    pauses: u32,
    /// How long a registry is left alone that throttles without saying for how long; doubled each time in a row.
    unasked: Duration,
    /// The longest such pause.
    max_unasked: Duration,
}

impl Limiter {
    /// Returns a limiter for `concurrency` requests at a time, and at least one.
    pub(crate) fn new(concurrency: usize, retry: &RetryPolicy) -> Self {
        let permits = Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS));
        let now = Instant::now();
        let pace = Pace {
            paused_until: None,
            interval: Duration::ZERO,
            next: None,
            since: now,
            last: now,
            answers: 0,
            pauses: 0,
            unasked: retry.base_delay,
            max_unasked: retry.max_delay,
        };
        Self { permits, pace: Mutex::new(pace) }
    }

    /// Waits for a turn. The turn ends when the permit is dropped.
    pub(crate) async fn admit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there always is a permit.
        let permit = self.permits.acquire().await.ok();
        let start = self.pace().reserve();
        if let Some(start) = start {
            tokio::time::sleep_until(start).await;
        }
        self.wait_out_pause().await;
        permit
    }

    /// Waits for the end of a pause only.
    ///
    /// For requests that another one waits for: a download that resumes while its upload holds the last turn.
    pub(crate) async fn wait_out_pause(&self) {
        let until = self.pace().paused_until;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Notes an answer that is no throttling.
    pub(crate) fn answered(&self) {
        self.pace().note_answer(Instant::now());
    }

    /// Notes that the registry throttles, and holds back all requests for as long as it asks.
    pub(crate) fn throttled(&self, asked: Option<Duration>) {
        self.pace().note_throttling(Instant::now(), asked);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        locked(&self.pace)
    }
}

impl Pace {
    /// Returns when a request may start, where it has to wait, and keeps that time for it.
    fn reserve(&mut self) -> Option<Instant> {
        if self.interval.is_zero() {
            return None;
        }
        let now = Instant::now();
        let start = [self.next, self.paused_until].into_iter().flatten().fold(now, Instant::max);
        self.next = Some(start + self.interval);
        Some(start)
    }

    fn note_answer(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) > IDLE {
            (self.since, self.answers) = (now, 0);
        }
        self.last = now;
        (self.answers, self.pauses) = (self.answers.saturating_add(1), 0);
        if self.answers.is_multiple_of(ANSWERS_TO_SPEED_UP) {
            self.interval = self.interval * 9 / 10;
            if self.interval < MIN_INTERVAL {
                self.interval = Duration::ZERO;
            }
        }
    }

    fn note_throttling(&mut self, now: Instant, asked: Option<Duration>) {
        let unasked = self.unasked.saturating_mul(1 << self.pauses.min(16)).min(self.max_unasked);
        let until = now + asked.unwrap_or(unasked);
        if self.paused_until.is_some_and(|paused| now < paused) {
            // Sent before the pause began. Only a registry that asks for more time gets more.
            if asked.is_some() {
                self.paused_until = self.paused_until.max(Some(until));
            }
            return;
        }
        (self.paused_until, self.next, self.last) = (Some(until), None, until);
        self.pauses += 1;
        if self.answers >= MIN_ANSWERS {
            // As fast as it answered, the pause included.
            let interval = until.saturating_duration_since(self.since) / self.answers;
            self.interval = interval.max(self.interval).clamp(MIN_INTERVAL, MAX_INTERVAL);
            (self.since, self.answers) = (until, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn admits_a_bounded_number() {
        let limiter = Limiter::new(2, &RetryPolicy::default());
        let (first, _second) = (limiter.admit().await, limiter.admit().await);
        assert_eq!(limiter.permits.available_permits(), 0);
        drop(first);
        assert!(limiter.admit().await.is_some());
    }

    #[tokio::test]
    async fn a_pause_holds_everybody() {
        let limiter = Limiter::new(2, &RetryPolicy::default());
        let before = Instant::now();
        limiter.throttled(Some(Duration::from_millis(20)));
        limiter.throttled(Some(Duration::from_millis(1)));
        limiter.throttled(None);
        limiter.admit().await;
        assert!(before.elapsed() >= Duration::from_millis(20), "the longest pause counts");
    }

    #[tokio::test]
    async fn a_throttled_registry_is_asked_as_fast_as_it_answered() {
        let mut pace = Limiter::new(1, &RetryPolicy::default()).pace.into_inner().unwrap();
        let start = pace.since;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(pace.reserve(), None, "nobody is slowed down for nothing");
        (0..100).for_each(|number| pace.note_answer(at(number)));
        pace.note_throttling(at(500), Some(Duration::from_millis(500)));
        assert_eq!(pace.interval, Duration::from_millis(10), "a hundred in a second");
        // The others that were under way change nothing.
        pace.note_throttling(at(501), None);
        assert_eq!((pace.interval, pace.pauses), (Duration::from_millis(10), 1));
        (0..ANSWERS_TO_SPEED_UP).for_each(|_| pace.note_answer(at(1500)));
        assert_eq!(pace.interval, Duration::from_millis(9));
        let (first, second) = (pace.reserve().unwrap(), pace.reserve().unwrap());
        assert_eq!(second - first, Duration::from_millis(9));
    }

    #[tokio::test]
    async fn a_few_answers_and_idle_time_say_nothing_about_the_pace() {
        let mut pace = Limiter::new(1, &RetryPolicy::default()).pace.into_inner().unwrap();
        let start = pace.since;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        pace.note_answer(at(1));
        pace.note_throttling(at(2), None);
        assert_eq!(pace.interval, Duration::ZERO);
        // An hour later.
        (0..20).for_each(|number| pace.note_answer(at(3_600_000 + number)));
        pace.note_throttling(at(3_600_100), Some(Duration::from_millis(100)));
        assert_eq!(pace.interval, Duration::from_millis(10), "twenty in two hundred milliseconds");
        // One that answers nothing at all is left alone for longer each time.
        for pause in [600, 1200, 2400] {
            let now = pace.paused_until.unwrap() + Duration::from_millis(1);
            pace.note_throttling(now, None);
            assert_eq!(pace.paused_until.unwrap() - now, Duration::from_millis(pause));
        }
    }
}
