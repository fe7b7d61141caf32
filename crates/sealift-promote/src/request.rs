//! What is to be promoted, and how.

use std::collections::BTreeSet;

use sealift_core::oci::{Descriptor, Tag, media_type};

/// A promotion asked for: tags are resolved already.
#[derive(Clone, Debug)]
pub struct Promotion {
    /// What is promoted: an image, an index or any artifact.
    pub root: Descriptor,
    /// The tag it was found under, for the record.
    pub source_tag: Option<Tag>,
    /// The tag it gets at the destination; without one it arrives by digest alone.
    pub destination_tag: Option<Tag>,
    /// Which attachments travel.
    pub selection: Selection,
    /// What becomes of a destination tag that holds something else.
    pub overwrite: Overwrite,
}

impl Promotion {
    /// Returns a promotion of `root` with the default selection, without tags.
    pub fn of(root: Descriptor) -> Self {
        Self {
            root,
            source_tag: None,
            destination_tag: None,
            selection: Selection::default(),
            overwrite: Overwrite::Refuse,
        }
    }
}

/// What becomes of a destination tag that holds another digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overwrite {
    /// It is moved.
    Allow,
    /// The promotion fails before anything is written.
    Refuse,
}

/// Which attachments travel: all but those of excluded artifact types, and what is attached to these.
///
/// By default Microsoft's lifecycle markers stay behind: a marker that is right in staging marks a supported image as
/// out of life in production.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selection {
    excluded: BTreeSet<String>,
}

impl Selection {
    /// Returns a selection of everything, lifecycle markers included.
    pub fn everything() -> Self {
        Self { excluded: BTreeSet::new() }
    }

    /// Leaves out what has this artifact type.
    #[must_use]
    pub fn excluding(mut self, artifact_type: impl Into<String>) -> Self {
        self.excluded.insert(artifact_type.into());
        self
    }

    /// Takes in what has this artifact type.
    #[must_use]
    pub fn including(mut self, artifact_type: &str) -> Self {
        self.excluded.remove(artifact_type);
        self
    }

    /// Says whether attachments of this artifact type stay behind.
    pub fn excludes(&self, artifact_type: &str) -> bool {
        self.excluded.contains(artifact_type)
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::everything().excluding(media_type::MICROSOFT_LIFECYCLE)
    }
}
