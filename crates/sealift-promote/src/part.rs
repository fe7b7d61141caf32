//! Parts: what attached indexes list travels with them, and what is attached to that.
//!
//! Never reads a manifest twice, whichever indexes list it. What is missing is an error only below an index that travels,
//! and which of them do is not known here.

use std::collections::{HashMap, HashSet, VecDeque};

use sealift_core::attach::{Attachments, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, Scope, Storage, attachments_of_all};
use sealift_core::oci::{Descriptor, Digest, RawManifest};
use sealift_core::repository::graph::{self, Graph};
use sealift_core::repository::{ReadRepository, RepositoryError};

/// Manifests read at once.
const CONCURRENCY: usize = 8;
/// How often an index may be attached to a part of an index that is attached; stops a chain that never ends.
const MAX_ATTACHED_INDEXES: usize = 16;
/// The most manifests read below attached indexes, all of them together; stops many indexes that each list as many as a
/// graph may have, because all are held until the plan is made.
const MAX_PARTS: usize = graph::MAX_NODES;
/// The most bytes of those manifests; stops many of the largest size.
const MAX_PART_BYTES: u64 = graph::MAX_BYTES;

/// Everything that indexes list: the root of a plan, what it lists, and what is attached to any of it.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    read: HashMap<Digest, Listed>,
    missing: HashSet<Digest>,
    taken: HashSet<Digest>,
    /// How many were read below attached indexes, and how many bytes they have.
    counted: (usize, u64),
}

/// A manifest that was read; what it lists may be below other indexes, too.
#[derive(Debug)]
struct Listed {
    manifest: RawManifest,
    lists: Vec<Digest>,
}

/// Everything below an index, at any depth.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// What the source holds, each with an index that lists it and after that index.
    pub(crate) held: Vec<(Digest, RawManifest)>,
    /// What the source lacks.
    pub(crate) missing: Vec<Digest>,
}

/// Reads what the indexes in `attached` list, adds what is attached to that, and so on; `root` was read before, and what
/// is attached to it is in `attached` already.
pub(crate) async fn follow(
    source: &dyn ReadRepository,
    root: &(Graph, Vec<Digest>),
    attached: &mut Attachments,
) -> Result<Parts, RepositoryError> {
    let mut parts = Parts::default();
    parts.add(root);
    let mut asked: HashSet<Digest> = parts.read.keys().chain(&parts.missing).cloned().collect();
    let mut looked_at = 0;
    for _ in 0..MAX_ATTACHED_INDEXES {
        let found = &attached.found[looked_at..];
        asked.extend(found.iter().map(|attachment| attachment.descriptor().digest.clone()));
        let mut new = Vec::new();
        for attachment in found.iter().filter(|attachment| attachment.descriptor().media_type.is_index()) {
            new.extend(parts.read(source, attachment.descriptor()).await?);
        }
        new.retain(|digest| asked.insert(digest.clone()));
        if new.is_empty() {
            return Ok(parts);
        }
        looked_at = attached.found.len();
        let below = attachments_of_all(source, &new, Scope::Nested).await?;
        add_new(attached, below);
        if attached.found.len() > MAX_ATTACHMENTS {
            return Err(too_large(source, "number of attachments", MAX_ATTACHMENTS as u64));
        }
        if attached.found.iter().map(|attachment| attachment.descriptor().size).sum::<u64>() > MAX_ATTACHMENT_BYTES {
            return Err(too_large(source, "manifests of attachments", MAX_ATTACHMENT_BYTES));
        }
    }
    Err(too_large(source, "number of indexes attached to parts of each other", MAX_ATTACHED_INDEXES as u64))
}

impl Parts {
    /// Takes everything below `index` that was not below an index before it.
    pub(crate) fn take(&mut self, index: &Digest) -> Below {
        let mut below = Below::default();
        let mut waiting = VecDeque::from([index.clone()]);
        while let Some(index) = waiting.pop_front() {
            let Some(Listed { lists, .. }) = self.read.get(&index) else { continue };
            for digest in lists.iter().filter(|digest| self.taken.insert((*digest).clone())) {
                match self.read.get(digest) {
                    Some(listed) => below.held.push((index.clone(), listed.manifest.clone())),
                    None => below.missing.push(digest.clone()),
                }
                waiting.push_back(digest.clone());
            }
        }
        below
    }

    /// Reads what `index` lists as far as it is not known, and returns what was read.
    async fn read(&mut self, source: &dyn ReadRepository, index: &Descriptor) -> Result<Vec<Digest>, RepositoryError> {
        // That the index is attached says that it is there.
        let is_missing = |digest: &Digest| *digest != index.digest && self.missing.contains(digest);
        let is_known = |digest: &Digest| self.read.contains_key(digest) || is_missing(digest);
        let found = graph::walk_unknown(source, index, &is_known, CONCURRENCY).await?;
        self.add(&found);
        let (count, bytes) = &mut self.counted;
        let found: Vec<&Descriptor> = found.0.manifests().map(RawManifest::descriptor).collect();
        *count += found.len();
        *bytes += found.iter().map(|part| part.size).sum::<u64>();
        if *count > MAX_PARTS {
            return Err(too_large(source, "number of manifests below attached indexes", MAX_PARTS as u64));
        }
        if *bytes > MAX_PART_BYTES {
            return Err(too_large(source, "manifests below attached indexes", MAX_PART_BYTES));
        }
        Ok(found.into_iter().map(|part| part.digest.clone()).collect())
    }

    fn add(&mut self, (graph, missing): &(Graph, Vec<Digest>)) {
        let read = graph.listings().map(|(manifest, lists)| {
            (manifest.descriptor().digest.clone(), Listed { manifest: manifest.clone(), lists: lists.to_vec() })
        });
        self.read.extend(read);
        self.missing.extend(missing.iter().cloned());
    }
}

/// Adds what was found below parts, but for what is known: where two of cosign's tags hold one manifest, what is attached
/// to that is found from both.
fn add_new(attached: &mut Attachments, below: Attachments) {
    let key = |subject: &Digest, storage: Storage, digest: Option<&Digest>| (subject.clone(), storage, digest.cloned());
    let found = attached.found.iter().map(|it| key(&it.subject, it.storage, Some(&it.descriptor().digest)));
    let problems = attached.problems.iter().map(|it| key(&it.subject, it.storage, it.digest.as_ref()));
    let mut known: HashSet<_> = found.chain(problems).collect();
    let mut is_new =
        |subject: &Digest, storage: Storage, digest: Option<&Digest>| known.insert(key(subject, storage, digest));
    let found = below.found.into_iter();
    attached.found.extend(found.filter(|it| is_new(&it.subject, it.storage, Some(&it.descriptor().digest))));
    let problems = below.problems.into_iter();
    attached.problems.extend(problems.filter(|it| is_new(&it.subject, it.storage, it.digest.as_ref())));
    attached.unread.extend(below.unread);
}

fn too_large(source: &dyn ReadRepository, what: &'static str, limit: u64) -> RepositoryError {
    RepositoryError::TooLarge { repository: source.name().clone(), what, limit }
}
