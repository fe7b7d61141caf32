//! What the entries of `index.json` mean: tags, and the media types of manifests that no entry names.

use std::collections::BTreeSet;

use sealift_core::oci::{Descriptor, IndexDocument, MediaType, Tag, annotation, media_type};
use serde::Deserialize;

use super::cosign_save;

/// containerd's annotation with the whole name of an image, whose last part is the tag.
pub(super) const CONTAINERD_IMAGE_NAME: &str = "io.containerd.image.name";
/// What an entry is named by.
const NAMES: [&str; 2] = [annotation::REF_NAME, CONTAINERD_IMAGE_NAME];

/// Returns the entries that `tag` names: by their own name, else by the end of a longer name, else by what cosign says.
pub(super) fn tagged<'a>(index: &'a IndexDocument, tag: &Tag) -> Vec<&'a Descriptor> {
    let named: Vec<_> = index.entries().filter(|entry| name(entry) == Some(tag.as_str())).collect();
    if !named.is_empty() {
        return named;
    }
    let named: Vec<_> = index.entries().filter(|entry| is_tagged(entry, tag)).collect();
    match named.is_empty() {
        true => cosign_save::tags(index).filter(|(saved, _)| saved == tag).map(|(_, entry)| entry).collect(),
        false => named,
    }
}

/// Returns the entry of a manifest that is described as its referrers listing would.
///
/// Only `tag` names it: a manifest's own annotations must not take a tag of the layout.
pub(super) fn entry(described: Descriptor, tag: Option<&Tag>) -> Descriptor {
    let mut entry = described;
    for name in NAMES {
        entry.annotations.remove(name);
    }
    if let Some(tag) = tag {
        entry.annotations.insert(annotation::REF_NAME.to_owned(), tag.as_str().to_owned());
    }
    entry
}

/// Says whether an entry has a name, be it a tag or not.
pub(super) fn is_named(entry: &Descriptor) -> bool {
    NAMES.iter().any(|name| entry.annotations.contains_key(*name))
}

/// Returns every tag once.
pub(super) fn tags(index: &IndexDocument) -> Vec<Tag> {
    let saved = cosign_save::tags(index).map(|(tag, _)| tag);
    let tags: BTreeSet<Tag> = index.entries().filter_map(tag_of).chain(saved).collect();
    tags.into_iter().collect()
}

/// Says whether `tag` names this entry, in either way.
pub(super) fn is_tagged(entry: &Descriptor, tag: &Tag) -> bool {
    tag_of(entry).as_ref() == Some(tag)
}

/// Returns the tag of an entry.
pub(super) fn tag_of(entry: &Descriptor) -> Option<Tag> {
    name(entry).and_then(|name| name.parse().ok()).or_else(|| long_tag(entry))
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
