//! Finds out whether a repository would take an attachment, before something is done for it that cannot be undone.
//!
//! Writes nothing that changes what anybody reads: a blob that attaching stores anyway, and a tag of attachments once
//! more as it is. A registry that takes the tag as it is and refuses it changed is not found out.

use super::{AttachError, Storage};
use crate::oci::{Descriptor, Digest, EMPTY_JSON, Selector, Tag, media_type};
use crate::repository::{Content, ReferrersListing, Repository, RepositoryError};

/// Asks `repository` whether it would take something attached to `subject` in `storage`, by what it takes already:
///
/// - the empty configuration, which shows that the repository is there and may be written to;
/// - where the attachment has to be entered in a tag that exists, what that tag holds, written again under the condition
///   that it still holds it: registries with immutable tags refuse that.
///
/// # Errors
/// The refusal, as [`attach`](super::attach) or [`attach_cosign_tag`](super::attach_cosign_tag) would have met it.
pub async fn prepare(repository: &dyn Repository, subject: &Digest, storage: Storage) -> Result<(), AttachError> {
    let refused = |source| AttachError::Repository { subject: subject.clone(), source: Box::new(source) };
    let empty = Descriptor::of(media_type::EMPTY, EMPTY_JSON);
    let content = Content::from(bytes::Bytes::from_static(EMPTY_JSON));
    repository.push(&empty, content).await.map_err(refused)?;
    let tag = match storage {
        Storage::CosignTag(suffix) => suffix.tag(subject),
        _ => match fallback_tag(repository, subject).await.map_err(refused)? {
            Some(tag) => tag,
            None => return Ok(()),
        },
    };
    let held = RepositoryError::absent_as_none(repository.manifest(&Selector::Tag(tag.clone())).await);
    let Some(held) = held.map_err(refused)? else { return Ok(()) };
    // Whoever changed it meanwhile was allowed to.
    repository.move_tag(&held, &tag, Some(&held.descriptor().digest)).await.map(drop).map_err(refused)
}

/// Returns the tag that lists the referrers of `subject`, where there is one and the repository has no other list.
async fn fallback_tag(repository: &dyn Repository, subject: &Digest) -> Result<Option<Tag>, RepositoryError> {
    // A list that cannot be read need not be written either: registries that list referrers say so when one is pushed.
    if !matches!(repository.referrers(subject, ReferrersListing::Api).await, Ok(None)) {
        return Ok(None);
    }
    let listed = repository.referrers(subject, ReferrersListing::FallbackTag).await?;
    Ok(listed.map(|_| Tag::referrers_fallback(subject)))
}
