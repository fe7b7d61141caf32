//! What `cosign save` keeps of an image's tags: no names, but an annotation that tells the entries apart.
//!
//! Source: <https://github.com/sigstore/cosign/blob/main/pkg/oci/layout/write.go>.

use sealift_core::oci::{Descriptor, IndexDocument, Tag};

/// The annotation.
const KIND: &str = "kind";
/// Kinds of the image itself.
const IMAGE_KINDS: [&str; 2] = ["dev.cosignproject.cosign/image", "dev.cosignproject.cosign/imageIndex"];
/// Kinds of what is attached to it, each with the suffix of the tag it had.
const ATTACHED_KINDS: [(&str, &str); 3] = [
    ("dev.cosignproject.cosign/atts", "att"),
    ("dev.cosignproject.cosign/sboms", "sbom"),
    ("dev.cosignproject.cosign/sigs", "sig"),
];

/// Returns the entries that had a tag in the registry, with that tag.
///
/// With several images nothing tells which of them an entry belongs to; cosign saves one.
pub(super) fn tags(index: &IndexDocument) -> impl Iterator<Item = (Tag, &Descriptor)> {
    let mut images = index.entries().filter(|entry| kind(entry).is_some_and(|kind| IMAGE_KINDS.contains(&kind)));
    let image = images.next().filter(|_| images.next().is_none());
    index.entries().filter_map(move |entry| {
        let (_, suffix) = ATTACHED_KINDS.iter().find(|(known, _)| kind(entry) == Some(known))?;
        Some((Tag::cosign(&image?.digest, suffix), entry))
    })
}

fn kind(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(KIND).map(String::as_str)
}
