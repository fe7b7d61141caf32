//! How fast bytes move: lately, as people want to know it, and not since the beginning.

use std::collections::VecDeque;
use std::time::Duration;

/// What counts as lately, where samples are that close to each other.
const WINDOW: Duration = Duration::from_secs(5);

/// How fast bytes move.
#[derive(Debug)]
pub(super) struct Rate {
    /// When, and how many bytes had moved by then.
    samples: VecDeque<(Duration, u64)>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { samples: VecDeque::from([(Duration::ZERO, 0)]) }
    }
}

impl Rate {
    /// Notes how many bytes have moved by now, and returns how many moved in a second.
    pub(super) fn sample(&mut self, now: Duration, bytes: u64) -> u64 {
        self.samples.push_back((now, bytes));
        while self.samples.get(1).is_some_and(|(then, _)| now.saturating_sub(*then) >= WINDOW) {
            self.samples.pop_front();
        }
        let (then, before) = self.samples.front().copied().unwrap_or_default();
        let micros = now.saturating_sub(then).as_micros();
        let moved = u128::from(bytes.saturating_sub(before)) * 1_000_000;
        moved.checked_div(micros).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.sample(Duration::ZERO, 0), 0);
        assert_eq!(rate.sample(Duration::from_secs(1), 1000), 1000);
        assert_eq!(rate.sample(Duration::from_secs(5), 5000), 1000);
        // Nothing moves any more.
        assert_eq!(rate.sample(Duration::from_secs(8), 5000), 571);
        assert_eq!(rate.sample(Duration::from_secs(10), 5000), 0);
        // Samples may be further apart than the window.
        assert_eq!(rate.sample(Duration::from_secs(20), 25_000), 2000);
    }
}
