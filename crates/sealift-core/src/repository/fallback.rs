//! The referrers tag schema: the index under the tag `sha256-<hex>`, for stores without a referrers API.
//!
//! Decides what the index is to become; reading and writing it, and noticing other writers, is the store's part.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use async_trait::async_trait;

use super::{Repository, RepositoryError, Revised, Revision};
use crate::locked;
use crate::oci::{Descriptor, Digest, IndexDocument, ManifestError, RawManifest, RepositoryName, Tag, media_type};

/// Returns what the index found under the fallback tag of `subject` lists.
///
/// # Errors
/// [`RepositoryError::Squatted`] when it is no OCI index, or the subject itself as `cosign copy` leaves it;
/// [`RepositoryError::Manifest`] when it cannot be read whole.
pub fn entries(
    repository: &RepositoryName,
    subject: &Digest,
    found: &RawManifest,
) -> Result<Vec<Descriptor>, RepositoryError> {
    refuse_squatter(repository, subject, found)?;
    let listing = found.parse().map_err(|source| unusable(repository, found, source))?;
    refuse_image_index(repository, subject, &listing.manifests.iter().collect::<Vec<_>>())?;
    Ok(listing.manifests)
}

/// Returns the index that lists `entries` besides what `found` lists, or `None` when it lists them all already.
///
/// # Errors
/// As [`entries`](fn@entries).
pub fn linked(
    repository: &RepositoryName,
    subject: &Digest,
    found: Option<&RawManifest>,
    entries: &[Descriptor],
) -> Result<Option<RawManifest>, RepositoryError> {
    let mut index = open(repository, subject, found)?;
    let mut listed: HashSet<Digest> = index.entries().map(|entry| entry.digest.clone()).collect();
    let missing: Vec<&Descriptor> = entries.iter().filter(|entry| listed.insert(entry.digest.clone())).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    for entry in missing {
        index.push(entry.clone()).map_err(|source| unusable_tag(repository, subject, source))?;
    }
    written(repository, subject, &index).map(Some)
}

/// What is left of a fallback index once entries are removed.
#[derive(Clone, Debug)]
pub enum Unlinked {
    /// Nothing: the tag is to be deleted.
    Empty,
    /// This index is to be written.
    Index(Box<RawManifest>),
    /// The index listed none of them.
    Unchanged,
}

/// Returns what becomes of the index `found` without `entries`.
///
/// # Errors
/// As [`entries`](fn@entries).
pub fn unlinked(
    repository: &RepositoryName,
    subject: &Digest,
    found: &RawManifest,
    entries: &[Digest],
) -> Result<Unlinked, RepositoryError> {
    let mut index = open(repository, subject, Some(found))?;
    let removed: HashSet<&Digest> = entries.iter().collect();
    if !index.retain(|listed| !removed.contains(&listed.digest)) {
        return Ok(Unlinked::Unchanged);
    }
    if index.is_empty() {
        return Ok(Unlinked::Empty);
    }
    written(repository, subject, &index).map(|index| Unlinked::Index(Box::new(index)))
}

/// The revision that makes the fallback tag of a subject list entries.
///
/// It also puts back what it saw listed before and what another writer then wrote over, as long as the repository holds
/// it: so each writer that is still at work mends what the others lost.
#[derive(Debug)]
pub struct Linking {
    subject: Digest,
    entries: Vec<Descriptor>,
    seen: Mutex<BTreeMap<Digest, Descriptor>>,
}

impl Linking {
    /// Makes the tag of `subject` list `entries`.
    pub fn new(subject: &Digest, entries: &[Descriptor]) -> Self {
        Self { subject: subject.clone(), entries: entries.to_vec(), seen: Mutex::default() }
    }

    /// Remembers what is listed, and returns what was listed before and is no more.
    fn vanished(&self, listed: Vec<Descriptor>) -> Vec<Descriptor> {
        let mut seen = locked(&self.seen);
        let now: HashSet<Digest> = listed.iter().map(|entry| entry.digest.clone()).collect();
        let vanished = seen.values().filter(|entry| !now.contains(&entry.digest)).cloned().collect();
        seen.extend(listed.into_iter().map(|entry| (entry.digest.clone(), entry)));
        vanished
    }

    fn forget(&self, digest: &Digest) {
        locked(&self.seen).remove(digest);
    }
}

#[async_trait]
impl Revision for Linking {
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError> {
        let name = repository.name();
        let listed = found.map(|found| entries(name, &self.subject, found)).transpose()?.unwrap_or_default();
        let mut wanted = self.entries.clone();
        for entry in self.vanished(listed) {
            // Who deletes a referrer takes it off the list on purpose. It is a manifest whatever the entry says.
            let referrer = Descriptor::new(media_type::IMAGE_MANIFEST, entry.digest.clone(), entry.size);
            match repository.exists(&referrer).await? {
                true => wanted.push(entry),
                false => self.forget(&entry.digest),
            }
        }
        let linked = linked(name, &self.subject, found, &wanted)?;
        Ok(linked.map_or(Revised::Unchanged, |index| Revised::Write(Box::new(index))))
    }
}

/// The revision that takes entries off the fallback tag of a subject.
#[derive(Debug)]
pub struct Unlinking {
    subject: Digest,
    entries: Vec<Digest>,
}

impl Unlinking {
    /// Makes the tag of `subject` list `entries` no more.
    pub fn new(subject: &Digest, entries: &[Digest]) -> Self {
        Self { subject: subject.clone(), entries: entries.to_vec() }
    }
}

#[async_trait]
impl Revision for Unlinking {
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError> {
        let Some(found) = found else { return Ok(Revised::Unchanged) };
        Ok(match unlinked(repository.name(), &self.subject, found, &self.entries)? {
            Unlinked::Empty => Revised::Delete,
            Unlinked::Index(index) => Revised::Write(index),
            Unlinked::Unchanged => Revised::Unchanged,
        })
    }
}

fn open(
    repository: &RepositoryName,
    subject: &Digest,
    found: Option<&RawManifest>,
) -> Result<IndexDocument, RepositoryError> {
    let Some(found) = found else {
        return IndexDocument::new().map_err(|source| unusable_tag(repository, subject, source));
    };
    refuse_squatter(repository, subject, found)?;
    let index = IndexDocument::parse(found.bytes()).map_err(|source| unusable(repository, found, source))?;
    refuse_image_index(repository, subject, &index.entries().collect::<Vec<_>>())?;
    Ok(index)
}

fn written(
    repository: &RepositoryName,
    subject: &Digest,
    index: &IndexDocument,
) -> Result<RawManifest, RepositoryError> {
    index.to_manifest().map_err(|source| unusable_tag(repository, subject, source))
}

/// An image or the subject's own index under the tag is not a list of referrers; adding to it would lose the image.
fn refuse_squatter(repository: &RepositoryName, subject: &Digest, found: &RawManifest) -> Result<(), RepositoryError> {
    let descriptor = found.descriptor();
    let squatter = if descriptor.digest == *subject {
        "the subject itself".to_owned()
    } else if descriptor.media_type != *media_type::IMAGE_INDEX {
        super::foreign_text(descriptor.media_type.as_str())
    } else {
        return Ok(());
    };
    Err(squatted(repository, subject, squatter))
}

/// An index all of whose entries are images for platforms is a multi-platform image that somebody tagged so.
///
/// One entry without a platform, or with an artifact type, makes it a listing: signatures appended to a copy of an
/// image index are still found.
fn refuse_image_index(
    repository: &RepositoryName,
    subject: &Digest,
    entries: &[&Descriptor],
) -> Result<(), RepositoryError> {
    let is_image = |entry: &&Descriptor| entry.platform.is_some() && entry.artifact_type.is_none();
    if entries.is_empty() || !entries.iter().all(is_image) {
        return Ok(());
    }
    Err(squatted(repository, subject, "an index of images for platforms".to_owned()))
}

fn squatted(repository: &RepositoryName, subject: &Digest, found: String) -> RepositoryError {
    RepositoryError::Squatted { repository: repository.clone(), tag: Tag::referrers_fallback(subject), found }
}

fn unusable(repository: &RepositoryName, found: &RawManifest, source: ManifestError) -> RepositoryError {
    let digest = found.descriptor().digest.to_string();
    RepositoryError::Manifest { repository: repository.clone(), digest, source }
}

fn unusable_tag(repository: &RepositoryName, subject: &Digest, source: ManifestError) -> RepositoryError {
    let digest = Tag::referrers_fallback(subject).to_string();
    RepositoryError::Manifest { repository: repository.clone(), digest, source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_of_platform_images_is_no_listing() {
        let repository = RepositoryName::Memory("r".to_owned());
        let subject = Digest::sha256(b"subject");
        let image = json!({"mediaType": "m", "size": 1, "digest": Digest::sha256(b"i"),
            "platform": {"os": "linux", "architecture": "arm64"}});
        let mut typed = image.clone();
        typed["artifactType"] = "application/x".into();
        let bare = json!({"mediaType": "m", "size": 1, "digest": Digest::sha256(b"s")});
        for (listed, is_squatted) in [
            (json!([]), false),
            (json!([image]), true),
            (json!([image, image]), true),
            (json!([image, bare]), false),
            (json!([typed]), false),
            (json!([bare]), false),
        ] {
            let index = json!({"schemaVersion": 2, "manifests": listed});
            let found = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
            let read = entries(&repository, &subject, &found);
            assert_eq!(matches!(read, Err(RepositoryError::Squatted { .. })), is_squatted, "{listed}");
            let extended = linked(&repository, &subject, Some(&found), &[Descriptor::of("x", b"new")]);
            assert_eq!(matches!(extended, Err(RepositoryError::Squatted { .. })), is_squatted, "{listed}");
        }
    }
}
