//! Changes to tags that several writers change: decided anew from what the tag holds whenever somebody was faster.
//!
//! Says what a tag is to become; writing it, and noticing other writers, is the store's part.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{Repository, RepositoryError};
use crate::oci::RawManifest;

/// A change to what a shared tag holds.
///
/// An implementor answers [`Revised::Unchanged`] once the tag holds what it wants, and keeps what others put there: it is
/// asked again after every write of somebody else, so two revisions that undo each other would never end.
#[async_trait]
pub trait Revision: Debug + Send + Sync {
    /// Returns what the tag should hold instead of `found`, having pushed to `repository` what that needs.
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError>;
}

/// What becomes of a tag.
#[derive(Clone, Debug)]
pub enum Revised {
    /// It goes.
    Delete,
    /// It is as it should be.
    Unchanged,
    /// It is to hold this.
    Write(Box<RawManifest>),
}
