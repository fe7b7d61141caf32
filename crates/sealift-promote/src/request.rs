//! What is to be promoted, and how it is to be named where it goes.

use sealift_core::oci::{Descriptor, Digest, Reference, Tag};

use crate::selection::Selection;

/// What is to be promoted: tags are resolved already.
#[derive(Clone, Debug)]
pub struct Promotion {
    /// An image, an index or any artifact.
    pub root: Descriptor,
    /// The tag it was found under, for the record.
    pub source_tag: Option<Tag>,
    /// Platforms of an index that travel, such as `linux/arm64`; all of them when empty.
    pub platforms: Vec<String>,
    /// Which attachments travel.
    pub selection: Selection,
}

impl Promotion {
    /// Returns a promotion of `root` with the default selection.
    pub fn of(root: Descriptor) -> Self {
        Self { root, source_tag: None, platforms: Vec::new(), selection: Selection::default() }
    }
}

/// What a promotion is named at the destination.
#[derive(Clone, Debug)]
pub struct Target {
    /// The tags it gets; without one it arrives by digest alone.
    pub tags: Vec<Tag>,
    /// When a tag may be moved.
    pub rule: TagRule,
}

impl Target {
    /// Returns a target without tags.
    pub fn untagged() -> Self {
        Self { tags: Vec::new(), rule: TagRule::Keep }
    }

    /// Returns what `source` is named at `destination`: by the destination's tag and `more`, else by its own, unless the
    /// destination is a digest.
    pub fn of(source: &Reference, destination: &Reference, more: &[Tag], rule: TagRule) -> Self {
        let mut tags: Vec<Tag> = destination.tag().into_iter().chain(more).cloned().collect();
        if tags.is_empty() && destination.digest().is_none() {
            tags.extend(source.tag().cloned());
        }
        tags.sort_unstable();
        tags.dedup();
        Self { tags, rule }
    }

    /// Returns a target of one tag, which is not taken from anything else.
    pub fn tagged(tag: Tag) -> Self {
        Self { tags: vec![tag], rule: TagRule::Keep }
    }
}

/// When a tag may be moved to the promoted digest. One that holds that digest already is always fine.
///
/// In every case the tag must hold, when it is moved, what it held when the promotion began.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TagRule {
    /// If it holds this, `None` standing for a tag that does not exist.
    Expect(Option<Digest>),
    /// If it does not exist.
    Keep,
    /// Whatever it holds.
    Move,
}
