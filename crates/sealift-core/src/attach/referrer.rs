//! Attaches an artifact as a referrer: a manifest whose `subject` is what it is attached to.
//!
//! Never resolves or re-reads the subject: the caller holds its descriptor. Requests: the blobs side by side, then the
//! manifest, then one link where the repository does not list referrers by itself.
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage>.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Serialize;

use super::AttachError;
use crate::entity::{Bundle, BundleError, SignedContent};
use crate::oci::{Descriptor, Digest, EMPTY_JSON, MediaType, RawManifest, annotation, media_type};
use crate::repository::{Content, Pushed, Repository, RepositoryError};

/// A blob of an artifact that does not exist yet.
#[derive(Clone, Debug)]
pub struct NewLayer {
    /// Media type of the blob.
    pub media_type: MediaType,
    /// The blob.
    pub content: Bytes,
    /// Annotations of its descriptor.
    pub annotations: BTreeMap<String, String>,
}

impl NewLayer {
    /// Returns a layer without annotations.
    pub fn new(media_type: impl Into<MediaType>, content: impl Into<Bytes>) -> Self {
        Self { media_type: media_type.into(), content: content.into(), annotations: BTreeMap::new() }
    }

    /// Returns the layer with one more annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Returns the descriptor a manifest lists.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor { annotations: self.annotations.clone(), ..Descriptor::of(self.media_type.clone(), &self.content) }
    }
}

/// An artifact that does not exist yet.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// What the artifact is.
    pub artifact_type: String,
    /// Its configuration; the empty descriptor where there is none.
    pub config: Option<NewLayer>,
    /// Its blobs; the empty descriptor stands in where there is none.
    pub layers: Vec<NewLayer>,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
}

impl NewArtifact {
    /// Returns an artifact of nothing but a type.
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self { artifact_type: artifact_type.into(), config: None, layers: Vec::new(), annotations: BTreeMap::new() }
    }

    /// Returns the artifact with one more layer.
    #[must_use]
    pub fn with_layer(mut self, layer: NewLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Returns the artifact with one more annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Returns the artifact with its creation time, in whole seconds as cosign writes it.
    #[must_use]
    pub fn created(self, created: jiff::Timestamp) -> Self {
        let seconds = jiff::Timestamp::from_second(created.as_second()).unwrap_or(created);
        self.with_annotation(annotation::CREATED, seconds.to_string())
    }

    /// Returns the artifact that cosign 3 makes of a bundle.
    ///
    /// # Errors
    /// [`BundleError`] when the bundle has no JSON form.
    ///
    /// Specification: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
    pub fn of_bundle(bundle: &Bundle, created: jiff::Timestamp) -> Result<Self, BundleError> {
        let content = match bundle.content() {
            SignedContent::Envelope(_) => "dsse-envelope",
            _ => "message-signature",
        };
        let mut artifact = Self::new(bundle.media_type().as_str())
            .with_layer(NewLayer::new(bundle.media_type().clone(), bundle.to_json()?))
            .with_annotation(annotation::BUNDLE_CONTENT, content)
            .created(created);
        if let Some(predicate_type) = bundle.predicate_type() {
            artifact = artifact.with_annotation(annotation::BUNDLE_PREDICATE_TYPE, predicate_type);
        }
        Ok(artifact)
    }

    /// Returns the manifest that attaches the artifact to `subject`.
    pub fn to_manifest(&self, subject: &Descriptor) -> RawManifest {
        let blobs = self.blobs();
        let layers = if self.layers.is_empty() { &blobs[..1] } else { &blobs[1..] };
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: media_type::IMAGE_MANIFEST,
            artifact_type: &self.artifact_type,
            config: blobs[0].descriptor(),
            layers: layers.iter().map(NewLayer::descriptor).collect(),
            subject: subject.to_plain(),
            annotations: &self.annotations,
        };
        // A struct of strings and numbers always serialises.
        RawManifest::new(media_type::IMAGE_MANIFEST, serde_json::to_vec(&manifest).unwrap_or_default())
    }

    /// Returns configuration, then layers.
    fn blobs(&self) -> Vec<NewLayer> {
        let config = self.config.clone().unwrap_or_else(|| NewLayer::new(media_type::EMPTY, EMPTY_JSON));
        std::iter::once(config).chain(self.layers.iter().cloned()).collect()
    }
}

/// Attaches `artifact` to `subject`, which need not be there yet, and returns the descriptor of the new manifest.
///
/// # Errors
/// After an error the manifest may be stored, but then nothing lists it.
pub async fn attach(
    repository: &dyn Repository,
    subject: &Descriptor,
    artifact: &NewArtifact,
) -> Result<Descriptor, AttachError> {
    let failed = |source| AttachError::Repository { subject: subject.digest.clone(), source: Box::new(source) };
    let (entry, pushed) = push_artifact(repository, subject, artifact).await?;
    if pushed == Pushed::Unlisted {
        repository.link_referrers(&subject.digest, std::slice::from_ref(&entry)).await.map_err(failed)?;
        repository.settle().await.map_err(failed)?;
    }
    repository.flush().await.map_err(failed)?;
    Ok(entry)
}

/// Stores `artifact` as a referrer of `subject`, and returns the entry that has still to be linked where it is
/// [`Pushed::Unlisted`]: for those who link many at once.
///
/// # Errors
/// As [`attach`].
pub async fn push_artifact(
    repository: &dyn Repository,
    subject: &Descriptor,
    artifact: &NewArtifact,
) -> Result<(Descriptor, Pushed), AttachError> {
    let failed = |source| AttachError::Repository { subject: subject.digest.clone(), source: Box::new(source) };
    let manifest = artifact.to_manifest(subject);
    let entry = manifest
        .to_referrer_entry()
        .map_err(|source| AttachError::Manifest { what: "the new manifest".to_owned(), source })?;
    push_blobs(repository, &artifact.blobs()).await.map_err(failed)?;
    let pushed = repository.push(manifest.descriptor(), manifest.bytes().clone().into()).await.map_err(failed)?;
    Ok((entry, pushed))
}

/// Attaches a bundle to `subject` as cosign 3 does, and returns the descriptor of the new manifest.
///
/// # Errors
/// As [`attach`], and [`AttachError::Bundle`] when the bundle has no JSON form.
pub async fn attach_bundle(
    repository: &dyn Repository,
    subject: &Descriptor,
    bundle: &Bundle,
    created: jiff::Timestamp,
) -> Result<Descriptor, AttachError> {
    let artifact = NewArtifact::of_bundle(bundle, created).map_err(AttachError::Bundle)?;
    attach(repository, subject, &artifact).await
}

/// Pushes blobs side by side, equal ones once.
pub(super) async fn push_blobs(repository: &dyn Repository, blobs: &[NewLayer]) -> Result<(), RepositoryError> {
    let mut seen: HashSet<Digest> = HashSet::new();
    let pushes = blobs.iter().filter_map(|blob| {
        let descriptor = Descriptor::of(blob.media_type.clone(), &blob.content);
        seen.insert(descriptor.digest.clone())
            .then_some(async move { repository.push(&descriptor, Content::from(blob.content.clone())).await })
    });
    try_join_all(pushes).await.map(|_| ())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'a str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    subject: Descriptor,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}
