//! Publishing: the tags, last, and what the whole promotion came to.

use std::collections::BTreeMap;

use sealift_core::copy::{CopyReport, Side};
use sealift_core::oci::{Digest, RepositoryName, Tag};
use sealift_policy::Decision;

use crate::completeness::Completeness;
use crate::endorse::Endorsed;
use crate::error::PromoteError;
use crate::tag::{self, Looked, TagChange};
use crate::transfer::Transferred;

impl Transferred<'_> {
    /// Moves the tags to what was transferred, if `decision` allows it as it arrived.
    ///
    /// # Errors
    /// [`PromoteError::WrongDecision`] for a decision that is not about this digest at the destination,
    /// [`PromoteError::TagMoved`] when a tag no longer holds what it held when the promotion began.
    pub async fn publish(self, decision: &Decision) -> Result<Promoted, PromoteError> {
        self.approve(decision)?.publish().await
    }

    /// Moves the tags though nobody judged what arrived: what `sealift copy` does.
    ///
    /// # Errors
    /// As [`Transferred::publish`].
    pub async fn publish_unverified_unsafe(self) -> Result<Promoted, PromoteError> {
        let looked = match self.has_written {
            true => Looked::Before,
            false => Looked::Now,
        };
        self.move_tags(looked).await
    }

    pub(crate) async fn move_tags(self, looked: Looked) -> Result<Promoted, PromoteError> {
        let Self { plan, destination, target, tags, report, completeness, .. } = self;
        // By now the tags that others write too have often been quiet for long enough.
        destination.settle().await.map_err(|source| PromoteError::Repository { side: Side::Destination, source })?;
        // The root is always the first object of a plan.
        let changes = match plan.objects.first() {
            Some(root) => tag::publish(destination, &target, &root.manifest, &tags, looked).await?,
            None => BTreeMap::new(),
        };
        Ok(Promoted {
            source: plan.source,
            source_tag: plan.source_tag,
            destination: destination.name().clone(),
            digest: plan.root.digest,
            tags: changes,
            completeness,
            report,
            record: None,
            resigned: Vec::new(),
        })
    }
}

/// What a promotion did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Promoted {
    /// Where it came from.
    pub source: RepositoryName,
    /// The tag it was found under.
    pub source_tag: Option<Tag>,
    /// Where it went.
    pub destination: RepositoryName,
    /// What was promoted.
    pub digest: Digest,
    /// What became of each tag.
    pub tags: BTreeMap<Tag, TagChange>,
    /// What the source had, what arrived, and what was left behind.
    pub completeness: Completeness,
    /// How it arrived.
    pub report: CopyReport,
    /// The record of it, where one was asked for.
    pub record: Option<Endorsed>,
    /// What the destination's signer has signed of it.
    pub resigned: Vec<Endorsed>,
}
