//! The images of a layout, as its `index.json` names them: what somebody would want to take out of it.

use std::collections::BTreeMap;

use sealift_core::oci::{Descriptor, RawManifest, Selector, Tag};
use sealift_core::repository::RepositoryError;

use super::archive::When;
use super::write::Edited;
use super::{Inner, LayoutRepository, Place, cosign_save, index};

/// What an image was saved from, by digest.
const ORIGIN: &str = "dev.sealift.origin";

/// An image of a layout.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LayoutImage {
    /// Its manifest or index.
    pub descriptor: Descriptor,
    /// The tag it has in the layout.
    pub tag: Option<Tag>,
    /// What it was saved from, if that is known.
    pub origin: Option<String>,
}

impl LayoutRepository {
    /// Returns the images that the index lists, in its order: what refers to nothing and is under no tag that belongs to
    /// another image.
    ///
    /// # Errors
    /// Fails when the index or a manifest cannot be read, or is listed but not there.
    pub async fn images(&self) -> Result<Vec<LayoutImage>, RepositoryError> {
        self.run(Inner::images).await
    }

    /// Lists `manifest`, which is in the layout, as an image: under `tag`, with the name that containerd imports it
    /// under, and with what it was saved from.
    ///
    /// # Errors
    /// As [`Repository::tag`](sealift_core::repository::Repository::tag).
    pub async fn list_image(
        &self,
        manifest: &RawManifest,
        tag: Option<&Tag>,
        name: Option<&str>,
        origin: &str,
    ) -> Result<(), RepositoryError> {
        let (manifest, tag, name) = (manifest.clone(), tag.cloned(), name.map(str::to_owned));
        let origin = origin.to_owned();
        self.run(move |layout| layout.list_image(&manifest, tag.as_ref(), name, origin)).await
    }

    /// Writes the archive of everything changed since it was opened; does nothing for a directory, which is written at
    /// once.
    ///
    /// # Errors
    /// [`RepositoryError::File`] when writing fails; the archive is then as it was.
    pub async fn write_archive(&self) -> Result<(), RepositoryError> {
        self.run(|layout| match &layout.place {
            Place::Staged(staged) => staged.pack(&layout.name, When::AtEnd),
            Place::Archive(_) | Place::Directory(_) => Ok(()),
        })
        .await
    }
}

impl Inner {
    fn images(&self) -> Result<Vec<LayoutImage>, RepositoryError> {
        let mut images: Vec<LayoutImage> = Vec::new();
        for entry in self.index()?.entries().filter(|entry| entry.media_type.is_manifest()) {
            let tag = index::tag_of(entry);
            if tag.as_ref().is_some_and(Tag::is_derived) {
                continue;
            }
            let manifest = self.read_manifest(&entry.digest, Some(entry.media_type.clone()))?;
            let manifest = manifest.ok_or_else(|| self.no_manifest(&Selector::Digest(entry.digest.clone())))?;
            let parsed = manifest.parse().map_err(|source| self.unusable(&entry.digest, source))?;
            let image = LayoutImage {
                descriptor: manifest.descriptor().clone(),
                tag,
                origin: entry.annotations.get(ORIGIN).cloned(),
            };
            let is_known = images.iter().any(|known| known.descriptor == image.descriptor && known.tag == image.tag);
            if parsed.subject.is_none() && !is_known {
                images.push(image);
            }
        }
        Ok(images)
    }

    fn list_image(
        &self,
        raw: &RawManifest,
        tag: Option<&Tag>,
        name: Option<String>,
        origin: String,
    ) -> Result<(), RepositoryError> {
        let digest = &raw.descriptor().digest;
        let manifest = raw.parse().map_err(|source| self.unusable(digest, source))?;
        let described = Descriptor { artifact_type: manifest.declared_artifact_type, ..raw.descriptor().to_plain() };
        let mut entry = index::entry(described, tag);
        let more = name.map(|name| (index::CONTAINERD_IMAGE_NAME.to_owned(), name));
        entry.annotations.extend(BTreeMap::from([(ORIGIN.to_owned(), origin)]).into_iter().chain(more));
        self.edit(|_, index| {
            if let Some(tag) = tag {
                self.release(index, tag)?;
            }
            cosign_save::keep_kind(index, &mut entry);
            index.retain(|listed| listed.digest != entry.digest || index::is_named(listed));
            index.push(entry).map_err(|source| self.unusable(digest, source))?;
            Ok(Edited::Changed)
        })?;
        self.pack(When::Changed)
    }
}
