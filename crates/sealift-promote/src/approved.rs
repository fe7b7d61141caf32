//! What passed both gates: everything is there and allowed, and only the tags are missing.

use std::collections::BTreeMap;

use sealift_core::oci::{Descriptor, Digest};
use sealift_core::statement::predicate::RecordedDecision;
use sealift_policy::Decision;

use crate::endorse::Endorsed;
use crate::error::PromoteError;
use crate::object::Role;
use crate::plan::require;
use crate::presence::Presence;
use crate::publish::Promoted;
use crate::record;
use crate::tag::Looked;
use crate::transfer::{Transferred, at_destination};

impl<'a> Transferred<'a> {
    /// Takes it as allowed, if `decision` allows it as it arrived.
    ///
    /// # Errors
    /// [`PromoteError::WrongDecision`] for a decision that is not about this digest at the destination, and as
    /// [`Plan::admit`](crate::Plan::admit).
    pub fn approve(self, decision: &Decision) -> Result<Approved<'a>, PromoteError> {
        require(decision, self.destination.name(), &self.plan.root.digest)?;
        Ok(Approved {
            judged_at_destination: record::decision(decision),
            moved: self,
            unlinked: BTreeMap::new(),
            record: None,
            resigned: Vec::new(),
        })
    }
}

/// A promotion that passed both gates and whose tags are still to be moved. Only [`Transferred::approve`] makes it.
#[derive(Debug)]
pub struct Approved<'a> {
    pub(crate) moved: Transferred<'a>,
    pub(crate) judged_at_destination: RecordedDecision,
    /// What was stored and is not yet listed, by what it is attached to.
    pub(crate) unlinked: BTreeMap<Digest, Vec<Descriptor>>,
    pub(crate) record: Option<Endorsed>,
    pub(crate) resigned: Vec<Endorsed>,
}

impl Approved<'_> {
    /// Links what was attached at the destination, and then moves the tags.
    ///
    /// # Errors
    /// As [`Transferred::publish`].
    pub async fn publish(self) -> Result<Promoted, PromoteError> {
        let destination = self.moved.destination;
        for (subject, entries) in &self.unlinked {
            // With what came along: a listing read from a replica that lags behind may lack what was linked before, and
            // is what is written again.
            let arrived = self.moved.plan.objects.iter().filter(|it| it.subject.as_ref() == Some(subject));
            let arrived = arrived.filter(|it| it.role == Role::Referrer);
            let arrived = arrived.filter_map(|it| it.manifest.to_referrer_entry().ok());
            let entries: Vec<_> = arrived.chain(entries.iter().cloned()).collect();
            destination.link_referrers(subject, &entries).await.map_err(at_destination)?;
        }
        let mut endorsed = self.record.iter().chain(&self.resigned);
        let has_signed = endorsed.any(|endorsed| endorsed.presence == Presence::Written);
        let looked = match has_signed || self.moved.has_written {
            true => Looked::Before,
            false => Looked::Now,
        };
        // Settles what was linked before it moves any tag.
        let promoted = self.moved.move_tags(looked).await?;
        Ok(Promoted { record: self.record, resigned: self.resigned, ..promoted })
    }
}
