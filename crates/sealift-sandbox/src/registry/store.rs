//! What a registry holds: blobs once, and per repository which of them, its manifests and its tags.
//!
//! Never reads a blob into memory when kept in a folder; manifests (at most 4 MiB each) are kept in memory either way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Mutex;

use axum::http::StatusCode;
use bytes::Bytes;
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, RawManifest};

use super::folder::Folder;
use super::quirk::SparseIndex;
use super::reply::Refusal;
use super::route::{Call, is_repository};
use super::server::Server;
use crate::fixture::Pattern;

/// The content of one registry.
pub(super) struct Store {
    folder: Option<Folder>,
    contents: Mutex<Contents>,
}

/// Everything in the store, as kept in memory.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) blobs: HashMap<Digest, Blob>,
    pub(super) repositories: BTreeMap<String, Repository>,
}

/// One repository.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) manifests: HashMap<Digest, RawManifest>,
    pub(super) tags: BTreeMap<String, Digest>,
    /// Manifests that ever arrived, which numbers them.
    pub(super) arrivals: u64,
    /// What refers to a subject, in the order of arrival.
    pub(super) referrers: HashMap<Digest, Vec<Descriptor>>,
}

/// The bytes of a blob, wherever they are.
#[derive(Clone, Debug)]
pub(super) enum Blob {
    Bytes(Bytes),
    File { path: PathBuf, size: u64 },
    Pattern(Pattern),
}

impl Blob {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
            Self::Pattern(pattern) => pattern.size(),
        }
    }
}

/// What a tag must hold for a manifest to be put there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    Absent,
    Always,
    Holds(Vec<String>),
}

impl Store {
    pub(super) fn memory() -> Self {
        Self { folder: None, contents: Mutex::default() }
    }

    pub(super) fn open(path: PathBuf) -> std::io::Result<Self> {
        let folder = Folder::open(path)?;
        let contents = Mutex::new(folder.load()?);
        Ok(Self { folder: Some(folder), contents })
    }

    pub(super) fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Option<Blob> {
        let contents = locked(&self.contents);
        let repository = contents.repositories.get(repository)?;
        if let Some(manifest) = repository.manifests.get(digest) {
            return Some(Blob::Bytes(manifest.bytes().clone()));
        }
        repository.blobs.contains(digest).then(|| contents.blobs.get(digest).cloned()).flatten()
    }

    /// Stores a blob whose digest the caller has checked.
    pub(super) fn put_blob(&self, repository: &str, digest: &Digest, blob: Blob) -> std::io::Result<()> {
        let mut contents = locked(&self.contents);
        if let Some(folder) = &self.folder {
            folder.link_blob(repository, digest)?;
        }
        contents.blobs.entry(digest.clone()).or_insert(blob);
        contents.repositories.entry(repository.to_owned()).or_default().blobs.insert(digest.clone());
        Ok(())
    }

    /// Makes a blob of `source` a blob of `repository` too; says whether there was one.
    pub(super) fn mount(&self, repository: &str, digest: &Digest, source: Option<&str>) -> std::io::Result<bool> {
        let found = {
            let contents = locked(&self.contents);
            let has = |name: &str| contents.repositories.get(name).is_some_and(|source| source.blobs.contains(digest));
            let found = source.is_some_and(has);
            found.then(|| contents.blobs.get(digest).cloned()).flatten()
        };
        found.map_or(Ok(false), |blob| self.put_blob(repository, digest, blob).map(|()| true))
    }

    /// Makes an empty repository, in memory only: a folder remembers what has content.
    pub(super) fn create(&self, repository: &str) {
        locked(&self.contents).repositories.entry(repository.to_owned()).or_default();
    }

    pub(super) fn delete_blob(&self, repository: &str, digest: &Digest) -> Result<(), Refusal> {
        let mut contents = locked(&self.contents);
        let known = contents.repositories.get_mut(repository).is_some_and(|found| found.blobs.remove(digest));
        if !known {
            return Err(Refusal::not_found("BLOB_UNKNOWN", "blob unknown to the registry"));
        }
        if let Some(folder) = &self.folder {
            folder.unlink_blob(repository, digest)?;
        }
        Ok(())
    }

    /// Returns a manifest by digest or tag.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<RawManifest> {
        let contents = locked(&self.contents);
        let repository = contents.repositories.get(repository)?;
        match reference.parse() {
            Ok(digest) => repository.manifests.get(&digest).cloned(),
            Err(_) => repository.manifests.get(repository.tags.get(reference)?).cloned(),
        }
    }

    /// Stores a manifest, under a tag too if there is one; returns its subject.
    pub(super) fn put_manifest(
        &self,
        repository: &str,
        manifest: &RawManifest,
        tag: Option<&str>,
        condition: &Condition,
        sparse: SparseIndex,
    ) -> Result<Option<Digest>, Refusal> {
        let invalid = |error: sealift_core::oci::ManifestError| {
            Refusal::bad_request("MANIFEST_INVALID", format!("manifest invalid: {error}"))
        };
        let parsed = manifest.parse().map_err(invalid)?;
        let entry = manifest.to_referrer_entry().map_err(invalid)?;
        let mut contents = locked(&self.contents);
        let found = contents.repositories.entry(repository.to_owned()).or_default();
        found.check_children(&parsed, sparse)?;
        found.check_condition(tag, condition)?;
        let digest = &manifest.descriptor().digest;
        if let Some(folder) = &self.folder {
            folder.write_manifest(repository, manifest, found.arrivals)?;
            if let Some(tag) = tag {
                folder.write_tag(repository, tag, digest)?;
            }
        }
        let subject = parsed.subject.map(|subject| subject.digest);
        found.insert_manifest(manifest.clone(), subject.as_ref(), entry);
        if let Some(tag) = tag {
            found.tags.insert(tag.to_owned(), digest.clone());
        }
        Ok(subject)
    }

    pub(super) fn delete_tag(&self, repository: &str, tag: &str, condition: &Condition) -> Result<(), Refusal> {
        let mut contents = locked(&self.contents);
        let found = contents.repositories.get_mut(repository).ok_or_else(unknown_manifest)?;
        if !found.tags.contains_key(tag) {
            return Err(unknown_manifest());
        }
        found.check_condition(Some(tag), condition)?;
        found.tags.remove(tag);
        if let Some(folder) = &self.folder {
            folder.remove_tag(repository, tag)?;
        }
        Ok(())
    }

    /// Deletes a manifest and every tag that holds it.
    pub(super) fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<(), Refusal> {
        let mut contents = locked(&self.contents);
        let found = contents.repositories.get_mut(repository).ok_or_else(unknown_manifest)?;
        found.manifests.remove(digest).ok_or_else(unknown_manifest)?;
        for entries in found.referrers.values_mut() {
            entries.retain(|entry| entry.digest != *digest);
        }
        let tags: Vec<_> = found.tags.iter().filter(|(_, held)| *held == digest).map(|(tag, _)| tag.clone()).collect();
        for tag in &tags {
            found.tags.remove(tag);
        }
        if let Some(folder) = &self.folder {
            tags.iter().try_for_each(|tag| folder.remove_tag(repository, tag))?;
            folder.remove_manifest(repository, digest)?;
        }
        Ok(())
    }

    pub(super) fn referrers(&self, repository: &str, subject: &Digest) -> Vec<Descriptor> {
        let contents = locked(&self.contents);
        let found = contents.repositories.get(repository).and_then(|found| found.referrers.get(subject));
        found.cloned().unwrap_or_default()
    }

    /// Returns the tags in order, or `None` where there is no such repository.
    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let contents = locked(&self.contents);
        Some(contents.repositories.get(repository)?.tags.keys().cloned().collect())
    }

    pub(super) fn repositories(&self) -> Vec<String> {
        locked(&self.contents).repositories.keys().cloned().collect()
    }
}

impl Repository {
    pub(super) fn insert_manifest(&mut self, manifest: RawManifest, subject: Option<&Digest>, entry: Descriptor) {
        let digest = manifest.descriptor().digest.clone();
        self.arrivals += 1;
        let is_new = self.manifests.insert(digest, manifest).is_none();
        if let Some(subject) = subject.filter(|_| is_new) {
            self.referrers.entry(subject.clone()).or_default().push(entry);
        }
    }

    /// Everything a manifest consists of is here, but a subject need not be, nor a layer that is fetched elsewhere.
    fn check_children(&self, manifest: &sealift_core::oci::Manifest, sparse: SparseIndex) -> Result<(), Refusal> {
        let is_here = |child: &Descriptor| {
            (sparse == SparseIndex::Taken && child.media_type.is_manifest())
                || self.blobs.contains(&child.digest)
                || self.manifests.contains_key(&child.digest)
                || child.media_type.as_str().contains(".nondistributable.")
                || child.media_type.as_str().contains(".foreign.")
        };
        match manifest.children().find(|child| !is_here(child)) {
            None => Ok(()),
            Some(child) => {
                Err(Refusal::not_found("MANIFEST_BLOB_UNKNOWN", format!("blob unknown to registry: {}", child.digest)))
            }
        }
    }

    fn check_condition(&self, tag: Option<&str>, condition: &Condition) -> Result<(), Refusal> {
        let held = tag.and_then(|tag| self.tags.get(tag)).map(ToString::to_string);
        let holds = match condition {
            Condition::Absent => held.is_none(),
            Condition::Always => true,
            Condition::Holds(expected) => held.is_some_and(|held| expected.contains(&held)),
        };
        if holds {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "DENIED", "the tag does not hold what the condition says"))
    }
}

/// Refuses a push to a repository that nobody created, where that matters.
pub(super) fn check_repository(server: &Server, call: &Call) -> Result<(), Refusal> {
    match server.options.quirks.missing_repository {
        Some(answer) if server.store.tags(&call.repository).is_none() => Err(answer.about(&call.repository)),
        _ => Ok(()),
    }
}

/// Says whether content can be stored under `repository`.
pub(super) fn check_name(repository: &str) -> Result<(), Refusal> {
    if is_repository(repository) {
        return Ok(());
    }
    Err(Refusal::bad_request("NAME_INVALID", format!("invalid repository name: {}", repository.escape_debug())))
}

pub(super) fn unknown_manifest() -> Refusal {
    Refusal::not_found("MANIFEST_UNKNOWN", "manifest unknown to the registry")
}
