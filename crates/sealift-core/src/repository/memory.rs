//! A repository in memory: the model of the contract, for tests and for content that is built before it is stored.
//!
//! Never touches a disk or a network. Behaves as a registry does, blobs and manifests apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Content, Pushed, ReadRepository, ReferrersListing, Repository, RepositoryError, Revised, Revision, TagMove,
};
use super::{fallback, graph};
use crate::locked;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, RawManifest, RepositoryName, Selector, Tag};

/// A repository in memory.
#[derive(Debug)]
pub struct MemoryRepository {
    name: RepositoryName,
    referrers: ReferrersSupport,
    children: Children,
    state: Mutex<State>,
}

/// How a registry lists referrers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReferrersSupport {
    /// By itself, through the referrers API.
    #[default]
    Api,
    /// Not at all: clients keep an index under a fallback tag.
    FallbackTagOnly,
}

/// Whether a manifest is taken before what it consists of.
#[derive(Clone, Copy, Debug, Default)]
enum Children {
    #[default]
    Unchecked,
    Required,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<Digest, Bytes>,
    /// In order of digest, so that listings are stable.
    manifests: BTreeMap<Digest, RawManifest>,
    tags: BTreeMap<Tag, Digest>,
}

impl MemoryRepository {
    /// Returns an empty repository that lists referrers by itself.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: RepositoryName::Memory(name.into()),
            referrers: ReferrersSupport::default(),
            children: Children::default(),
            state: Mutex::default(),
        }
    }

    /// Sets how referrers are listed.
    #[must_use]
    pub fn with_referrers(mut self, referrers: ReferrersSupport) -> Self {
        self.referrers = referrers;
        self
    }

    /// Makes the repository refuse a manifest whose children it does not hold, as registries do.
    #[must_use]
    pub fn requiring_children(mut self) -> Self {
        self.children = Children::Required;
        self
    }

    /// Returns how many blobs and manifests are held.
    pub fn object_count(&self) -> usize {
        let state = self.state();
        state.blobs.len() + state.manifests.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn find(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let state = self.state();
        let digest = match selector {
            Selector::Digest(digest) => Some(digest),
            Selector::Tag(tag) => state.tags.get(tag),
        };
        digest
            .and_then(|digest| state.manifests.get(digest))
            .cloned()
            .ok_or_else(|| RepositoryError::not_found(&self.name, format_args!("manifest {selector}")))
    }

    fn fallback_index(&self, subject: &Digest) -> Result<Option<RawManifest>, RepositoryError> {
        RepositoryError::absent_as_none(self.find(&Selector::Tag(Tag::referrers_fallback(subject))))
    }

    fn listed_by_api(&self, subject: &Digest) -> Result<Vec<Descriptor>, RepositoryError> {
        let state = self.state();
        let mut listed = vec![];
        for raw in state.manifests.values() {
            if self.parse(raw)?.subject.is_some_and(|found| found.digest == *subject) {
                listed.push(raw.to_referrer_entry().map_err(|source| self.unusable(raw, source))?);
            }
        }
        Ok(listed)
    }

    fn store(&self, state: &mut State, raw: RawManifest) -> Result<Pushed, RepositoryError> {
        let manifest = self.parse(&raw)?;
        if matches!(self.children, Children::Required) {
            self.require_children(state, &manifest)?;
        }
        state.manifests.entry(raw.descriptor().digest.clone()).or_insert(raw);
        let is_listed = manifest.subject.is_none() || self.referrers == ReferrersSupport::Api;
        Ok(if is_listed { Pushed::Stored } else { Pushed::Unlisted })
    }

    /// Points a tag at a manifest, or at nothing, if it holds `previous`.
    fn swap(
        &self,
        tag: &Tag,
        previous: Option<&Digest>,
        wanted: Option<&RawManifest>,
    ) -> Result<TagMove, RepositoryError> {
        let mut state = self.state();
        let held = state.tags.get(tag);
        if held != previous {
            return Ok(TagMove::Holds(held.cloned()));
        }
        match wanted {
            Some(manifest) => {
                self.store(&mut state, manifest.clone())?;
                state.tags.insert(tag.clone(), manifest.descriptor().digest.clone());
            }
            None => drop(state.tags.remove(tag)),
        }
        Ok(TagMove::Done)
    }

    fn require_children(&self, state: &State, manifest: &Manifest) -> Result<(), RepositoryError> {
        let missing = graph::children(manifest).find(|child| {
            !child.is_foreign
                && !state.blobs.contains_key(child.digest())
                && !state.manifests.contains_key(child.digest())
        });
        missing.map_or(Ok(()), |child| {
            Err(RepositoryError::Registry {
                repository: self.name.clone(),
                operation: "push",
                status: 400,
                code: "MANIFEST_BLOB_UNKNOWN".to_owned(),
                message: format!("the manifest names {}, which is not here", child.digest()),
            })
        })
    }

    fn parse(&self, raw: &RawManifest) -> Result<Manifest, RepositoryError> {
        raw.parse().map_err(|source| self.unusable(raw, source))
    }

    fn unusable(&self, raw: &RawManifest, source: crate::oci::ManifestError) -> RepositoryError {
        let digest = raw.descriptor().digest.to_string();
        RepositoryError::Manifest { repository: self.name.clone(), digest, source }
    }

    fn broken(&self, source: super::ContentError) -> RepositoryError {
        RepositoryError::of_content(&self.name, source)
    }
}

#[async_trait]
impl ReadRepository for MemoryRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.find(selector).map(|raw| raw.descriptor().clone())
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.find(selector)
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let state = self.state();
        Ok(match descriptor.media_type.is_manifest() {
            true => state.manifests.contains_key(&descriptor.digest),
            false => state.blobs.contains_key(&descriptor.digest),
        })
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let bytes = {
            let state = self.state();
            match descriptor.media_type.is_manifest() {
                true => state.manifests.get(&descriptor.digest).map(|raw| raw.bytes().clone()),
                false => state.blobs.get(&descriptor.digest).cloned(),
            }
        };
        let bytes = bytes
            .ok_or_else(|| RepositoryError::not_found(&self.name, format_args!("content {}", descriptor.digest)))?;
        Ok(Content::verified(descriptor, Content::from(bytes).into_stream()))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        match (listing, self.referrers) {
            (ReferrersListing::Api, ReferrersSupport::FallbackTagOnly) => Ok(None),
            (ReferrersListing::Api, ReferrersSupport::Api) => self.listed_by_api(subject).map(Some),
            (ReferrersListing::FallbackTag, _) => {
                self.fallback_index(subject)?.map(|found| fallback::entries(&self.name, subject, &found)).transpose()
            }
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        Ok(self.state().tags.keys().cloned().collect())
    }
}

#[async_trait]
impl Repository for MemoryRepository {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        let is_manifest = descriptor.media_type.is_manifest();
        let limit = if is_manifest { MAX_MANIFEST_BYTES } else { u64::MAX };
        let content = Content::verified(descriptor, content.into_stream());
        let bytes = content.read_all(limit).await.map_err(|source| self.broken(source))?;
        if is_manifest {
            let raw = RawManifest::with_digest(descriptor.media_type.clone(), bytes, &descriptor.digest);
            let raw = raw.map_err(|source| RepositoryError::Manifest {
                repository: self.name.clone(),
                digest: descriptor.digest.to_string(),
                source,
            })?;
            return self.store(&mut self.state(), raw);
        }
        self.state().blobs.insert(descriptor.digest.clone(), bytes);
        Ok(Pushed::Stored)
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        if self.referrers == ReferrersSupport::Api {
            return Ok(());
        }
        let found = self.fallback_index(subject)?;
        let Some(index) = fallback::linked(&self.name, subject, found.as_ref(), entries)? else { return Ok(()) };
        self.tag(&index, &Tag::referrers_fallback(subject)).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let Some(found) = self.fallback_index(subject)? else { return Ok(()) };
        let tag = Tag::referrers_fallback(subject);
        match fallback::unlinked(&self.name, subject, &found, entries)? {
            fallback::Unlinked::Empty => self.delete(&Selector::Tag(tag)).await,
            fallback::Unlinked::Index(index) => self.tag(&index, &tag).await,
            fallback::Unlinked::Unchanged => Ok(()),
        }
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        loop {
            let found = RepositoryError::absent_as_none(self.find(&Selector::Tag(tag.clone())))?;
            let wanted = match revision.revise(self, found.as_ref()).await? {
                Revised::Unchanged => return Ok(found),
                Revised::Delete => None,
                Revised::Write(manifest) => Some(*manifest),
            };
            let previous = found.as_ref().map(|found| &found.descriptor().digest);
            if self.swap(tag, previous, wanted.as_ref())? == TagMove::Done {
                return Ok(wanted);
            }
        }
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        let mut state = self.state();
        self.store(&mut state, manifest.clone())?;
        state.tags.insert(tag.clone(), manifest.descriptor().digest.clone());
        Ok(())
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.swap(tag, previous, Some(manifest))
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let was_there = match selector {
            Selector::Digest(digest) => {
                state.tags.retain(|_, held| held != digest);
                state.manifests.remove(digest).is_some()
            }
            Selector::Tag(tag) => state.tags.remove(tag).is_some(),
        };
        match was_there {
            true => Ok(()),
            false => Err(RepositoryError::not_found(&self.name, format_args!("manifest {selector}"))),
        }
    }
}
