//! One source for several destinations: large blobs are read once, and nobody is held up for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Reference, RepositoryName, Selector, Tag};
use sealift_core::repository::{Arrival, Content, ReadRepository, ReferrersListing, RepositoryError};
use sealift_oci::{Branch, Tee};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};

use crate::support::{access, count, kind, name, open, start};

/// Longer than any test may take: who waits for somebody in vain never ends.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// Shorter than anybody can be noticed to wait.
const NOT_LONG: Duration = Duration::from_millis(1);

fn blobs(image: &Fixture) -> Vec<&Descriptor> {
    image.blobs().map(|(descriptor, _)| descriptor).filter(|blob| blob.size > 1 << 20).collect()
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
    let tee = Tee::new(source.as_read(), &site.names()).with_patience(FOR_EVER);
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
        let tee = Tee::new(source.as_read(), &names).with_patience(FOR_EVER);
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
        let tee = Tee::new(source.as_read(), &site.names()).with_patience(NOT_LONG);
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
    let tee = Tee::new(source.as_read(), &site.names()).with_patience(FOR_EVER);
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

/// A source of one blob that counts the bytes that are read of it.
#[derive(Debug)]
struct Counting {
    name: RepositoryName,
    read: Arc<AtomicU64>,
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
        let read = Arc::clone(&self.read);
        let pieces = stream::repeat_with(move || {
            read.fetch_add(PIECE.len() as u64, Ordering::Relaxed);
            Ok(Bytes::from_static(PIECE))
        });
        Ok(Content::verified(descriptor, pieces))
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
    let registry = start(RegistryOptions::default());
    let read = Arc::new(AtomicU64::new(0));
    let source = Counting { name: name(&registry, "team/app"), read: Arc::clone(&read) };
    let names = ["a:1", "b:1"].map(|host| format!("{host}/app").parse::<Reference>().unwrap().repository());
    let tee = Tee::new(&source, &names).with_patience(FOR_EVER);
    let branches = tee.branches();
    let large = Descriptor { size: 1 << 40, ..Descriptor::of("application/x.layer", b"") };
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
    assert!(ahead > 0 && read.load(Ordering::Relaxed) <= held, "{} read", read.load(Ordering::Relaxed));
    // Both go on together.
    for _ in 0..100 {
        assert!(slow.next().await.unwrap().is_ok() && fast.next().await.unwrap().is_ok());
    }
    assert!(read.load(Ordering::Relaxed) >= 100 * PIECE.len() as u64);
}
