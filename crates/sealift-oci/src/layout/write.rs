//! Writing a layout: blobs first, then one edit of `index.json` under the lock.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use sealift_core::oci::{Descriptor, Digest, IndexDocument, MAX_MANIFEST_BYTES, RawManifest, Selector, Tag};
use sealift_core::repository::{
    Content, Pushed, ReadRepository, Repository, RepositoryError, Revised, Revision, TagMove, fallback,
};
use tokio::io::AsyncWriteExt;

use super::archive::When;
use super::blob::{Directory, blob_path};
use super::{INDEX_FILE, Inner, LayoutRepository, MAX_INDEX_BYTES, Place, cosign_save, index};

impl Inner {
    fn directory(&self) -> Result<&Directory, RepositoryError> {
        match &self.place {
            Place::Archive(_) => {
                Err(RepositoryError::Unsupported { repository: self.name.clone(), operation: "writing" })
            }
            Place::Directory(directory) => Ok(directory),
            Place::Staged(staged) => Ok(staged.directory()),
        }
    }

    /// Edits `index.json` while nobody else does.
    pub(super) fn edit(
        &self,
        edit: impl FnOnce(&Directory, &mut IndexDocument) -> Result<Edited, RepositoryError>,
    ) -> Result<Edited, RepositoryError> {
        let directory = self.directory()?;
        let _lock = directory.lock()?;
        let mut index = self.index()?;
        let edited = edit(directory, &mut index)?;
        if edited == Edited::Changed {
            let json = index.to_json().map_err(|source| self.unusable(INDEX_FILE, source))?;
            if json.len() as u64 > MAX_INDEX_BYTES {
                let (repository, limit) = (self.name.clone(), MAX_INDEX_BYTES);
                return Err(RepositoryError::TooLarge { repository, what: INDEX_FILE, limit });
            }
            directory.replace(INDEX_FILE, &json)?;
            self.changed();
        }
        Ok(edited)
    }

    fn changed(&self) {
        if let Place::Staged(staged) = &self.place {
            staged.changed();
        }
    }

    /// Writes the archive, if the layout is one.
    pub(super) fn pack(&self, when: When) -> Result<(), RepositoryError> {
        match &self.place {
            Place::Staged(staged) => staged.pack(&self.name, when),
            Place::Archive(_) | Place::Directory(_) => Ok(()),
        }
    }

    fn push(&self, raw: &RawManifest) -> Result<(), RepositoryError> {
        let digest = &raw.descriptor().digest;
        let manifest = raw.parse().map_err(|source| self.unusable(digest, source))?;
        self.directory()?.write_blob(digest, raw.bytes())?;
        self.changed();
        if manifest.subject.is_none() {
            return Ok(());
        }
        // Other tools look for referrers in the index alone.
        self.edit(|_, index| {
            let is_listed = index.entries().any(|listed| listed.digest == *digest);
            if is_listed { Ok(Edited::Unchanged) } else { self.list(index, raw, None) }
        })?;
        Ok(())
    }

    fn tag(&self, raw: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        let digest = &raw.descriptor().digest;
        raw.parse().map_err(|source| self.unusable(digest, source))?;
        self.directory()?.write_blob(digest, raw.bytes())?;
        self.edit(|_, index| {
            self.release(index, tag)?;
            self.list(index, raw, Some(tag))
        })?;
        self.pack(When::Changed)
    }

    /// Points `tag` at `raw`, or at nothing, if it holds `expected`; what it holds is read under the lock. A tag whose
    /// manifest is gone holds nothing, as whoever reads it is told.
    fn swap(
        &self,
        tag: &Tag,
        expected: Option<&Digest>,
        raw: Option<&RawManifest>,
    ) -> Result<TagMove, RepositoryError> {
        let mut outcome = TagMove::Done;
        let edited = self.edit(|directory, index| {
            let held = match self.tagged(index, tag)? {
                Some(entry) => self.read_manifest(&entry.digest, Some(entry.media_type.clone()))?,
                None => None,
            };
            let held = held.map(|held| held.descriptor().digest.clone());
            if held.as_ref() != expected {
                outcome = TagMove::Holds(held);
                return Ok(Edited::Unchanged);
            }
            if let Some(raw) = raw {
                directory.write_blob(&raw.descriptor().digest, raw.bytes())?;
            }
            let released = self.release(index, tag)?;
            raw.map_or(Ok(released), |raw| self.list(index, raw, Some(tag)))
        })?;
        if edited == Edited::Changed {
            self.pack(When::Changed)?;
        }
        Ok(outcome)
    }

    fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        let edited = self.edit(|directory, index| match selector {
            Selector::Digest(digest) => {
                let is_listed = index.retain(|listed| listed.digest != *digest);
                // A layer is not deleted by its digest; a manifest that is damaged is.
                let is_manifest = !matches!(self.read_manifest(digest, None), Ok(None));
                let was_there = (is_listed || is_manifest) && directory.remove_blob(digest)?;
                Ok(Edited::from(is_listed || was_there))
            }
            Selector::Tag(tag) => self.release(index, tag),
        })?;
        if edited == Edited::Unchanged {
            return Err(self.no_manifest(selector));
        }
        self.pack(When::Changed)
    }

    fn unlink(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let tag = Tag::referrers_fallback(subject);
        let edited = self.edit(|directory, index| {
            let Some(listed) = self.tagged(index, &tag)?.cloned() else { return Ok(Edited::Unchanged) };
            let Some(found) = self.read_manifest(&listed.digest, Some(listed.media_type))? else {
                return Ok(Edited::Unchanged);
            };
            match fallback::unlinked(&self.name, subject, &found, entries)? {
                fallback::Unlinked::Empty => self.release(index, &tag),
                fallback::Unlinked::Unchanged => Ok(Edited::Unchanged),
                fallback::Unlinked::Index(raw) => {
                    directory.write_blob(&raw.descriptor().digest, raw.bytes())?;
                    self.release(index, &tag)?;
                    self.list(index, &raw, Some(&tag))
                }
            }
        })?;
        match edited {
            Edited::Changed => self.pack(When::Changed),
            Edited::Unchanged => Ok(()),
        }
    }

    /// Adds an entry, in place of one of the same content that has no name.
    fn list(&self, index: &mut IndexDocument, raw: &RawManifest, tag: Option<&Tag>) -> Result<Edited, RepositoryError> {
        let unusable = |source| self.unusable(&raw.descriptor().digest, source);
        let manifest = raw.parse().map_err(unusable)?;
        // Only referrers are described: what an image says of itself is in the image.
        let described = match manifest.subject {
            Some(_) => raw.to_referrer_entry().map_err(unusable)?,
            None => Descriptor { artifact_type: manifest.declared_artifact_type, ..raw.descriptor().to_plain() },
        };
        let mut entry = index::entry(described, tag);
        cosign_save::keep_kind(index, &mut entry);
        index.retain(|listed| listed.digest != entry.digest || index::is_named(listed));
        index.push(entry).map_err(unusable)?;
        Ok(Edited::Changed)
    }

    /// Takes `tag` off whatever has it. What refers to a subject stays listed, for other tools to find.
    pub(super) fn release(&self, index: &mut IndexDocument, tag: &Tag) -> Result<Edited, RepositoryError> {
        let mut released = vec![];
        index.retain(|listed| {
            let is_tagged = index::is_tagged(listed, tag);
            if is_tagged {
                released.push(listed.digest.clone());
            }
            !is_tagged
        });
        for digest in &released {
            let is_listed = index.entries().any(|listed| listed.digest == *digest);
            let Ok(Some(raw)) = self.read_manifest(digest, None) else { continue };
            if !is_listed && raw.parse().is_ok_and(|manifest| manifest.subject.is_some()) {
                self.list(index, &raw, None)?;
            }
        }
        Ok(Edited::from(!released.is_empty()))
    }
}

/// Whether an edit changed anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Edited {
    Changed,
    Unchanged,
}

impl From<bool> for Edited {
    fn from(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Unchanged }
    }
}

impl LayoutRepository {
    async fn push_blob(&self, descriptor: &Descriptor, content: Content) -> Result<(), RepositoryError> {
        let file = blob_path(&descriptor.digest);
        if self.run(move |layout| layout.open_file(&file)).await?.is_some_and(|file| file.size() == descriptor.size) {
            return Ok(());
        }
        let digest = descriptor.digest.clone();
        let algorithm = digest.algorithm();
        let failed = |source| self.inner.failed("write blob", source);
        let temporary = self.run(move |layout| layout.directory()?.start_blob(algorithm)).await?;
        let handle = temporary.as_file().try_clone().map_err(failed)?;
        let mut writer = tokio::fs::File::from_std(handle);
        let mut pieces = Content::verified(descriptor, content.into_stream()).into_stream();
        while let Some(piece) = pieces.next().await {
            let piece: Bytes = piece.map_err(|error| RepositoryError::of_content(&self.inner.name, error))?;
            writer.write_all(&piece).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        self.run(move |layout| {
            layout.directory()?.finish_blob(temporary, &digest)?;
            layout.changed();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Repository for LayoutRepository {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        if !descriptor.media_type.is_manifest() {
            return self.push_blob(descriptor, content).await.map(|()| Pushed::Stored);
        }
        let name = &self.inner.name;
        let content = Content::verified(descriptor, content.into_stream());
        let bytes =
            content.read_all(MAX_MANIFEST_BYTES).await.map_err(|error| RepositoryError::of_content(name, error))?;
        let raw = RawManifest::with_digest(descriptor.media_type.clone(), bytes, &descriptor.digest)
            .map_err(|source| self.inner.unusable(&descriptor.digest, source))?;
        self.run(move |layout| layout.push(&raw)).await.map(|()| Pushed::Stored)
    }

    /// Does nothing: a layout finds referrers by itself.
    async fn link_referrers(&self, _subject: &Digest, _entries: &[Descriptor]) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let (subject, entries) = (subject.clone(), entries.to_vec());
        self.run(move |layout| layout.unlink(&subject, &entries)).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        loop {
            let found = RepositoryError::absent_as_none(self.manifest(&Selector::Tag(tag.clone())).await)?;
            let wanted = match revision.revise(self, found.as_ref()).await? {
                Revised::Unchanged => return Ok(found),
                Revised::Delete => None,
                Revised::Write(manifest) => Some(*manifest),
            };
            let (tag, expected) = (tag.clone(), found.map(|found| found.descriptor().digest.clone()));
            let raw = wanted.clone();
            // Whoever was faster has made progress, so this ends.
            let swapped = self.run(move |layout| layout.swap(&tag, expected.as_ref(), raw.as_ref())).await?;
            if swapped == TagMove::Done {
                return Ok(wanted);
            }
        }
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        let (manifest, tag) = (manifest.clone(), tag.clone());
        self.run(move |layout| layout.tag(&manifest, &tag)).await
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        let (manifest, tag, previous) = (manifest.clone(), tag.clone(), previous.cloned());
        self.run(move |layout| layout.swap(&tag, previous.as_ref(), Some(&manifest))).await
    }

    async fn flush(&self) -> Result<(), RepositoryError> {
        self.run(|layout| layout.pack(When::Changed)).await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        let selector = selector.clone();
        self.run(move |layout| layout.delete(&selector)).await
    }
}
