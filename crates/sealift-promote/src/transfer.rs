//! The transfer: moves what was admitted, and proves that all of it is at the destination. Writes no tag of the user's.
//!
//! Order: blobs in any; the root, children before parents; what is attached, each after what that is attached to itself,
//! with one link for each subject; then cosign's tags. What is attached does not wait for the root where the destination
//! takes it so: whatever lists it then has time to settle. Whatever is interrupted leaves whole objects, and no tag of the
//! user's that names them.
//!
//! The one owner of moving evidence: `sealift copy` takes the same way, without a judge.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::{try_join, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sealift_core::attach::{AttachError, CosignMerge, CosignSuffix, Storage, holds_cosign_layers};
use sealift_core::copy::{CopyError, CopyObserver as _, CopyOptions, CopyReport, Side, copy_graph};
use sealift_core::oci::{Descriptor, Digest, Manifest, RawManifest, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, ReadRepository, Repository, RepositoryError, Snapshot, graph::children,
};
use sealift_core::statement::predicate::RecordedDecision;

use crate::completeness::{ArrivalProof, Completeness};
use crate::destination::{Destination, Listing, listing};
use crate::ends::Ends;
use crate::error::PromoteError;
use crate::object::{PlannedObject, Role};
use crate::plan::{AdmittedPlan, Plan};
use crate::presence::Presence;
use crate::request::Target;
use crate::tag::{self, Tags};

/// Questions asked, and small things copied, at once.
pub(crate) const CONCURRENCY: usize = 8;

/// Moves what `admitted` names from end to end, and proves that it is there.
///
/// The source is read as planned: what the plan holds already is not read again.
///
/// # Errors
/// [`PromoteError::TagTaken`] and its kin before anything is written, [`PromoteError::Missing`] when the destination
/// lacks anything at the end. The destination tags are as they were in every case.
pub async fn transfer<'a>(
    admitted: AdmittedPlan,
    ends: Ends<'_, 'a>,
    target: Target,
    options: &CopyOptions,
) -> Result<Transferred<'a>, PromoteError> {
    let AdmittedPlan { plan, judged } = admitted;
    let destination = ends.destination;
    let source = Snapshot::new(ends.source).knowing(plan.objects.iter().map(|object| &object.manifest));
    let writing = Destination::new(destination, options.observer().cloned());
    let options = options.clone().with_observer(writing.known().clone());
    let arrived = Snapshot::new(destination.as_read());
    let moving = Moving { plan: &plan, source: &source, target: &writing, options: &options, arrived: &arrived };
    let found = moving.look(&target).await?;
    let cosign = moving.write(&found).await?;
    let report = writing.known().report();
    let completeness = moving.prove(&found, &cosign, &report).await?;
    let has_written = writing.known().has_written();
    Ok(Transferred { plan, judged, destination, target, arrived, tags: found.tags, report, completeness, has_written })
}

/// A plan that was carried out and is proven to be whole at the destination. Only [`transfer()`] makes it.
#[derive(Debug)]
pub struct Transferred<'a> {
    pub(crate) plan: Plan,
    /// The decision at the source, for the record; none when the plan was admitted without one.
    pub(crate) judged: Option<RecordedDecision>,
    pub(crate) destination: &'a dyn Repository,
    pub(crate) target: Target,
    pub(crate) arrived: Snapshot<'a>,
    /// What the destination tags held before.
    pub(crate) tags: Tags,
    pub(crate) report: CopyReport,
    pub(crate) completeness: Completeness,
    /// Whether anything was written to the destination.
    pub(crate) has_written: bool,
}

impl<'a> Transferred<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the destination as it was read after the last write: what the decision about it is to be made from.
    pub fn arrived(&self) -> &Snapshot<'a> {
        &self.arrived
    }
}

/// One of cosign's tags, and what the source keeps under it.
pub(crate) type CosignTag<'a> = (Tag, &'a PlannedObject);

pub(crate) struct Moving<'a> {
    pub(crate) plan: &'a Plan,
    source: &'a dyn ReadRepository,
    pub(crate) target: &'a Destination<'a>,
    options: &'a CopyOptions,
    pub(crate) arrived: &'a Snapshot<'a>,
}

/// What the destination held before anything was written.
pub(crate) struct Found {
    tags: Tags,
    /// What it lists; nothing is asked of a destination that does not have the root.
    listings: HashMap<Digest, Listing>,
    cosign: BTreeMap<Tag, RawManifest>,
    /// Whether it may hold the root.
    has_root: bool,
    /// Whether its listings prove what they list; `None` where that is not known.
    pub(crate) listings_prove: Option<bool>,
}

impl Found {
    fn listing_of(&self, object: &PlannedObject) -> Option<&Listing> {
        object.subject.as_ref().and_then(|subject| self.listings.get(subject))
    }

    fn lists(&self, object: &PlannedObject) -> bool {
        self.listing_of(object).is_some_and(|listing| listing.digests.contains(object.digest()))
    }
}

/// What became of one of cosign's tags.
pub(crate) struct WrittenTag<'a> {
    pub(crate) tag: CosignTag<'a>,
    /// How it is known to hold everything; `None` when that has still to be read back.
    pub(crate) proof: Option<ArrivalProof>,
}

impl Moving<'_> {
    /// Asks the destination what of the plan it holds: first for the tags and one listing, and for more only where
    /// those do not show that it has never seen the root.
    async fn look(&self, target: &Target) -> Result<Found, PromoteError> {
        let tags = tag::look(self.target, target, &self.plan.root.digest);
        let cosign = stream::iter(self.cosign_tags()).map(|(tag, _)| async move {
            let manifest = absent_as_none(self.target.manifest(&Selector::Tag(tag.clone())).await)?;
            Ok::<_, PromoteError>(manifest.map(|manifest| (tag, manifest)))
        });
        let cosign = cosign.buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>();
        let (tags, first, cosign) = try_join3(tags, self.first_listing(), cosign).await?;
        let cosign = cosign.into_iter().flatten().collect();
        let has_root = self.has_root(&tags, first.as_ref()).await?;
        let listings = if has_root { self.listings().await? } else { HashMap::new() };
        let listings_prove = match first.or_else(|| listings.values().next().cloned()) {
            Some(listing) if listing.is_proof => Some(true),
            Some(listing) if !listing.digests.is_empty() => Some(false),
            // An empty fallback tag is found, too, where the API does not know the subject yet.
            _ => self.target.lists_referrers().filter(|lists| !lists),
        };
        let found = Found { tags, listings, cosign, has_root, listings_prove };
        self.note(&found);
        Ok(found)
    }

    /// Reads what is listed for the first subject of the plan; `None` where nothing is attached to anything.
    async fn first_listing(&self) -> Result<Option<Listing>, PromoteError> {
        let subject = self.referrers().find_map(|object| object.subject.as_ref());
        let Some(subject) = subject else { return Ok(None) };
        listing(self.arrived, subject).await.map(Some).map_err(at_destination)
    }

    /// Says whether the destination may hold the root. If not, everything is written without asking: what is there in
    /// spite of that is written once more, which is harmless, and large blobs are looked up all the same.
    async fn has_root(&self, tags: &Tags, first: Option<&Listing>) -> Result<bool, PromoteError> {
        let root = &self.plan.root;
        let is_tagged = tags.values().flatten().any(|held| *held == root.digest);
        // Looking up costs nothing in layouts and memory, and writing once more does.
        if is_tagged || self.target.name().host().is_none() {
            return Ok(true);
        }
        match first {
            Some(listing) if listing.digests.is_empty() => Ok(false),
            _ => {
                let is_there = self.target.exists(root).await.map_err(at_destination)?;
                if is_there {
                    self.target.known().note(&root.digest, Presence::Found);
                }
                Ok(is_there)
            }
        }
    }

    pub(crate) async fn listings(&self) -> Result<HashMap<Digest, Listing>, PromoteError> {
        let subjects: HashSet<&Digest> = self.referrers().filter_map(|object| object.subject.as_ref()).collect();
        let listings = stream::iter(subjects).map(|subject| async move {
            Ok((subject.clone(), listing(self.arrived, subject).await.map_err(at_destination)?))
        });
        listings.buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Keeps what the answers prove, so that it is not asked again.
    fn note(&self, found: &Found) {
        let known = self.target.known();
        let root = &self.plan.root.digest;
        if found.tags.values().flatten().any(|held| held == root) {
            known.note(root, Presence::Found);
        }
        for manifest in found.cosign.values() {
            known.note(&manifest.descriptor().digest, Presence::Found);
        }
        if !found.has_root {
            self.plan.objects.iter().for_each(|object| known.note_absent(object.digest()));
            return;
        }
        for object in self.referrers() {
            // An index proves nothing about its manifests, so it is looked up with them.
            let is_index = object.manifest.descriptor().media_type.is_index();
            match found.listing_of(object) {
                Some(listing) if listing.digests.contains(object.digest()) => {
                    if listing.is_proof && !is_index {
                        known.note(object.digest(), Presence::Found);
                    }
                }
                _ => known.note_absent(object.digest()),
            }
        }
    }

    /// Returns what became of cosign's tags.
    async fn write<'t>(&'t self, found: &Found) -> Result<Vec<WrittenTag<'t>>, PromoteError> {
        let levels = self.levels();
        let ((), done) = try_join(self.write_members(), self.write_ahead(found, &levels)).await?;
        for level in levels.iter().skip(done) {
            self.write_level(found, level).await?;
        }
        let tags = stream::iter(self.cosign_tags()).map(|tag| self.write_cosign_tag(found, tag));
        tags.buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Copies the root with everything that it lists, or the chosen ones before the root by itself.
    async fn write_members(&self) -> Result<(), PromoteError> {
        let plan = self.plan;
        // The root is always the first object of a plan.
        let Some(root) = plan.objects.first().filter(|_| plan.is_sparse()) else { return self.copy(&plan.root).await };
        let children = plan.objects.iter().filter(|object| object.role == Role::Child);
        self.copy_all(children.map(|object| object.manifest.descriptor())).await?;
        if self.target.exists(&plan.root).await.map_err(at_destination)? {
            self.target.known().finished(&plan.root, Arrival::Present);
            return Ok(());
        }
        let content = Content::from(root.manifest.bytes().clone());
        match self.target.push(&plan.root, content).await {
            Ok(_) => self.target.known().finished(&plan.root, Arrival::Copied),
            Err(source @ RepositoryError::Registry { status: 400 | 404, .. }) => {
                return Err(PromoteError::SparseRefused { repository: self.target.name().clone(), source });
            }
            Err(source) => return Err(at_destination(source)),
        }
        Ok(())
    }

    /// Copies what need not wait for the root, while that is on its way, and returns how many of the `levels` are done:
    /// none where it is not known yet how the destination lists referrers.
    async fn write_ahead(&self, found: &Found, levels: &[Vec<&PlannedObject>]) -> Result<usize, PromoteError> {
        self.write_blobs_ahead(found).await?;
        // What is attached to what one of cosign's tags holds needs that, even where another manifest takes the tag.
        let subjects: HashSet<&Digest> = self.referrers().filter_map(|object| object.subject.as_ref()).collect();
        let tagged = self.cosign_tags().into_iter().map(|(_, object)| object.manifest.descriptor());
        let tagged: Vec<_> = tagged.filter(|tagged| subjects.contains(&tagged.digest)).collect();
        self.copy_all(tagged.into_iter()).await?;
        let levels = if self.target.lists_referrers().is_some() { levels } else { &[] };
        for (done, level) in levels.iter().enumerate() {
            match self.write_level(found, level).await {
                Ok(()) => {}
                // Some registries take no referrer before its subject, and refuse it in many ways.
                Err(error) if may_want_its_subject(&error) => return Ok(done),
                Err(error) => return Err(error),
            }
        }
        Ok(levels.len())
    }

    /// Copies the blobs of referrers that are not there: blobs need no order.
    async fn write_blobs_ahead(&self, found: &Found) -> Result<(), PromoteError> {
        let new = self.referrers().filter(|object| !found.lists(object));
        let mut blobs = BTreeMap::new();
        for manifest in new.filter_map(|object| object.manifest.parse().ok()) {
            // A foreign layer may be missing, which only the manifest that names it may say.
            let own = children(&manifest).filter(|child| !child.is_manifest && !child.is_foreign);
            blobs.extend(own.map(|child| (child.descriptor.digest.clone(), child.descriptor)));
        }
        self.copy_all(blobs.values()).await
    }

    /// Copies the referrers of one depth, and links them: once for each subject.
    async fn write_level(&self, found: &Found, level: &[&PlannedObject]) -> Result<(), PromoteError> {
        // An entry of a fallback tag proves nothing, so what it names is looked up, and copied if it is gone.
        let wanted = level.iter().filter(|object| !self.target.known().is_present(object.digest()));
        self.copy_all(wanted.map(|object| object.manifest.descriptor())).await?;
        let mut unlisted: BTreeMap<&Digest, Vec<Descriptor>> = BTreeMap::new();
        for object in level.iter().filter(|object| !found.lists(object)) {
            let Some(subject) = &object.subject else { continue };
            let entry = object.manifest.to_referrer_entry();
            let what = || format!("referrer {}", object.digest());
            let entry = entry.map_err(|source| AttachError::Manifest { what: what(), source })?;
            unlisted.entry(subject).or_default().push(entry);
        }
        let links = stream::iter(&unlisted).map(|(subject, entries)| async move {
            self.target.link_referrers(subject, entries).await?;
            self.arrived.forget_referrers(subject);
            Ok(())
        });
        links.buffer_unordered(CONCURRENCY).try_collect::<()>().await.map_err(at_destination)
    }

    /// Makes one of cosign's tags hold what the source's holds, besides what it holds already.
    async fn write_cosign_tag<'t>(
        &self,
        found: &Found,
        (tag, object): CosignTag<'t>,
    ) -> Result<WrittenTag<'t>, PromoteError> {
        let written = |tag, proof| WrittenTag { tag: (tag, object), proof };
        let parsed = object.manifest.parse();
        let parsed = parsed.map_err(|source| AttachError::Manifest { what: format!("tag {tag}"), source })?;
        match found.cosign.get(&tag) {
            // Where a manifest proves its blobs this asks nothing.
            Some(existing) if existing.descriptor().digest == *object.digest() => {
                self.copy(existing.descriptor()).await?;
                return Ok(written(tag, Some(ArrivalProof::Found)));
            }
            Some(existing) if holds_cosign_layers(&tag, existing, &object.manifest)? => {
                // In a layout blobs may be gone.
                if self.target.name().host().is_none() {
                    self.copy_children(&parsed).await?;
                }
                return Ok(written(tag, Some(ArrivalProof::Merged)));
            }
            _ => {}
        }
        self.copy_children(&parsed).await?;
        let merge = Arc::new(CosignMerge::new(&tag, &object.manifest));
        self.target.revise_tag(&tag, merge).await.map_err(at_destination)?;
        Ok(written(tag, None))
    }

    /// Copies what a manifest names, one after the other: signatures over one payload share their blob.
    async fn copy_children(&self, manifest: &Manifest) -> Result<(), PromoteError> {
        for child in children(manifest) {
            self.copy(&child.descriptor).await?;
        }
        Ok(())
    }

    async fn copy_all(&self, roots: impl Iterator<Item = &Descriptor>) -> Result<(), PromoteError> {
        stream::iter(roots).map(|root| self.copy(root)).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Copies a graph; what arrives is counted at the destination, so that what several graphs share counts once.
    async fn copy(&self, root: &Descriptor) -> Result<(), PromoteError> {
        let copied = copy_graph(self.source, self.target, root, self.options).await?;
        self.target.known().skipped(copied.skipped);
        Ok(())
    }

    pub(crate) fn referrers(&self) -> impl Iterator<Item = &PlannedObject> {
        self.plan.objects.iter().filter(|object| object.role == Role::Referrer)
    }

    fn cosign_tags(&self) -> Vec<CosignTag<'_>> {
        self.plan.objects.iter().filter_map(|object| Some((cosign_tag(object)?, object))).collect()
    }

    /// Returns the referrers by depth: some registries refuse a referrer before its subject.
    fn levels(&self) -> Vec<Vec<&PlannedObject>> {
        let mut depths: HashMap<&Digest, usize> = HashMap::new();
        let mut levels: Vec<Vec<&PlannedObject>> = Vec::new();
        // The plan names every object after what it is attached to, and parts after the index that brings them.
        for object in &self.plan.objects {
            let depth = object.above().and_then(|above| depths.get(above)).map_or(0, |depth| depth + 1);
            depths.entry(object.digest()).or_insert(depth);
            if object.role == Role::Referrer {
                levels.resize_with(levels.len().max(depth + 1), Vec::new);
                levels[depth].push(object);
            }
        }
        levels
    }
}

/// Returns the tag of cosign's that `object` is kept under.
pub(crate) fn cosign_tag(object: &PlannedObject) -> Option<Tag> {
    match (object.storage, &object.subject) {
        (Some(Storage::CosignTag(suffix)), Some(subject)) => Some(CosignSuffix::tag(suffix, subject)),
        _ => None,
    }
}

/// Says whether a destination that demands another order may have answered so.
fn may_want_its_subject(error: &PromoteError) -> bool {
    let (PromoteError::Copy(CopyError { side, source, .. }) | PromoteError::Repository { side, source }) = error else {
        return false;
    };
    let is_about_all = matches!(
        source,
        RepositoryError::OutOfTime { .. } | RepositoryError::Throttled { .. } | RepositoryError::Unauthenticated { .. }
    );
    *side == Side::Destination && !is_about_all
}

pub(crate) fn at_destination(source: RepositoryError) -> PromoteError {
    PromoteError::Repository { side: Side::Destination, source }
}

pub(crate) fn absent_as_none<T>(answer: Result<T, RepositoryError>) -> Result<Option<T>, PromoteError> {
    RepositoryError::absent_as_none(answer).map_err(at_destination)
}
