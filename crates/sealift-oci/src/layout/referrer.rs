//! What refers to what in a layout, found by opening every manifest once.
//!
//! The index is not enough: `cosign save` leaves referrers in `blobs/` without listing them anywhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use sealift_core::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES};
use sealift_core::repository::RepositoryError;

use super::blob::blob_path;
use super::{Inner, index};

/// How much of a blob tells that it is no JSON object.
const START_BYTES: usize = 64;

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Scan {
    seen: HashSet<Digest>,
    referrers: HashMap<Digest, BTreeMap<Digest, Descriptor>>,
}

impl Scan {
    /// Opens what was not there the last time, and forgets what is gone.
    pub(super) fn extend(&mut self, layout: &Inner) -> Result<(), RepositoryError> {
        let present: HashSet<Digest> = layout.blobs()?.into_iter().collect();
        for digest in present.difference(&self.seen) {
            let Some((subject, entry)) = read(layout, digest)? else { continue };
            self.referrers.entry(subject).or_default().insert(digest.clone(), entry);
        }
        for entries in self.referrers.values_mut() {
            entries.retain(|digest, _| present.contains(digest));
        }
        self.seen = present;
        Ok(())
    }

    /// Returns what refers to `subject`, in order of digest.
    pub(super) fn referrers(&self, subject: &Digest) -> Vec<Descriptor> {
        self.referrers.get(subject).map(|entries| entries.values().cloned().collect()).unwrap_or_default()
    }
}

fn read(layout: &Inner, digest: &Digest) -> Result<Option<(Digest, Descriptor)>, RepositoryError> {
    let failed = |source| layout.failed("read blob", source);
    let Some(extent) = layout.open_file(&blob_path(digest))? else { return Ok(None) };
    let start = extent.read_start(START_BYTES).map_err(failed)?;
    if extent.size() > MAX_MANIFEST_BYTES || start.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let Some(bytes) = extent.read_all(MAX_MANIFEST_BYTES).map_err(failed)? else { return Ok(None) };
    if index::manifest_type(&bytes).is_none() {
        return Ok(None);
    }
    // A blob under a wrong digest is an error: it may be a signature that somebody damaged.
    let Some(raw) = layout.read_manifest(digest, None)? else { return Ok(None) };
    // What is no usable manifest refers to nothing, as in a registry, which would not have taken it.
    let Some(subject) = raw.parse().ok().and_then(|manifest| manifest.subject) else { return Ok(None) };
    let entry = raw.to_referrer_entry().map_err(|source| layout.unusable(digest, source))?;
    Ok(Some((subject.digest, entry)))
}
