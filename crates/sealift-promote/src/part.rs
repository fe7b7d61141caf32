//! Indexes that are attached: what they list travels with them, and what is attached to that.

use std::collections::{HashMap, HashSet};

use sealift_core::attach::{Attachments, Scope, attachments_of_all};
use sealift_core::oci::{Digest, RawManifest};
use sealift_core::repository::graph;
use sealift_core::repository::{ReadRepository, RepositoryError};

/// Manifests read at once.
const CONCURRENCY: usize = 8;
/// How often an index may be attached to a part of an index that is attached; stops a chain that never ends.
const MAX_ATTACHED_INDEXES: usize = 16;

/// The manifests below attached indexes, by the digest of the index; each is below one only.
pub(crate) type Parts = HashMap<Digest, Vec<RawManifest>>;

/// Reads what the indexes in `attached` list, and finds what is attached to it; `subjects` is what was asked before.
pub(crate) async fn follow(
    source: &dyn ReadRepository,
    subjects: Vec<Digest>,
    attached: &mut Attachments,
) -> Result<Parts, RepositoryError> {
    let mut known: HashSet<Digest> = subjects.into_iter().collect();
    let (mut parts, mut looked_at) = (Parts::new(), 0);
    for _ in 0..MAX_ATTACHED_INDEXES {
        let found = &attached.found[looked_at..];
        known.extend(found.iter().map(|attachment| attachment.descriptor().digest.clone()));
        let mut new = Vec::new();
        for attachment in found.iter().filter(|attachment| attachment.descriptor().media_type.is_index()) {
            let index = attachment.descriptor();
            let graph = graph::walk(source, index, CONCURRENCY).await?;
            let listed: Vec<RawManifest> =
                graph.manifests().filter(|part| known.insert(part.descriptor().digest.clone())).cloned().collect();
            new.extend(listed.iter().map(|part| part.descriptor().digest.clone()));
            parts.entry(index.digest.clone()).or_default().extend(listed);
        }
        if new.is_empty() {
            return Ok(parts);
        }
        looked_at = attached.found.len();
        let below = attachments_of_all(source, &new, Scope::Nested).await?;
        attached.found.extend(below.found);
        attached.problems.extend(below.problems);
        attached.unread.extend(below.unread);
    }
    let (what, limit) = ("number of indexes attached to parts of each other", MAX_ATTACHED_INDEXES as u64);
    Err(RepositoryError::TooLarge { repository: source.name().clone(), what, limit })
}
