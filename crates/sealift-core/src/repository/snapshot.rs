//! A view of a repository that asks for nothing twice.
//!
//! Verification, planning and copying of one command read the same listings and manifests; through a snapshot they read
//! the same ones, so that what was verified is what is moved. Tags are never remembered: they move. The empty
//! configuration of artifacts is known without asking.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Content, ReadRepository, ReferrersListing, RepositoryError, Turns};
use crate::locked;
use crate::oci::{Descriptor, Digest, EMPTY_JSON, RawManifest, RepositoryName, Selector, Tag};

/// The most bytes remembered of manifests and blobs together; what comes later is read anew each time.
const MAX_REMEMBERED_BYTES: u64 = 32 * 1024 * 1024;

/// A repository as it was when first read.
#[derive(Debug)]
pub struct Snapshot<'a> {
    repository: &'a dyn ReadRepository,
    remembered: Mutex<Remembered>,
    /// Who reads which small blob right now.
    turns: Turns,
}

#[derive(Debug, Default)]
struct Remembered {
    listings: HashMap<(Digest, ReferrersListing), Option<Vec<Descriptor>>>,
    manifests: HashMap<Digest, RawManifest>,
    blobs: HashMap<Digest, Bytes>,
    bytes: u64,
}

impl Remembered {
    /// Says whether `size` more bytes may be remembered, and counts them.
    fn admits(&mut self, size: u64) -> bool {
        let fits = self.bytes.saturating_add(size) <= MAX_REMEMBERED_BYTES;
        if fits {
            self.bytes += size;
        }
        fits
    }
}

impl<'a> Snapshot<'a> {
    /// The largest blob remembered, in bytes: signatures and attestations, not layers.
    pub const MAX_BLOB_BYTES: u64 = 256 * 1024;

    /// Returns a view of `repository` that has read nothing yet.
    pub fn new(repository: &'a dyn ReadRepository) -> Self {
        Self { repository, remembered: Mutex::default(), turns: Turns::default() }
    }

    /// Returns the view, knowing manifests that were read otherwise.
    #[must_use]
    pub fn knowing<'m>(self, manifests: impl IntoIterator<Item = &'m RawManifest>) -> Self {
        manifests.into_iter().for_each(|manifest| self.learn(manifest));
        self
    }

    /// Remembers a manifest that the repository is known to hold.
    pub fn learn(&self, manifest: &RawManifest) {
        let descriptor = manifest.descriptor();
        let mut remembered = self.remembered();
        if !remembered.manifests.contains_key(&descriptor.digest) && remembered.admits(descriptor.size) {
            remembered.manifests.insert(descriptor.digest.clone(), manifest.clone());
        }
    }

    /// Remembers what a listing of `subject` said just now.
    pub fn learn_referrers(&self, subject: &Digest, listing: ReferrersListing, entries: Option<Vec<Descriptor>>) {
        self.remembered().listings.insert((subject.clone(), listing), entries);
    }

    /// Forgets the listings of `subject`, after something was attached to it.
    pub fn forget_referrers(&self, subject: &Digest) {
        self.remembered().listings.retain(|(listed, _), _| listed != subject);
    }

    /// Returns the bytes of a manifest or a blob that was read before.
    fn known(&self, descriptor: &Descriptor) -> Option<Bytes> {
        let remembered = self.remembered();
        let manifest = remembered.manifests.get(&descriptor.digest).map(RawManifest::bytes);
        let known = manifest.or_else(|| remembered.blobs.get(&descriptor.digest)).cloned();
        known.filter(|bytes| bytes.len() as u64 == descriptor.size)
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let content = self.repository.fetch(descriptor).await?;
        if descriptor.size > Self::MAX_BLOB_BYTES || !self.remembered().admits(descriptor.size) {
            return Ok(content);
        }
        let read = content.read_all(Self::MAX_BLOB_BYTES).await;
        let bytes = read.map_err(|error| RepositoryError::of_content(self.name(), error))?;
        self.remembered().blobs.insert(descriptor.digest.clone(), bytes.clone());
        Ok(Content::from(bytes))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        locked(&self.remembered)
    }
}

#[async_trait]
impl ReadRepository for Snapshot<'_> {
    fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        if let Selector::Digest(digest) = selector
            && let Some(manifest) = self.remembered().manifests.get(digest)
        {
            return Ok(manifest.descriptor().clone());
        }
        self.repository.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        if let Selector::Digest(digest) = selector
            && let Some(manifest) = self.remembered().manifests.get(digest)
        {
            return Ok(manifest.clone());
        }
        let manifest = self.repository.manifest(selector).await?;
        self.learn(&manifest);
        Ok(manifest)
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        // A layer may have the bytes of a manifest, and so its digest; neither proves the other.
        let is_manifest = descriptor.media_type.is_manifest() || descriptor.media_type.as_str().is_empty();
        let is_known = {
            let remembered = self.remembered();
            match is_manifest {
                true => remembered.manifests.contains_key(&descriptor.digest),
                false => remembered.blobs.contains_key(&descriptor.digest),
            }
        };
        if is_known { Ok(true) } else { self.repository.exists(descriptor).await }
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        if descriptor.size == EMPTY_JSON.len() as u64 && Digest::sha256(EMPTY_JSON) == descriptor.digest {
            return Ok(Content::from(Bytes::from_static(EMPTY_JSON)));
        }
        if descriptor.size > Self::MAX_BLOB_BYTES {
            return self.read(descriptor).await;
        }
        // Who asks for what is just being read waits for it, but not for one error after the other.
        let turn = Some(self.turns.take(&descriptor.digest).await).filter(|turn| !turn.is_in_vain());
        if let Some(bytes) = self.known(descriptor) {
            return Ok(Content::from(bytes));
        }
        let read = self.read(descriptor).await;
        if let (Err(_), Some(turn)) = (&read, turn) {
            turn.fail();
        }
        read
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let key = (subject.clone(), listing);
        if let Some(entries) = self.remembered().listings.get(&key) {
            return Ok(entries.clone());
        }
        let entries = self.repository.referrers(subject, listing).await?;
        self.remembered().listings.insert(key, entries.clone());
        Ok(entries)
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.repository.tags().await
    }

    fn expect(&self, blobs: &[&Descriptor]) {
        self.repository.expect(blobs);
    }

    fn excuse(&self, blob: &Descriptor) {
        self.repository.excuse(blob);
    }
}
