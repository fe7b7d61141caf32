//! One source for several destinations: a large blob that several of them lack is read once, and all get its pieces.
//!
//! Never holds more than a few pieces of a blob. A destination that is slower than the others holds them up only for so
//! long, all pieces of a blob together; then it is on its own, and reads by itself what it asks for once more. Small blobs
//! and manifests are for a [`Snapshot`] below to read once.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RegistryHost, RepositoryName, Selector, Tag};
use sealift_core::repository::{Content, ContentError, ReadRepository, ReferrersListing, RepositoryError, Snapshot};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

/// How long the others wait for one destination; stops one that hangs from holding up all of them.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the others wait besides for one that takes a blob slowly: this part of the time that the blob takes without it.
/// To read a blob of many gigabytes once more costs more than a destination that is a little slower.
const SHARE_OF_SLOW: u32 = 2;
/// Pieces of a blob held for each destination. Those of the HTTP client have some 100 KiB.
const PIECES: usize = 4;

/// A source that several destinations read at the same time, each through its [`Branch`].
/// [`Client::tee`](crate::Client::tee) makes it.
#[derive(Debug)]
pub struct Tee<'a> {
    source: &'a dyn ReadRepository,
    patience: Duration,
    /// As many as each registry takes requests, for all images together. Were there more, one registry could be busy
    /// with blobs that another has no turn for, and the other way round, each waiting for the other.
    readings: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// What the destinations know of each other.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever a destination may no longer have to be waited for.
    changed: Notify,
}

#[derive(Debug)]
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
    /// Blobs that it has asked for.
    asked: HashSet<Digest>,
}

/// A destination that wants a blob.
#[derive(Debug)]
struct Wanting {
    end: usize,
    /// How it is told how to get it; `None` for the one who reads.
    start: Option<oneshot::Sender<Start>>,
}

/// What one who waits for a blob is told.
#[derive(Debug)]
enum Start {
    /// Here are its pieces.
    Pieces(mpsc::Receiver<Piece>),
    /// The source gave an error to the one who was to read.
    Failed,
    /// The one who was to read is gone.
    Reads(Reading),
}

/// A piece of a blob, or `None` after the last one of a whole blob.
type Piece = Option<Bytes>;

impl<'a> Tee<'a> {
    /// Returns a tee of `source` for as many destinations as there are names, which takes part in `readings`.
    pub(crate) fn new<'n>(
        source: &'a dyn ReadRepository,
        destinations: impl IntoIterator<Item = &'n RepositoryName>,
        readings: Arc<Semaphore>,
    ) -> Self {
        let end = |name: &RepositoryName| End {
            host: name.host().cloned(),
            is_awaited: true,
            expected: None,
            asked: HashSet::new(),
        };
        let ends = destinations.into_iter().map(end).collect();
        let state = Mutex::new(State { ends, gatherings: HashMap::new() });
        let shared = Arc::new(Shared { state, changed: Notify::new() });
        Self { source, patience: PATIENCE, readings, shared }
    }

    /// Sets how long the others wait for a destination that does not ask for what it lacks, or does not take it.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Returns the source as each destination is to read it, in the order of the names. Whoever has a branch and does
    /// not read it for a long time should drop it.
    pub fn branches(&self) -> Vec<Branch<'_>> {
        (0..self.shared.state().ends.len()).map(|end| Branch { tee: self, end }).collect()
    }
}

impl Shared {
    /// Changes what is known of an end, so that the others may go on.
    fn change(&self, end: usize, change: impl FnOnce(&mut End)) {
        change(&mut self.state().ends[end]);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl State {
    /// Returns the destinations that may still want a blob which is going to be read.
    fn awaited<'s>(&'s self, digest: &'s Digest) -> impl Iterator<Item = usize> + 's {
        let wanting = self.gatherings.get(digest).map_or(&[][..], Vec::as_slice);
        let is_awaited = move |(_, end): &(usize, &End)| {
            let may_ask = end.is_awaited
                && !end.asked.contains(digest)
                && end.expected.as_ref().is_none_or(|expected| expected.contains(digest));
            let is_served = end.host.is_some() && wanting.iter().any(|other| self.ends[other.end].host == end.host);
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
        self.tee.shared.change(self.end, |end| end.is_awaited = false);
    }
}

/// How a destination gets a blob.
enum Part {
    /// By itself: it has asked for it before, and what it got broke off.
    Alone,
    /// It reads, for everybody who wants it by then.
    Reads(Reading),
    /// Another one is going to read.
    Takes(oneshot::Receiver<Start>),
}

impl Branch<'_> {
    fn is_only_one(&self) -> bool {
        self.tee.shared.state().ends.len() == 1
    }

    async fn fetch_shared(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let start = match self.part_in(&descriptor.digest) {
            Part::Alone => Start::Failed,
            Part::Reads(reading) => Start::Reads(reading),
            Part::Takes(start) => start.await.unwrap_or(Start::Failed),
        };
        match start {
            Start::Pieces(pieces) => Ok(content(descriptor, pieces)),
            Start::Reads(reading) => reading.read(descriptor, self.tee).await,
            // At the same time as the others to whom that happened: one after the other they would all fail.
            Start::Failed => self.tee.source.fetch(descriptor).await,
        }
    }

    fn part_in(&self, digest: &Digest) -> Part {
        let shared = &self.tee.shared;
        let mut state = shared.state();
        if !state.ends[self.end].asked.insert(digest.clone()) {
            return Part::Alone;
        }
        let part = match state.gatherings.get_mut(digest) {
            Some(wanting) => {
                let (start, told) = oneshot::channel();
                wanting.push(Wanting { end: self.end, start: Some(start) });
                Part::Takes(told)
            }
            None => {
                state.gatherings.insert(digest.clone(), vec![Wanting { end: self.end, start: None }]);
                Part::Reads(Reading { shared: Arc::clone(shared), digest: digest.clone(), has_begun: false })
            }
        };
        drop(state);
        shared.changed.notify_waiters();
        part
    }
}

/// The turn to read a blob. Dropping it hands the turn on to another one that wants the blob.
#[derive(Debug)]
struct Reading {
    shared: Arc<Shared>,
    digest: Digest,
    has_begun: bool,
}

impl Reading {
    async fn read(mut self, descriptor: &Descriptor, tee: &Tee<'_>) -> Result<Content, RepositoryError> {
        self.gather(tee.patience).await;
        // The semaphore is never closed, so there always is a permit.
        let permit = Arc::clone(&tee.readings).acquire_owned().await.ok();
        let content = tee.source.fetch(descriptor).await;
        let starts = self.begin();
        let Ok(content) = content else {
            starts.into_iter().for_each(|start| drop(start.send(Start::Failed)));
            return content;
        };
        let outlet = |pieces| Outlet { pieces, patience: tee.patience };
        let mut outlets: Vec<_> = starts
            .into_iter()
            .filter_map(|start| {
                let (sender, pieces) = mpsc::channel(PIECES);
                start.send(Start::Pieces(pieces)).ok().map(|()| outlet(sender))
            })
            .collect();
        if outlets.is_empty() {
            return Ok(content);
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        outlets.push(outlet(sender));
        tokio::spawn(hand_out(content, outlets, permit));
        Ok(self::content(descriptor, pieces))
    }

    /// Waits for everybody who may want the blob, but not for ever.
    async fn gather(&self, patience: Duration) {
        let gathering = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.shared.state().awaited(&self.digest).next().is_none() {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(patience, gathering).await.is_ok() {
            return;
        }
        let late: Vec<usize> = self.shared.state().awaited(&self.digest).collect();
        for end in late {
            tracing::debug!(digest = %self.digest, end, "a destination that did not ask in time is on its own");
            self.shared.change(end, |end| end.is_awaited = false);
        }
    }

    /// Ends the gathering, and returns how to tell those who wait.
    fn begin(&mut self) -> Vec<oneshot::Sender<Start>> {
        self.has_begun = true;
        let wanting = self.shared.state().gatherings.remove(&self.digest).unwrap_or_default();
        wanting.into_iter().filter_map(|wanting| wanting.start).collect()
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.has_begun {
            return;
        }
        let next = {
            let mut state = self.shared.state();
            let Some(wanting) = state.gatherings.get_mut(&self.digest) else { return };
            // Whoever reads is the first.
            wanting.remove(0);
            match wanting.first_mut() {
                Some(next) => next.start.take(),
                None => {
                    state.gatherings.remove(&self.digest);
                    None
                }
            }
        };
        if let Some(next) = next {
            let reading = Self { shared: Arc::clone(&self.shared), digest: self.digest.clone(), has_begun: false };
            // One that is gone as well drops it in turn.
            drop(next.send(Start::Reads(reading)));
        }
    }
}

/// Where the pieces for one destination go.
#[derive(Debug)]
struct Outlet {
    pieces: mpsc::Sender<Piece>,
    /// How long the others wait for it yet.
    patience: Duration,
}

impl Outlet {
    /// Gives it the piece that was asked for at `since`, and says whether it took that in time. Its time runs from when
    /// another one `is_taken`: nobody is held up before that. The first to take the piece tells the others.
    async fn give(&mut self, piece: Bytes, since: Instant, taken: &Notify, is_taken: impl Future<Output = ()>) -> bool {
        let mut sending = pin!(self.pieces.send(Some(piece)));
        let sent = tokio::select! {
            biased;
            sent = &mut sending => Some(sent.is_ok()),
            () = is_taken => None,
        };
        self.patience += since.elapsed() / SHARE_OF_SLOW;
        if let Some(is_sent) = sent {
            if is_sent {
                taken.notify_waiters();
            }
            return is_sent;
        }
        let waiting = Instant::now();
        let sent = tokio::time::timeout(self.patience, sending).await;
        self.patience = self.patience.saturating_sub(waiting.elapsed());
        matches!(sent, Ok(Ok(())))
    }
}

/// Gives every piece to all outlets. One that goes away, or has kept the first waiting for too long, is left out from
/// then on; where the reading breaks off, all are, and each reads for itself.
async fn hand_out(content: Content, mut outlets: Vec<Outlet>, permit: Option<OwnedSemaphorePermit>) {
    let mut pieces = content.into_stream();
    loop {
        let since = Instant::now();
        let piece = match pieces.next().await.transpose() {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return tracing::debug!(%error, "reading for several destinations broke off"),
        };
        let taken = Notify::new();
        let giving = outlets.iter_mut().map(|outlet| outlet.give(piece.clone(), since, &taken, taken.notified()));
        let mut given = join_all(giving).await.into_iter();
        let before = outlets.len();
        outlets.retain(|_| given.next() == Some(true));
        if outlets.len() < before {
            tracing::debug!("a destination that is gone or lags behind is left out");
        }
        if outlets.is_empty() {
            return;
        }
    }
    // Nobody is held up by those who take their time to the end.
    drop(permit);
    join_all(outlets.iter().map(|outlet| outlet.pieces.send(None))).await;
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
            // The limit is for those that wait for each other.
            _ if self.is_only_one() => self.tee.source.fetch(descriptor).await,
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
        self.tee.shared.change(self.end, |end| end.expected.get_or_insert_default().extend(blobs));
    }

    fn excuse(&self, blob: &Descriptor) {
        self.tee.shared.change(self.end, |end| {
            if let Some(expected) = &mut end.expected {
                expected.remove(&blob.digest);
            }
        });
    }
}
