//! One source for several destinations: large blobs are read once, and nobody is held up for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Reference, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, ContentError, ReadRepository, ReferrersListing, RepositoryError, Snapshot,
};
use sealift_oci::{Branch, Client, Tee};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{access, count, kind, name, open, start};

/// Longer than any test may take: who waits for somebody in vain never ends.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// Shorter than anybody can be noticed to wait.
const NOT_LONG: Duration = Duration::from_millis(1);
/// Some time, of a clock that only waits when nobody has anything to do.
const A_WHILE: Duration = Duration::from_secs(10);

fn blobs(image: &Fixture) -> Vec<&Descriptor> {
    image.blobs().map(|(descriptor, _)| descriptor).filter(|blob| blob.size > 1 << 20).collect()
}

fn tee<'a>(source: &'a dyn ReadRepository, destinations: &[RepositoryName]) -> Tee<'a> {
    Client::new(access()).unwrap().tee(source, destinations)
}

/// A registry with an image of two large layers, and others with nothing.
struct Site {
    staging: Registry,
    image: Fixture,
    prods: Vec<Registry>,
}

impl Site {
    fn with_destinations(count: usize) -> Self {
        let base = [1, 2].map(|seed| fixture::layer(seed, 3 << 20));
        let (staging, image) = (start(RegistryOptions::default()), fixture::image_on(&base, 1));
        staging.add("team/app", &image, None).unwrap();
        Self { staging, image, prods: (0..count).map(|_| start(RegistryOptions::default())).collect() }
    }

    fn names(&self) -> Vec<RepositoryName> {
        self.prods.iter().map(|prod| name(prod, "prod/app")).collect()
    }

    /// Moves the large layers to a destination, as a copy does.
    async fn move_to(&self, prod: &Registry, branch: Branch<'_>) -> Vec<Result<Arrival, RepositoryError>> {
        let destination = open(access(), prod, "prod/app").await;
        branch.expect(&blobs(&self.image));
        let moves = blobs(&self.image).into_iter().map(async |blob| {
            let moved = destination.transfer(blob, &branch).await;
            branch.excuse(blob);
            moved
        });
        join_all(moves).await
    }

    /// Returns how many blobs were read.
    fn reads(&self) -> usize {
        count(&self.staging, "GET", Endpoint::Blob)
    }

    fn has_all(&self, prod: &Registry) -> bool {
        blobs(&self.image).iter().all(|blob| prod.has_blob("prod/app", &blob.digest))
    }
}

#[tokio::test]
async fn a_large_blob_is_read_once_for_all_that_lack_it() {
    let site = Site::with_destinations(3);
    let source = open(access(), &site.staging, "team/app").await;
    let tee = tee(source.as_read(), &site.names()).with_patience(FOR_EVER);
    let moves = site.prods.iter().zip(tee.branches()).map(|(prod, branch)| site.move_to(prod, branch));
    for moved in join_all(moves).await.into_iter().flatten() {
        assert_eq!(moved.unwrap(), Arrival::Copied);
    }
    assert_eq!(site.reads(), 2, "two layers");
    assert!(site.prods.iter().all(|prod| site.has_all(prod)));
}

#[tokio::test]
async fn nobody_waits_for_a_destination_that_needs_nothing_fails_or_is_gone() {
    for case in ["has it", "refuses", "is gone", "is in the same registry"] {
        let mut site = Site::with_destinations(2);
        let mut names = site.names();
        match case {
            "has it" => drop(site.prods[1].add("prod/app", &site.image, None).unwrap()),
            "refuses" => site.prods[1].set_faults([Rule::new(Effect::Status(403))]),
            "is gone" => drop(site.prods.pop()),
            _ => {
                names[1] = name(&site.prods[0], "prod/other");
                site.prods.pop();
            }
        }
        let source = open(access(), &site.staging, "team/app").await;
        let tee = tee(source.as_read(), &names).with_patience(FOR_EVER);
        let mut branches = tee.branches();
        let _other = match case {
            "is in the same registry" => branches.pop().inspect(|branch| branch.expect(&blobs(&site.image))),
            "is gone" => branches.pop().and(None),
            _ => None,
        };
        let moves = site.prods.iter().zip(branches).map(|(prod, branch)| site.move_to(prod, branch));
        let moved = join_all(moves).await.remove(0);
        assert!(moved.iter().all(Result::is_ok) && site.has_all(&site.prods[0]), "{case}: {moved:?}");
        assert_eq!(site.reads(), 2, "{case}");
    }
}

#[tokio::test]
async fn a_destination_that_hangs_holds_the_others_up_only_for_so_long() {
    // It hangs before it asks, and when it should take what it asked for.
    for endpoint in [Endpoint::Blob, Endpoint::Upload] {
        let site = Site::with_destinations(2);
        site.prods[1].set_faults([Rule::new(Effect::Hang).on(endpoint)]);
        let source = open(access(), &site.staging, "team/app").await;
        let tee = tee(source.as_read(), &site.names()).with_patience(NOT_LONG);
        let mut branches = tee.branches().into_iter();
        let [first, second] = [branches.next().unwrap(), branches.next().unwrap()];
        tokio::select! {
            moved = site.move_to(&site.prods[0], first) => assert!(moved.iter().all(Result::is_ok), "{moved:?}"),
            moved = site.move_to(&site.prods[1], second) => panic!("{endpoint:?}: nothing hangs: {moved:?}"),
        }
        assert!(site.has_all(&site.prods[0]), "{endpoint:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_read_by_each_for_itself() {
    let site = Site::with_destinations(2);
    // One byte is wrong, which only the end tells; the next reader gets what is right.
    let corrupt = |blob: &Descriptor| Rule::new(Effect::Corrupt).reference(&blob.digest.to_string()).times(1);
    site.staging.set_faults(blobs(&site.image).into_iter().map(corrupt));
    let source = open(access(), &site.staging, "team/app").await;
    let tee = tee(source.as_read(), &site.names()).with_patience(FOR_EVER);
    let moves = site.prods.iter().zip(tee.branches()).map(async |(prod, branch)| {
        let destination = open(access(), prod, "prod/app").await;
        branch.expect(&blobs(&site.image));
        for blob in blobs(&site.image) {
            let broken = destination.transfer(blob, &branch).await;
            assert!(broken.as_ref().is_err_and(RepositoryError::is_detached), "{broken:?}");
            assert_eq!(kind(&broken), "source");
            assert_eq!(destination.transfer(blob, &branch).await.unwrap(), Arrival::Copied);
        }
    });
    join_all(moves).await;
    assert!(site.prods.iter().all(|prod| site.has_all(prod)));
}

/// A source of blobs of any size that counts how often and how much it is read.
#[derive(Debug)]
struct Counting {
    name: RepositoryName,
    fetched: AtomicU64,
    read: Arc<AtomicU64>,
    /// How long each piece takes.
    pace: Duration,
    ending: Ending,
}

/// How its blobs end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// They are not there, which is told after a while.
    Refused,
    /// Never.
    Never,
    /// After so many pieces, too soon or not.
    After(usize),
}

impl Counting {
    fn new(ending: Ending) -> Self {
        let name = "source:1/app".parse::<Reference>().unwrap().repository();
        Self { name, fetched: AtomicU64::new(0), read: Arc::default(), pace: Duration::ZERO, ending }
    }

    fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// Returns the names of as many destinations.
fn destinations(count: u16) -> Vec<RepositoryName> {
    (1..=count).map(|port| format!("prod:{port}/app").parse::<Reference>().unwrap().repository()).collect()
}

/// A blob of so many pieces of the source.
fn blob_of(pieces: usize) -> Descriptor {
    Descriptor::of("application/x.layer", &PIECE.repeat(pieces))
}

/// A blob that no test reads to the end.
fn endless() -> Descriptor {
    Descriptor { size: 1 << 40, ..Descriptor::of("application/x.layer", b"") }
}

const PIECE: &[u8] = &[0; 64 * 1024];

#[async_trait]
impl ReadRepository for Counting {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    async fn resolve(&self, _: &Selector) -> Result<Descriptor, RepositoryError> {
        unreachable!("only a blob is read")
    }

    async fn manifest(&self, _: &Selector) -> Result<RawManifest, RepositoryError> {
        unreachable!("only a blob is read")
    }

    async fn exists(&self, _: &Descriptor) -> Result<bool, RepositoryError> {
        unreachable!("only a blob is read")
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let (read, pace) = (Arc::clone(&self.read), self.pace);
        let pieces = match self.ending {
            Ending::Refused => {
                tokio::time::sleep(A_WHILE).await;
                return Err(RepositoryError::not_found(&self.name, "blob"));
            }
            Ending::Never => usize::MAX,
            Ending::After(pieces) => pieces,
        };
        let piece = move |_| {
            let read = Arc::clone(&read);
            async move {
                if !pace.is_zero() {
                    tokio::time::sleep(pace).await;
                }
                read.fetch_add(PIECE.len() as u64, Ordering::Relaxed);
                Ok(Bytes::from_static(PIECE))
            }
        };
        Ok(Content::verified(descriptor, stream::iter(0..pieces).then(piece)))
    }

    async fn referrers(&self, _: &Digest, _: ReferrersListing) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        unreachable!("only a blob is read")
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        unreachable!("only a blob is read")
    }
}

#[tokio::test]
async fn what_a_slow_destination_has_not_taken_is_not_held() {
    let source = Counting::new(Ending::Never);
    let tee = tee(&source, &destinations(2)).with_patience(FOR_EVER);
    let branches = tee.branches();
    let large = endless();
    let (fast, slow) = tokio::join!(branches[0].fetch(&large), branches[1].fetch(&large));
    let (mut fast, mut slow) = (fast.unwrap().into_stream(), slow.unwrap().into_stream());
    let mut ahead = 0;
    for _ in 0..50 {
        // As far as it gets while the other takes nothing.
        while let Some(Some(piece)) = fast.next().now_or_never() {
            ahead += piece.unwrap().len() as u64;
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
    let held = 8 * PIECE.len() as u64;
    assert!(ahead > 0 && source.read() <= held, "{} read", source.read());
    // Both go on together.
    for _ in 0..100 {
        assert!(slow.next().await.unwrap().is_ok() && fast.next().await.unwrap().is_ok());
    }
    assert!(source.read() >= 100 * PIECE.len() as u64);
}

/// Reads so many pieces, each after a time.
async fn read_slowly(
    branch: &Branch<'_>,
    blob: &Descriptor,
    pieces: usize,
    pace: Duration,
) -> Result<(), ContentError> {
    let mut content = branch.fetch(blob).await.unwrap().into_stream();
    for _ in 0..pieces {
        tokio::time::sleep(pace).await;
        content.next().await.unwrap()?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_each_piece_late_uses_up_the_patience_of_the_others() {
    let source = Counting::new(Ending::Never);
    let tee = tee(&source, &destinations(2)).with_patience(A_WHILE);
    let branches = tee.branches();
    let (blob, started) = (endless(), Instant::now());
    let fast = async {
        read_slowly(&branches[0], &blob, 100, Duration::ZERO).await.unwrap();
        started.elapsed()
    };
    let (took, slow) = tokio::join!(fast, read_slowly(&branches[1], &blob, 100, A_WHILE * 9 / 10));
    assert!(took < 10 * A_WHILE, "{took:?} for what is there at once");
    assert!(matches!(slow, Err(ContentError::Detached)), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_a_little_slower_than_the_others_is_waited_for() {
    let pace = A_WHILE / 10;
    let source = Counting { pace, ..Counting::new(Ending::Never) };
    let tee = tee(&source, &destinations(2)).with_patience(A_WHILE);
    let branches = tee.branches();
    let blob = endless();
    let (fast, slow) = (Duration::ZERO, pace * 6 / 5);
    let (fast, slow) =
        tokio::join!(read_slowly(&branches[0], &blob, 1000, fast), read_slowly(&branches[1], &blob, 1000, slow));
    assert!(fast.is_ok() && slow.is_ok(), "{slow:?}");
    assert_eq!(source.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_only_the_end_left_to_take_gets_it() {
    // As many pieces as are held for it, so that the end has no room.
    let source = Counting::new(Ending::After(4));
    let tee = tee(&source, &destinations(2)).with_patience(A_WHILE);
    let branches = tee.branches();
    let blob = blob_of(4);
    let late = async {
        let content = branches[1].fetch(&blob).await.unwrap();
        tokio::time::sleep(100 * A_WHILE).await;
        content.read_all(blob.size).await
    };
    let first = async { branches[0].fetch(&blob).await.unwrap().read_all(blob.size).await };
    let (first, late) = tokio::join!(first, late);
    assert!(first.is_ok() && late.is_ok(), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_once_is_read_alone() {
    let source = Counting::new(Ending::After(1));
    let tee = tee(&source, &destinations(2)).with_patience(FOR_EVER);
    let branches = tee.branches();
    let blob = blob_of(8);
    let read = async |branch: &Branch<'_>| branch.fetch(&blob).await.unwrap().read_all(blob.size).await;
    let (first, second) = tokio::join!(read(&branches[0]), read(&branches[1]));
    assert!(matches!((first, second), (Err(ContentError::Detached), Err(ContentError::Detached))));
    // Each gets the error of the source, and waits for nobody.
    for branch in &branches {
        let again = read(branch).await;
        assert!(matches!(again, Err(ContentError::TooShort { .. })), "{again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_source_refuses_is_refused_to_all_at_the_same_time() {
    let source = Counting::new(Ending::Refused);
    let tee = tee(&source, &destinations(5)).with_patience(FOR_EVER);
    let branches = tee.branches();
    let (blob, started) = (endless(), Instant::now());
    let refused = join_all(branches.iter().map(|branch| branch.fetch(&blob))).await;
    assert!(refused.iter().all(Result::is_err));
    assert_eq!(source.fetched(), 5, "each has an error of its own");
    assert_eq!(started.elapsed(), 2 * A_WHILE, "one asked for all, then all by themselves");
    // So it is with a small blob, which a snapshot reads for all.
    let (snapshot, small, started) = (Snapshot::new(&source), blob_of(1), Instant::now());
    let refused = join_all((0..5).map(|_| snapshot.fetch(&small))).await;
    assert!(refused.iter().all(Result::is_err));
    assert_eq!(started.elapsed(), 2 * A_WHILE);
}

#[tokio::test(start_paused = true)]
async fn where_the_one_who_was_to_read_gives_up_another_reads_for_the_rest() {
    let source = Counting::new(Ending::After(8));
    let tee = tee(&source, &destinations(4)).with_patience(FOR_EVER);
    let mut branches = tee.branches();
    let blob = blob_of(8);
    let (gone, last) = (branches.remove(0), branches.pop().unwrap());
    let mut reading = Box::pin(gone.fetch(&blob));
    assert!((&mut reading).now_or_never().is_none(), "it waits for the others");
    let mut rest: Vec<_> = branches.iter().map(|branch| Box::pin(branch.fetch(&blob))).collect();
    assert!(rest.iter_mut().all(|fetch| fetch.now_or_never().is_none()));
    drop(reading);
    rest.push(Box::pin(last.fetch(&blob)));
    let contents = join_all(rest).await.into_iter().map(|content| content.unwrap().read_all(blob.size));
    assert!(join_all(contents).await.iter().all(Result::is_ok));
    assert_eq!(source.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn registries_that_are_busy_with_different_blobs_do_not_wait_for_each_other() {
    let mut access = access();
    access.concurrency = 1;
    let source = Counting::new(Ending::Never);
    let tee = Client::new(access).unwrap().tee(&source, &destinations(2)).with_patience(FOR_EVER);
    let branches = tee.branches();
    let blobs = [100, 101].map(blob_of);
    // Each registry takes one blob at a time, and each begins with another one.
    let turns = [Semaphore::new(1), Semaphore::new(1)];
    let mut moves = Vec::new();
    for (number, (branch, turns)) in branches.iter().zip(&turns).enumerate() {
        for (position, blob) in blobs.iter().enumerate() {
            moves.push(async move {
                let mut content = branch.fetch(blob).await.unwrap().into_stream();
                if position != number {
                    tokio::time::sleep(A_WHILE).await;
                }
                let _turn = turns.acquire().await.unwrap();
                for _ in 0..blob.size / PIECE.len() as u64 {
                    content.next().await.unwrap().unwrap();
                }
            });
        }
    }
    join_all(moves).await;
    assert_eq!(source.fetched(), 2, "two blobs");
}

#[tokio::test(start_paused = true)]
async fn a_single_destination_waits_for_no_turn_of_those_that_share() {
    let mut access = access();
    access.concurrency = 1;
    let (client, source, blob) = (Client::new(access).unwrap(), Counting::new(Ending::Never), endless());
    let shared = client.tee(&source, &destinations(2)).with_patience(FOR_EVER);
    let branches = shared.branches();
    // Neither takes anything, so the one turn is not free again.
    let _held = tokio::join!(branches[0].fetch(&blob), branches[1].fetch(&blob));
    let single = client.tee(&source, &destinations(1)).with_patience(FOR_EVER);
    assert!(single.branches()[0].fetch(&blob).now_or_never().is_some());
}
