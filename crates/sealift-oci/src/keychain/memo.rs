//! Remembers what was looked up: one look-up at a time for each key, and another when the answer goes stale.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use sealift_core::locked;
use tokio::sync::OnceCell;

use super::Resolved;

/// Answers by key. Failures are not remembered.
pub(crate) struct Memo<K>(Mutex<HashMap<K, Arc<OnceCell<Resolved>>>>);

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K> std::fmt::Debug for Memo<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> Memo<K> {
    /// Returns the answer for `key`, looking it up when there is none or only a stale one; who asks meanwhile waits for
    /// the same look-up.
    pub(crate) async fn get_or_find<E, F>(&self, key: K, find: impl FnOnce() -> F) -> Result<Resolved, E>
    where
        F: Future<Output = Result<Resolved, E>>,
    {
        let cell = {
            let mut cells = self.cells();
            let cell = cells.entry(key).or_default();
            if cell.get().is_some_and(|known| !known.is_fresh()) {
                *cell = Arc::default();
            }
            Arc::clone(cell)
        };
        cell.get_or_try_init(find).await.cloned()
    }

    /// Returns the answer for `key` as far as it is known.
    pub(crate) fn known(&self, key: &K) -> Option<Resolved> {
        self.cells().get(key).and_then(|cell| cell.get().cloned())
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<K, Arc<OnceCell<Resolved>>>> {
        locked(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::super::Credential;
    use super::*;

    #[tokio::test]
    async fn one_look_up_serves_all_until_it_is_stale() {
        let (memo, count) = (Memo::default(), AtomicUsize::new(0));
        let find = async |lifetime| {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, ()>(Resolved::new(Credential::from_pair("u", "p"), "test").lasting(lifetime))
        };
        let long = Duration::from_secs(3600);
        let answers = join_all((0..8).map(|_| memo.get_or_find("a", || find(long)))).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        memo.get_or_find("b", || find(Duration::ZERO)).await.unwrap();
        memo.get_or_find("b", || find(Duration::ZERO)).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 3, "a stale answer is looked up again");
        assert!(memo.known(&"a").is_some() && memo.known(&"c").is_none());
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let memo = Memo::default();
        assert_eq!(memo.get_or_find(1, async || Err::<Resolved, _>("broken")).await.unwrap_err(), "broken");
        assert!(memo.get_or_find(1, async || Ok::<_, ()>(Resolved::anonymous())).await.is_ok());
    }
}
