//! The end of the time in which everything that belongs together must have come, however many requests it takes.
//!
//! Time-outs are for one request each: a registry that keeps every one of them, and has thousands of pages and objects
//! to be read, can draw out hours.

use std::time::Duration;

use sealift_core::oci::RepositoryName;
use sealift_core::repository::RepositoryError;
use tokio::time::Instant;

/// When all of it must have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    time: Duration,
}

impl Deadline {
    /// Begins now. A time that no clock can count has no end.
    pub(crate) fn within(time: Duration) -> Option<Self> {
        Instant::now().checked_add(time).map(|at| Self { at, time })
    }

    /// Waits for `work` no longer than there is time.
    pub(crate) async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, OutOfTime> {
        let late = OutOfTime { time: self.time };
        if Instant::now() >= self.at {
            // Not even begun: each request would be sent before it is given up.
            return Err(late);
        }
        tokio::time::timeout_at(self.at, work).await.map_err(|_| late)
    }
}

/// Says that the time is over.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the time for everything, {time:?}, is over")]
pub(crate) struct OutOfTime {
    time: Duration,
}

impl OutOfTime {
    /// Returns what it means to who asked: `awaited` is what did not come, as in `answer to`.
    pub(crate) fn of(
        self,
        repository: &RepositoryName,
        operation: &'static str,
        awaited: &'static str,
    ) -> RepositoryError {
        RepositoryError::OutOfTime { repository: repository.clone(), operation, awaited, time: self.time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_work_shares_one_end() {
        let deadline = Deadline::within(Duration::from_secs(300)).unwrap();
        for _ in 0..2 {
            deadline.bound(tokio::time::sleep(Duration::from_secs(120))).await.unwrap();
        }
        let late = deadline.bound(tokio::time::sleep(Duration::from_secs(120))).await.unwrap_err();
        assert_eq!(late.to_string(), "the time for everything, 300s, is over");
        let mut is_begun = false;
        deadline.bound(async { is_begun = true }).await.unwrap_err();
        assert!(!is_begun, "nothing is asked any more");
        assert!(Deadline::within(Duration::MAX).is_none());
    }
}
