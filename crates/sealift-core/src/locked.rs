//! Takes a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after another thread panicked while it held the lock.
///
/// What is behind such a lock must be fit for that: everything that one does while holding it is whole or not done, as an
/// insertion or an assignment is. So a panic elsewhere leaves nothing half done, and need not become a second one here.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
