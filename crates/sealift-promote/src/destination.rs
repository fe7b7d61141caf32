//! The destination as a promotion writes to it: answers from what it said already, and remembers what arrived.
//!
//! A round trip that another answer already holds is left out; a claim that something is there is only ever taken from
//! the destination itself.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealift_core::attach::Storage;
use sealift_core::copy::{CopyObserver, CopyReport};
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, Pushed, ReadRepository, ReferrersListing, Repository, RepositoryError, Revision, Snapshot,
    TagMove, Turns,
};

use crate::presence::Presence;

/// What the destination lists for one subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Digests listed.
    pub(crate) digests: HashSet<Digest>,
    /// Whether the list proves that the manifests are there, blobs and all: a registry's API computes it from them and
    /// registries hold no manifest without its blobs. A fallback tag proves nothing, and in a layout blobs may be gone.
    pub(crate) is_proof: bool,
}

impl Listing {
    fn of(entries: Vec<Descriptor>, is_proof: bool) -> Self {
        Self { digests: entries.into_iter().map(|entry| entry.digest).collect(), is_proof }
    }
}

/// Reads what the destination lists for `subject`: by its API, else under the fallback tag.
pub(crate) async fn listing(destination: &Snapshot<'_>, subject: &Digest) -> Result<Listing, RepositoryError> {
    match api_listing(destination, subject).await? {
        Some(listing) => Ok(listing),
        None => {
            let entries = entries(destination, subject, ReferrersListing::FallbackTag).await?;
            Ok(Listing::of(entries.unwrap_or_default(), false))
        }
    }
}

/// Reads what the destination's API lists for `subject`; `None` where it has none.
pub(crate) async fn api_listing(
    destination: &Snapshot<'_>,
    subject: &Digest,
) -> Result<Option<Listing>, RepositoryError> {
    let entries = entries(destination, subject, ReferrersListing::Api).await?;
    Ok(entries.map(|entries| Listing::of(entries, destination.name().host().is_some())))
}

/// Reads the entries of what the destination lists for `subject`, and says where it keeps such a list.
pub(crate) async fn listed(
    destination: &Snapshot<'_>,
    subject: &Digest,
) -> Result<(Storage, Vec<Descriptor>), RepositoryError> {
    if let Some(listed) = entries(destination, subject, ReferrersListing::Api).await? {
        return Ok((Storage::ReferrersApi, listed));
    }
    let listed = entries(destination, subject, ReferrersListing::FallbackTag).await?;
    Ok((Storage::FallbackTag, listed.unwrap_or_default()))
}

async fn entries(
    destination: &Snapshot<'_>,
    subject: &Digest,
    listing: ReferrersListing,
) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
    match destination.referrers(subject, listing).await {
        // A repository that does not exist yet lists nothing.
        Err(error) if error.is_not_found() => Ok(None),
        listed => listed,
    }
}

/// A repository that does not ask for what is known, and to which nothing is moved twice.
pub(crate) struct Destination<'a> {
    repository: &'a dyn Repository,
    known: Arc<Known>,
    /// Who moves which blob right now. Attachments are copied side by side and share blobs, the empty one above all;
    /// and docker-registry refuses a manifest while a blob that it names is being written once more.
    turns: Turns,
    /// Blobs that arrived, or were there.
    blobs: Mutex<HashSet<Digest>>,
}

/// What is known about the content of the destination.
#[derive(Default)]
pub(crate) struct Known {
    /// Manifests that are there.
    present: Mutex<HashMap<Digest, Presence>>,
    /// Manifests that most likely are not.
    absent: Mutex<HashSet<Digest>>,
    /// Whether it left a referrer to be listed by a tag.
    is_unlisting: AtomicBool,
    /// Whether anything was written.
    has_written: AtomicBool,
    /// What was copied, what was there and what was skipped, each object once.
    counted: Mutex<(HashSet<Digest>, CopyReport)>,
    observer: Option<Arc<dyn CopyObserver>>,
}

impl Known {
    /// Says whether the destination answered that it holds this manifest.
    pub(crate) fn is_present(&self, digest: &Digest) -> bool {
        locked(&self.present).contains_key(digest)
    }

    /// Says whether this manifest was there before anything was written.
    pub(crate) fn is_found(&self, digest: &Digest) -> bool {
        locked(&self.present).get(digest) == Some(&Presence::Found)
    }

    /// Notes that the destination answered that it holds this manifest.
    pub(crate) fn note(&self, digest: &Digest, presence: Presence) {
        // What was written stays so, even if the destination then says that it is there.
        locked(&self.present).entry(digest.clone()).or_insert(presence);
    }

    /// Says whether the destination was seen to leave a referrer unlisted, so that no listing of its own will prove it.
    pub(crate) fn is_unlisting(&self) -> bool {
        self.is_unlisting.load(Ordering::Relaxed)
    }

    /// Returns what was copied, what was there and what was skipped, each object once.
    pub(crate) fn report(&self) -> CopyReport {
        locked(&self.counted).1.clone()
    }

    /// Says whether anything was written so far, or may have been.
    pub(crate) fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    fn note_write(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    /// Notes foreign layers that the source does not hold either.
    pub(crate) fn skipped(&self, layers: Vec<Descriptor>) {
        let (counted, report) = &mut *locked(&self.counted);
        report.skipped.extend(layers.into_iter().filter(|layer| counted.insert(layer.digest.clone())));
    }

    /// Notes that this manifest is most likely not there, so that it is pushed without asking; pushing what is there is
    /// harmless.
    pub(crate) fn note_absent(&self, digest: &Digest) {
        locked(&self.absent).insert(digest.clone());
    }
}

impl CopyObserver for Known {
    fn started(&self, descriptor: &Descriptor) {
        self.observer.iter().for_each(|observer| observer.started(descriptor));
    }

    fn progressed(&self, descriptor: &Descriptor, bytes: u64) {
        self.observer.iter().for_each(|observer| observer.progressed(descriptor, bytes));
    }

    fn finished(&self, descriptor: &Descriptor, arrival: Arrival) {
        // A layer may have the bytes of a manifest, and so its digest; that a blob is there proves no manifest.
        if descriptor.media_type.is_manifest() {
            let presence = if arrival == Arrival::Present { Presence::Found } else { Presence::Written };
            self.note(&descriptor.digest, presence);
        }
        let (counted, report) = &mut *locked(&self.counted);
        if counted.insert(descriptor.digest.clone()) {
            report.count(descriptor, arrival);
        }
        self.observer.iter().for_each(|observer| observer.finished(descriptor, arrival));
    }
}

impl<'a> Destination<'a> {
    pub(crate) fn new(repository: &'a dyn Repository, observer: Option<Arc<dyn CopyObserver>>) -> Self {
        Self {
            repository,
            known: Arc::new(Known { observer, ..Known::default() }),
            turns: Turns::default(),
            blobs: Mutex::default(),
        }
    }

    pub(crate) fn known(&self) -> &Arc<Known> {
        &self.known
    }
}

impl std::fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.repository.fmt(f)
    }
}

#[async_trait]
impl ReadRepository for Destination<'_> {
    fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.repository.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.repository.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        if self.known.is_present(&descriptor.digest) {
            return Ok(true);
        }
        if locked(&self.known.absent).contains(&descriptor.digest) {
            return Ok(false);
        }
        self.repository.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.repository.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.repository.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.repository.tags().await
    }
}

#[async_trait]
impl Repository for Destination<'_> {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        self.known.note_write();
        let pushed = self.repository.push(descriptor, content).await.inspect_err(|_| {
            // A manifest may be refused because a blob is gone that was there before.
            locked(&self.blobs).clear();
        })?;
        if pushed == Pushed::Unlisted {
            self.known.is_unlisting.store(true, Ordering::Relaxed);
        }
        Ok(pushed)
    }

    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        let _turn = self.turns.take(&descriptor.digest).await;
        if locked(&self.blobs).contains(&descriptor.digest) {
            return Ok(Arrival::Present);
        }
        let arrival = match self.repository.transfer(descriptor, source).await {
            // This destination lagged behind the others; it reads the blob for itself.
            Err(error) if error.is_detached() => self.repository.transfer(descriptor, source).await?,
            arrival => arrival?,
        };
        if arrival != Arrival::Present {
            self.known.note_write();
        }
        locked(&self.blobs).insert(descriptor.digest.clone());
        Ok(arrival)
    }

    fn lists_referrers(&self) -> Option<bool> {
        self.repository.lists_referrers()
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        self.known.note_write();
        self.repository.link_referrers(subject, entries).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        self.known.note_write();
        self.repository.unlink_referrers(subject, entries).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.known.note_write();
        self.repository.tag(manifest, tag).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        self.known.note_write();
        self.repository.revise_tag(tag, revision).await
    }

    async fn settle(&self) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        self.repository.settle().await
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.known.note_write();
        self.repository.move_tag(manifest, tag, previous).await
    }

    async fn flush(&self) -> Result<(), RepositoryError> {
        self.repository.flush().await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        self.known.note_write();
        self.repository.delete(selector).await
    }
}
