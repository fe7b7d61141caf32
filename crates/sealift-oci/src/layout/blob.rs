//! The files of a layout directory: `oci-layout`, `index.json` and `blobs/`.
//!
//! Every name is built from a parsed digest, and no file is read or written through a link that leaves the layout.
//! A file is written beside its place, flushed to the disk and renamed: it is there whole or not at all, even after a
//! power cut, because what is there is not copied again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sealift_core::oci::{Digest, DigestAlgorithm, IndexDocument, RepositoryName};
use sealift_core::repository::RepositoryError;
use tempfile::NamedTempFile;

use super::extent::Extent;
use super::lock::{Kind, Lock};
use super::{INDEX_FILE, MARKER, MARKER_FILE};

/// The most blobs a layout may hold; stops a directory of millions of names from filling memory.
pub(super) const MAX_BLOBS: usize = 200_000;
/// The algorithms whose blobs are looked for.
const ALGORITHMS: [DigestAlgorithm; 3] = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];

/// What the names of files being written start with.
const TEMPORARY_PREFIX: &str = ".sealift-";

/// Returns the place of a blob within a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A layout in a directory, which may not exist yet.
#[derive(Debug)]
pub(super) struct Directory {
    name: RepositoryName,
    root: PathBuf,
}

impl Directory {
    /// Returns the layout at `root`, called `name` in errors.
    pub(super) fn new(name: RepositoryName, root: PathBuf) -> Self {
        Self { name, root }
    }

    /// Opens a file of the layout; `None` when it is not there.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when it is no regular file, or a link that leads out of the layout, where it
    /// could name a device or a secret.
    pub(super) fn open(&self, file: &str) -> Result<Option<Extent>, RepositoryError> {
        let failed = |error| self.failed("read", error);
        let Some(path) = self.real_path(file)? else { return Ok(None) };
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(self.malformed(file, "it is not a regular file"));
        }
        let opened = File::open(&path).map_err(failed)?;
        let size = opened.metadata().map_err(failed)?.len();
        Ok(Some(Extent::new(Arc::new(opened), 0, size)))
    }

    /// Returns the digests of all blobs, in no particular order.
    ///
    /// # Errors
    /// [`RepositoryError::TooLarge`] beyond [`MAX_BLOBS`].
    pub(super) fn blobs(&self) -> Result<Vec<Digest>, RepositoryError> {
        let mut found = vec![];
        for algorithm in ALGORITHMS {
            let Some(path) = self.real_path(&format!("blobs/{algorithm}"))? else { continue };
            for entry in fs::read_dir(path).map_err(|error| self.failed("list blobs", error))? {
                let name = entry.map_err(|error| self.failed("list blobs", error))?.file_name();
                // Others, such as files being written, are not blobs.
                let digest = name.to_str().and_then(|name| format!("{algorithm}:{name}").parse().ok());
                found.extend(digest);
                if found.len() > MAX_BLOBS {
                    let (repository, limit) = (self.name.clone(), MAX_BLOBS as u64);
                    return Err(RepositoryError::TooLarge { repository, what: "number of blobs", limit });
                }
            }
        }
        Ok(found)
    }

    /// Creates what every layout has: the marker file, `index.json` and the directory of blobs.
    pub(super) fn create(&self) -> Result<(), RepositoryError> {
        let failed = |error| self.failed("create layout", error);
        fs::create_dir_all(self.root.join("blobs/sha256")).map_err(failed)?;
        if self.real_path(MARKER_FILE)?.is_none() {
            let mut file = self.temporary("").map_err(failed)?;
            file.write_all(MARKER.as_bytes()).map_err(failed)?;
            match file.persist_noclobber(self.root.join(MARKER_FILE)) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error.error)),
                _ => {}
            }
        }
        if self.real_path(INDEX_FILE)?.is_none() {
            let _lock = self.lock()?;
            if self.real_path(INDEX_FILE)?.is_none() {
                let index = IndexDocument::new().and_then(|index| index.to_json());
                return self.replace(INDEX_FILE, &index.map_err(|source| self.unusable_index(source))?);
            }
        }
        Ok(())
    }

    /// Refuses to turn a directory that holds something else into a layout.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when there is anything in it.
    pub(super) fn refuse_other_content(&self) -> Result<(), RepositoryError> {
        let failed = |error| self.failed("create layout", error);
        match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(failed)?.file_name();
                    // Another process may be creating the same layout right now.
                    let is_ours = name == "blobs" || name == MARKER_FILE || name == INDEX_FILE || is_temporary(&name);
                    if !is_ours {
                        let problem = "the directory holds other files and is no layout";
                        return Err(self.malformed(&name.to_string_lossy(), problem));
                    }
                }
                Ok(())
            }
        }
    }

    /// Waits until nobody else writes the layout.
    pub(super) fn lock(&self) -> Result<Lock, RepositoryError> {
        let marker = self.real_path(MARKER_FILE)?.unwrap_or_else(|| self.root.join(MARKER_FILE));
        Lock::acquire(&marker, Kind::Existing).map_err(|error| self.failed("lock layout", error))
    }

    /// Starts a blob.
    pub(super) fn start_blob(&self, algorithm: DigestAlgorithm) -> Result<NamedTempFile, RepositoryError> {
        let folder = format!("blobs/{algorithm}");
        let failed = |error| self.failed("write blob", error);
        fs::create_dir_all(self.root.join(&folder)).map_err(failed)?;
        self.real_path(&folder)?;
        self.temporary(&folder).map_err(failed)
    }

    /// Puts a blob, whose bytes have been checked, in its place.
    pub(super) fn finish_blob(&self, file: NamedTempFile, digest: &Digest) -> Result<(), RepositoryError> {
        self.put(file, &blob_path(digest)).map_err(|error| self.failed("write blob", error))
    }

    /// Stores a blob whose bytes are at hand and checked.
    pub(super) fn write_blob(&self, digest: &Digest, bytes: &Bytes) -> Result<(), RepositoryError> {
        let mut file = self.start_blob(digest.algorithm())?;
        file.write_all(bytes).map_err(|error| self.failed("write blob", error))?;
        self.finish_blob(file, digest)
    }

    /// Removes a blob; says whether it was there.
    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<bool, RepositoryError> {
        let folder = format!("blobs/{}", digest.algorithm());
        let Some(folder) = self.real_path(&folder)? else { return Ok(false) };
        match fs::remove_file(folder.join(digest.hex())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("delete blob", error)),
        }
    }

    /// Replaces a file in one step.
    pub(super) fn replace(&self, file: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        let failed = |error| self.failed("write index", error);
        let mut temporary = self.temporary("").map_err(failed)?;
        temporary.write_all(bytes).map_err(failed)?;
        self.put(temporary, file).map_err(failed)
    }

    fn put(&self, file: NamedTempFile, place: &str) -> io::Result<()> {
        file.as_file().sync_data()?;
        file.persist(self.root.join(place)).map(drop).map_err(|error| error.error)
    }

    fn temporary(&self, folder: &str) -> io::Result<NamedTempFile> {
        temporary_in(&self.root.join(folder))
    }

    /// Returns where a file really is; `None` when it is not there.
    fn real_path(&self, file: &str) -> Result<Option<PathBuf>, RepositoryError> {
        let resolve = |path: &Path| match path.canonicalize() {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", error)),
        };
        let Some(root) = resolve(&self.root)? else { return Ok(None) };
        let Some(path) = resolve(&root.join(file))? else { return Ok(None) };
        if !path.starts_with(&root) {
            return Err(self.malformed(file, "it is a link that leaves the layout"));
        }
        Ok(Some(path))
    }

    fn malformed(&self, file: &str, problem: &str) -> RepositoryError {
        let problem = format!("`{file}`: {problem}");
        RepositoryError::Malformed { repository: self.name.clone(), what: "layout", problem }
    }

    fn unusable_index(&self, source: sealift_core::oci::ManifestError) -> RepositoryError {
        RepositoryError::Manifest { repository: self.name.clone(), digest: INDEX_FILE.to_owned(), source }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> RepositoryError {
        RepositoryError::File { repository: self.name.clone(), operation, source }
    }
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX))
}

/// Creates a file that vanishes unless it is put somewhere, readable by whoever the user's umask lets read.
pub(super) fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
