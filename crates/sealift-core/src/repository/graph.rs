//! The graph below a manifest: what it consists of, read with bounds, children known before parents.
//!
//! Follows `config`, `layers` and `manifests` only. Referrers point the other way and belong to evidence, not to the
//! graph. Every object is visited once, so shared subtrees and whatever passes for a cycle cost nothing.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ContentError, ReadRepository, RepositoryError};
use crate::oci::{Descriptor, Digest, Manifest, MediaType, RawManifest, RepositoryName, Selector, media_type};

/// The deepest nesting of indexes followed; stops a chain of indexes that costs a round trip a level.
pub const MAX_DEPTH: usize = 16;
/// The most objects of one graph; stops an index of indexes from filling memory.
pub const MAX_NODES: usize = 50_000;
/// The most bytes of manifests of one graph, held until they are used; stops many manifests of the largest size.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Something a manifest consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Child {
    /// Media type, digest and size. What a manifest uses as a blob never has a manifest's media type here, whatever
    /// it claims, because stores keep it among the blobs.
    pub descriptor: Descriptor,
    /// Whether it is a manifest, with children of its own.
    pub is_manifest: bool,
    /// Whether it is a layer that stores need not hold: it has `urls`, or a media type that says so.
    pub is_foreign: bool,
}

impl Child {
    /// Returns the digest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    fn blob(descriptor: &Descriptor) -> Self {
        let has_urls = descriptor.other.read::<Urls>().is_some_and(|fields| !fields.urls.is_empty());
        let is_foreign = has_urls || descriptor.media_type.is_foreign_layer();
        let mut plain = descriptor.to_plain();
        if plain.media_type.is_manifest() {
            plain.media_type = MediaType::from_static(media_type::OCTET_STREAM);
        }
        Self { descriptor: plain, is_manifest: false, is_foreign }
    }

    fn entry(descriptor: &Descriptor) -> Self {
        // Old indexes leave the media type out; an entry of another type, such as a wheel or a bundle, is a blob.
        let is_manifest = descriptor.media_type.is_manifest() || descriptor.media_type.as_str().is_empty();
        if !is_manifest {
            return Self::blob(descriptor);
        }
        Self { descriptor: descriptor.to_plain(), is_manifest, is_foreign: false }
    }
}

#[derive(Deserialize)]
struct Urls {
    urls: Vec<IgnoredAny>,
}

/// Returns what a manifest consists of: configuration, layers, manifests.
pub fn children(manifest: &Manifest) -> impl Iterator<Item = Child> {
    let blobs = manifest.config.iter().chain(&manifest.layers).map(Child::blob);
    blobs.chain(manifest.manifests.iter().map(Child::entry))
}

/// A walk down a graph, one level at a time; the caller reads the manifests, so it may also leave subtrees out.
#[derive(Debug)]
pub struct Walk {
    repository: RepositoryName,
    depth: usize,
    bytes: u64,
    next: Vec<Descriptor>,
    seen: HashSet<Digest>,
    graph: Graph,
}

impl Walk {
    /// Starts at `root`, a manifest of `repository`.
    pub fn new(repository: &RepositoryName, root: &Descriptor) -> Self {
        Self {
            repository: repository.clone(),
            depth: 0,
            bytes: 0,
            next: vec![root.to_plain()],
            seen: HashSet::from([root.digest.clone()]),
            graph: Graph::default(),
        }
    }

    /// Returns the manifests to read next; empty at the end.
    ///
    /// # Errors
    /// [`RepositoryError::TooLarge`] beyond [`MAX_DEPTH`].
    pub fn next_level(&mut self) -> Result<Vec<Descriptor>, RepositoryError> {
        let level = std::mem::take(&mut self.next);
        if !level.is_empty() {
            self.depth += 1;
        }
        if self.depth > MAX_DEPTH {
            return Err(self.too_large("nesting of indexes", MAX_DEPTH as u64));
        }
        Ok(level)
    }

    /// Takes a manifest of this level: its children are in the next.
    ///
    /// # Errors
    /// [`RepositoryError::Manifest`] when it cannot be read, [`RepositoryError::Content`] when a size lies,
    /// [`RepositoryError::TooLarge`] beyond [`MAX_NODES`] or [`MAX_BYTES`].
    pub fn admit(&mut self, described: &Descriptor, raw: RawManifest) -> Result<(), RepositoryError> {
        let found = raw.descriptor().clone();
        self.refuse_other_size(described.size, found.size)?;
        self.bytes += found.size;
        if self.bytes > MAX_BYTES {
            return Err(self.too_large("manifests of the graph", MAX_BYTES));
        }
        let manifest = raw.parse().map_err(|source| RepositoryError::Manifest {
            repository: self.repository.clone(),
            digest: found.digest.to_string(),
            source,
        })?;
        let mut below = vec![];
        for child in children(&manifest) {
            if child.is_manifest {
                below.push(child.digest().clone());
                if self.seen.insert(child.digest().clone()) {
                    self.next.push(child.descriptor);
                }
            } else {
                self.admit_blob(child)?;
            }
        }
        self.graph.manifests.push(Node { raw, below });
        if self.seen.len() + self.graph.blobs.len() > MAX_NODES {
            return Err(self.too_large("number of objects in the graph", MAX_NODES as u64));
        }
        Ok(())
    }

    /// Returns what was read.
    pub fn finish(self) -> Graph {
        self.graph
    }

    fn admit_blob(&mut self, child: Child) -> Result<(), RepositoryError> {
        let next = self.graph.blobs.len();
        let position = *self.graph.positions.entry(child.digest().clone()).or_insert(next);
        let Some(known) = self.graph.blobs.get_mut(position) else {
            self.graph.blobs.push(child);
            return Ok(());
        };
        // A digest has one size; a second manifest that gives another would be copied without anybody noticing.
        known.is_foreign &= child.is_foreign;
        let known = known.descriptor.size;
        self.refuse_other_size(child.descriptor.size, known)
    }

    fn refuse_other_size(&self, described: u64, found: u64) -> Result<(), RepositoryError> {
        let source = match described.cmp(&found) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => ContentError::TooLong { size: described },
            std::cmp::Ordering::Greater => ContentError::TooShort { size: described, missing: described - found },
        };
        Err(RepositoryError::Content { repository: self.repository.clone(), source })
    }

    fn too_large(&self, what: &'static str, limit: u64) -> RepositoryError {
        RepositoryError::TooLarge { repository: self.repository.clone(), what, limit }
    }
}

/// The manifests and blobs of a graph.
#[derive(Debug, Default)]
pub struct Graph {
    manifests: Vec<Node>,
    blobs: Vec<Child>,
    positions: HashMap<Digest, usize>,
}

#[derive(Debug)]
struct Node {
    raw: RawManifest,
    below: Vec<Digest>,
}

impl Graph {
    /// Returns the blobs, each once.
    pub fn blobs(&self) -> &[Child] {
        &self.blobs
    }

    /// Returns the manifests, each once, parents before children.
    pub fn manifests(&self) -> impl Iterator<Item = &RawManifest> {
        self.manifests.iter().map(|node| &node.raw)
    }

    /// Returns the manifests in the same order, each with the digests of the manifests that it lists.
    pub fn listings(&self) -> impl Iterator<Item = (&RawManifest, &[Digest])> {
        self.manifests.iter().map(|node| (&node.raw, node.below.as_slice()))
    }

    /// Returns the manifests in waves: each wave's children are all in earlier waves, so a wave can be pushed at once.
    pub fn waves(&self) -> Vec<Vec<&RawManifest>> {
        let mut pending: HashMap<&Digest, usize> = HashMap::new();
        let mut parents: HashMap<&Digest, Vec<&Node>> = HashMap::new();
        let held: HashSet<&Digest> = self.manifests.iter().map(|node| &node.raw.descriptor().digest).collect();
        for node in &self.manifests {
            // What was left out of the walk is at the destination already.
            let below: HashSet<&Digest> = node.below.iter().filter(|digest| held.contains(digest)).collect();
            pending.insert(&node.raw.descriptor().digest, below.len());
            for digest in below {
                parents.entry(digest).or_default().push(node);
            }
        }
        let mut wave: Vec<&Node> =
            self.manifests.iter().filter(|node| pending[&node.raw.descriptor().digest] == 0).collect();
        let mut waves = vec![];
        while !wave.is_empty() {
            let mut next = vec![];
            for parent in wave.iter().flat_map(|node| parents.get(&node.raw.descriptor().digest).into_iter().flatten())
            {
                if let Some(count) = pending.get_mut(&parent.raw.descriptor().digest) {
                    *count -= 1;
                    if *count == 0 {
                        next.push(*parent);
                    }
                }
            }
            waves.push(wave.into_iter().map(|node| &node.raw).collect());
            wave = next;
        }
        waves
    }
}

/// Reads the whole graph below `root`, at most `concurrency` manifests at a time.
///
/// # Errors
/// What [`Walk`] refuses, and what reading a manifest gives.
pub async fn walk(
    repository: &dyn ReadRepository,
    root: &Descriptor,
    concurrency: usize,
) -> Result<Graph, RepositoryError> {
    let (graph, missing) = walk_held(repository, root, concurrency).await?;
    match missing.first() {
        None => Ok(graph),
        Some(digest) => Err(RepositoryError::not_found(repository.name(), format_args!("manifest {digest}"))),
    }
}

/// Reads the graph below `root` as far as the repository holds it, and returns besides which of the manifests that
/// indexes list it does not hold.
///
/// # Errors
/// As [`walk`], also where the root itself is missing.
pub async fn walk_held(
    repository: &dyn ReadRepository,
    root: &Descriptor,
    concurrency: usize,
) -> Result<(Graph, Vec<Digest>), RepositoryError> {
    walk_unknown(repository, root, &|_| false, concurrency).await
}

/// Reads the graph below `root` as [`walk_held`] does, and leaves out the manifests that are known, with all that is
/// below them.
///
/// # Errors
/// As [`walk_held`].
pub async fn walk_unknown(
    repository: &dyn ReadRepository,
    root: &Descriptor,
    is_known: &(dyn Fn(&Digest) -> bool + Sync),
    concurrency: usize,
) -> Result<(Graph, Vec<Digest>), RepositoryError> {
    let mut walk = Walk::new(repository.name(), root);
    let mut missing = Vec::new();
    loop {
        let level = walk.next_level()?;
        if level.is_empty() {
            return Ok((walk.finish(), missing));
        }
        let mut read = stream::iter(level.into_iter().filter(|descriptor| !is_known(&descriptor.digest)))
            .map(|descriptor| async move {
                let raw = match repository.manifest(&Selector::Digest(descriptor.digest.clone())).await {
                    Err(error) if error.is_not_found() && descriptor.digest != root.digest => None,
                    raw => Some(raw?),
                };
                Ok::<_, RepositoryError>((descriptor, raw))
            })
            .buffered(concurrency.max(1));
        while let Some((descriptor, raw)) = read.try_next().await? {
            match raw {
                Some(raw) => walk.admit(&descriptor, raw)?,
                None => missing.push(descriptor.digest),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::repository::{Content, MemoryRepository, Repository as _};

    fn index(entries: &[&Descriptor]) -> RawManifest {
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries });
        RawManifest::new(media_type::IMAGE_INDEX, index.to_string())
    }

    #[tokio::test]
    async fn what_is_known_is_left_out_with_all_that_is_below() {
        let repository = MemoryRepository::new("images");
        let missing = Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere");
        let leaf = index(&[]);
        let inner = index(&[leaf.descriptor()]);
        let outer = index(&[inner.descriptor(), &missing]);
        for manifest in [&leaf, &inner, &outer] {
            repository.push(manifest.descriptor(), Content::from(manifest.bytes().clone())).await.unwrap();
        }
        let digest = |manifest: &RawManifest| manifest.descriptor().digest.clone();
        let listed = async |known: Option<&RawManifest>| {
            let is_known = |found: &Digest| known.is_some_and(|known| digest(known) == *found);
            let (graph, lacking) = walk_unknown(&repository, outer.descriptor(), &is_known, 1).await.unwrap();
            assert_eq!(lacking.len(), usize::from(known != Some(&outer)));
            graph.listings().map(|(manifest, lists)| (digest(manifest), lists.to_vec())).collect::<Vec<_>>()
        };
        let of_outer = (digest(&outer), vec![digest(&inner), missing.digest.clone()]);
        let of_inner = (digest(&inner), vec![digest(&leaf)]);
        assert_eq!(listed(None).await, [of_outer.clone(), of_inner, (digest(&leaf), vec![])]);
        assert_eq!(listed(Some(&inner)).await, [of_outer]);
        assert_eq!(listed(Some(&outer)).await, []);
    }
}
