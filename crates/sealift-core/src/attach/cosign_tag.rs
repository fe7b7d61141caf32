//! Cosign's tags `sha256-<hex>.sig`, `.att` and `.sbom`: one image manifest whose layers are the attachments.
//!
//! A layer is added by reading, extending and writing the manifest; layers already there keep their descriptors as they
//! are. Writers that come between are the store's part: see [`Repository::revise_tag`].
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::referrer::push_blobs;
use super::{AttachError, CosignSuffix, NewLayer};
use crate::locked;
use crate::oci::{Descriptor, Digest, MediaType, RawManifest, Selector, Tag, media_type};
use crate::repository::{Repository, RepositoryError, Revised, Revision};

/// The most layers cosign reads from one tag.
pub const MAX_COSIGN_LAYERS: usize = 1000;
/// The largest configuration read; one entry of 200 bytes for each of 1,000 layers stays far below.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// What there are too many of.
const LAYERS: &str = "number of layers under a cosign tag";
/// The creation time cosign writes unless asked for another: Go's zero time.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Adds `layer` to the tag of `subject` and returns the descriptor of the manifest then under the tag.
///
/// Does nothing when the tag holds an equal layer: same content, same annotations. Returns once no other writer can have
/// overwritten it unnoticed, see [`Repository::settle`].
///
/// # Errors
/// [`AttachError::TooManyLayers`] when the tag holds as many layers as cosign reads.
pub async fn attach_cosign_tag(
    repository: &dyn Repository,
    subject: &Digest,
    suffix: CosignSuffix,
    layer: &NewLayer,
) -> Result<Descriptor, AttachError> {
    let tag = suffix.tag(subject);
    let failed = |source| match source {
        RepositoryError::TooLarge { what: LAYERS, .. } => {
            AttachError::TooManyLayers { tag: suffix.tag(subject), limit: MAX_COSIGN_LAYERS }
        }
        source => AttachError::Repository { subject: subject.clone(), source: Box::new(source) },
    };
    let adding = Adding { tag: tag.clone(), layer: layer.clone(), seen: Seen::default() };
    let held = repository.revise_tag(&tag, Arc::new(adding)).await.map_err(failed)?;
    repository.settle().await.map_err(failed)?;
    match held {
        Some(held) => Ok(held.descriptor().clone()),
        None => repository.resolve(&Selector::Tag(tag)).await.map_err(failed),
    }
}

/// The revision that adds a layer to one of cosign's tags.
///
/// It also puts back layers that it saw before and that another writer then wrote over.
#[derive(Debug)]
struct Adding {
    tag: Tag,
    layer: NewLayer,
    seen: Seen,
}

#[async_trait]
impl Revision for Adding {
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError> {
        let at_tag = |error| of_attach(repository, &self.tag, error);
        let mut additions = vec![self.layer.descriptor()];
        let Some(found) = found else {
            // Whoever deletes the tag takes back what it held.
            let (manifest, config) = extended(&self.tag, None, None, &additions).map_err(at_tag)?;
            push_blobs(repository, &[config, self.layer.clone()]).await?;
            return Ok(Revised::Write(Box::new(manifest)));
        };
        additions.extend(self.seen.vanished(layers_of(&self.tag, found).map_err(at_tag)?));
        let missing = missing_layers(&self.tag, found, &additions).map_err(at_tag)?;
        if missing.is_empty() {
            return Ok(Revised::Unchanged);
        }
        let config = read_config(repository, &self.tag, found).await.map_err(at_tag)?;
        let (manifest, config) = extended(&self.tag, Some(found), config, &missing).map_err(at_tag)?;
        push_blobs(repository, &[config, self.layer.clone()]).await?;
        Ok(Revised::Write(Box::new(manifest)))
    }
}

/// Layers that a tag was seen to hold.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Descriptor>>);

impl Seen {
    /// Remembers the layers found, and returns those found before that are there no more.
    fn vanished(&self, found: Vec<Descriptor>) -> Vec<Descriptor> {
        let mut seen = locked(&self.0);
        let vanished = seen.iter().filter(|layer| !found.iter().any(|other| is_same_layer(layer, other)));
        let vanished: Vec<_> = vanished.cloned().collect();
        seen.retain(|layer| vanished.contains(layer));
        seen.extend(found);
        vanished
    }
}

fn of_attach(repository: &dyn Repository, tag: &Tag, error: AttachError) -> RepositoryError {
    let name = repository.name().clone();
    match error {
        AttachError::Repository { source, .. } => *source,
        AttachError::TooManyLayers { limit, .. } => {
            RepositoryError::TooLarge { repository: name, what: LAYERS, limit: limit as u64 }
        }
        AttachError::Manifest { source, .. } => {
            RepositoryError::Manifest { repository: name, digest: tag.to_string(), source }
        }
        AttachError::Bundle(error) => RepositoryError::Malformed {
            repository: name,
            what: "bundle",
            problem: crate::repository::foreign_text(&error.to_string()),
        },
    }
}

/// Says whether `existing`, under `tag`, has every layer of `arriving`.
///
/// # Errors
/// [`AttachError::Manifest`] when one of them is no manifest.
pub fn holds_cosign_layers(tag: &Tag, existing: &RawManifest, arriving: &RawManifest) -> Result<bool, AttachError> {
    missing_layers(tag, existing, &layers_of(tag, arriving)?).map(|missing| missing.is_empty())
}

/// The revision by which one of cosign's tags gains the layers of a manifest that is promoted to it, so that neither side
/// loses a layer. Where that has all of them it is taken over, bytes unchanged.
///
/// The blobs of the layers must be there. Also puts back what another writer wrote over, as attaching does.
#[derive(Debug)]
pub struct CosignMerge {
    tag: Tag,
    arriving: RawManifest,
    seen: Seen,
}

impl CosignMerge {
    /// Makes `tag` hold the layers of `arriving`.
    pub fn new(tag: &Tag, arriving: &RawManifest) -> Self {
        Self { tag: tag.clone(), arriving: arriving.clone(), seen: Seen::default() }
    }

    /// Returns the manifest to write instead of `found`, with its configuration where it is a new one.
    async fn merged(
        &self,
        destination: &dyn Repository,
        found: &RawManifest,
    ) -> Result<Option<(RawManifest, Option<NewLayer>)>, AttachError> {
        let (tag, arriving) = (&self.tag, &self.arriving);
        let held = layers_of(tag, found)?;
        let mut wanted = layers_of(tag, arriving)?;
        wanted.extend(self.seen.vanished(held.clone()));
        let missing = missing_layers(tag, found, &wanted)?;
        if missing.is_empty() {
            return Ok(None);
        }
        wanted.extend(held);
        if missing_layers(tag, arriving, &wanted)?.is_empty() {
            return Ok(Some((arriving.clone(), None)));
        }
        let config = read_config(destination, tag, found).await?;
        let (manifest, config) = extended(tag, Some(found), config, &missing)?;
        Ok(Some((manifest, Some(config))))
    }
}

#[async_trait]
impl Revision for CosignMerge {
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError> {
        // Whoever deletes the tag takes back what it held.
        let Some(found) = found else { return Ok(Revised::Write(Box::new(self.arriving.clone()))) };
        let merged = self.merged(repository, found).await;
        let Some((manifest, config)) = merged.map_err(|error| of_attach(repository, &self.tag, error))? else {
            return Ok(Revised::Unchanged);
        };
        if let Some(config) = config {
            push_blobs(repository, &[config]).await?;
        }
        Ok(Revised::Write(Box::new(manifest)))
    }
}

/// Returns those of `wanted` that `manifest` lacks. Two keys sign the same payload, so content alone does not make
/// layers equal: the signature is in the annotations.
fn missing_layers(tag: &Tag, manifest: &RawManifest, wanted: &[Descriptor]) -> Result<Vec<Descriptor>, AttachError> {
    let present = layers_of(tag, manifest)?;
    let is_present = |layer: &Descriptor| present.iter().any(|other| is_same_layer(layer, other));
    Ok(wanted.iter().filter(|layer| !is_present(layer)).cloned().collect())
}

fn is_same_layer(one: &Descriptor, other: &Descriptor) -> bool {
    one.digest == other.digest && one.annotations == other.annotations
}

fn layers_of(tag: &Tag, manifest: &RawManifest) -> Result<Vec<Descriptor>, AttachError> {
    let manifest = manifest.parse().map_err(|source| AttachError::Manifest { what: format!("tag {tag}"), source })?;
    Ok(manifest.layers)
}

/// Returns the configuration of an existing manifest, or none when the repository lost it.
async fn read_config(
    repository: &dyn Repository,
    tag: &Tag,
    manifest: &RawManifest,
) -> Result<Option<Value>, AttachError> {
    let parsed = manifest.parse().map_err(|source| AttachError::Manifest { what: format!("tag {tag}"), source })?;
    let Some(descriptor) = parsed.config else { return Ok(None) };
    let failed = |source| {
        let subject = manifest.descriptor().digest.clone();
        AttachError::Repository { subject, source: Box::new(source) }
    };
    let content = match repository.fetch(&descriptor).await {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let bytes = content
        .read_all(MAX_CONFIG_BYTES)
        .await
        .map_err(|error| failed(RepositoryError::of_content(repository.name(), error)))?;
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Returns the manifest of `base` with `additions`, and its configuration, as cosign writes them.
fn extended(
    tag: &Tag,
    base: Option<&RawManifest>,
    config: Option<Value>,
    additions: &[Descriptor],
) -> Result<(RawManifest, NewLayer), AttachError> {
    let unusable =
        |source| AttachError::Manifest { what: format!("tag {tag}"), source: crate::oci::ManifestError::Json(source) };
    let (kind, mut document) = match base {
        Some(base) => {
            let document: Value = serde_json::from_slice(base.bytes()).map_err(unusable)?;
            (base.descriptor().media_type.clone(), document)
        }
        None => (
            MediaType::from_static(media_type::IMAGE_MANIFEST),
            json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "layers": [] }),
        ),
    };
    let mut layers = document["layers"].as_array().cloned().unwrap_or_default();
    if layers.len() + additions.len() > MAX_COSIGN_LAYERS {
        return Err(AttachError::TooManyLayers { tag: tag.clone(), limit: MAX_COSIGN_LAYERS });
    }
    let existing: Vec<Value> = layers.iter().map(|layer| layer["digest"].clone()).collect();
    for layer in additions {
        layers.push(serde_json::to_value(layer).map_err(unusable)?);
    }
    let config_type = document["config"]["mediaType"].as_str().unwrap_or(media_type::IMAGE_CONFIG).to_owned();
    let config = NewLayer::new(config_type, extended_config(config, &existing, additions));
    document["config"] = serde_json::to_value(config.descriptor()).map_err(unusable)?;
    document["layers"] = Value::Array(layers);
    let bytes = serde_json::to_vec(&document).map_err(unusable)?;
    Ok((RawManifest::new(kind, bytes), config))
}

/// Returns an image configuration with one difference and one line of history for each layer; a configuration that is
/// missing or is no such thing is made anew.
fn extended_config(config: Option<Value>, existing: &[Value], additions: &[Descriptor]) -> Bytes {
    let history = || json!({ "created": ZERO_TIME });
    let mut config = config.filter(|config| config["rootfs"]["diff_ids"].is_array()).unwrap_or_else(|| {
        json!({
            "architecture": "", "created": ZERO_TIME, "os": "", "config": {},
            "history": existing.iter().map(|_| history()).collect::<Vec<_>>(),
            "rootfs": { "type": "layers", "diff_ids": existing },
        })
    });
    if let Some(differences) = config["rootfs"]["diff_ids"].as_array_mut() {
        differences.extend(additions.iter().map(|layer| Value::String(layer.digest.to_string())));
    }
    if !config["history"].is_array() {
        config["history"] = json!([]);
    }
    if let Some(lines) = config["history"].as_array_mut() {
        lines.extend(additions.iter().map(|_| history()));
    }
    config.to_string().into()
}
