//! The transfer: moves what was admitted, and proves that all of it is at the destination. Writes no tag of the user's.
//!
//! Order: the root, children before parents; then what is attached, each after what it is attached to, with one link for
//! each subject; then cosign's tags. Whatever is interrupted leaves whole objects that nothing names yet.
//!
//! The one owner of moving evidence: `sealift copy` takes the same way, without a judge.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::try_join3;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sealift_core::attach::{AttachError, CosignMerge, CosignSuffix, Storage, merge_cosign_tag};
use sealift_core::copy::{CopyObserver as _, CopyOptions, CopyReport, Side, copy_graph};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{Arrival, Content, ReadRepository, Repository, RepositoryError, Snapshot, graph};

use crate::completeness::{ArrivalProof, ArrivedObject, Completeness};
use crate::destination::{Destination, Listing, Origin, listing};
use crate::error::PromoteError;
use crate::object::{PlannedObject, Role};
use crate::plan::{AdmittedPlan, Plan};
use crate::request::Target;
use crate::tag::{self, Tags};

/// Questions asked at once.
const CONCURRENCY: usize = 8;
/// Attachments copied at once; each of them moves its blobs side by side.
const GRAPHS: usize = 4;

/// Moves what `admitted` names from `source` to `destination`, and proves that it is there.
///
/// The source is read as planned: what the plan holds already is not read again.
///
/// # Errors
/// [`PromoteError::TagTaken`] and its kin before anything is written, [`PromoteError::Missing`] when the destination
/// lacks anything at the end. The destination tags are as they were in every case.
pub async fn transfer<'a>(
    admitted: AdmittedPlan,
    source: &dyn ReadRepository,
    destination: &'a dyn Repository,
    target: Target,
    options: &CopyOptions,
) -> Result<Transferred<'a>, PromoteError> {
    let plan = admitted.plan;
    let source = Snapshot::new(source).knowing(plan.objects.iter().map(|object| &object.manifest));
    let writing = Destination::new(destination, options.observer().cloned());
    let options = options.clone().with_observer(writing.known().clone());
    let arrived = Snapshot::new(destination.as_read());
    let moving = Moving { plan: &plan, source: &source, target: &writing, options: &options, arrived: &arrived };
    let found = moving.look(&target).await?;
    let (report, cosign) = moving.write(&found).await?;
    let completeness = moving.prove(&found, &cosign, &report).await?;
    Ok(Transferred { plan, destination, target, arrived, tags: found.tags, report, completeness })
}

/// A plan that was carried out and is proven to be whole at the destination. Only [`transfer()`] makes it.
#[derive(Debug)]
pub struct Transferred<'a> {
    pub(crate) plan: Plan,
    pub(crate) destination: &'a dyn Repository,
    pub(crate) target: Target,
    pub(crate) arrived: Snapshot<'a>,
    /// What the destination tags held before.
    pub(crate) tags: Tags,
    pub(crate) report: CopyReport,
    pub(crate) completeness: Completeness,
}

impl<'a> Transferred<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns what was moved, and what was there.
    pub fn report(&self) -> &CopyReport {
        &self.report
    }

    /// Returns the proof that everything arrived.
    pub fn completeness(&self) -> &Completeness {
        &self.completeness
    }

    /// Returns the destination as it was read after the last write: what the decision about it is to be made from.
    pub fn arrived(&self) -> &Snapshot<'a> {
        &self.arrived
    }
}

/// One of cosign's tags, and what the source keeps under it.
type CosignTag<'a> = (Tag, &'a PlannedObject);

struct Moving<'a> {
    plan: &'a Plan,
    source: &'a dyn ReadRepository,
    target: &'a Destination<'a>,
    options: &'a CopyOptions,
    arrived: &'a Snapshot<'a>,
}

/// What the destination held before anything was written.
struct Found {
    tags: Tags,
    listings: HashMap<Digest, Listing>,
    cosign: BTreeMap<Tag, RawManifest>,
}

impl Found {
    fn lists(&self, object: &PlannedObject) -> bool {
        let listing = object.subject.as_ref().and_then(|subject| self.listings.get(subject));
        listing.is_some_and(|listing| listing.digests.contains(object.digest()))
    }

    /// Says whether the destination's listing of what `object` is attached to proves what it lists.
    fn is_proof(&self, object: &PlannedObject) -> bool {
        let listing = object.subject.as_ref().and_then(|subject| self.listings.get(subject));
        listing.is_some_and(|listing| listing.is_proof)
    }
}

/// What became of one of cosign's tags.
struct WrittenTag<'a> {
    tag: CosignTag<'a>,
    /// How it is known to hold everything; `None` when that has still to be read back.
    proof: Option<ArrivalProof>,
}

impl Moving<'_> {
    /// Asks the destination, all at once, what of the plan it holds.
    async fn look(&self, target: &Target) -> Result<Found, PromoteError> {
        let tags = tag::look(self.target, target, &self.plan.root.digest);
        let cosign = stream::iter(self.cosign_tags()).map(|(tag, _)| async move {
            let manifest = absent_as_none(self.target.manifest(&Selector::Tag(tag.clone())).await)?;
            Ok::<_, PromoteError>(manifest.map(|manifest| (tag, manifest)))
        });
        let cosign = cosign.buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>();
        let (tags, listings, cosign) = try_join3(tags, self.listings(), cosign).await?;
        let found = Found { tags, listings, cosign: cosign.into_iter().flatten().collect() };
        self.note(&found);
        Ok(found)
    }

    async fn listings(&self) -> Result<HashMap<Digest, Listing>, PromoteError> {
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
            known.note(root, Origin::Found);
        }
        for manifest in found.cosign.values() {
            known.note(&manifest.descriptor().digest, Origin::Found);
        }
        for object in self.referrers() {
            // An index proves nothing about its manifests, so it is looked up with them.
            let is_index = object.manifest.descriptor().media_type.is_index();
            match found.lists(object) {
                true if found.is_proof(object) && !is_index => known.note(object.digest(), Origin::Found),
                true => {}
                false => known.note_absent(object.digest()),
            }
        }
    }

    /// Returns what was moved, and what became of cosign's tags.
    async fn write<'t>(&'t self, found: &Found) -> Result<(CopyReport, Vec<WrittenTag<'t>>), PromoteError> {
        let mut report = self.write_members().await?;
        for level in self.levels() {
            self.write_level(found, &level, &mut report).await?;
        }
        let mut written = Vec::new();
        let tags = stream::iter(self.cosign_tags()).map(|tag| self.write_cosign_tag(found, tag));
        let mut tags = tags.buffer_unordered(GRAPHS);
        while let Some((copied, tag)) = tags.try_next().await? {
            report.absorb(copied);
            written.push(tag);
        }
        Ok((report, written))
    }

    /// Copies the root with everything that it lists, or the chosen ones before the root by itself.
    async fn write_members(&self) -> Result<CopyReport, PromoteError> {
        let plan = self.plan;
        // The root is always the first object of a plan.
        let Some(root) = plan.objects.first().filter(|_| plan.is_sparse()) else { return self.copy(&plan.root).await };
        let mut report = CopyReport::default();
        for object in plan.objects.iter().filter(|object| object.role == Role::Child) {
            report.absorb(self.copy(object.manifest.descriptor()).await?);
        }
        if self.target.exists(&plan.root).await.map_err(at_destination)? {
            self.target.known().finished(&plan.root, Arrival::Present);
            return Ok(report);
        }
        let content = Content::from(root.manifest.bytes().clone());
        match self.target.push(&plan.root, content).await {
            Ok(_) => self.target.known().finished(&plan.root, Arrival::Copied),
            Err(source @ RepositoryError::Registry { status: 400 | 404, .. }) => {
                return Err(PromoteError::SparseRefused { repository: self.target.name().clone(), source });
            }
            Err(source) => return Err(at_destination(source)),
        }
        Ok(report)
    }

    /// Copies the referrers of one depth, and links them: once for each subject.
    async fn write_level(
        &self,
        found: &Found,
        level: &[&PlannedObject],
        report: &mut CopyReport,
    ) -> Result<(), PromoteError> {
        // An entry of a fallback tag proves nothing, so what it names is looked up, and copied if it is gone.
        let wanted = level.iter().filter(|object| !self.target.known().is_present(object.digest()));
        let copies = stream::iter(wanted).map(|object| self.copy(object.manifest.descriptor()));
        let mut copies = copies.buffer_unordered(GRAPHS);
        while let Some(copied) = copies.try_next().await? {
            report.absorb(copied);
        }
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
    ) -> Result<(CopyReport, WrittenTag<'t>), PromoteError> {
        let mut report = CopyReport::default();
        let written = |tag, proof| WrittenTag { tag: (tag, object), proof };
        let merge = match found.cosign.get(&tag) {
            // Where a manifest proves its blobs this asks nothing.
            Some(existing) if existing.descriptor().digest == *object.digest() => {
                report.absorb(self.copy(existing.descriptor()).await?);
                return Ok((report, written(tag, Some(ArrivalProof::Found))));
            }
            Some(existing) => merge_cosign_tag(self.target, &tag, existing, &object.manifest).await?,
            None => CosignMerge::TakeSource,
        };
        // What is attached to the source's own manifest needs it here, even where another takes its tag.
        let is_subject = self.plan.objects.iter().any(|other| other.subject.as_ref() == Some(object.digest()));
        if is_subject && !matches!(merge, CosignMerge::TakeSource) {
            report.absorb(self.copy(object.manifest.descriptor()).await?);
        }
        let manifest = match &merge {
            CosignMerge::KeepDestination => return Ok((report, written(tag, Some(ArrivalProof::Merged)))),
            CosignMerge::Merged { manifest, config } => {
                let content = Content::from(config.content.clone());
                self.target.push(&config.descriptor(), content).await.map_err(at_destination)?;
                manifest
            }
            CosignMerge::TakeSource => &object.manifest,
        };
        let parsed = object.manifest.parse();
        let parsed = parsed.map_err(|source| AttachError::Manifest { what: format!("tag {tag}"), source })?;
        // One after the other: signatures over one payload share their blob.
        for child in graph::children(&parsed) {
            report.absorb(self.copy(&child.descriptor).await?);
        }
        self.target.tag(manifest, &tag).await.map_err(at_destination)?;
        Ok((report, written(tag, None)))
    }

    /// Proves that the destination holds and lists everything, from what it answers after the last write.
    async fn prove(
        &self,
        found: &Found,
        cosign: &[WrittenTag<'_>],
        report: &CopyReport,
    ) -> Result<Completeness, PromoteError> {
        let known = self.target.known();
        // What was there, and what the referrers API lists, needs no question of its own.
        let unproven = self.plan.objects.iter().filter(|object| {
            let is_listed = object.role == Role::Referrer && found.is_proof(object);
            object.role != Role::CosignTag && !is_listed && !known.is_found(object.digest())
        });
        let read_back = stream::iter(unproven).map(|object| async move {
            let read = self.arrived.manifest(&Selector::Digest(object.digest().clone())).await;
            Ok::<_, PromoteError>(absent_as_none(read)?.map(|_| object.digest()))
        });
        let read_back = read_back.buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>();
        let (listings, read_back, cosign) =
            try_join3(self.listings(), read_back, self.prove_cosign_tags(cosign)).await?;
        let read_back: HashSet<&Digest> = read_back.into_iter().flatten().collect();
        let mut completeness =
            Completeness { arrived: Vec::new(), excluded: self.plan.skipped.clone(), foreign: report.skipped.clone() };
        let mut missing = Vec::new();
        for object in &self.plan.objects {
            let listing = object.subject.as_ref().and_then(|subject| listings.get(subject));
            let is_listed = listing.is_some_and(|listing| listing.digests.contains(object.digest()));
            let proof = match object.role {
                Role::CosignTag => cosign_tag(object).and_then(|tag| cosign.get(&tag).copied().flatten()),
                Role::Referrer if !is_listed => None,
                _ if known.is_found(object.digest()) => Some(ArrivalProof::Found),
                _ if read_back.contains(object.digest()) => Some(ArrivalProof::ReadBack),
                _ => (is_listed && listing.is_some_and(|listing| listing.is_proof)).then_some(ArrivalProof::Listed),
            };
            match proof {
                Some(proof) => completeness.arrived.push(ArrivedObject::of(object, proof)),
                None => missing.push(object.digest().clone()),
            }
        }
        if missing.is_empty() {
            return Ok(completeness);
        }
        Err(PromoteError::Missing { repository: self.target.name().clone(), missing })
    }

    /// Reads back the tags that were written: another writer may have come between. Several may hold one manifest.
    async fn prove_cosign_tags<'t>(
        &self,
        written: &'t [WrittenTag<'t>],
    ) -> Result<HashMap<&'t Tag, Option<ArrivalProof>>, PromoteError> {
        let proofs = stream::iter(written).map(|WrittenTag { tag: (tag, object), proof }| async move {
            if proof.is_some() {
                return Ok((tag, *proof));
            }
            let now = absent_as_none(self.target.manifest(&Selector::Tag(tag.clone())).await)?;
            let proof = match now {
                Some(now) if now.descriptor().digest == *object.digest() => Some(ArrivalProof::ReadBack),
                Some(now) => {
                    let merge = merge_cosign_tag(self.target, tag, &now, &object.manifest).await?;
                    matches!(merge, CosignMerge::KeepDestination).then_some(ArrivalProof::Merged)
                }
                None => None,
            };
            Ok::<_, PromoteError>((tag, proof))
        });
        proofs.buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn copy(&self, root: &Descriptor) -> Result<CopyReport, PromoteError> {
        Ok(copy_graph(self.source, self.target, root, self.options).await?)
    }

    fn referrers(&self) -> impl Iterator<Item = &PlannedObject> {
        self.plan.objects.iter().filter(|object| object.role == Role::Referrer)
    }

    fn cosign_tags(&self) -> Vec<CosignTag<'_>> {
        self.plan.objects.iter().filter_map(|object| Some((cosign_tag(object)?, object))).collect()
    }

    /// Returns the referrers by depth: some registries refuse a referrer before its subject.
    fn levels(&self) -> Vec<Vec<&PlannedObject>> {
        let mut depths: HashMap<&Digest, usize> = HashMap::new();
        let mut levels: Vec<Vec<&PlannedObject>> = Vec::new();
        // The plan names every object after what it is attached to.
        for object in &self.plan.objects {
            let depth = object.subject.as_ref().map_or(0, |subject| depths.get(subject).map_or(0, |depth| depth + 1));
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
fn cosign_tag(object: &PlannedObject) -> Option<Tag> {
    match (object.storage, &object.subject) {
        (Some(Storage::CosignTag(suffix)), Some(subject)) => Some(CosignSuffix::tag(suffix, subject)),
        _ => None,
    }
}

fn at_destination(source: RepositoryError) -> PromoteError {
    PromoteError::Repository { side: Side::Destination, source }
}

fn absent_as_none<T>(answer: Result<T, RepositoryError>) -> Result<Option<T>, PromoteError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(at_destination(error)),
    }
}
