//! Blobs that several images of this process need at one registry: moved there once, then mounted from where they are.
//!
//! Knows who moves which blob right now, and which repository has it as far as this process has seen; says nothing of
//! what repositories hold besides. Whoever waits, waits for one who began before, so nobody waits in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sealift_core::locked;
use sealift_core::oci::Digest;
use tokio::sync::watch;

use super::MAX_REMEMBERED;

/// Repositories remembered for each blob: a few, because who may write to one repository need not be allowed to read all
/// others.
const MAX_HOLDERS: usize = 4;

/// The blobs of one registry.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBlobs(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The repositories that were first seen to have a blob, by their paths.
    holders: HashMap<Digest, Vec<String>>,
    /// Moves under way, those that began first in front.
    moves: HashMap<Digest, Vec<Move>>,
}

/// A blob on its way to a repository.
#[derive(Debug)]
struct Move {
    path: String,
    end: watch::Receiver<Outcome>,
}

/// What came of a move, as far as those are concerned who wait for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It is done or was given up, or its source failed: the next may try.
    Open,
    /// The registry did not take the blob.
    Refused,
}

/// Who moves a blob to a repository.
#[derive(Debug)]
pub(super) enum Mover {
    /// Whoever asked, until the turn is dropped.
    This(Turn),
    /// Somebody who began before.
    Other(End),
}

impl SharedBlobs {
    /// Takes the turn to move a blob to the repository `path`, unless somebody has it.
    pub(super) fn begin(&self, digest: &Digest, path: &str) -> Mover {
        let mut state = self.state();
        let moves = state.moves.entry(digest.clone()).or_default();
        if let Some(other) = moves.iter().find(|other| other.path == path) {
            return Mover::Other(End(other.end.clone()));
        }
        let (ending, end) = watch::channel(Outcome::Open);
        moves.push(Move { path: path.to_owned(), end });
        Mover::This(Turn { blobs: self.clone(), digest: digest.clone(), path: path.to_owned(), ending })
    }

    /// Returns a repository that has a blob, one of those that `is_wanted`.
    pub(super) fn holder(&self, digest: &Digest, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.state().holders.get(digest)?.iter().find(|holder| is_wanted(holder)).cloned()
    }

    /// Notes that the repository `path` has a blob.
    pub(super) fn note(&self, digest: &Digest, path: &str) {
        let mut state = self.state();
        if state.holders.len() < MAX_REMEMBERED || state.holders.contains_key(digest) {
            let holders = state.holders.entry(digest.clone()).or_default();
            if holders.len() < MAX_HOLDERS && holders.iter().all(|holder| holder != path) {
                holders.push(path.to_owned());
            }
        }
    }

    /// Forgets what the repository `path` has.
    pub(super) fn forget(&self, path: &str) {
        self.state().holders.retain(|_, holders| {
            holders.retain(|holder| holder != path);
            !holders.is_empty()
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}

/// The turn to move a blob to a repository. Dropping it ends the move, well or not.
#[derive(Debug)]
pub(super) struct Turn {
    blobs: SharedBlobs,
    digest: Digest,
    path: String,
    /// Closes what the others wait for.
    ending: watch::Sender<Outcome>,
}

impl Turn {
    /// Notes that the registry does not take the blob.
    pub(super) fn refuse(&self) {
        self.ending.send_replace(Outcome::Refused);
    }

    /// Returns the end of the move that brings the blob to another repository of the registry, if one began before.
    pub(super) fn earlier(&self) -> Option<End> {
        let state = self.blobs.state();
        let first = state.moves.get(&self.digest)?.first()?;
        (first.path != self.path).then(|| End(first.end.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.blobs.state();
        let Some(moves) = state.moves.get_mut(&self.digest) else { return };
        moves.retain(|other| other.path != self.path);
        if moves.is_empty() {
            state.moves.remove(&self.digest);
        }
    }
}

/// The end of somebody's move.
#[derive(Debug)]
pub(super) struct End(watch::Receiver<Outcome>);

impl End {
    /// Waits until the move has succeeded, failed or been given up.
    pub(super) async fn reached(mut self) -> Outcome {
        // It ends when the other side is dropped.
        while self.0.changed().await.is_ok() {}
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(mover: Mover) -> Turn {
        match mover {
            Mover::This(turn) => turn,
            Mover::Other(_) => panic!("somebody else has the turn"),
        }
    }

    #[tokio::test]
    async fn one_moves_a_blob_to_a_repository_and_the_others_wait_for_the_end() {
        let (blobs, digest) = (SharedBlobs::default(), Digest::sha256(b"layer"));
        let turn = begun(blobs.begin(&digest, "a"));
        let Mover::Other(end) = blobs.begin(&digest, "a") else { panic!("two have the turn") };
        begun(blobs.begin(&Digest::sha256(b"other"), "a"));
        let waiting = tokio::spawn(end.reached());
        drop(turn);
        assert_eq!(waiting.await.unwrap(), Outcome::Open);
        let turn = begun(blobs.begin(&digest, "a"));
        let Mover::Other(end) = blobs.begin(&digest, "a") else { panic!("two have the turn") };
        turn.refuse();
        drop(turn);
        assert_eq!(end.reached().await, Outcome::Refused);
        assert!(blobs.state().moves.is_empty(), "nothing is kept of what has ended");
    }

    #[tokio::test]
    async fn those_of_other_repositories_wait_for_the_first_of_all() {
        let (blobs, digest) = (SharedBlobs::default(), Digest::sha256(b"layer"));
        let [first, second, third] = ["a", "b", "c"].map(|path| begun(blobs.begin(&digest, path)));
        assert!(first.earlier().is_none());
        let ends = [&second, &third].map(|turn| turn.earlier().unwrap());
        drop(first);
        for end in ends {
            end.reached().await;
        }
        assert!(second.earlier().is_none() && third.earlier().is_some(), "the next is first now");
    }

    #[test]
    fn the_first_holders_are_kept_until_they_are_forgotten() {
        let (blobs, digest) = (SharedBlobs::default(), Digest::sha256(b"layer"));
        let any = |_: &str| true;
        assert_eq!(blobs.holder(&digest, any), None);
        ["a", "b", "b", "c", "d", "e"].iter().for_each(|path| blobs.note(&digest, path));
        assert_eq!(blobs.holder(&digest, any).as_deref(), Some("a"));
        assert_eq!(blobs.holder(&digest, |path| path > "c").as_deref(), Some("d"));
        assert_eq!(blobs.holder(&digest, |path| path > "d"), None, "a few are enough");
        ["a", "b", "c", "d"].iter().for_each(|path| blobs.forget(path));
        assert_eq!(blobs.holder(&digest, any), None);
        assert!(blobs.state().holders.is_empty());
    }
}
