//! Layouts in tar archives: read in place, written through a directory beside the archive.
//!
//! Never unpacks an entry under the name it gives itself: only digests and the two known files are looked up.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use sealift_core::locked;
use sealift_core::oci::{Digest, RepositoryName};
use sealift_core::repository::RepositoryError;
use tempfile::TempDir;

use super::blob::{Directory, blob_path, temporary_in};
use super::contents::{self, Contents, ContentsError};
use super::extent::Extent;
use super::lock::{Kind, Lock};
use super::{INDEX_FILE, MARKER_FILE};

/// What a gzip stream starts with.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An archive open for reading.
#[derive(Debug)]
pub(super) struct Archive {
    files: Contents,
    blobs: Vec<Digest>,
}

impl Archive {
    /// Reads the archive's table of contents.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when it is compressed, cut, or the archive of something else.
    pub(super) fn open(name: &RepositoryName, path: &Path) -> Result<Self, RepositoryError> {
        let malformed =
            |problem: String| RepositoryError::Malformed { repository: name.clone(), what: "archive", problem };
        let failed = |source: io::Error| RepositoryError::File { repository: name.clone(), operation: "read", source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RepositoryError::not_found(name, "such file"));
            }
            opened => opened.map_err(failed)?,
        };
        let size = file.metadata().map_err(failed)?.len();
        let whole = Extent::new(Arc::new(file), 0, size);
        if whole.read_start(GZIP_MAGIC.len()).map_err(failed)? == GZIP_MAGIC.as_slice() {
            return Err(malformed("it is compressed; decompress it with `gunzip` first".to_owned()));
        }
        let files = contents::read(&whole).map_err(|error| match error {
            ContentsError::Read(source) => failed(source),
            error => malformed(error.to_string()),
        })?;
        if !files.contains_key(MARKER_FILE) {
            let problem = match files.contains_key("manifest.json") {
                true => "it is a `docker save` archive, not an OCI image layout",
                false => "it has no `oci-layout` file, so it is no OCI image layout",
            };
            return Err(malformed(problem.to_owned()));
        }
        let blobs = files.keys().filter_map(|name| contents::digest_of(name)).collect();
        Ok(Self { files, blobs })
    }

    /// Opens a file of the layout; `None` when it is not there.
    pub(super) fn open_file(&self, file: &str) -> Option<Extent> {
        self.files.get(file).cloned()
    }

    /// Returns the digests of all blobs, in no particular order.
    pub(super) fn blobs(&self) -> Vec<Digest> {
        self.blobs.clone()
    }
}

/// An archive open for writing: its content in a directory beside it, packed after every complete change.
#[derive(Debug)]
pub(super) struct Staged {
    archive: PathBuf,
    directory: Directory,
    folder: TempDir,
    packing: Packing,
    /// Whether the directory may hold what the archive does not. Held while packing: of two archives packed at a time,
    /// the older one could come last.
    is_changed: Mutex<bool>,
    /// Held until the last change is packed: two writers would overwrite each other's archive.
    _lock: Lock,
}

impl Staged {
    /// Locks the archive and lays its content out beside it; an archive that does not exist is an empty layout.
    pub(super) fn open(name: &RepositoryName, path: &Path, packing: Packing) -> Result<Self, RepositoryError> {
        let failed = |source| RepositoryError::File { repository: name.clone(), operation: "stage archive", source };
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = Lock::acquire(Path::new(&lock), Kind::Own).map_err(failed)?;
        let folder = tempfile::Builder::new().prefix(".sealift-").tempdir_in(parent(path)).map_err(failed)?;
        let directory = Directory::new(name.clone(), folder.path().to_owned());
        directory.create()?;
        if path.exists() {
            let archive = Archive::open(name, path)?;
            for digest in archive.blobs() {
                let Some(extent) = archive.open_file(&blob_path(&digest)) else { continue };
                let mut file = directory.start_blob(digest.algorithm())?;
                extent.copy_to(&mut file).map_err(failed)?;
                directory.finish_blob(file, &digest)?;
            }
            for file in [MARKER_FILE, INDEX_FILE] {
                let Some(extent) = archive.open_file(file) else { continue };
                let (limit, repository) = (super::MAX_INDEX_BYTES, name.clone());
                let bytes = extent.read_all(limit).map_err(failed)?;
                let bytes = bytes.ok_or(RepositoryError::TooLarge { repository, what: "file", limit })?;
                directory.replace(file, &bytes)?;
            }
        }
        let is_changed = Mutex::new(!path.exists());
        Ok(Self { archive: path.to_owned(), directory, folder, packing, is_changed, _lock: lock })
    }

    /// Returns the directory that stands for the archive.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Notes that the directory was changed. To be called after the change: a change that is noted before could be packed
    /// without it.
    pub(super) fn changed(&self) {
        *self.changes() = true;
    }

    /// Replaces the archive by what the directory holds, where that changed: the same bytes for the same content,
    /// whenever and by whomever it is packed.
    pub(super) fn pack(&self, name: &RepositoryName, when: When) -> Result<(), RepositoryError> {
        let mut is_changed = self.changes();
        if (self.packing == Packing::AtEnd && when == When::Changed) || !*is_changed {
            return Ok(());
        }
        let failed = |source| RepositoryError::File { repository: name.clone(), operation: "write archive", source };
        // Opened before the blobs are listed: whatever an index lists was there before it.
        let open = |file: &str| File::open(self.folder.path().join(file)).map_err(failed);
        let (marker, index) = (open(MARKER_FILE)?, open(INDEX_FILE)?);
        let mut blobs = self.directory.blobs()?;
        blobs.sort();
        let temporary = temporary_in(parent(&self.archive)).map_err(failed)?;
        let mut builder = tar::Builder::new(temporary);
        append(&mut builder, MARKER_FILE, marker).map_err(failed)?;
        append(&mut builder, INDEX_FILE, index).map_err(failed)?;
        for file in blobs.iter().map(blob_path) {
            append(&mut builder, &file, open(&file)?).map_err(failed)?;
        }
        let temporary = builder.into_inner().map_err(failed)?;
        temporary.as_file().sync_data().map_err(failed)?;
        temporary.persist(&self.archive).map_err(|error| failed(error.error))?;
        *is_changed = false;
        Ok(())
    }

    fn changes(&self) -> MutexGuard<'_, bool> {
        // One that broke off while it packed has not noted that it did.
        locked(&self.is_changed)
    }
}

fn append(builder: &mut tar::Builder<impl io::Write>, file: &str, content: File) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.metadata()?.len());
    header.set_mode(0o644);
    header.set_mtime(0);
    builder.append_data(&mut header, file, content)
}

/// How often an archive is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Packing {
    /// Once, when whoever changes it says that it is done.
    AtEnd,
    /// With every change of a tag and every flush: what is pushed in between belongs to one of them, and packing costs as
    /// much as the archive is large. So a copy that fails leaves no archive where there was none.
    WithEveryChange,
}

/// When a change is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// At once, whatever was agreed.
    AtEnd,
    /// As agreed: a change is complete.
    Changed,
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
