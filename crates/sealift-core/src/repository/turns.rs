//! Turns: who does something about a digest right now, so that others wait for the end of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::locked;
use crate::oci::Digest;

/// One turn for each digest; nothing is kept of those that ended.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Digest, Arc<AsyncMutex<Outcome>>>>);

/// How the last turn ended, as far as those are concerned who waited for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Outcome {
    /// Well, or it was given up: the next may try.
    #[default]
    Open,
    Failed,
}

impl Turns {
    /// Waits until nobody else has the turn for `digest`, and takes it.
    pub async fn take(&self, digest: &Digest) -> Turn<'_> {
        let outcome = Arc::clone(self.turns().entry(digest.clone()).or_default());
        Turn { turns: self, digest: digest.clone(), outcome: outcome.lock_owned().await }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<Digest, Arc<AsyncMutex<Outcome>>>> {
        locked(&self.0)
    }
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    digest: Digest,
    outcome: OwnedMutexGuard<Outcome>,
}

impl Turn<'_> {
    /// Says whether one who was waited for has failed. Those who waited in vain should not wait for each other: one after
    /// the other would fail.
    pub fn is_in_vain(&self) -> bool {
        *self.outcome == Outcome::Failed
    }

    /// Ends the turn with a failure.
    pub fn fail(mut self) {
        *self.outcome = Outcome::Failed;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.turns();
        // One is here and one in the map; whoever waits has another one.
        if turns.get(&self.digest).is_some_and(|outcome| Arc::strong_count(outcome) == 2) {
            turns.remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_has_the_turn_and_nothing_is_kept_of_it() {
        let (turns, digest) = (Turns::default(), Digest::sha256(b"blob"));
        let first = turns.take(&digest).now_or_never().unwrap();
        let mut second = Box::pin(turns.take(&digest));
        assert!((&mut second).now_or_never().is_none(), "two have the turn");
        assert!(turns.take(&Digest::sha256(b"other")).now_or_never().is_some());
        drop(first);
        let second = second.now_or_never().unwrap();
        assert!(!second.is_in_vain());
        drop(second);
        assert!(turns.turns().is_empty());
    }

    #[test]
    fn those_who_waited_are_told_of_a_failure_and_those_who_come_later_are_not() {
        let (turns, digest) = (Turns::default(), Digest::sha256(b"blob"));
        let first = turns.take(&digest).now_or_never().unwrap();
        let mut waiting = [(); 2].map(|()| Box::pin(turns.take(&digest)));
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        first.fail();
        for turn in waiting {
            assert!(turn.now_or_never().unwrap().is_in_vain());
        }
        assert!(!turns.take(&digest).now_or_never().unwrap().is_in_vain());
    }
}
