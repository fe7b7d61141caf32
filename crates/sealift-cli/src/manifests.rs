//! The manifests of an artifact: itself and, for an index, every platform.

use std::collections::HashMap;

use sealift_core::oci::{Descriptor, Digest, RawManifest};
use sealift_core::repository::graph::walk;
use sealift_core::repository::{ReadRepository, RepositoryError};

/// Manifests read at once.
const CONCURRENCY: usize = 8;

/// One manifest of an artifact.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) manifest: RawManifest,
    /// The platform the index gives it, such as `linux/amd64`.
    pub(crate) platform: Option<String>,
    /// The index it is in; none for the artifact itself.
    pub(crate) parent: Option<Digest>,
}

impl Member {
    /// Returns media type, digest and size.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        self.manifest.descriptor()
    }
}

/// Returns the artifact itself, then every manifest below it, parents before children.
///
/// # Errors
/// Also when an index names a manifest that the repository does not hold.
pub(crate) async fn members(
    repository: &dyn ReadRepository,
    root: &Descriptor,
) -> Result<Vec<Member>, RepositoryError> {
    let graph = walk(repository, root, CONCURRENCY).await?;
    let mut places: HashMap<Digest, (Option<String>, Digest)> = HashMap::new();
    let mut members = Vec::new();
    for manifest in graph.manifests() {
        let descriptor = manifest.descriptor();
        // The walk has parsed it already, so this does not fail.
        for entry in manifest.parse().map(|manifest| manifest.manifests).unwrap_or_default() {
            let platform = entry.platform.as_ref().map(ToString::to_string);
            places.entry(entry.digest).or_insert((platform, descriptor.digest.clone()));
        }
        let (platform, parent) = match places.get(&descriptor.digest) {
            Some((platform, parent)) => (platform.clone(), Some(parent.clone())),
            None => (None, None),
        };
        members.push(Member { manifest: manifest.clone(), platform, parent });
    }
    Ok(members)
}
