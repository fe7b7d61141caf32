//! How many requests one registry gets at a time, shared by all its repositories.
//!
//! A throttled registry pauses as a whole: the other requests would only be throttled too.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Admits requests to one registry.
#[derive(Debug)]
pub(crate) struct Limiter {
    permits: Semaphore,
    paused_until: Mutex<Option<Instant>>,
}

impl Limiter {
    /// Returns a limiter for `concurrency` requests at a time, and at least one.
    pub(crate) fn new(concurrency: usize) -> Self {
        let permits = Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Self { permits, paused_until: Mutex::new(None) }
    }

    /// Waits for a turn. The turn ends when the permit is dropped.
    pub(crate) async fn admit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there always is a permit.
        let permit = self.permits.acquire().await.ok();
        self.wait_out_pause().await;
        permit
    }

    /// Waits for the end of a pause only.
    ///
    /// For requests that another one waits for: a download that resumes while its upload holds the last turn.
    pub(crate) async fn wait_out_pause(&self) {
        let until = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Holds back all requests for `delay` from now.
    pub(crate) fn pause(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut paused_until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused_until = Some(paused_until.map_or(until, |earlier| earlier.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn admits_a_bounded_number() {
        let limiter = Limiter::new(2);
        let (first, _second) = (limiter.admit().await, limiter.admit().await);
        assert_eq!(limiter.permits.available_permits(), 0);
        drop(first);
        assert!(limiter.admit().await.is_some());
    }

    #[tokio::test]
    async fn a_pause_holds_everybody() {
        let limiter = Limiter::new(2);
        let before = Instant::now();
        limiter.pause(Duration::from_millis(20));
        limiter.pause(Duration::from_millis(1));
        limiter.admit().await;
        assert!(before.elapsed() >= Duration::from_millis(20), "the longer pause counts");
    }
}
