//! What is attached to a manifest: signatures, attestations, SBOMs and anything else, wherever a registry keeps it.
//!
//! Reads all storage schemes (referrers by the API or by the fallback tag, cosign's `.sig`, `.att` and `.sbom` tags) and
//! writes referrers and cosign tags. Never decides whether a signature is good: that is `verify` and `evidence`.
//!
//! What a listing says about an entry is never believed: cosign up to 3.1 writes
//! `application/vnd.oci.empty.v1+json` for everything, and `cosign copy` leaves images under the fallback tag. The
//! manifest is opened, its own types decide, and its `subject` must be the one asked for.

mod audit;
mod cosign_tag;
mod discover;
mod of_type;
mod prepare;
mod referrer;

use std::fmt;

use serde::Serialize;

pub use audit::{
    Audit, Finding, KnownFrom, KnownReferrer, ListingFault, MAX_SCANNED_TAGS, Squatter, audit, repair, tagged_referrers,
};
pub use cosign_tag::{CosignMerge, MAX_COSIGN_LAYERS, attach_cosign_tag, holds_cosign_layers};
pub(crate) use discover::{Entry, Opened, attachment, open};
pub use discover::{
    MAX_ATTACHMENT_BYTES, MAX_ATTACHMENT_DEPTH, MAX_ATTACHMENTS, Scope, attachments, attachments_of_all,
};
pub use of_type::{MAX_BYTES_OF_TYPE, MAX_OF_TYPE, referrers_of_type};
pub use prepare::prepare;
pub use referrer::{NewArtifact, NewLayer, attach, attach_bundle, push_artifact};

use crate::entity::BundleError;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, MediaType, RawManifest, Tag, media_type};
use crate::repository::RepositoryError;

/// Where an attachment was found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Storage {
    /// A tag of cosign's, such as `sha256-<hex>.sig`.
    CosignTag(CosignSuffix),
    /// The index under the tag `sha256-<hex>`.
    FallbackTag,
    /// The referrers API, or what a layout knows by itself.
    ReferrersApi,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CosignTag(suffix) => write!(f, "tag .{suffix}"),
            Self::FallbackTag => f.write_str("fallback tag"),
            Self::ReferrersApi => f.write_str("referrers API"),
        }
    }
}

/// What follows the digest in a tag of cosign's.
///
/// Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CosignSuffix {
    /// `.att`, attestations.
    Attestation,
    /// `.sbom`, unsigned SBOMs.
    Sbom,
    /// `.sig`, signatures.
    Signature,
}

impl CosignSuffix {
    /// Every suffix, in the order they are read.
    pub const ALL: [Self; 3] = [Self::Signature, Self::Attestation, Self::Sbom];

    /// Returns the suffix as written in the tag, without the dot.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attestation => "att",
            Self::Sbom => "sbom",
            Self::Signature => "sig",
        }
    }

    /// Returns the tag that holds this kind of attachment of `subject`.
    pub fn tag(self, subject: &Digest) -> Tag {
        Tag::cosign(subject, self.as_str())
    }
}

impl fmt::Display for CosignSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an attachment is, judging by its own manifest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AttachmentKind {
    /// DSSE envelopes as cosign 1 and 2 store them, under `.att` or as a referrer.
    CosignAttestation,
    /// An unsigned SBOM as `cosign attach sbom` stores it.
    CosignSbom,
    /// Simple signing payloads as cosign 1 and 2 store them, under `.sig` or as a referrer.
    CosignSignature,
    /// A lifecycle marker, such as end of life, of Microsoft's kind.
    Lifecycle,
    /// A Notary Project signature.
    NotarySignature,
    /// Something else; its artifact type says what.
    Other,
    /// A Sigstore bundle: signature or attestation.
    SigstoreBundle,
}

impl AttachmentKind {
    /// Returns what `manifest` is when found in `storage`.
    pub fn of(manifest: &Manifest, storage: Storage) -> Self {
        let all_layers = |wanted: &str| {
            !manifest.layers.is_empty() && manifest.layers.iter().all(|layer| layer.media_type == *wanted)
        };
        let artifact_type = manifest.artifact_type().unwrap_or_default();
        match artifact_type {
            _ if manifest.holds_sigstore_bundle() => Self::SigstoreBundle,
            media_type::COSIGN_SIGNATURE_CONFIG => Self::CosignSignature,
            media_type::COSIGN_ATTESTATION_CONFIG => Self::CosignAttestation,
            media_type::COSIGN_SBOM_CONFIG => Self::CosignSbom,
            media_type::NOTARY_SIGNATURE => Self::NotarySignature,
            media_type::MICROSOFT_LIFECYCLE => Self::Lifecycle,
            _ if all_layers(media_type::SIMPLE_SIGNING) => Self::CosignSignature,
            _ if all_layers(media_type::DSSE_ENVELOPE) => Self::CosignAttestation,
            _ if storage == Storage::CosignTag(CosignSuffix::Sbom) => Self::CosignSbom,
            _ => Self::Other,
        }
    }

    /// Says whether it is a signature or a signed attestation, of whatever scheme.
    pub fn is_signature(self) -> bool {
        self.is_sigstore_signature() || self == Self::NotarySignature
    }

    /// Says whether it is a signature or a signed attestation of Sigstore's, as a bundle or as cosign's layers: those that
    /// [`read_signatures`](crate::evidence::read_signatures) reads.
    pub fn is_sigstore_signature(self) -> bool {
        matches!(self, Self::CosignAttestation | Self::CosignSignature | Self::SigstoreBundle)
    }
}

/// One thing attached to a subject, its manifest opened and its `subject` checked.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The manifest it is attached to.
    pub subject: Digest,
    /// Where it was found; the referrers API where several places list it.
    pub storage: Storage,
    /// What it is.
    pub kind: AttachmentKind,
    /// The effective artifact type of its own manifest.
    pub artifact_type: Option<String>,
    /// Its manifest, bytes as stored.
    pub manifest: RawManifest,
}

impl Attachment {
    /// Returns media type, digest and size of its manifest.
    pub fn descriptor(&self) -> &Descriptor {
        self.manifest.descriptor()
    }
}

/// Everything attached to some subjects, breadth first.
#[derive(Debug, Default)]
pub struct Attachments {
    /// What was found.
    pub found: Vec<Attachment>,
    /// Listed things that are not attachments; each is certain and nothing is missed because of it.
    pub problems: Vec<AttachmentProblem>,
    /// Things that could not be read: the answer is incomplete while there is any.
    pub unread: Vec<Unread>,
}

/// Something listed that could not be read, so that what it is stays open.
#[derive(Debug)]
pub struct Unread {
    /// The manifest it is said to be attached to.
    pub subject: Digest,
    /// Where it is.
    pub storage: Storage,
    /// Its digest, where one is known.
    pub digest: Option<Digest>,
    /// Why it could not be read.
    pub error: RepositoryError,
}

/// Something listed as attached that is not.
#[derive(Debug)]
pub struct AttachmentProblem {
    /// The manifest it is said to be attached to.
    pub subject: Digest,
    /// Where it is listed.
    pub storage: Storage,
    /// Its digest; none when the whole listing is meant.
    pub digest: Option<Digest>,
    /// What is wrong with it.
    pub reason: ProblemReason,
}

/// Says why something listed is not an attachment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemReason {
    /// The listing names a manifest that the repository does not hold.
    #[error("it is listed, but the repository does not hold it")]
    Dangling,
    /// Its manifest is not usable.
    #[error("its manifest is not usable")]
    Malformed(#[source] ManifestError),
    /// The entry does not name a manifest: neither by its word, nor does the repository hold one of that digest.
    #[error("it is listed as `{media_type}`, which is no manifest, and the repository holds no such manifest")]
    NotAManifest {
        /// Media type of the entry.
        media_type: MediaType,
    },
    /// Its manifest refers to something else, or to nothing: a replayed or foreign entry.
    #[error("its manifest does not refer to this subject")]
    OtherSubject {
        /// What it refers to.
        found: Option<Digest>,
    },
    /// The fallback tag holds something that is no referrers index.
    #[error("the fallback tag is no referrers index ({found})")]
    Squatted {
        /// What it holds instead.
        found: String,
    },
}

/// Says why something could not be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The bundle has no JSON form.
    #[error("the bundle cannot be written")]
    Bundle(#[source] BundleError),
    /// What is to be attached, or what is there already, is no manifest.
    #[error("{what} is not usable")]
    Manifest {
        /// What is not usable, such as the tag.
        what: String,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// The repository did not do it.
    #[error("attaching to {subject} failed")]
    Repository {
        /// What was to be attached to.
        subject: Digest,
        /// The repository's error.
        #[source]
        source: Box<RepositoryError>,
    },
    /// The tag holds as many layers as cosign reads.
    #[error("tag {tag} would hold more than {limit} layers, which cosign does not read")]
    TooManyLayers {
        /// The tag.
        tag: Tag,
        /// Most layers.
        limit: usize,
    },
}
