//! OCI image layouts on this machine, as directories and as tar archives.
//!
//! Never unpacks an archive to read it, and never follows a link out of a layout.
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>.

mod archive;
mod blob;
mod contents;
mod cosign_save;
mod extent;
mod image;
mod index;
mod lock;
mod referrer;
mod write;
mod writers;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealift_core::locked;
use sealift_core::oci::{
    Descriptor, Digest, IndexDocument, MAX_MANIFEST_BYTES, RawManifest, RepositoryName, Selector, Tag,
};
use sealift_core::repository::{Content, ReadRepository, ReferrersListing, RepositoryError, fallback};

pub use image::LayoutImage;
pub(crate) use writers::Writers;

use archive::{Archive, Packing, Staged};
use blob::{Directory, blob_path};
use extent::Extent;
use referrer::Scan;

/// The file that says that a directory is a layout.
const MARKER_FILE: &str = "oci-layout";
/// What it says.
const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists what the layout holds.
const INDEX_FILE: &str = "index.json";
/// The largest `index.json` and marker read; stops a hostile layout from filling memory.
const MAX_INDEX_BYTES: u64 = 32 * 1024 * 1024;

/// A layout: a directory, or a tar archive of one.
#[derive(Clone, Debug)]
pub struct LayoutRepository {
    inner: Arc<Inner>,
}

/// What a layout is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Reading: the layout exists.
    Read,
    /// Reading and writing: the layout is created when nothing is there. An archive is written with every change of a
    /// tag and every [`Repository::flush`](sealift_core::repository::Repository::flush).
    Write,
    /// As `Write`, but an archive is written only by [`LayoutRepository::write_archive`]: once, after many changes.
    WriteAtEnd,
}

#[derive(Debug)]
struct Inner {
    name: RepositoryName,
    place: Place,
    scan: Mutex<Scan>,
}

#[derive(Debug)]
enum Place {
    Archive(Archive),
    Directory(Directory),
    Staged(Staged),
}

impl LayoutRepository {
    /// Opens the layout at `path`: a tar archive when that is a file or is named `….tar`, else a directory. An archive has
    /// one writer at a time: another one waits.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] when there is nothing to read, [`RepositoryError::Malformed`] when it is no
    /// layout of version 1.0.0.
    pub async fn open(path: &Path, mode: Mode) -> Result<Self, RepositoryError> {
        let name = RepositoryName::Layout(path.to_owned());
        blocking(move || Inner::open(name, mode)).await.map(|inner| Self { inner: Arc::new(inner) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

/// Says whether a layout is an archive, or would become one.
fn is_archive(path: &Path) -> bool {
    path.is_file() || (!path.exists() && path.extension().is_some_and(|end| end == "tar"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, RepositoryError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

impl Inner {
    fn open(name: RepositoryName, mode: Mode) -> Result<Self, RepositoryError> {
        let path = name.layout_path().unwrap_or(Path::new("")).to_owned();
        let place = match (is_archive(&path), mode) {
            (true, Mode::Read) => Place::Archive(Archive::open(&name, &path)?),
            (true, Mode::Write) => Place::Staged(Staged::open(&name, &path, Packing::WithEveryChange)?),
            (true, Mode::WriteAtEnd) => Place::Staged(Staged::open(&name, &path, Packing::AtEnd)?),
            (false, Mode::Read) => Place::Directory(Directory::new(name.clone(), path)),
            (false, Mode::Write | Mode::WriteAtEnd) => {
                let directory = Directory::new(name.clone(), path);
                if directory.open(MARKER_FILE)?.is_none() {
                    directory.refuse_other_content()?;
                    directory.create()?;
                }
                Place::Directory(directory)
            }
        };
        let layout = Self { name, place, scan: Mutex::default() };
        layout.check_marker()?;
        Ok(layout)
    }

    fn check_marker(&self) -> Result<(), RepositoryError> {
        let Some(marker) = self.read_file(MARKER_FILE, MAX_INDEX_BYTES)? else {
            let there = self.name.layout_path().is_some_and(Path::exists);
            return Err(match there {
                true => self.malformed("it has no `oci-layout` file, so it is no OCI image layout"),
                false => RepositoryError::not_found(&self.name, "such file or directory"),
            });
        };
        let version: Option<serde_json::Value> = serde_json::from_slice(&marker).ok();
        match version.as_ref().and_then(|marker| marker["imageLayoutVersion"].as_str()) {
            Some("1.0.0") => Ok(()),
            Some(_) => Err(self.malformed("its version is not 1.0.0")),
            None => Err(self.malformed("its `oci-layout` file names no version")),
        }
    }

    fn open_file(&self, file: &str) -> Result<Option<Extent>, RepositoryError> {
        match &self.place {
            Place::Archive(archive) => Ok(archive.open_file(file)),
            Place::Directory(directory) => directory.open(file),
            Place::Staged(staged) => staged.directory().open(file),
        }
    }

    fn read_file(&self, file: &str, limit: u64) -> Result<Option<bytes::Bytes>, RepositoryError> {
        let Some(extent) = self.open_file(file)? else { return Ok(None) };
        let read = extent.read_all(limit).map_err(|source| self.failed("read", source))?;
        read.map(Some).ok_or(RepositoryError::TooLarge { repository: self.name.clone(), what: "file", limit })
    }

    fn blobs(&self) -> Result<Vec<Digest>, RepositoryError> {
        match &self.place {
            Place::Archive(archive) => Ok(archive.blobs()),
            Place::Directory(directory) => directory.blobs(),
            Place::Staged(staged) => staged.directory().blobs(),
        }
    }

    fn index(&self) -> Result<IndexDocument, RepositoryError> {
        let bytes = self.read_file(INDEX_FILE, MAX_INDEX_BYTES)?;
        let bytes = bytes.ok_or_else(|| self.malformed("it has no `index.json`"))?;
        IndexDocument::parse(&bytes).map_err(|source| self.unusable(INDEX_FILE, source))
    }

    /// Returns the entry that `tag` names.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when it names several manifests: tools that take the first and tools that take
    /// the last would see different ones.
    fn tagged<'a>(&self, index: &'a IndexDocument, tag: &Tag) -> Result<Option<&'a Descriptor>, RepositoryError> {
        let named = index::tagged(index, tag);
        let first = named.first().copied();
        match named.iter().all(|entry| Some(&entry.digest) == first.map(|first| &first.digest)) {
            true => Ok(first),
            false => Err(self.malformed(&format!("tag {tag} names several manifests"))),
        }
    }

    fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let index = self.index()?;
        let listed = match selector {
            Selector::Digest(digest) => index.entries().find(|entry| entry.digest == *digest),
            Selector::Tag(tag) => self.tagged(&index, tag)?,
        };
        let found = match (listed, selector) {
            (Some(entry), _) => self.read_manifest(&entry.digest, Some(entry.media_type.clone()))?,
            (None, Selector::Digest(digest)) => self.read_manifest(digest, None)?,
            (None, Selector::Tag(_)) => None,
        };
        found.ok_or_else(|| self.no_manifest(selector))
    }

    /// Reads a blob as a manifest; `None` when it is not there or is none.
    fn read_manifest(
        &self,
        digest: &Digest,
        listed: Option<sealift_core::oci::MediaType>,
    ) -> Result<Option<RawManifest>, RepositoryError> {
        let Some(bytes) = self.read_file(&blob_path(digest), MAX_MANIFEST_BYTES)? else { return Ok(None) };
        let listed = listed.filter(|media_type| media_type.is_manifest());
        let Some(media_type) = listed.or_else(|| index::manifest_type(&bytes)) else { return Ok(None) };
        let raw = RawManifest::with_digest(media_type, bytes, digest);
        raw.map(Some).map_err(|source| self.unusable(digest, source))
    }

    fn fallback_index(&self, subject: &Digest) -> Result<Option<RawManifest>, RepositoryError> {
        RepositoryError::absent_as_none(self.manifest(&Selector::Tag(Tag::referrers_fallback(subject))))
    }

    fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        match listing {
            ReferrersListing::Api => {
                let mut scan = locked(&self.scan);
                scan.extend(self)?;
                Ok(Some(scan.referrers(subject)))
            }
            ReferrersListing::FallbackTag => {
                self.fallback_index(subject)?.map(|found| fallback::entries(&self.name, subject, &found)).transpose()
            }
        }
    }

    fn no_manifest(&self, selector: &Selector) -> RepositoryError {
        RepositoryError::not_found(&self.name, format_args!("manifest {selector}"))
    }

    fn malformed(&self, problem: &str) -> RepositoryError {
        RepositoryError::Malformed { repository: self.name.clone(), what: "layout", problem: problem.to_owned() }
    }

    fn unusable(&self, what: impl std::fmt::Display, source: sealift_core::oci::ManifestError) -> RepositoryError {
        RepositoryError::Manifest { repository: self.name.clone(), digest: what.to_string(), source }
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> RepositoryError {
        RepositoryError::File { repository: self.name.clone(), operation, source }
    }
}

#[async_trait]
impl ReadRepository for LayoutRepository {
    fn name(&self) -> &RepositoryName {
        &self.inner.name
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.manifest(selector).await.map(|raw| raw.descriptor().clone())
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let selector = selector.clone();
        self.run(move |layout| layout.manifest(&selector)).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let (file, size) = (blob_path(&descriptor.digest), descriptor.size);
        // What a cut copy of another tool left has another size: it is not there, so that it is copied again.
        self.run(move |layout| layout.open_file(&file).map(|found| found.is_some_and(|file| file.size() == size))).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let file = blob_path(&descriptor.digest);
        let found = self.run(move |layout| layout.open_file(&file)).await?;
        let extent = found.ok_or_else(|| {
            RepositoryError::not_found(&self.inner.name, format_args!("content {}", descriptor.digest))
        })?;
        Ok(Content::verified(descriptor, extent.into_stream()))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let subject = subject.clone();
        self.run(move |layout| layout.referrers(&subject, listing)).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.run(|layout| layout.index().map(|index| index::tags(&index))).await
    }
}
