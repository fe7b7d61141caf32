//! What a promotion moves and what it leaves behind, piece by piece.

use sealift_core::attach::{Attachment, AttachmentKind, ProblemReason, Storage};
use sealift_core::oci::{Digest, RawManifest};
use serde::{Serialize, Serializer};

/// A manifest that is moved, with its blobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PlannedObject {
    /// What it is to the promotion.
    pub role: Role,
    /// What it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// For a part, the index that lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// What kind of attachment it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// Where the source keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Its own artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its manifest, bytes as the source keeps them.
    #[serde(rename = "descriptor", serialize_with = "as_descriptor")]
    pub manifest: RawManifest,
}

impl PlannedObject {
    /// Returns the root, or a manifest that it lists.
    pub(crate) fn member(role: Role, manifest: RawManifest) -> Self {
        Self { role, subject: None, index: None, kind: None, storage: None, artifact_type: None, manifest }
    }

    /// Returns a manifest that `index`, which is attached or a part itself, lists.
    pub(crate) fn part(index: &Digest, manifest: RawManifest) -> Self {
        Self { index: Some(index.clone()), ..Self::member(Role::Part, manifest) }
    }

    pub(crate) fn attached(attachment: Attachment) -> Self {
        let role = match attachment.storage {
            Storage::CosignTag(_) => Role::CosignTag,
            _ => Role::Referrer,
        };
        Self {
            role,
            subject: Some(attachment.subject),
            index: None,
            kind: Some(attachment.kind),
            storage: Some(attachment.storage),
            artifact_type: attachment.artifact_type,
            manifest: attachment.manifest,
        }
    }

    /// Returns what is there before it: what it is attached to, or the index that brings it.
    pub(crate) fn above(&self) -> Option<&Digest> {
        self.subject.as_ref().or(self.index.as_ref())
    }

    /// Returns the digest of its manifest.
    pub fn digest(&self) -> &Digest {
        &self.manifest.descriptor().digest
    }
}

/// What a manifest is to a promotion.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A manifest that the root lists, such as a platform.
    Child,
    /// What one of cosign's tags holds.
    CosignTag,
    /// A manifest that an attached index lists.
    Part,
    /// A manifest whose subject is another planned one.
    Referrer,
    /// What is promoted.
    Root,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Child => "child",
            Self::CosignTag => "cosign tag",
            Self::Part => "part",
            Self::Referrer => "referrer",
            Self::Root => "root",
        })
    }
}

/// Something at the source that is left behind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Skipped {
    /// What it is, or is said to be, attached to or part of.
    pub subject: Digest,
    /// Where the source keeps or lists it; none for a manifest of an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Its digest; none when a whole listing is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its artifact type, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Why it is left behind.
    pub reason: SkipReason,
}

impl Skipped {
    pub(crate) fn of(attachment: &Attachment, reason: SkipReason) -> Self {
        Self {
            subject: attachment.subject.clone(),
            storage: Some(attachment.storage),
            digest: Some(attachment.descriptor().digest.clone()),
            artifact_type: attachment.artifact_type.clone(),
            reason,
        }
    }
}

/// Says why something is left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// It is attached to something that is left behind.
    AttachedToSkipped,
    /// It is listed, but the source does not hold it.
    Dangling,
    /// The selection leaves it out.
    Excluded,
    /// Its manifest is not usable.
    Malformed,
    /// It is listed, but does not refer to the subject.
    NotAttached,
    /// It is for a platform that was not chosen.
    OtherPlatform,
    /// The fallback tag holds something that is no referrers index.
    Squatted,
}

impl SkipReason {
    pub(crate) fn of(reason: &ProblemReason) -> Self {
        match reason {
            ProblemReason::Dangling => Self::Dangling,
            ProblemReason::NotAManifest { .. } | ProblemReason::OtherSubject { .. } => Self::NotAttached,
            ProblemReason::Squatted { .. } => Self::Squatted,
            _ => Self::Malformed,
        }
    }
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AttachedToSkipped => "attached to something that stays behind",
            Self::Dangling => "listed, but the source does not hold it",
            Self::Excluded => "excluded by the selection",
            Self::Malformed => "its manifest is not usable",
            Self::NotAttached => "listed, but it does not refer to the subject",
            Self::OtherPlatform => "for a platform that was not chosen",
            Self::Squatted => "the fallback tag holds something that is no referrers index",
        })
    }
}

fn as_descriptor<S: Serializer>(manifest: &RawManifest, serializer: S) -> Result<S::Ok, S::Error> {
    manifest.descriptor().serialize(serializer)
}
