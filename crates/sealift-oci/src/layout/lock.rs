//! Exclusive access to a layout among tasks and processes, by the operating system's file locks.
//!
//! A lock ends with its process, so a crash leaves nothing to clean up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait for another writer before giving up; stops a stuck process from hanging all others.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The longest pause between two attempts, in milliseconds.
const MAX_PAUSE_MILLIS: u64 = 40;

/// Whether the locked file has a purpose of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The file stays.
    Existing,
    /// The file is there for the lock alone, and is removed with it.
    Own,
}

/// An exclusive lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// Unlocked when closed.
    _file: File,
    own: Option<PathBuf>,
}

impl Lock {
    /// Waits for the lock on `path`; blocks the thread.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when another writer holds it for too long.
    pub(super) fn acquire(path: &Path, kind: Kind) -> io::Result<Self> {
        let started = Instant::now();
        loop {
            let file =
                OpenOptions::new().read(true).write(true).create(kind == Kind::Own).truncate(false).open(path)?;
            match file.try_lock() {
                // The previous holder may have removed the file between opening and locking it.
                Ok(()) if kind == Kind::Existing || is_still_there(&file, path) => {
                    return Ok(Self { _file: file, own: (kind == Kind::Own).then(|| path.to_owned()) });
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if started.elapsed() > MAX_WAIT {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another process is writing"));
            }
            std::thread::sleep(Duration::from_millis(fastrand::u64(1..=MAX_PAUSE_MILLIS)));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.own {
            // Removed while still locked: whoever waits on it sees that it is gone and opens a new one.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(found)) => identity(held) == identity(found),
        _ => false,
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let (lock, counter) = (directory.path().join("lock"), directory.path().join("counter"));
        std::fs::write(&counter, "0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let _lock = Lock::acquire(&lock, Kind::Own).unwrap();
                        let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                        std::fs::write(&counter, (count + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&counter).unwrap(), "40");
        assert!(!lock.exists(), "a lock of its own leaves no file");
    }
}
