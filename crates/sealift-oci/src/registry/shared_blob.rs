//! Blobs that several images of this process need at one registry: moved there once, then mounted from where they are.
//!
//! Knows who moves which blob right now, and which repository has it as far as this process has seen; says nothing of
//! what repositories hold besides. Whoever waits, waits for one who began before, so nobody waits in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_core::oci::Digest;
use tokio::sync::watch;

use super::MAX_REMEMBERED;

/// The blobs of one registry.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBlobs(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The repository that was first seen to have a blob, by its path.
    holders: HashMap<Digest, String>,
    /// Moves under way, those that began first in front.
    moves: HashMap<Digest, Vec<Move>>,
}

/// A blob on its way to a repository.
#[derive(Debug)]
struct Move {
    path: String,
    end: watch::Receiver<()>,
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
        let (ending, end) = watch::channel(());
        moves.push(Move { path: path.to_owned(), end });
        Mover::This(Turn { blobs: self.clone(), digest: digest.clone(), path: path.to_owned(), _ending: ending })
    }

    /// Returns a repository other than `path` that has a blob.
    pub(super) fn holder(&self, digest: &Digest, path: &str) -> Option<String> {
        self.state().holders.get(digest).filter(|holder| *holder != path).cloned()
    }

    /// Notes that the repository `path` has a blob.
    pub(super) fn note(&self, digest: &Digest, path: &str) {
        let mut state = self.state();
        if state.holders.len() < MAX_REMEMBERED {
            state.holders.entry(digest.clone()).or_insert_with(|| path.to_owned());
        }
    }

    /// Forgets what the repository `path` has.
    pub(super) fn forget(&self, path: &str) {
        self.state().holders.retain(|_, holder| holder != path);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole or not done, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to move a blob to a repository. Dropping it ends the move, well or not.
#[derive(Debug)]
pub(super) struct Turn {
    blobs: SharedBlobs,
    digest: Digest,
    path: String,
    /// Closes what the others wait for.
    _ending: watch::Sender<()>,
}

impl Turn {
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
pub(super) struct End(watch::Receiver<()>);

impl End {
    /// Waits until the move has succeeded, failed or been given up.
    pub(super) async fn reached(mut self) {
        // Nothing is ever sent: the other side is dropped.
        while self.0.changed().await.is_ok() {}
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
        waiting.await.unwrap();
        begun(blobs.begin(&digest, "a"));
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
    fn the_first_holder_is_kept_until_it_is_forgotten() {
        let (blobs, digest) = (SharedBlobs::default(), Digest::sha256(b"layer"));
        assert_eq!(blobs.holder(&digest, "b"), None);
        ["a", "b"].iter().for_each(|path| blobs.note(&digest, path));
        assert_eq!(blobs.holder(&digest, "b").as_deref(), Some("a"));
        assert_eq!(blobs.holder(&digest, "a"), None, "nothing is mounted from where it is wanted");
        blobs.forget("a");
        assert_eq!(blobs.holder(&digest, "b"), None);
    }
}
