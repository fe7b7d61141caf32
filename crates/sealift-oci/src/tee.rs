//! One source for several destinations: a large blob that several of them lack is read once, and all get its pieces.
//!
//! Never holds more than a few pieces of a blob. A destination that is slower than the others holds them up only for so
//! long; then it is on its own, and reads what it still needs by itself. Small blobs and manifests are for a
//! [`Snapshot`](sealift_core::repository::Snapshot) below to read once.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use sealift_core::oci::{Descriptor, Digest, RawManifest, RegistryHost, RepositoryName, Selector, Tag};
use sealift_core::repository::{Content, ContentError, ReadRepository, ReferrersListing, RepositoryError, Snapshot};
use tokio::sync::{Notify, mpsc, oneshot};

/// How long the others wait for one destination; stops one that hangs from holding up all of them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pieces of a blob held for each destination. Those of the HTTP client have some 100 KiB.
const PIECES: usize = 4;

/// A source that several destinations read at the same time, each through its [`Branch`].
#[derive(Debug)]
pub struct Tee<'a> {
    source: &'a dyn ReadRepository,
    patience: Duration,
    state: Mutex<State>,
    /// Told whenever a destination may no longer have to be waited for.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ends: Vec<End>,
    /// Blobs that are going to be read, and who wants them.
    gatherings: HashMap<Digest, Vec<Wanting>>,
}

/// A destination.
#[derive(Debug)]
struct End {
    /// Repositories of one registry get a blob from each other.
    host: Option<RegistryHost>,
    /// Whether the others wait for it: not once it is done, or was too slow.
    is_awaited: bool,
    /// Blobs that it may still ask for; unknown at first.
    expected: Option<HashSet<Digest>>,
}

/// A destination that wants a blob.
#[derive(Debug)]
struct Wanting {
    end: usize,
    /// Where it gets the pieces; `None` for the one who reads.
    start: Option<oneshot::Sender<mpsc::Receiver<Piece>>>,
}

/// A piece of a blob, or `None` after the last one of a whole blob.
type Piece = Option<Bytes>;

impl<'a> Tee<'a> {
    /// Returns a tee of `source` for as many destinations as there are names.
    pub fn new<'n>(source: &'a dyn ReadRepository, destinations: impl IntoIterator<Item = &'n RepositoryName>) -> Self {
        let end = |name: &RepositoryName| End { host: name.host().cloned(), is_awaited: true, expected: None };
        let ends = destinations.into_iter().map(end).collect();
        let state = Mutex::new(State { ends, ..State::default() });
        Self { source, patience: PATIENCE, state, changed: Notify::new() }
    }

    /// Sets how long the others wait for a destination that does not ask for what it lacks, or does not take it.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the source as each destination is to read it, in the order of the names. Whoever has a branch and does
    /// not read it for a long time should drop it.
    pub fn branches(&self) -> Vec<Branch<'_>> {
        (0..self.state().ends.len()).map(|end| Branch { tee: self, end }).collect()
    }

    /// Changes what is known of an end, so that the others may go on.
    fn change(&self, end: usize, change: impl FnOnce(&mut End)) {
        change(&mut self.state().ends[end]);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole or not done, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the destinations that may still want a blob which is going to be read.
    fn awaited<'s>(&'s self, digest: &'s Digest) -> impl Iterator<Item = usize> + 's {
        let wanting = self.gatherings.get(digest).map_or(&[][..], Vec::as_slice);
        let is_awaited = move |(number, end): &(usize, &End)| {
            let may_ask = end.is_awaited && end.expected.as_ref().is_none_or(|expected| expected.contains(digest));
            let is_served = wanting
                .iter()
                .any(|wanting| wanting.end == *number || end.host.is_some() && self.ends[wanting.end].host == end.host);
            may_ask && !is_served
        };
        self.ends.iter().enumerate().filter(is_awaited).map(|(number, _)| number)
    }
}

/// The source as one destination reads it. Dropping it says that the destination needs nothing more.
#[derive(Debug)]
pub struct Branch<'t> {
    tee: &'t Tee<'t>,
    end: usize,
}

impl Drop for Branch<'_> {
    fn drop(&mut self) {
        self.tee.change(self.end, |end| end.is_awaited = false);
    }
}

/// How a destination gets a blob.
enum Part<'t> {
    /// It reads, for everybody who wants it by then.
    Reads(Reading<'t>),
    /// Another one reads, or fails before that.
    Takes(oneshot::Receiver<mpsc::Receiver<Piece>>),
}

impl<'t> Branch<'t> {
    async fn fetch_shared(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        loop {
            match self.part_in(&descriptor.digest) {
                Part::Reads(reading) => return reading.read(descriptor).await,
                Part::Takes(start) => {
                    if let Ok(pieces) = start.await {
                        return Ok(content(descriptor, pieces));
                    }
                }
            }
        }
    }

    fn part_in(&self, digest: &Digest) -> Part<'t> {
        let tee = self.tee;
        let mut state = tee.state();
        if let Some(expected) = &mut state.ends[self.end].expected {
            expected.remove(digest);
        }
        let part = match state.gatherings.get_mut(digest) {
            Some(wanting) => {
                let (start, pieces) = oneshot::channel();
                wanting.push(Wanting { end: self.end, start: Some(start) });
                Part::Takes(pieces)
            }
            None => {
                state.gatherings.insert(digest.clone(), vec![Wanting { end: self.end, start: None }]);
                Part::Reads(Reading { tee, digest: digest.clone(), has_begun: false })
            }
        };
        drop(state);
        tee.changed.notify_waiters();
        part
    }
}

/// The turn to read a blob. Dropping it before it has begun leaves the blob to the others that want it.
struct Reading<'t> {
    tee: &'t Tee<'t>,
    digest: Digest,
    has_begun: bool,
}

impl Reading<'_> {
    async fn read(mut self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.gather().await;
        let starts = self.begin();
        // Where this fails the others ask for themselves, and get an error of their own.
        let content = self.tee.source.fetch(descriptor).await?;
        let mut outlets: Vec<_> = starts
            .into_iter()
            .filter_map(|start| {
                let (outlet, pieces) = mpsc::channel(PIECES);
                start.send(pieces).ok().map(|()| outlet)
            })
            .collect();
        if outlets.is_empty() {
            return Ok(content);
        }
        let (outlet, pieces) = mpsc::channel(PIECES);
        outlets.push(outlet);
        tokio::spawn(hand_out(content, outlets, self.tee.patience));
        Ok(self::content(descriptor, pieces))
    }

    /// Waits for everybody who may want the blob, but not for ever.
    async fn gather(&self) {
        let gathering = async {
            loop {
                let changed = self.tee.changed.notified();
                if self.tee.state().awaited(&self.digest).next().is_none() {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(self.tee.patience, gathering).await.is_ok() {
            return;
        }
        let late: Vec<usize> = self.tee.state().awaited(&self.digest).collect();
        for end in late {
            tracing::debug!(digest = %self.digest, end, "a destination that did not ask in time is on its own");
            self.tee.change(end, |end| end.is_awaited = false);
        }
    }

    fn begin(&mut self) -> Vec<oneshot::Sender<mpsc::Receiver<Piece>>> {
        self.has_begun = true;
        let wanting = self.tee.state().gatherings.remove(&self.digest).unwrap_or_default();
        wanting.into_iter().filter_map(|wanting| wanting.start).collect()
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.has_begun {
            self.tee.state().gatherings.remove(&self.digest);
        }
    }
}

/// Gives every piece to all outlets. One that goes away, or takes a piece much later than the first, is left out from
/// then on; where the reading breaks off, all are, and each reads for itself.
async fn hand_out(content: Content, mut outlets: Vec<mpsc::Sender<Piece>>, patience: Duration) {
    let mut pieces = content.into_stream();
    while !outlets.is_empty() {
        let piece = match pieces.next().await.transpose() {
            Ok(piece) => piece,
            Err(error) => return tracing::debug!(%error, "reading for several destinations broke off"),
        };
        let is_last = piece.is_none();
        let mut sending: FuturesUnordered<_> = outlets
            .drain(..)
            .map(|outlet| {
                let piece = piece.clone();
                async move { outlet.send(piece).await.ok().map(|()| outlet) }
            })
            .collect();
        let mut taken = Vec::new();
        // Nobody is held up before one of them goes on.
        while taken.is_empty() {
            let Some(sent) = sending.next().await else { break };
            taken.extend(sent);
        }
        let rest = async {
            while let Some(sent) = sending.next().await {
                taken.extend(sent);
            }
        };
        if tokio::time::timeout(patience, rest).await.is_err() {
            tracing::debug!("a destination that lags behind is on its own");
        }
        if is_last {
            return;
        }
        outlets = taken;
    }
}

/// Returns the blob whose pieces are handed out.
fn content(descriptor: &Descriptor, pieces: mpsc::Receiver<Piece>) -> Content {
    let pieces = stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        match pieces.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(pieces))),
            Some(None) => None,
            None => Some((Err(ContentError::Detached), None)),
        }
    });
    Content::verified(descriptor, pieces)
}

#[async_trait]
impl ReadRepository for Branch<'_> {
    fn name(&self) -> &RepositoryName {
        self.tee.source.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.tee.source.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.tee.source.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.tee.source.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        match descriptor.size {
            ..=Snapshot::MAX_BLOB_BYTES => self.tee.source.fetch(descriptor).await,
            _ => self.fetch_shared(descriptor).await,
        }
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.tee.source.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.tee.source.tags().await
    }

    fn expect(&self, blobs: &[&Descriptor]) {
        let blobs = blobs.iter().map(|blob| blob.digest.clone());
        self.tee.change(self.end, |end| end.expected.get_or_insert_default().extend(blobs));
    }

    fn excuse(&self, blob: &Descriptor) {
        self.tee.change(self.end, |end| {
            if let Some(expected) = &mut end.expected {
                expected.remove(&blob.digest);
            }
        });
    }
}
