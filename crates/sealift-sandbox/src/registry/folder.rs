//! A registry's content as files.
//!
//! ```text
//! blobs/<algorithm>/<hex>                          bytes of blobs and manifests, shared by all repositories
//! repositories/<name>/_blobs/<algorithm>-<hex>     empty: the repository has the blob
//! repositories/<name>/_manifests/<algorithm>-<hex> number of arrival and media type
//! repositories/<name>/_tags/<tag>                  digest
//! uploads/                                         bytes still arriving, removed at start
//! ```
//! No part of a repository's name starts with `_`, so its own folders cannot collide with another repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sealift_core::oci::{Digest, RawManifest};

use super::store::{Blob, Contents};

/// The folder a registry keeps its content in.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        let folder = Self { root };
        match fs::remove_dir_all(folder.uploads()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(folder.uploads())?;
        for algorithm in ["sha256", "sha512"] {
            fs::create_dir_all(folder.root.join("blobs").join(algorithm))?;
        }
        fs::create_dir_all(folder.root.join("repositories"))?;
        Ok(folder)
    }

    /// Returns a name for bytes still arriving.
    pub(super) fn upload_path(&self, id: &str) -> PathBuf {
        self.uploads().join(id)
    }

    /// Returns where the bytes with this digest are kept.
    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    pub(super) fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        write(&self.blob_path(digest), bytes)
    }

    pub(super) fn link_blob(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        write(&self.entry(repository, "_blobs", &file_name(digest)), b"")
    }

    pub(super) fn unlink_blob(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        fs::remove_file(self.entry(repository, "_blobs", &file_name(digest)))
    }

    pub(super) fn write_manifest(&self, repository: &str, manifest: &RawManifest, order: u64) -> io::Result<()> {
        let descriptor = manifest.descriptor();
        let entry = self.entry(repository, "_manifests", &file_name(&descriptor.digest));
        if entry.exists() {
            return Ok(());
        }
        write(&self.blob_path(&descriptor.digest), manifest.bytes())?;
        write(&entry, format!("{order:020} {}", descriptor.media_type).as_bytes())
    }

    pub(super) fn remove_manifest(&self, repository: &str, digest: &Digest) -> io::Result<()> {
        fs::remove_file(self.entry(repository, "_manifests", &file_name(digest)))
    }

    pub(super) fn write_tag(&self, repository: &str, tag: &str, digest: &Digest) -> io::Result<()> {
        write(&self.entry(repository, "_tags", tag), digest.to_string().as_bytes())
    }

    pub(super) fn remove_tag(&self, repository: &str, tag: &str) -> io::Result<()> {
        fs::remove_file(self.entry(repository, "_tags", tag))
    }

    /// Reads what an earlier registry left here.
    pub(super) fn load(&self) -> io::Result<Contents> {
        let mut contents = Contents::default();
        self.load_repositories(&self.root.join("repositories"), &mut Vec::new(), &mut contents)?;
        Ok(contents)
    }

    fn load_repositories(&self, at: &Path, name: &mut Vec<String>, contents: &mut Contents) -> io::Result<()> {
        for entry in names(at)? {
            if entry.starts_with('_') {
                continue;
            }
            let path = at.join(&entry);
            name.push(entry);
            if path.join("_blobs").exists() || path.join("_manifests").exists() {
                self.load_repository(&path, name.join("/"), contents)?;
            }
            self.load_repositories(&path, name, contents)?;
            name.pop();
        }
        Ok(())
    }

    fn load_repository(&self, at: &Path, name: String, contents: &mut Contents) -> io::Result<()> {
        let repository = contents.repositories.entry(name).or_default();
        for digest in names(&at.join("_blobs"))?.iter().filter_map(|entry| digest_of(entry)) {
            let path = self.blob_path(&digest);
            let size = fs::metadata(&path)?.len();
            contents.blobs.insert(digest.clone(), Blob::File { path, size });
            repository.blobs.insert(digest);
        }
        let mut manifests = Vec::new();
        for entry in names(&at.join("_manifests"))? {
            manifests.push((fs::read_to_string(at.join("_manifests").join(&entry))?, entry));
        }
        manifests.sort();
        for (text, entry) in manifests {
            let Some((order, media_type)) = text.split_once(' ') else { continue };
            let Some(digest) = digest_of(&entry) else { continue };
            let bytes = Bytes::from(fs::read(self.blob_path(&digest))?);
            let Ok(manifest) = RawManifest::with_digest(media_type, bytes, &digest) else { continue };
            let (Ok(parsed), Ok(listed)) = (manifest.parse(), manifest.to_referrer_entry()) else { continue };
            repository.insert_manifest(manifest, parsed.subject.as_ref().map(|subject| &subject.digest), listed);
            repository.arrivals = order.parse::<u64>().map_or(repository.arrivals, |order| order + 1);
        }
        for tag in names(&at.join("_tags"))? {
            if let Ok(digest) = fs::read_to_string(at.join("_tags").join(&tag))?.parse() {
                repository.tags.insert(tag, digest);
            }
        }
        Ok(())
    }

    fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    fn entry(&self, repository: &str, kind: &str, name: &str) -> PathBuf {
        self.root.join("repositories").join(repository).join(kind).join(name)
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let unfinished = path.with_extension(format!("new-{:x}", fastrand::u64(..)));
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

fn digest_of(file_name: &str) -> Option<Digest> {
    file_name.replacen('-', ":", 1).parse().ok()
}
