//! What the entries of `index.json` mean: tags, and the media types of manifests that no entry names.

use std::collections::BTreeSet;

use sealift_core::oci::{Descriptor, IndexDocument, MediaType, Tag, annotation, media_type};
use serde::Deserialize;

/// containerd's annotation with the whole name of an image, whose last part is the tag.
const CONTAINERD_IMAGE_NAME: &str = "io.containerd.image.name";

/// Returns the entry that `tag` names: by its own name first, else by the end of a longer name.
pub(super) fn tagged<'a>(index: &'a IndexDocument, tag: &Tag) -> Option<&'a Descriptor> {
    let is_named = |entry: &&Descriptor| name(entry) == Some(tag.as_str());
    let is_end = |entry: &&Descriptor| long_tag(entry).as_ref() == Some(tag);
    index.entries().filter(is_named).last().or_else(|| index.entries().filter(is_end).last())
}

/// Returns every tag once.
pub(super) fn tags(index: &IndexDocument) -> Vec<Tag> {
    let tags: BTreeSet<Tag> = index
        .entries()
        .filter_map(|entry| name(entry).and_then(|name| name.parse().ok()).or_else(|| long_tag(entry)))
        .collect();
    tags.into_iter().collect()
}

/// Says whether `tag` names this entry, in either way.
pub(super) fn is_tagged(entry: &Descriptor, tag: &Tag) -> bool {
    name(entry) == Some(tag.as_str()) || (name(entry).is_none() && long_tag(entry).as_ref() == Some(tag))
}

fn name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(annotation::REF_NAME).map(String::as_str)
}

fn long_tag(entry: &Descriptor) -> Option<Tag> {
    let long = entry.annotations.get(CONTAINERD_IMAGE_NAME).map(String::as_str).or_else(|| name(entry))?;
    let (_, tag) = long.rsplit_once(':')?;
    tag.parse().ok()
}

/// Returns the media type of a manifest that says it itself or shows it by its fields; `None` for any other blob.
pub(super) fn manifest_type(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: Option<MediaType>,
        config: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return None;
    }
    let shape: Shape = serde_json::from_slice(bytes).ok()?;
    match shape {
        Shape { media_type: Some(media_type), .. } => Some(media_type).filter(MediaType::is_manifest),
        Shape { manifests: Some(_), .. } => Some(MediaType::from_static(media_type::IMAGE_INDEX)),
        Shape { config: Some(_), .. } => Some(MediaType::from_static(media_type::IMAGE_MANIFEST)),
        _ => None,
    }
}
