//! Archives that carry images over an air gap: what they are named in there, and the files that travel along.
//!
//! A trust root and a policy are artifacts of their own in the archive, so that other tools read it as the OCI layout it
//! is, and so that `oras pull --oci-layout` gets them out too. They are never used because they are there: whoever packs
//! an archive could otherwise say whom to trust.

use std::path::Path;

use sealift_core::attach::NewLayer;
use sealift_core::oci::{Digest, RawManifest, Reference, Tag, annotation, media_type};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};
use sealift_oci::layout::{LayoutImage, LayoutRepository};
use serde_json::json;

use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};

/// The largest file that travels along.
const MAX_COMPANION_BYTES: u64 = 4 * 1024 * 1024;

/// A file that travels with the images.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Companion {
    Policy,
    TrustedRoot,
}

impl Companion {
    pub(crate) const ALL: [Self; 2] = [Self::TrustedRoot, Self::Policy];

    /// Returns the file's name, in and out of the archive.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Policy => "policy.yaml",
            Self::TrustedRoot => "trusted_root.json",
        }
    }

    fn artifact_type(self) -> &'static str {
        match self {
            Self::Policy => "application/vnd.sealift.policy.v1+yaml",
            Self::TrustedRoot => "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        }
    }

    fn tag_text(self) -> &'static str {
        match self {
            Self::Policy => "sealift-policy",
            Self::TrustedRoot => "sealift-trusted-root",
        }
    }

    fn tag(self) -> Result<Tag, CliError> {
        let text = self.tag_text();
        text.parse().map_err(|source| CliError::Reference { text: text.to_owned(), source })
    }

    /// Returns what an image of the archive carries, if it is no image but one of these.
    pub(crate) fn of(image: &LayoutImage) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| image.tag.as_ref().is_some_and(|tag| tag.as_str() == kind.tag_text()))
    }

    /// Puts a file into the archive.
    pub(crate) async fn pack(self, path: &Path, archive: &LayoutRepository) -> Result<(), CliError> {
        let bytes = files::read(path, MAX_COMPANION_BYTES)?;
        let config = NewLayer::new(media_type::EMPTY, b"{}".as_slice());
        let layer = NewLayer::new(self.artifact_type(), bytes).with_annotation(annotation::TITLE, self.file_name());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "artifactType": self.artifact_type(),
            "config": config.descriptor(), "layers": [layer.descriptor()],
        });
        let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string());
        let tag = self.tag()?;
        let stored = async {
            for blob in [config, layer] {
                archive.push(&blob.descriptor(), blob.content.into()).await?;
            }
            archive.tag(&manifest, &tag).await
        };
        stored.await.map_err(|source| failed("write", archive, source))
    }

    /// Writes the file that the archive carries into a directory.
    pub(crate) async fn unpack(
        self,
        image: &LayoutImage,
        archive: &LayoutRepository,
        directory: &Path,
    ) -> Result<std::path::PathBuf, CliError> {
        let read = async {
            let manifest = archive.manifest(&image.descriptor.digest.clone().into()).await?;
            let unusable = |source| RepositoryError::Manifest {
                repository: archive.name().clone(),
                digest: image.descriptor.digest.to_string(),
                source,
            };
            let layers = manifest.parse().map_err(unusable)?.layers;
            let not_found = || RepositoryError::not_found(archive.name(), self.file_name());
            let content = archive.fetch(layers.first().ok_or_else(not_found)?).await?;
            let bytes = content.read_all(MAX_COMPANION_BYTES).await;
            bytes.map_err(|error| RepositoryError::of_content(archive.name(), error))
        };
        let bytes = read.await.map_err(|source| failed("read", archive, source))?;
        let path = directory.join(self.file_name());
        files::write(&path, &bytes, Readers::Everyone, Overwrite::Refused)?;
        Ok(path)
    }
}

/// Returns the tag that each image gets in an archive: its own, with the last part of its repository before it where
/// several would share one; none for an image given by digest.
///
/// # Errors
/// [`UsageError::SameName`] when two different images would still have one name.
pub(crate) fn tags(images: &[(&Reference, &Digest)]) -> Result<Vec<Option<Tag>>, CliError> {
    let is_shared = |tag: &Tag, digest: &Digest| {
        images.iter().any(|(reference, other)| reference.tag() == Some(tag) && *other != digest)
    };
    let mut tags: Vec<Option<Tag>> = Vec::new();
    for (reference, digest) in images {
        let tag = match reference.tag() {
            Some(tag) if is_shared(tag, digest) => {
                let text = format!("{}-{tag}", last_part(reference));
                Some(text.parse().map_err(|source| CliError::Reference { text, source })?)
            }
            tag => tag.cloned(),
        };
        let is_taken = |earlier: &(&Option<Tag>, &(&Reference, &Digest))| {
            tag.is_some() && *earlier.0 == tag && earlier.1.1 != *digest
        };
        if tags.iter().zip(images).any(|earlier| is_taken(&earlier)) {
            return Err(UsageError::SameName { reference: reference.to_string() }.into());
        }
        tags.push(tag);
    }
    Ok(tags)
}

/// Returns the last part of a repository's name.
fn last_part(reference: &Reference) -> String {
    let name = reference.repository();
    let path = name.path().map(str::to_owned).or_else(|| {
        let stem = name.layout_path()?.file_stem()?;
        Some(stem.to_string_lossy().into_owned())
    });
    path.unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

pub(crate) fn failed(task: &'static str, archive: &LayoutRepository, source: RepositoryError) -> CliError {
    CliError::Repository { task, subject: archive.name().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_their_tags_unless_they_would_share_one() {
        let names = |texts: &[&str]| {
            let references: Vec<Reference> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let digests: Vec<Digest> = texts.iter().map(|text| Digest::sha256(text.as_bytes())).collect();
            let images: Vec<_> = references.iter().zip(&digests).collect();
            tags(&images).map(|tags| tags.into_iter().map(|tag| tag.map(|tag| tag.to_string())).collect::<Vec<_>>())
        };
        let some = |tags: &[&str]| tags.iter().map(|tag| Some((*tag).to_owned())).collect::<Vec<_>>();
        assert_eq!(names(&["r.io/team/app:1"]).unwrap(), some(&["1"]));
        assert_eq!(names(&["r.io/team/app:1", "r.io/team/web:2"]).unwrap(), some(&["1", "2"]));
        assert_eq!(names(&["r.io/team/app:1", "r.io/team/web:1"]).unwrap(), some(&["app-1", "web-1"]));
        assert!(names(&["r.io/a/app:1", "r.io/b/app:1"]).is_err());
        let digest = format!("r.io/team/app@{}", Digest::sha256(b""));
        assert_eq!(names(&[&digest]).unwrap(), [None]);
    }
}
