//! The proof that nothing got lost: what the source had, what arrived and how that is known, and what was left out.
//!
//! Made only when everything planned is there; anything missing is [`PromoteError::Missing`](crate::PromoteError).

use sealift_core::attach::Storage;
use sealift_core::oci::{Descriptor, Digest, MediaType};
use serde::Serialize;

use crate::object::{PlannedObject, Role, Skipped};

/// What became of everything that the source has.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Completeness {
    /// Every manifest that was to arrive, in the plan's order, with the proof that it did.
    pub arrived: Vec<ArrivedObject>,
    /// What was left behind, and why.
    pub excluded: Vec<Skipped>,
    /// Foreign layers, whose manifests arrived, that the source does not hold either.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<Descriptor>,
}

impl Completeness {
    /// Returns how many manifests and entries the source had, those left behind included.
    pub fn at_source(&self) -> usize {
        self.arrived.len() + self.excluded.len()
    }
}

/// A manifest that the source had and the destination has, with all its blobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ArrivedObject {
    /// Its digest, the same at both ends.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// What it is to the promotion.
    pub role: Role,
    /// What it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// For a part, the index that lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Its own artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Where the source keeps it, for what is attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_storage: Option<Storage>,
    /// How it is known to be at the destination.
    pub proof: ArrivalProof,
}

impl ArrivedObject {
    pub(crate) fn of(object: &PlannedObject, proof: ArrivalProof) -> Self {
        let descriptor = object.manifest.descriptor();
        Self {
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            role: object.role,
            subject: object.subject.clone(),
            index: object.index.clone(),
            artifact_type: object.artifact_type.clone(),
            source_storage: object.storage,
            proof,
        }
    }
}

/// How a manifest is known to be at the destination. None of them is the answer to the write itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ArrivalProof {
    /// It was there before, by the destination's own answer.
    Found,
    /// After the last write the destination's referrers API lists it, which it computes from what it holds.
    Listed,
    /// The tag of cosign's has every layer of it, besides what it had.
    Merged,
    /// It was read back after the write, and is the same, byte for byte.
    ReadBack,
}

impl std::fmt::Display for ArrivalProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Found => "was there",
            Self::Listed => "listed",
            Self::Merged => "merged",
            Self::ReadBack => "read back",
        })
    }
}
