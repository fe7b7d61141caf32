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
/// With several images nothing tells which of them an entry belongs to; cosign saves one, which may have several names
/// since.
pub(super) fn tags(index: &IndexDocument) -> impl Iterator<Item = (Tag, &Descriptor)> {
    let mut images = index.entries().filter(|entry| kind(entry).is_some_and(|kind| IMAGE_KINDS.contains(&kind)));
    let image = images.next().filter(|image| images.all(|other| other.digest == image.digest));
    index.entries().filter_map(move |entry| {
        let (_, suffix) = ATTACHED_KINDS.iter().find(|(known, _)| kind(entry) == Some(known))?;
        Some((Tag::cosign(&image?.digest, suffix), entry))
    })
}

/// Gives a new entry the kind that the index says its content has: without it, cosign would not know what it saved, nor
/// would anybody know what is attached to it. In another layout, tags say the same, and for every tool.
pub(super) fn keep_kind(index: &IndexDocument, entry: &mut Descriptor) {
    let known = index.entries().filter(|known| known.digest == entry.digest).find_map(kind);
    if let Some(kind) = known {
        entry.annotations.insert(KIND.to_owned(), kind.to_owned());
    }
}

fn kind(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(KIND).map(String::as_str)
}
