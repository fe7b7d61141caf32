//! Writing a layout: blobs first, then one edit of `index.json` under the lock.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use sealift_core::oci::{
    Descriptor, Digest, IndexDocument, MAX_MANIFEST_BYTES, ManifestError, RawManifest, Selector, Tag, annotation,
};
use sealift_core::repository::{Content, Pushed, ReadRepository, Repository, RepositoryError, fallback};
use tokio::io::AsyncWriteExt;

use super::blob::{Directory, blob_path};
use super::{INDEX_FILE, Inner, LayoutRepository, Place, index};

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

    /// Edits `index.json` while nobody else does, then packs the archive, if the layout is one.
    fn edit(
        &self,
        edit: impl FnOnce(&mut IndexDocument) -> Result<Edited, ManifestError>,
    ) -> Result<Edited, RepositoryError> {
        let directory = self.directory()?;
        let _lock = directory.lock()?;
        let mut index = self.index()?;
        let unusable = |source| self.unusable(INDEX_FILE, source);
        let edited = edit(&mut index).map_err(unusable)?;
        if edited == Edited::Changed {
            directory.replace(INDEX_FILE, &index.to_json().map_err(unusable)?)?;
        }
        self.pack()?;
        Ok(edited)
    }

    fn pack(&self) -> Result<(), RepositoryError> {
        match &self.place {
            Place::Staged(staged) => staged.pack(&self.name),
            Place::Archive(_) | Place::Directory(_) => Ok(()),
        }
    }

    fn store_manifest(&self, raw: &RawManifest) -> Result<(), RepositoryError> {
        let digest = &raw.descriptor().digest;
        let manifest = raw.parse().map_err(|source| self.unusable(digest, source))?;
        self.directory()?.write_blob(digest, raw.bytes())?;
        if manifest.subject.is_none() {
            return Ok(());
        }
        // Other tools look for referrers in the index alone.
        let entry = raw.to_referrer_entry().map_err(|source| self.unusable(digest, source))?;
        self.edit(|index| {
            if index.entries().any(|listed| listed.digest == entry.digest) {
                return Ok(Edited::Unchanged);
            }
            index.push(entry).map(|()| Edited::Changed)
        })
        .map(drop)
    }

    fn tag(&self, raw: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.store_manifest(raw)?;
        let named = [(annotation::REF_NAME.to_owned(), tag.as_str().to_owned())].into();
        let entry = Descriptor { annotations: named, ..raw.descriptor().to_plain() };
        self.edit(|index| {
            index.retain(|listed| !index::is_tagged(listed, tag));
            index.push(entry).map(|()| Edited::Changed)
        })
        .map(drop)
    }

    fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        let was_there = match selector {
            Selector::Digest(digest) => {
                let was_there = self.directory()?.remove_blob(digest)?;
                self.edit(|index| Ok(Edited::from(index.retain(|listed| listed.digest != *digest))))?;
                was_there
            }
            Selector::Tag(tag) => {
                let edited = self.edit(|index| Ok(Edited::from(index.retain(|one| !index::is_tagged(one, tag)))))?;
                edited == Edited::Changed
            }
        };
        if was_there { Ok(()) } else { Err(self.no_manifest(selector)) }
    }

    fn unlink(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let Some(found) = self.fallback_index(subject)? else { return Ok(()) };
        let tag = Tag::referrers_fallback(subject);
        match fallback::unlinked(&self.name, subject, &found, entries)? {
            fallback::Unlinked::Empty => self.delete(&Selector::Tag(tag)),
            fallback::Unlinked::Index(index) => self.tag(&index, &tag),
            fallback::Unlinked::Unchanged => Ok(()),
        }
    }
}

/// Whether an edit changed anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Edited {
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
        self.run(move |layout| layout.directory()?.finish_blob(temporary, &digest)).await
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
        self.run(move |layout| layout.store_manifest(&raw)).await.map(|()| Pushed::Stored)
    }

    /// Does nothing: a layout finds referrers by itself.
    async fn link_referrers(&self, _subject: &Digest, _entries: &[Descriptor]) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        let (subject, entries) = (subject.clone(), entries.to_vec());
        self.run(move |layout| layout.unlink(&subject, &entries)).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        let (manifest, tag) = (manifest.clone(), tag.clone());
        self.run(move |layout| layout.tag(&manifest, &tag)).await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        let selector = selector.clone();
        self.run(move |layout| layout.delete(&selector)).await
    }
}
