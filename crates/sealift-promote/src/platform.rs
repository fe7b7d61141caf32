//! Some platforms of an index: what is chosen, and what stays behind.
//!
//! The index keeps its digest, and with it every signature over it, so at the destination it lists images that are not
//! there. Registries that refuse such an index are told apart by [`PromoteError::SparseRefused`]; a single platform is
//! promoted there by its own digest, as what was signed is then the platform's manifest. A source may hold such an index,
//! too: then only what it holds can be chosen.

use std::collections::HashSet;

use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, annotation};
use sealift_core::repository::graph::Graph;

use crate::error::PromoteError;
use crate::object::{SkipReason, Skipped};

/// The manifests of a graph that travel, the root first, and the entries of the root that do not.
pub(crate) struct Chosen<'a> {
    pub(crate) manifests: Vec<&'a RawManifest>,
    pub(crate) left_behind: Vec<Skipped>,
}

/// Chooses the images for `platforms`, with what BuildKit attests about them; everything when none is named. What is
/// chosen must be held: what is `missing` can only be left behind.
pub(crate) fn choose<'a>(
    (graph, missing): &'a (Graph, Vec<Digest>),
    root: &Descriptor,
    platforms: &[String],
    source: &RepositoryName,
) -> Result<Chosen<'a>, PromoteError> {
    let manifests: Vec<&RawManifest> = graph.manifests().collect();
    if platforms.is_empty() {
        refuse_missing(source, root, missing.iter())?;
        return Ok(Chosen { manifests, left_behind: Vec::new() });
    }
    // The walk parsed it.
    let entries = manifests.first().and_then(|raw| raw.parse().ok()).map(|index| index.manifests).unwrap_or_default();
    for platform in platforms {
        if !entries.iter().any(|entry| is_for(entry, platform)) {
            return Err(PromoteError::NoPlatform { repository: source.clone(), platform: platform.clone() });
        }
    }
    let mut kept: HashSet<Digest> = entries
        .iter()
        .filter(|entry| platforms.iter().any(|platform| is_for(entry, platform)))
        .map(|entry| entry.digest.clone())
        .collect();
    let about = |entry: &Descriptor| entry.annotations.get(annotation::BUILDKIT_REFERENCE_DIGEST).cloned();
    let is_about = |entry: &Descriptor| about(entry).is_some_and(|text| kept.iter().any(|it| it.to_string() == text));
    let attesting: Vec<Digest> =
        entries.iter().filter(|entry| is_about(entry)).map(|entry| entry.digest.clone()).collect();
    kept.extend(attesting);
    let absent: HashSet<&Digest> = missing.iter().collect();
    let left = entries.iter().filter(|entry| !kept.contains(&entry.digest)).map(|entry| Skipped {
        subject: root.digest.clone(),
        storage: None,
        digest: Some(entry.digest.clone()),
        artifact_type: entry.platform.as_ref().map(ToString::to_string),
        reason: if absent.contains(&entry.digest) { SkipReason::Dangling } else { SkipReason::OtherPlatform },
    });
    let left_behind = left.collect();
    kept.insert(root.digest.clone());
    // Parents come before children, so one pass finds what is below a chosen entry.
    let mut chosen = Vec::new();
    for raw in manifests {
        if !kept.contains(&raw.descriptor().digest) {
            continue;
        }
        chosen.push(raw);
        if raw.descriptor().digest != root.digest {
            kept.extend(raw.parse().iter().flat_map(|index| &index.manifests).map(|entry| entry.digest.clone()));
        }
    }
    refuse_missing(source, root, missing.iter().filter(|digest| kept.contains(digest)))?;
    Ok(Chosen { manifests: chosen, left_behind })
}

fn refuse_missing<'a>(
    source: &RepositoryName,
    root: &Descriptor,
    missing: impl Iterator<Item = &'a Digest>,
) -> Result<(), PromoteError> {
    let missing: Vec<Digest> = missing.cloned().collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(PromoteError::Incomplete { repository: source.clone(), index: root.digest.clone(), missing }),
    }
}

/// Says whether an entry is for `platform`; one named without a variant stands for all variants.
fn is_for(entry: &Descriptor, platform: &str) -> bool {
    let Some(found) = &entry.platform else { return false };
    found.to_string() == platform || format!("{}/{}", found.os, found.architecture) == platform
}
