//! The transfer: moves what was admitted, and proves that all of it is at the destination. Writes no tag of the user's.
//!
//! Order: the root, children before parents; then what is attached, each after what it is attached to, with one link for
//! each subject; then cosign's tags. Whatever is interrupted leaves whole objects that nothing names yet.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::try_join3;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sealift_core::attach::{AttachError, CosignMerge, CosignSuffix, Storage, merge_cosign_tag};
use sealift_core::copy::{CopyOptions, CopyReport, Side, copy_graph};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{Content, ReadRepository, Repository, RepositoryError, Snapshot, graph};

use crate::destination::{Destination, Listing, listing};
use crate::error::PromoteError;
use crate::plan::{AdmittedPlan, Plan, PlannedObject, Role};
use crate::request::Overwrite;

/// Questions asked at once.
const CONCURRENCY: usize = 8;
/// Attachments copied at once; each of them moves its blobs side by side.
const GRAPHS: usize = 4;

/// Moves what `admitted` names from `source` to `destination`, and proves that it is there.
///
/// The source is read as planned: what the plan holds already is not read again.
///
/// # Errors
/// [`PromoteError::TagTaken`] before anything is written, [`PromoteError::Missing`] when the destination lacks anything
/// at the end. The destination tag is as it was in every case.
pub async fn transfer<'a>(
    admitted: AdmittedPlan,
    source: &dyn ReadRepository,
    destination: &'a dyn Repository,
    options: &CopyOptions,
) -> Result<Transferred<'a>, PromoteError> {
    let plan = admitted.plan;
    let source = Snapshot::new(source).knowing(plan.objects.iter().map(|object| &object.manifest));
    let target = Destination::new(destination, options.observer().cloned());
    let options = options.clone().with_observer(target.known().clone());
    let arrived = Snapshot::new(destination.as_read());
    let moving = Moving { plan: &plan, source: &source, target: &target, options: &options, arrived: &arrived };
    let found = moving.look().await?;
    let (report, tagged) = moving.write(&found).await?;
    moving.prove(&tagged).await?;
    Ok(Transferred { plan, destination, arrived, tag: found.tag, report })
}

/// A plan that was carried out and is proven to be whole at the destination. Only [`transfer()`] makes it.
#[derive(Debug)]
pub struct Transferred<'a> {
    pub(crate) plan: Plan,
    pub(crate) destination: &'a dyn Repository,
    arrived: Snapshot<'a>,
    /// What the destination tag held before.
    pub(crate) tag: Option<Digest>,
    report: CopyReport,
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
    tag: Option<Digest>,
    listings: HashMap<Digest, Listing>,
    cosign: BTreeMap<Tag, RawManifest>,
}

impl Found {
    fn lists(&self, object: &PlannedObject) -> bool {
        let listing = object.subject.as_ref().and_then(|subject| self.listings.get(subject));
        listing.is_some_and(|listing| listing.digests.contains(object.digest()))
    }
}

impl Moving<'_> {
    /// Asks the destination, all at once, what of the plan it holds.
    async fn look(&self) -> Result<Found, PromoteError> {
        let tag = async {
            match &self.plan.destination_tag {
                Some(tag) => Ok(absent_as_none(self.target.resolve(&Selector::Tag(tag.clone())).await)?),
                None => Ok(None),
            }
        };
        let cosign = stream::iter(self.cosign_tags()).map(|(tag, _)| async move {
            let manifest = absent_as_none(self.target.manifest(&Selector::Tag(tag.clone())).await)?;
            Ok::<_, RepositoryError>(manifest.map(|manifest| (tag, manifest)))
        });
        let cosign = cosign.buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>();
        let (tag, listings, cosign) = try_join3(tag, self.listings(), cosign).await.map_err(at_destination)?;
        let tag = tag.map(|descriptor: Descriptor| descriptor.digest);
        self.refuse_taken_tag(tag.as_ref())?;
        let found = Found { tag, listings, cosign: cosign.into_iter().flatten().collect() };
        self.note(&found);
        Ok(found)
    }

    fn refuse_taken_tag(&self, existing: Option<&Digest>) -> Result<(), PromoteError> {
        let Some((tag, existing)) = self.plan.destination_tag.as_ref().zip(existing) else { return Ok(()) };
        if *existing == self.plan.root.digest || self.plan.overwrite == Overwrite::Allow {
            return Ok(());
        }
        let (repository, tag, existing) = (self.target.name().clone(), tag.clone(), existing.clone());
        Err(PromoteError::TagTaken { repository, tag, existing })
    }

    async fn listings(&self) -> Result<HashMap<Digest, Listing>, RepositoryError> {
        let subjects: HashSet<&Digest> = self.referrers().filter_map(|object| object.subject.as_ref()).collect();
        let listings = stream::iter(subjects).map(|subject| async move {
            Ok::<_, RepositoryError>((subject.clone(), listing(self.arrived, subject).await?))
        });
        listings.buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Keeps what the answers prove, so that it is not asked again.
    fn note(&self, found: &Found) {
        let known = self.target.known();
        if found.tag.as_ref() == Some(&self.plan.root.digest) {
            known.note_present(&self.plan.root.digest);
        }
        for manifest in found.cosign.values() {
            known.note_present(&manifest.descriptor().digest);
        }
        for object in self.referrers() {
            let is_proof = object.subject.as_ref().and_then(|subject| found.listings.get(subject));
            match found.lists(object) {
                true if is_proof.is_some_and(|listing| listing.is_proof) => known.note_present(object.digest()),
                true => {}
                false => known.note_absent(object.digest()),
            }
        }
    }

    /// Returns what was moved, and which of cosign's tags were written.
    async fn write<'t>(&'t self, found: &Found) -> Result<(CopyReport, Vec<CosignTag<'t>>), PromoteError> {
        let mut report = self.copy(&self.plan.root).await?;
        for level in self.levels() {
            self.write_level(found, &level, &mut report).await?;
        }
        let mut tagged = Vec::new();
        let tags = stream::iter(self.cosign_tags()).map(|tag| self.write_cosign_tag(found, tag));
        let mut tags = tags.buffer_unordered(GRAPHS);
        while let Some((copied, written)) = tags.try_next().await? {
            report.absorb(copied);
            tagged.extend(written);
        }
        Ok((report, tagged))
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

    /// Makes one of cosign's tags hold what the source's holds, besides what it holds already; returns the tag if it was
    /// written.
    async fn write_cosign_tag<'t>(
        &self,
        found: &Found,
        (tag, object): CosignTag<'t>,
    ) -> Result<(CopyReport, Option<CosignTag<'t>>), PromoteError> {
        let mut report = CopyReport::default();
        let merge = match found.cosign.get(&tag) {
            // Where a manifest proves its blobs this asks nothing.
            Some(existing) if existing.descriptor().digest == *object.digest() => {
                report.absorb(self.copy(existing.descriptor()).await?);
                return Ok((report, None));
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
            CosignMerge::KeepDestination => return Ok((report, None)),
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
        Ok((report, Some((tag, object))))
    }

    /// Asks the destination for everything that its answers have not proven yet.
    async fn prove(&self, tagged: &[CosignTag<'_>]) -> Result<(), PromoteError> {
        let listings = self.listings().await.map_err(at_destination)?;
        let unlisted = self.referrers().filter(|object| {
            let listing = object.subject.as_ref().and_then(|subject| listings.get(subject));
            !listing.is_some_and(|listing| listing.digests.contains(object.digest()))
        });
        let mut missing: Vec<Digest> = unlisted.map(|object| object.digest().clone()).collect();
        let unproven = self.plan.objects.iter().filter(|object| object.role != Role::CosignTag);
        let unproven = unproven.filter(|object| !self.target.known().is_present(object.digest()));
        let absent = stream::iter(unproven).map(|object| async move {
            let is_there = self.target.exists(object.manifest.descriptor()).await?;
            Ok::<_, RepositoryError>((!is_there).then(|| object.digest().clone()))
        });
        let absent: Vec<_> = absent.buffer_unordered(CONCURRENCY).try_collect().await.map_err(at_destination)?;
        missing.extend(absent.into_iter().flatten());
        missing.extend(self.lost_cosign_tags(tagged).await?);
        if missing.is_empty() {
            return Ok(());
        }
        Err(PromoteError::Missing { repository: self.target.name().clone(), missing })
    }

    /// Reads back the tags that were written: another writer may have come between.
    async fn lost_cosign_tags(&self, tagged: &[CosignTag<'_>]) -> Result<Vec<Digest>, PromoteError> {
        let mut lost = Vec::new();
        for (tag, object) in tagged {
            let now = self.target.manifest(&Selector::Tag(tag.clone())).await;
            let is_whole = match absent_as_none(now).map_err(at_destination)? {
                Some(now) if now.descriptor().digest == *object.digest() => true,
                Some(now) => {
                    let merge = merge_cosign_tag(self.target, tag, &now, &object.manifest).await?;
                    matches!(merge, CosignMerge::KeepDestination)
                }
                None => false,
            };
            if !is_whole {
                lost.push(object.digest().clone());
            }
        }
        Ok(lost)
    }

    async fn copy(&self, root: &Descriptor) -> Result<CopyReport, PromoteError> {
        Ok(copy_graph(self.source, self.target, root, self.options).await?)
    }

    fn referrers(&self) -> impl Iterator<Item = &PlannedObject> {
        self.plan.objects.iter().filter(|object| object.role == Role::Referrer)
    }

    fn cosign_tags(&self) -> Vec<CosignTag<'_>> {
        let tag = |object: &PlannedObject| match (object.storage, &object.subject) {
            (Some(Storage::CosignTag(suffix)), Some(subject)) => Some(CosignSuffix::tag(suffix, subject)),
            _ => None,
        };
        self.plan.objects.iter().filter_map(|object| Some((tag(object)?, object))).collect()
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

fn at_destination(source: RepositoryError) -> PromoteError {
    PromoteError::Repository { side: Side::Destination, source }
}

fn absent_as_none<T>(answer: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
