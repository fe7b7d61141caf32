//! Manifests: received bytes first, a typed view second.
//!
//! The bytes are the truth and are never serialised again; the view exists to walk the graph.
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::descriptor::null_as_empty;
use super::{Descriptor, Digest, MediaType};

/// The largest manifest read. Registries accept 4 MiB (distribution-spec); a larger body is an attack on memory
/// (CVE-2024-29902).
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// The most entries one manifest may list; stops quadratic work on a hostile index of a million tiny entries.
pub(super) const MAX_MANIFEST_ENTRIES: usize = 50_000;

/// The most texts of one manifest or listing, names of fields included: 20 for each of 25,000 entries. Stops one that is
/// nothing but tiny annotations, each of which takes ten times its size in memory.
const MAX_TEXTS: usize = 500_000;

/// A manifest exactly as received, whose digest has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawManifest {
    descriptor: Descriptor,
    bytes: Bytes,
}

impl RawManifest {
    /// Returns the manifest of these bytes, with the SHA-256 digest computed here.
    pub fn new(media_type: impl Into<MediaType>, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { descriptor: Descriptor::of(media_type, &bytes), bytes }
    }

    /// Returns the manifest of these bytes if they have `digest`.
    pub fn with_digest(media_type: impl Into<MediaType>, bytes: Bytes, digest: &Digest) -> Result<Self, ManifestError> {
        let found = Digest::of(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(ManifestError::DigestMismatch { expected: digest.clone(), found });
        }
        Ok(Self { descriptor: Descriptor::new(media_type, found, bytes.len() as u64), bytes })
    }

    /// Returns media type, digest and size.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the bytes as received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the typed view.
    ///
    /// # Errors
    /// Refuses what could be read in two ways: an index that also has layers, a body that calls itself another type
    /// than it was served as (CVE-2021-41190).
    pub fn parse(&self) -> Result<Manifest, ManifestError> {
        Manifest::parse(&self.descriptor.media_type, &self.bytes)
    }

    /// Returns the digest that the manifest refers to, of any manifest that can be read at all, also of one whose other
    /// parts [`RawManifest::parse`] refuses.
    pub fn subject_digest(&self) -> Option<Digest> {
        #[derive(Deserialize)]
        struct Outline {
            subject: Option<Subject>,
        }
        #[derive(Deserialize)]
        struct Subject {
            digest: Digest,
        }
        serde_json::from_slice::<Outline>(&self.bytes).ok()?.subject.map(|subject| subject.digest)
    }

    /// Returns how a referrers listing describes this manifest: its artifact type, and all its annotations.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.
    pub fn to_referrer_entry(&self) -> Result<Descriptor, ManifestError> {
        let manifest = self.parse()?;
        Ok(Descriptor {
            artifact_type: manifest.artifact_type().map(str::to_owned),
            annotations: manifest.annotations,
            ..self.descriptor.to_plain()
        })
    }
}

/// The parts of a manifest that the graph is made of, whatever its media type.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// The type the manifest gives itself, if any.
    pub media_type: Option<MediaType>,
    /// The manifest's own `artifactType` field; see [`Manifest::artifact_type`] for the effective one.
    #[serde(rename = "artifactType")]
    pub declared_artifact_type: Option<String>,
    /// The manifest this one refers to.
    pub subject: Option<Descriptor>,
    /// Configuration of an image manifest.
    pub config: Option<Descriptor>,
    /// Layers of an image manifest, or the blobs of an artifact manifest.
    #[serde(default, alias = "blobs", deserialize_with = "null_as_no_entries")]
    pub layers: Vec<Descriptor>,
    /// Entries of an index.
    #[serde(default, deserialize_with = "null_as_no_entries")]
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    fn parse(served: &MediaType, bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { limit: MAX_MANIFEST_BYTES });
        }
        check_document(bytes)?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if let Some(declared) = manifest.media_type.as_ref().filter(|declared| *declared != served) {
            return Err(ManifestError::MediaType { served: served.clone(), declared: declared.clone() });
        }
        if served.is_index() && (manifest.config.is_some() || !manifest.layers.is_empty()) {
            return Err(ManifestError::Ambiguous);
        }
        if !served.is_index() && !manifest.manifests.is_empty() {
            return Err(ManifestError::Ambiguous);
        }
        if manifest.layers.len() + manifest.manifests.len() > MAX_MANIFEST_ENTRIES {
            return Err(ManifestError::TooManyEntries { limit: MAX_MANIFEST_ENTRIES });
        }
        Ok(manifest)
    }

    /// Returns the effective artifact type: the declared one, else the configuration's media type.
    pub fn artifact_type(&self) -> Option<&str> {
        let config = self.config.as_ref().map(|config| config.media_type.as_str());
        self.declared_artifact_type.as_deref().filter(|declared| !declared.is_empty()).or(config)
    }

    /// Returns what the manifest consists of, in the order to push it: configuration, layers, manifests.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers).chain(&self.manifests)
    }

    /// Says whether a layer is a Sigstore bundle, which may be a signature or an attestation.
    ///
    /// Fallback indexes lie about artifact types (cosign up to 3.1 writes `application/vnd.oci.empty.v1+json`), so
    /// the layers decide.
    pub fn holds_sigstore_bundle(&self) -> bool {
        self.layers.iter().any(|layer| layer.media_type.is_sigstore_bundle())
    }
}

/// Refuses a document that is no object, which serde would read from an array of its fields' values, too, and one with
/// more texts than any may have.
pub(super) fn check_document(json: &[u8]) -> Result<(), ManifestError> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(ManifestError::NoObject);
    }
    // Two quotes each, and no fewer than the document's own where a text has quotes of its own.
    if json.iter().filter(|byte| **byte == b'"').count() / 2 > MAX_TEXTS {
        return Err(ManifestError::TooManyTexts { limit: MAX_TEXTS });
    }
    Ok(())
}

fn null_as_no_entries<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Says why bytes are not a usable manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It could be read both as an image and as an index (CVE-2021-41190).
    #[error("the manifest has the fields of an image and of an index")]
    Ambiguous,
    /// The bytes have another digest.
    #[error("the manifest has digest {found}, not {expected}")]
    DigestMismatch {
        /// Digest asked for.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// An entry of a listing is no descriptor that can be read.
    #[error("entry {number} of the listing cannot be read: {problem}")]
    Entry {
        /// Which one, the first being 1.
        number: usize,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
    /// The bytes are not the JSON of a manifest.
    #[error("the manifest is not valid JSON of its type")]
    Json(#[source] serde_json::Error),
    /// It was served as one type and calls itself another (CVE-2021-41190).
    #[error("the manifest was served as `{served}` and calls itself `{declared}`")]
    MediaType {
        /// Media type it was served or listed as.
        served: MediaType,
        /// Media type in its body.
        declared: MediaType,
    },
    /// It is no JSON object.
    #[error("the manifest is not a JSON object")]
    NoObject,
    /// It is larger than any manifest may be.
    #[error("the manifest is larger than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: u64,
    },
    /// It lists more entries than any manifest may.
    #[error("the manifest lists more than {limit} entries")]
    TooManyEntries {
        /// Most entries.
        limit: usize,
    },
    /// It holds more texts than any manifest may.
    #[error("the manifest has more than {limit} names and texts")]
    TooManyTexts {
        /// Most texts.
        limit: usize,
    },
}
