//! Tags at the destination: looked at before anything is written, moved last, and only from what they held.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sealift_core::copy::Side;
use sealift_core::oci::{Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError, TagMove};
use serde::Serialize;

use crate::error::PromoteError;
use crate::request::{TagRule, Target};
use crate::transfer::absent_as_none;

/// Tags looked up at once.
const CONCURRENCY: usize = 8;

/// What the destination tags held before anything was written.
pub(crate) type Tags = BTreeMap<Tag, Option<Digest>>;

/// When it was looked at what the tags hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Looked {
    /// Before something was written or signed, which takes its time: others may have moved them since.
    Before,
    /// Just now: there was nothing to do.
    Now,
}

/// Reads the tags of `target` and makes sure that its rule lets `root` have them.
pub(crate) async fn look(
    destination: &dyn ReadRepository,
    target: &Target,
    root: &Digest,
) -> Result<Tags, PromoteError> {
    let lookups = stream::iter(&target.tags).map(|tag| async move {
        let held = absent_as_none(destination.resolve(&Selector::Tag(tag.clone())).await)?;
        Ok::<_, PromoteError>((tag.clone(), held.map(|descriptor| descriptor.digest)))
    });
    let tags: Tags = lookups.buffer_unordered(CONCURRENCY).try_collect().await?;
    for (tag, held) in &tags {
        let is_allowed = held.as_ref() == Some(root)
            || match &target.rule {
                TagRule::Expect(expected) => held == expected,
                TagRule::Keep => held.is_none(),
                TagRule::Move => true,
            };
        if !is_allowed {
            return Err(taken(destination, target, tag, held.clone()));
        }
    }
    Ok(tags)
}

/// Moves every tag of `target` that does not hold `root` yet, each from what it `held`. That one holds `root` already is
/// asked again where it is not known from just now.
pub(crate) async fn publish(
    destination: &dyn Repository,
    target: &Target,
    root: &RawManifest,
    held: &Tags,
    looked: Looked,
) -> Result<BTreeMap<Tag, TagChange>, PromoteError> {
    let mut changes = BTreeMap::new();
    for tag in &target.tags {
        let previous = held.get(tag).and_then(Option::as_ref);
        let change = match previous == Some(&root.descriptor().digest) {
            true if looked == Looked::Now => TagChange::Unchanged,
            true => still_holds(destination, tag, &root.descriptor().digest).await?,
            false => move_tag(destination, target, root, tag, previous).await?,
        };
        changes.insert(tag.clone(), change);
    }
    // A tag that moves makes everything last.
    if changes.values().all(|change| *change == TagChange::Unchanged) {
        let failed = |source| PromoteError::Repository { side: Side::Destination, source };
        destination.flush().await.map_err(failed)?;
    }
    Ok(changes)
}

async fn still_holds(destination: &dyn Repository, tag: &Tag, root: &Digest) -> Result<TagChange, PromoteError> {
    let now = absent_as_none(destination.resolve(&Selector::Tag(tag.clone())).await)?;
    let now = now.map(|descriptor| descriptor.digest);
    if now.as_ref() == Some(root) {
        return Ok(TagChange::Unchanged);
    }
    let (repository, tag) = (destination.name().clone(), tag.clone());
    Err(PromoteError::TagMoved { repository, tag, before: Some(root.clone()), now })
}

async fn move_tag(
    destination: &dyn Repository,
    target: &Target,
    root: &RawManifest,
    tag: &Tag,
    previous: Option<&Digest>,
) -> Result<TagChange, PromoteError> {
    match destination.move_tag(root, tag, previous).await {
        Ok(TagMove::Done) => Ok(previous.map_or(TagChange::Created, |from| TagChange::Moved { from: from.clone() })),
        Ok(TagMove::Holds(now)) if now.as_ref() == Some(&root.descriptor().digest) => Ok(TagChange::Unchanged),
        // Another promotion may have taken the tag since this one began.
        Ok(TagMove::Holds(now)) => Err(match (previous, &target.rule) {
            (None, TagRule::Keep) => taken(destination, target, tag, now),
            _ => {
                let (repository, tag) = (destination.name().clone(), tag.clone());
                PromoteError::TagMoved { repository, tag, before: previous.cloned(), now }
            }
        }),
        // The registry took the manifest by its digest, so what it refuses is the tag.
        Err(source) if previous.is_some() && is_refusal(&source) => {
            Err(PromoteError::TagImmutable { repository: destination.name().clone(), tag: tag.clone(), source })
        }
        Err(source) => Err(PromoteError::Repository { side: Side::Destination, source }),
    }
}

fn taken(destination: &dyn ReadRepository, target: &Target, tag: &Tag, existing: Option<Digest>) -> PromoteError {
    let (repository, tag) = (destination.name().clone(), tag.clone());
    match (&target.rule, existing) {
        (TagRule::Expect(expected), existing) => {
            PromoteError::TagUnexpected { repository, tag, expected: expected.clone(), existing }
        }
        (_, Some(existing)) => PromoteError::TagTaken { repository, tag, existing },
        (_, None) => PromoteError::TagMoved { repository, tag, before: None, now: None },
    }
}

/// Says whether a registry refuses a tag for good: ECR answers 400 `TAG_INVALID`, Harbor 412, ACR 405, Quay 409.
fn is_refusal(error: &RepositoryError) -> bool {
    matches!(error, RepositoryError::Registry { status: 400 | 405 | 409 | 412, .. } | RepositoryError::Denied { .. })
}

/// What became of a tag.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum TagChange {
    /// It did not exist.
    Created,
    /// It held something else.
    Moved {
        /// What it held.
        from: Digest,
    },
    /// It held the digest already.
    Unchanged,
}
