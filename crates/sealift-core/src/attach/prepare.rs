//! Finds out whether a repository would take an attachment, before something is done for it that cannot be undone.
//!
//! Writes nothing that changes what anybody reads: a blob that attaching stores anyway. Never tries a tag: writing what it
//! holds once more would undo what somebody writes meanwhile, so a registry whose tags are immutable is not found out.

use super::AttachError;
use crate::oci::{Descriptor, Digest, EMPTY_JSON, media_type};
use crate::repository::{Content, Repository};

/// Stores the empty configuration, which shows that the repository is there and takes what is attached to `subject`.
///
/// # Errors
/// The refusal, as [`attach`](super::attach) would have met it.
pub async fn prepare(repository: &dyn Repository, subject: &Digest) -> Result<(), AttachError> {
    let empty = Descriptor::of(media_type::EMPTY, EMPTY_JSON);
    let content = Content::from(bytes::Bytes::from_static(EMPTY_JSON));
    let pushed = repository.push(&empty, content).await.map(drop);
    pushed.map_err(|source| AttachError::Repository { subject: subject.clone(), source: Box::new(source) })
}
