//! A repository of a registry, over the OCI distribution protocol.
//!
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

mod ahead;
pub(crate) mod attributes;
pub(crate) mod blob;
pub(crate) mod client;
pub(crate) mod error;
mod limiter;
mod listing;
mod login;
mod manifest;
mod page;
pub(crate) mod referrer;
pub(crate) mod response;
pub(crate) mod retry;
mod shared_blob;
mod shared_tag;
mod tag;
mod transfer;
mod upload;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, RawManifest, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, Pushed, ReadRepository, ReferrersListing, Repository, RepositoryError, Revision, TagMove,
    fallback,
};

use client::Endpoint;
use listing::Listings;
use manifest::Condition;
use referrer::ReferrersApi;
use response::Response;
use shared_tag::SharedTags;

/// The most blobs remembered to be in a repository; stops a long-running process from growing without end.
const MAX_REMEMBERED: usize = 100_000;
/// The most tags named that a listing leaves out.
const MAX_NAMED: usize = 10;
/// The most tags asked for that a listing leaves out; each costs a request, and stale listings leave out thousands.
const MAX_LOOKED_FOR: usize = 100;

/// A repository of a registry.
#[derive(Clone, Debug)]
pub(crate) struct RegistryRepository {
    endpoint: Endpoint,
    memory: Arc<Memory>,
    /// Shared tags that were changed through this value, and may not have settled: whoever promotes one image does not wait
    /// for the tags of others.
    revised: Arc<Mutex<HashSet<Tag>>>,
}

/// What the process learned about a repository, shared by everything that opened it.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    referrers_api: ReferrersApi,
    shared_tags: SharedTags,
    /// Blobs that this process stored or saw there.
    present: Mutex<HashSet<Digest>>,
    listings: Listings,
    /// Tags that this process put or saw there.
    tags: Mutex<HashSet<Tag>>,
    /// Repositories of the same registry that blobs cannot be mounted from.
    unmountable: Mutex<HashSet<String>>,
}

impl Memory {
    fn is_present(&self, digest: &Digest) -> bool {
        locked(&self.present).contains(digest)
    }

    fn note_tag(&self, tag: &Tag) {
        let mut tags = self.tags();
        if tags.len() < MAX_REMEMBERED {
            tags.insert(tag.clone());
        }
    }

    fn tags(&self) -> MutexGuard<'_, HashSet<Tag>> {
        locked(&self.tags)
    }

    fn note_present(&self, digest: &Digest) {
        let mut present = locked(&self.present);
        if present.len() < MAX_REMEMBERED {
            present.insert(digest.clone());
        }
    }
}

impl RegistryRepository {
    pub(crate) fn new(endpoint: Endpoint, memory: Arc<Memory>) -> Self {
        Self { endpoint, memory, revised: Arc::default() }
    }

    /// Returns a blob from a byte on, unchecked.
    pub(crate) async fn read_blob(&self, descriptor: &Descriptor, from: u64) -> Result<blob::Pieces, RepositoryError> {
        self.endpoint.read_blob(descriptor, from).await
    }

    async fn push_manifest(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        let endpoint = &self.endpoint;
        endpoint.check_size(descriptor.size, content.size())?;
        let bytes = content.read_all(MAX_MANIFEST_BYTES).await;
        let bytes = bytes.map_err(|error| RepositoryError::of_content(&endpoint.name, error))?;
        let selector = Selector::Digest(descriptor.digest.clone());
        let manifest = RawManifest::with_digest(descriptor.media_type.clone(), bytes, &descriptor.digest)
            .map_err(|source| endpoint.unusable_manifest(&selector, source))?;
        let response = self.put(&manifest, &selector, "push").await?;
        self.memory.referrers_api.saw(&descriptor.digest);
        // What only this program would refuse about a manifest is not this registry's concern.
        match manifest.subject_digest() {
            None => Ok(Pushed::Stored),
            Some(subject) => self.memory.referrers_api.after_push(endpoint, &subject, &response).await,
        }
    }

    /// Writes a manifest whatever its selector holds. One that is refused may miss a blob that was there before, so all
    /// are forgotten: CNCF distribution answers 400 then, others 404.
    async fn put(
        &self,
        manifest: &RawManifest,
        selector: &Selector,
        operation: &'static str,
    ) -> Result<Response, RepositoryError> {
        let error = match self.endpoint.put_manifest(manifest, selector, Condition::Always).await {
            Ok(response) if response.status().is_success() => return Ok(response),
            Ok(response) => response.into_refusal(&self.endpoint.name, operation).await,
            Err(error) => error,
        };
        // Where nobody answered, nothing was refused.
        if !matches!(error, RepositoryError::OutOfTime { .. } | RepositoryError::Unavailable { .. }) {
            self.forget_blobs();
        }
        Err(error)
    }

    fn note_present(&self, digest: &Digest) {
        self.memory.note_present(digest);
        self.endpoint.host.blobs.note(digest, &self.endpoint.path);
    }

    fn revised(&self) -> MutexGuard<'_, HashSet<Tag>> {
        locked(&self.revised)
    }

    fn forget_blobs(&self) {
        locked(&self.memory.present).clear();
        self.endpoint.host.blobs.forget(&self.endpoint.path);
    }

    fn note_selected(&self, selector: &Selector, found: &Digest) {
        self.memory.referrers_api.saw(found);
        if let Selector::Tag(tag) = selector {
            self.memory.note_tag(tag);
        }
    }

    /// Refuses a listing that leaves out tags which answer: such a listing is stale, or not the whole one (caches list
    /// what they hold), and says nothing about what else it leaves out.
    async fn check_tags(&self, listed: &[Tag]) -> Result<(), RepositoryError> {
        let listed: HashSet<&Tag> = listed.iter().collect();
        let missing: Vec<Tag> = self.memory.tags().iter().filter(|tag| !listed.contains(tag)).cloned().collect();
        let malformed = |problem: std::fmt::Arguments<'_>| Err(self.endpoint.malformed("tag listing", problem));
        let mut there = Vec::new();
        for tag in missing.iter().take(MAX_LOOKED_FOR) {
            match self.endpoint.resolve_manifest(&tag.clone().into()).await {
                Ok(_) => there.push(format!("`{tag}`")),
                // Somebody deleted it meanwhile, or it is kept back, which no registry need list.
                Err(error) if error.is_not_found() || matches!(error, RepositoryError::Quarantined { .. }) => {
                    self.memory.tags().remove(tag);
                }
                Err(error) => return Err(error),
            }
            if there.len() == MAX_NAMED {
                break;
            }
        }
        there.sort_unstable();
        match missing.len().saturating_sub(MAX_LOOKED_FOR) {
            _ if !there.is_empty() => malformed(format_args!("it leaves out what is there: {}", there.join(", "))),
            0 => Ok(()),
            rest => {
                malformed(format_args!("it leaves out {rest} tags more than are looked for, which were there before"))
            }
        }
    }
}

#[async_trait]
impl ReadRepository for RegistryRepository {
    fn name(&self) -> &RepositoryName {
        &self.endpoint.name
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        let found = self.endpoint.resolve_manifest(selector).await?;
        self.note_selected(selector, &found.digest);
        Ok(found)
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let read = self.endpoint.read_manifest(selector).await?;
        self.note_selected(selector, &read.manifest.descriptor().digest);
        Ok(read.manifest)
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let exists = self.endpoint.has(descriptor).await?;
        match descriptor.media_type.is_manifest() {
            _ if !exists => {}
            true => self.memory.referrers_api.saw(&descriptor.digest),
            false => self.note_present(&descriptor.digest),
        }
        Ok(exists)
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        if descriptor.media_type.is_manifest() {
            return self.endpoint.fetch_manifest(descriptor).await;
        }
        self.endpoint.fetch_blob(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        match listing {
            ReferrersListing::Api => self.memory.referrers_api.list(&self.endpoint, subject).await,
            ReferrersListing::FallbackTag => {
                let tag = Tag::referrers_fallback(subject);
                let Some(found) = shared_tag::read(&self.endpoint, &tag).await? else { return Ok(None) };
                let listed = fallback::entries(&self.endpoint.name, subject, &found.manifest)?;
                self.memory.note_tag(&tag);
                Ok(Some(listed))
            }
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        let list = async {
            let listed = self.endpoint.list_tags().await?;
            self.check_tags(&listed).await?;
            Ok(listed)
        };
        self.memory.listings.get(list).await
    }
}

#[async_trait]
impl Repository for RegistryRepository {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        if descriptor.media_type.is_manifest() {
            return self.push_manifest(descriptor, content).await;
        }
        let _turn = self.turn(&descriptor.digest, || ()).await;
        if !self.memory.is_present(&descriptor.digest) {
            self.endpoint.push_blob(descriptor, content).await?;
            self.note_present(&descriptor.digest);
        }
        Ok(Pushed::Stored)
    }

    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        if !descriptor.media_type.is_manifest() {
            return self.transfer_blob(descriptor, source).await;
        }
        if self.exists(descriptor).await? {
            return Ok(Arrival::Present);
        }
        let content = source.fetch(descriptor).await.map_err(RepositoryError::at_source)?;
        self.push_manifest(descriptor, content).await?;
        Ok(Arrival::Copied)
    }

    fn lists_referrers(&self) -> Option<bool> {
        self.memory.referrers_api.answers()
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        if self.memory.referrers_api.lists_by_itself(&self.endpoint, subject).await? {
            return Ok(());
        }
        let linking = Arc::new(fallback::Linking::new(subject, entries));
        self.revise_tag(&Tag::referrers_fallback(subject), linking).await.map(drop)
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let tag = Tag::referrers_fallback(subject);
        self.memory.tags().remove(&tag);
        let unlinking = Arc::new(fallback::Unlinking::new(subject, entries));
        self.memory.shared_tags.withdraw(self, &tag, unlinking).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        let held = self.memory.shared_tags.revise(self, tag, revision).await?;
        self.revised().insert(tag.clone());
        match &held {
            Some(_) => self.memory.note_tag(tag),
            None => drop(self.memory.tags().remove(tag)),
        }
        Ok(held)
    }

    async fn settle(&self) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        let tags = self.revised().clone();
        let settled = self.memory.shared_tags.settle(self, &tags).await?;
        self.revised().retain(|tag| self.memory.shared_tags.is_watched(tag));
        Ok(settled)
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.put(manifest, &Selector::Tag(tag.clone()), "tag").await?;
        self.memory.note_tag(tag);
        Ok(())
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.memory.shared_tags.alone(tag, self.endpoint.move_tag(manifest, tag, previous)).await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        // Some registries delete with a tag what it held.
        self.memory.referrers_api.forget();
        match selector {
            Selector::Tag(tag) => drop(self.memory.tags().remove(tag)),
            // Whichever tags held it are gone, too.
            Selector::Digest(_) => self.memory.tags().clear(),
        }
        self.endpoint.delete_manifest(selector, Condition::Always).await
    }
}
