//! The proof: everything planned is at the destination and listed there, from what it answers after the last write.
//!
//! Never takes the answer to a write for a proof. What the destination's own listing proves is not read once more, and
//! what a tag held when it had settled is its listing.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sealift_core::attach::holds_cosign_layers;
use sealift_core::copy::CopyReport;
use sealift_core::oci::{Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{ReadRepository, ReferrersListing, Repository, fallback};

use crate::completeness::{ArrivalProof, ArrivedObject, Completeness};
use crate::destination::Listing;
use crate::error::PromoteError;
use crate::object::{PlannedObject, Role};
use crate::transfer::{CONCURRENCY, Found, Moving, WrittenTag, absent_as_none, at_destination, cosign_tag};

/// The listings of the destination, by what they list for.
type Listings = HashMap<Digest, Listing>;
/// How each of cosign's tags is known to hold everything.
type CosignProofs<'t> = HashMap<&'t Tag, Option<ArrivalProof>>;

impl Moving<'_> {
    /// Proves that the destination holds and lists everything that was planned.
    pub(crate) async fn prove(
        &self,
        found: &Found,
        cosign: &[WrittenTag<'_>],
        report: &CopyReport,
    ) -> Result<Completeness, PromoteError> {
        let unproven =
            |object: &&PlannedObject| object.role != Role::CosignTag && !self.target.known().is_found(object.digest());
        let objects = || self.plan.objects.iter().filter(unproven);
        // Whether listings prove the referrers is mostly known by now; they are read back only where they do not.
        let proves_nothing = found.listings_prove == Some(false) || self.target.known().is_unlisting();
        let first = objects().filter(|object| object.role != Role::Referrer || proves_nothing);
        let ((listings, cosign), mut read_back) = try_join(self.settled(cosign), self.read_back(first)).await?;
        let rest = objects().filter(|object| {
            object.role == Role::Referrer && !proves(&listings, object) && !read_back.contains(object.digest())
        });
        let rest: Vec<_> = rest.collect();
        read_back.extend(self.read_back(rest.into_iter()).await?);
        let mut completeness =
            Completeness { arrived: Vec::new(), excluded: self.plan.skipped.clone(), foreign: report.skipped.clone() };
        let mut missing = Vec::new();
        for object in &self.plan.objects {
            let proof = match object.role {
                Role::CosignTag => cosign_tag(object).and_then(|tag| cosign.get(&tag).copied().flatten()),
                Role::Referrer if !lists(&listings, object) => None,
                _ if self.target.known().is_found(object.digest()) => Some(ArrivalProof::Found),
                _ if read_back.contains(object.digest()) => Some(ArrivalProof::ReadBack),
                _ => proves(&listings, object).then_some(ArrivalProof::Listed),
            };
            match proof {
                Some(proof) => completeness.arrived.push(ArrivedObject::of(object, proof)),
                None => missing.push(object.digest().clone()),
            }
        }
        if !missing.is_empty() {
            return Err(PromoteError::Missing { repository: self.target.name().clone(), missing });
        }
        // What the destination proves to hold under a digest need not be read for its bytes.
        let proven = self.plan.objects.iter().filter(|object| object.role != Role::CosignTag);
        proven.for_each(|object| self.arrived.learn(&object.manifest));
        Ok(completeness)
    }

    /// Reads the listings and cosign's tags once no other writer can undo them.
    async fn settled<'t>(&self, cosign: &'t [WrittenTag<'t>]) -> Result<(Listings, CosignProofs<'t>), PromoteError> {
        let settled = self.target.settle().await.map_err(at_destination)?;
        let settled: HashMap<Tag, RawManifest> = settled.into_iter().collect();
        for subject in self.referrers().filter_map(|object| object.subject.as_ref()) {
            let Some(index) = settled.get(&Tag::referrers_fallback(subject)) else { continue };
            let entries = fallback::entries(self.target.name(), subject, index).map_err(at_destination)?;
            self.arrived.learn_referrers(subject, ReferrersListing::FallbackTag, Some(entries));
        }
        try_join(self.listings(), self.prove_cosign_tags(cosign, &settled)).await
    }

    /// Reads `objects` at the destination, and returns those that are there.
    async fn read_back<'o>(
        &self,
        objects: impl Iterator<Item = &'o PlannedObject>,
    ) -> Result<HashSet<&'o Digest>, PromoteError> {
        // Collected, because a future that holds the closure cannot be sent to another thread.
        let reads: Vec<_> = objects
            .map(|object| async move {
                let read = self.arrived.manifest(&Selector::Digest(object.digest().clone())).await;
                Ok::<_, PromoteError>(absent_as_none(read)?.map(|_| object.digest()))
            })
            .collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Reads back the tags, but those read when they had settled: another writer may have come between. Where nothing was
    /// written at all, there was no time for that. Several may hold one manifest.
    async fn prove_cosign_tags<'t>(
        &self,
        written: &'t [WrittenTag<'t>],
        settled: &HashMap<Tag, RawManifest>,
    ) -> Result<CosignProofs<'t>, PromoteError> {
        let proofs = stream::iter(written).map(|WrittenTag { tag: (tag, object), proof }| async move {
            if proof.is_some() && !self.target.known().has_written() {
                return Ok((tag, *proof));
            }
            let now = match settled.get(tag) {
                Some(now) => Some(now.clone()),
                None => absent_as_none(self.target.manifest(&Selector::Tag(tag.clone())).await)?,
            };
            let proof = match now {
                Some(now) if now.descriptor().digest == *object.digest() => {
                    Some(proof.unwrap_or(ArrivalProof::ReadBack))
                }
                Some(now) => holds_cosign_layers(tag, &now, &object.manifest)?.then_some(ArrivalProof::Merged),
                None => None,
            };
            Ok::<_, PromoteError>((tag, proof))
        });
        proofs.buffer_unordered(CONCURRENCY).try_collect().await
    }
}

fn listing_of<'l>(listings: &'l Listings, object: &PlannedObject) -> Option<&'l Listing> {
    object.subject.as_ref().and_then(|subject| listings.get(subject))
}

fn lists(listings: &Listings, object: &PlannedObject) -> bool {
    listing_of(listings, object).is_some_and(|listing| listing.digests.contains(object.digest()))
}

/// Says whether `object` itself is listed in a way that proves what is listed. That its subject has such a listing says
/// nothing about it.
fn proves(listings: &Listings, object: &PlannedObject) -> bool {
    listing_of(listings, object).is_some_and(|listing| listing.is_proof && listing.digests.contains(object.digest()))
}
