//! Copies a graph between two repositories: children before parents, bytes as they are.
//!
//! Never writes a tag and never follows referrers: which evidence travels is decided above, and the tag comes last.
//! Dropping the future at any point leaves whole objects and no parent without its children.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use crate::repository::graph::{Child, Graph, Walk};
use crate::repository::{Arrival, Content, ReadRepository, ReferrersListing, Repository, RepositoryError};

/// How many objects are on the way at once unless said otherwise.
pub const DEFAULT_CONCURRENCY: usize = 8;

/// Copies `root` and everything it consists of.
///
/// A manifest that the destination holds is left out with all its blobs where it proves them, as in a registry; if the
/// destination then turns out not to hold a child, the graph is copied once more with every object looked up. A
/// foreign layer that the source does not hold is skipped and reported.
///
/// # Errors
/// [`CopyError`], which says at which side; the destination keeps what arrived, all of it whole.
pub async fn copy_graph(
    source: &dyn ReadRepository,
    destination: &dyn Repository,
    root: &Descriptor,
    options: &CopyOptions,
) -> Result<CopyReport, CopyError> {
    let observed = ObservedSource { source, observer: options.observer.clone() };
    let copy = |held_manifest| GraphCopy { source: &observed, destination, options, held_manifest };
    let held_manifest = HeldManifest::of(destination.name());
    match copy(held_manifest).run(root).await {
        Err(error) if held_manifest == HeldManifest::ProvesBlobs && error.is_missing_child() => {
            copy(HeldManifest::ProvesNothing).run(root).await
        }
        outcome => outcome,
    }
}

/// How to copy.
#[derive(Clone)]
pub struct CopyOptions {
    concurrency: usize,
    observer: Option<Arc<dyn CopyObserver>>,
}

impl CopyOptions {
    /// Sets how many objects are on the way at once, at least one.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Sets who is told about progress.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn CopyObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Returns who is told about progress.
    pub fn observer(&self) -> Option<&Arc<dyn CopyObserver>> {
        self.observer.as_ref()
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { concurrency: DEFAULT_CONCURRENCY, observer: None }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions").field("concurrency", &self.concurrency).finish_non_exhaustive()
    }
}

/// Is told about the progress of a copy; returns nothing, so it cannot change it.
pub trait CopyObserver: Send + Sync {
    /// An object is about to be looked up or moved.
    fn started(&self, descriptor: &Descriptor);
    /// So many more bytes of it were read.
    fn progressed(&self, descriptor: &Descriptor, bytes: u64);
    /// The destination holds it.
    fn finished(&self, descriptor: &Descriptor, arrival: Arrival);
}

/// What a copy did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CopyReport {
    /// Objects whose bytes were moved.
    pub copied: Tally,
    /// Objects the registry took over from another of its repositories.
    pub mounted: Tally,
    /// Objects that were there already; a manifest that proves its children counts alone.
    pub present: Tally,
    /// Foreign layers that the source does not hold either.
    pub skipped: Vec<Descriptor>,
}

impl CopyReport {
    /// Adds what another copy did.
    pub fn absorb(&mut self, other: Self) {
        self.copied.absorb(other.copied);
        self.mounted.absorb(other.mounted);
        self.present.absorb(other.present);
        self.skipped.extend(other.skipped);
    }

    /// Adds one object.
    pub fn count(&mut self, descriptor: &Descriptor, arrival: Arrival) {
        let tally = match arrival {
            Arrival::Copied => &mut self.copied,
            Arrival::Mounted => &mut self.mounted,
            Arrival::Present => &mut self.present,
        };
        tally.absorb(Tally { objects: 1, bytes: descriptor.size });
    }
}

/// A number of objects and their size.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
}

impl Tally {
    fn absorb(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Says which object could not be copied, and at which side it failed.
#[derive(Debug, thiserror::Error)]
#[error("copying {digest} failed at the {side}")]
#[non_exhaustive]
pub struct CopyError {
    /// Where it failed.
    pub side: Side,
    /// The object.
    pub digest: Digest,
    /// Why.
    #[source]
    pub source: RepositoryError,
}

impl CopyError {
    fn new(side: Side, descriptor: &Descriptor, error: RepositoryError) -> Self {
        let (side, source) = match error {
            RepositoryError::Source(error) => (Side::Source, *error),
            error => (side, error),
        };
        Self { side, digest: descriptor.digest.clone(), source }
    }

    /// Says whether the destination misses something that a manifest names, as distribution-spec's codes tell.
    fn is_missing_child(&self) -> bool {
        let RepositoryError::Registry { code, .. } = &self.source else { return false };
        self.side == Side::Destination
            && matches!(
                code.as_str(),
                "BLOB_UNKNOWN" | "MANIFEST_BLOB_UNKNOWN" | "MANIFEST_INVALID" | "MANIFEST_UNKNOWN"
            )
    }
}

/// One end of a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// Where content goes.
    Destination,
    /// Where content comes from.
    Source,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "destination",
            Self::Source => "source",
        })
    }
}

/// One run over a graph.
struct GraphCopy<'a> {
    source: &'a ObservedSource<'a>,
    destination: &'a dyn Repository,
    options: &'a CopyOptions,
    held_manifest: HeldManifest,
}

/// What a manifest that the destination holds says about its children.
#[derive(Clone, Copy, Eq, PartialEq)]
enum HeldManifest {
    /// That its blobs are there too, as registries enforce. The images of an index are looked up all the same.
    ProvesBlobs,
    /// Nothing: every object is looked up. So it is with layouts and memory, where a half-finished copy may remain.
    ProvesNothing,
}

impl HeldManifest {
    fn of(destination: &RepositoryName) -> Self {
        if destination.host().is_some() { Self::ProvesBlobs } else { Self::ProvesNothing }
    }
}

/// A manifest of the graph as looked up at both ends.
struct Looked {
    descriptor: Descriptor,
    held: Held,
    /// `None` where the destination's manifest is proof of everything below.
    raw: Option<RawManifest>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Held {
    No,
    Yes,
}

impl GraphCopy<'_> {
    async fn run(&self, root: &Descriptor) -> Result<CopyReport, CopyError> {
        let mut report = CopyReport::default();
        if !root.media_type.is_manifest() {
            let root = Child { descriptor: root.to_plain(), is_manifest: false, is_foreign: false };
            self.copy_blob(&root, &mut report).await?;
            return Ok(report);
        }
        let (graph, held) = self.read_graph(root, &mut report).await?;
        self.copy_blobs(&graph, &mut report).await?;
        for wave in graph.waves() {
            let missing = wave.into_iter().filter(|raw| !held.contains(&raw.descriptor().digest));
            let mut pushes = stream::iter(missing.map(|raw| self.push(raw))).buffer_unordered(self.options.concurrency);
            while let Some(descriptor) = pushes.try_next().await? {
                self.finished(descriptor, Arrival::Copied, &mut report);
            }
        }
        Ok(report)
    }

    /// Reads the manifests to copy, and tells which of them the destination holds although their children are not
    /// proven.
    async fn read_graph(
        &self,
        root: &Descriptor,
        report: &mut CopyReport,
    ) -> Result<(Graph, HashSet<Digest>), CopyError> {
        let at_source = |descriptor: &Descriptor, error| CopyError::new(Side::Source, descriptor, error);
        let mut walk = Walk::new(self.source.name(), root);
        let mut held = HashSet::new();
        loop {
            let level = walk.next_level().map_err(|error| at_source(root, error))?;
            if level.is_empty() {
                return Ok((walk.finish(), held));
            }
            let looks = level.into_iter().map(|descriptor| self.look(descriptor));
            // In order, so that copies of one graph begin its blobs in one order: where they read from a source that
            // waits for all of them, none has only blobs under way that another one has not come to.
            let mut looks = stream::iter(looks).buffered(self.options.concurrency);
            while let Some(Looked { descriptor, held: is_held, raw }) = looks.try_next().await? {
                if let Some(raw) = raw {
                    walk.admit(&descriptor, raw).map_err(|error| at_source(&descriptor, error))?;
                }
                if is_held == Held::Yes {
                    self.finished(&descriptor, Arrival::Present, report);
                    held.insert(descriptor.digest);
                }
            }
        }
    }

    async fn look(&self, mut descriptor: Descriptor) -> Result<Looked, CopyError> {
        self.observe(|observer| observer.started(&descriptor));
        let mut raw = None;
        if !descriptor.media_type.is_manifest() {
            // Old indexes leave the media type out, and destinations would look among their blobs.
            let read = self.read(&descriptor).await?;
            descriptor.media_type = read.descriptor().media_type.clone();
            raw = Some(read);
        }
        let exists = self.destination.exists(&descriptor).await;
        let held = match exists.map_err(|error| CopyError::new(Side::Destination, &descriptor, error))? {
            true => Held::Yes,
            false => Held::No,
        };
        // An index proves nothing about its images: some registries hold indexes of which some platforms are missing.
        let is_proof = held == Held::Yes && self.held_manifest == HeldManifest::ProvesBlobs;
        if is_proof && !descriptor.media_type.is_index() {
            return Ok(Looked { descriptor, held, raw: None });
        }
        let raw = match raw {
            Some(raw) => raw,
            None => self.read(&descriptor).await?,
        };
        Ok(Looked { descriptor, held, raw: Some(raw) })
    }

    /// Reads a manifest at the source.
    async fn read(&self, descriptor: &Descriptor) -> Result<RawManifest, CopyError> {
        let raw = self.source.manifest(&Selector::Digest(descriptor.digest.clone())).await;
        raw.map_err(|error| CopyError::new(Side::Source, descriptor, error))
    }

    async fn copy_blobs(&self, graph: &Graph, report: &mut CopyReport) -> Result<(), CopyError> {
        self.source.expect(&graph.blobs().iter().map(|blob| &blob.descriptor).collect::<Vec<_>>());
        let blobs = graph.blobs().iter().map(|blob| self.transfer(blob));
        let mut transfers = stream::iter(blobs).buffer_unordered(self.options.concurrency);
        while let Some((descriptor, arrival)) = transfers.try_next().await? {
            match arrival {
                Some(arrival) => self.finished(descriptor, arrival, report),
                None => report.skipped.push(descriptor.clone()),
            }
        }
        Ok(())
    }

    async fn copy_blob(&self, blob: &Child, report: &mut CopyReport) -> Result<(), CopyError> {
        if let (descriptor, Some(arrival)) = self.transfer(blob).await? {
            self.finished(descriptor, arrival, report);
        }
        Ok(())
    }

    /// Moves a blob; `None` when it is foreign and the source does not hold it.
    async fn transfer<'b>(&self, blob: &'b Child) -> Result<(&'b Descriptor, Option<Arrival>), CopyError> {
        let descriptor = &blob.descriptor;
        self.observe(|observer| observer.started(descriptor));
        let transferred = self.destination.transfer(descriptor, self.source).await;
        self.source.excuse(descriptor);
        match transferred {
            Ok(arrival) => Ok((descriptor, Some(arrival))),
            Err(RepositoryError::Source(error)) if blob.is_foreign && error.is_not_found() => Ok((descriptor, None)),
            // What streams through is the source's: the destination only notices that it does not fit.
            Err(RepositoryError::Content { source, .. }) => {
                let error = RepositoryError::Content { repository: self.source.name().clone(), source };
                Err(CopyError::new(Side::Source, descriptor, error))
            }
            Err(error) => Err(CopyError::new(Side::Destination, descriptor, error)),
        }
    }

    async fn push<'b>(&self, raw: &'b RawManifest) -> Result<&'b Descriptor, CopyError> {
        let descriptor = raw.descriptor();
        self.destination
            .push(descriptor, Content::from(raw.bytes().clone()))
            .await
            .map(|_| descriptor)
            .map_err(|error| CopyError::new(Side::Destination, descriptor, error))
    }

    fn finished(&self, descriptor: &Descriptor, arrival: Arrival, report: &mut CopyReport) {
        report.count(descriptor, arrival);
        self.observe(|observer| observer.finished(descriptor, arrival));
    }

    fn observe(&self, tell: impl FnOnce(&dyn CopyObserver)) {
        if let Some(observer) = &self.options.observer {
            tell(observer.as_ref());
        }
    }
}

/// The source of a copy, telling the observer what is read from it.
struct ObservedSource<'a> {
    source: &'a dyn ReadRepository,
    observer: Option<Arc<dyn CopyObserver>>,
}

impl fmt::Debug for ObservedSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

#[async_trait]
impl ReadRepository for ObservedSource<'_> {
    fn name(&self) -> &RepositoryName {
        self.source.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.source.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.source.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.source.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let content = self.source.fetch(descriptor).await?;
        let Some(observer) = self.observer.clone() else { return Ok(content) };
        let descriptor = descriptor.clone();
        Ok(content.observed(move |bytes| observer.progressed(&descriptor, bytes)))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.source.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.source.tags().await
    }

    fn expect(&self, blobs: &[&Descriptor]) {
        self.source.expect(blobs);
    }

    fn excuse(&self, blob: &Descriptor) {
        self.source.excuse(blob);
    }
}
