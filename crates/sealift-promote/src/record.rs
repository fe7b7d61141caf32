//! Publishing: the tag, last, and the record of what was done.

use sealift_core::copy::Side;
use sealift_core::oci::{Digest, RepositoryName, Selector, Tag};
use sealift_policy::Decision;
use serde::Serialize;

use crate::error::PromoteError;
use crate::plan::{PlannedObject, Skipped, as_optional_text, as_text, require};
use crate::request::Overwrite;
use crate::transfer::Transferred;

/// Moves the tag to what was transferred, if `decision` allows it as it arrived.
///
/// # Errors
/// [`PromoteError::WrongDecision`] for a decision that is not about this digest at the destination,
/// [`PromoteError::TagTaken`] when the tag holds something else by now and overwriting was not allowed.
pub async fn publish(moved: Transferred<'_>, decision: &Decision) -> Result<PromotionRecord, PromoteError> {
    let destination = moved.destination.name().clone();
    require(decision, &destination, &moved.plan.root.digest)?;
    // By now the tags that others write too have often been quiet for long enough.
    let at_destination = |source| PromoteError::Repository { side: Side::Destination, source };
    moved.destination.settle().await.map_err(at_destination)?;
    let tag_change = move_tag(&moved).await?;
    let plan = moved.plan;
    Ok(PromotionRecord {
        source: plan.source,
        source_tag: plan.source_tag,
        destination,
        tag: plan.destination_tag,
        tag_change,
        digest: plan.root.digest,
        objects: plan.objects,
        skipped: plan.skipped,
    })
}

async fn move_tag(moved: &Transferred<'_>) -> Result<Option<TagChange>, PromoteError> {
    let (plan, destination) = (&moved.plan, moved.destination);
    let at_destination = |source| PromoteError::Repository { side: Side::Destination, source };
    // The root is always the first object of a plan.
    let Some((tag, root)) = plan.destination_tag.as_ref().zip(plan.objects.first()) else {
        return destination.flush().await.map(|()| None).map_err(at_destination);
    };
    if moved.tag.as_ref() == Some(&plan.root.digest) {
        return Ok(Some(TagChange::Unchanged));
    }
    // Another promotion may have taken the tag since the plan was begun.
    let existing = match destination.resolve(&Selector::Tag(tag.clone())).await {
        Ok(descriptor) => Some(descriptor.digest),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(at_destination(error)),
    };
    match &existing {
        Some(existing) if *existing == plan.root.digest => return Ok(Some(TagChange::Unchanged)),
        Some(existing) if plan.overwrite == Overwrite::Refuse => {
            let (repository, existing) = (destination.name().clone(), existing.clone());
            return Err(PromoteError::TagTaken { repository, tag: tag.clone(), existing });
        }
        _ => {}
    }
    destination.tag(&root.manifest, tag).await.map_err(at_destination)?;
    Ok(Some(existing.map_or(TagChange::Created, |from| TagChange::Moved { from })))
}

/// What a promotion did. Data: nothing is signed here.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PromotionRecord {
    /// Where it came from.
    #[serde(serialize_with = "as_text")]
    pub source: RepositoryName,
    /// The tag it was found under.
    #[serde(serialize_with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub source_tag: Option<Tag>,
    /// Where it went.
    #[serde(serialize_with = "as_text")]
    pub destination: RepositoryName,
    /// The tag it has there.
    #[serde(serialize_with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// What became of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_change: Option<TagChange>,
    /// What was promoted.
    pub digest: Digest,
    /// Every manifest that is at the destination now.
    pub objects: Vec<PlannedObject>,
    /// What was left behind, and why.
    pub skipped: Vec<Skipped>,
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
