//! Descriptors: the immutable name of one piece of content.
//!
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md>.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{Digest, MediaType, UnknownFields};

/// The content of the empty descriptor, which stands where a manifest has nothing to say.
pub const EMPTY_JSON: &[u8] = b"{}";

/// What the code passes around: media type, digest and size of content, with what was said about it.
///
/// Fields this crate does not know are kept in `other`, so that an index read, extended and written again loses nothing.
/// Only JSON can be read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content; empty where old manifests omit it.
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content, in bytes.
    pub size: u64,
    /// Type of the artifact, on entries of a referrers listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Platform, on entries of an image index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Fields this crate does not know.
    #[serde(flatten)]
    pub other: UnknownFields,
}

impl Descriptor {
    /// Returns a descriptor with nothing but the three required fields.
    pub fn new(media_type: impl Into<MediaType>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::new(),
            other: UnknownFields::default(),
        }
    }

    /// Returns the descriptor of `content`.
    pub fn of(media_type: impl Into<MediaType>, content: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(content), content.len() as u64)
    }

    /// Returns media type, digest and size alone, as a `subject` field wants them.
    pub fn to_plain(&self) -> Self {
        Self::new(self.media_type.clone(), self.digest.clone(), self.size)
    }

    /// Says whether both name the same content, whatever else is said about it.
    pub fn is_same_content(&self, other: &Self) -> bool {
        self.digest == other.digest && self.size == other.size && self.media_type == other.media_type
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (known, other) = split::<_, KnownOfDescriptor>(
            deserializer,
            &["mediaType", "digest", "size", "artifactType", "platform", "annotations"],
        )?;
        let KnownOfDescriptor { media_type, digest, size, artifact_type, platform, annotations } = known;
        Ok(Self { media_type, digest, size, artifact_type, platform, annotations, other })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KnownOfDescriptor {
    #[serde(default)]
    media_type: MediaType,
    digest: Digest,
    size: u64,
    artifact_type: Option<String>,
    platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_as_empty")]
    annotations: BTreeMap<String, String>,
}

/// The platform an image of an index runs on.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// CPU architecture, as Go's `GOARCH`.
    pub architecture: String,
    /// Operating system, as Go's `GOOS`.
    pub os: String,
    /// CPU variant, such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields this crate does not know.
    #[serde(flatten)]
    pub other: UnknownFields,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (known, other) = split::<_, KnownOfPlatform>(deserializer, &["architecture", "os", "variant"])?;
        let KnownOfPlatform { architecture, os, variant } = known;
        Ok(Self { architecture, os, variant, other })
    }
}

#[derive(Deserialize)]
struct KnownOfPlatform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
}

/// Reads the fields of `T`, which are `known`, and keeps the others.
fn split<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
    known: &[&str],
) -> Result<(T, UnknownFields), D::Error> {
    let object = Box::<RawValue>::deserialize(deserializer)?;
    let fields = serde_json::from_str(object.get()).map_err(D::Error::custom)?;
    Ok((fields, UnknownFields::of(&object, known).map_err(D::Error::custom)?))
}

/// Reads `"annotations": null`, which some builders write, as none.
pub(super) fn null_as_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
