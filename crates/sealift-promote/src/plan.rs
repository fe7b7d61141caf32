//! The plan: everything that a promotion moves, and everything it leaves behind with the reason.
//!
//! Planning only reads. A plan is data; only a decision that allows its root at its source admits it.

use std::collections::{HashMap, HashSet};

use sealift_core::attach::{Attachment, Attachments, Scope, Storage, attachments_of_all};
use sealift_core::copy::Side;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Tag};
use sealift_core::repository::ReadRepository;
use sealift_core::repository::graph;
use sealift_core::statement::predicate::RecordedDecision;
use sealift_policy::{Decision, Ruling};
use serde::{Serialize, Serializer};

use crate::error::PromoteError;
use crate::object::{PlannedObject, Role, SkipReason, Skipped};
use crate::part::{self, Below, Parts};
use crate::platform;
use crate::record;
use crate::request::Promotion;
use crate::selection::Selection;

/// Manifests read at once.
const CONCURRENCY: usize = 8;

/// Reads everything that `promotion` would move: the image or index, every chosen platform, and everything attached to
/// any of them at any depth, in every storage scheme.
///
/// Given a [`Snapshot`](sealift_core::repository::Snapshot) that verification read through, only what is new is asked.
///
/// # Errors
/// Fails when anything could not be read, because the plan would then not be whole.
pub async fn plan(source: &dyn ReadRepository, promotion: &Promotion) -> Result<Plan, PromoteError> {
    let held = graph::walk_held(source, &promotion.root, CONCURRENCY).await.map_err(at_source)?;
    let chosen = platform::choose(&held, &promotion.root, &promotion.platforms, source.name())?;
    // What is attached to what stays behind is left behind too, and told.
    let (graph, missing) = &held;
    let read = graph.manifests().map(|manifest| &manifest.descriptor().digest);
    let subjects: Vec<Digest> = read.chain(missing).cloned().collect();
    let mut attached = attachments_of_all(source, &subjects, Scope::Nested).await.map_err(at_source)?;
    let parts = part::follow(source, &held, &mut attached).await.map_err(at_source)?;
    let mut plan = Plan {
        source: source.name().clone(),
        source_tag: promotion.source_tag.clone(),
        root: promotion.root.to_plain(),
        objects: Vec::new(),
        skipped: chosen.left_behind,
        bytes: 0,
    };
    let mut counted = HashSet::new();
    plan.add_members(chosen.manifests, &mut counted);
    plan.add_attachments(attached, parts, &promotion.selection, source, &mut counted).await?;
    Ok(plan)
}

/// Reads a plan of `root` with everything that it consists of and nothing that is attached to it.
///
/// # Errors
/// As [`plan`].
pub async fn plan_alone(source: &dyn ReadRepository, root: &Descriptor) -> Result<Plan, PromoteError> {
    let held = graph::walk_held(source, root, CONCURRENCY).await.map_err(at_source)?;
    let chosen = platform::choose(&held, root, &[], source.name())?;
    let mut plan = Plan {
        source: source.name().clone(),
        source_tag: None,
        root: root.to_plain(),
        objects: Vec::new(),
        skipped: Vec::new(),
        bytes: 0,
    };
    plan.add_members(chosen.manifests, &mut HashSet::new());
    Ok(plan)
}

fn at_source(source: sealift_core::repository::RepositoryError) -> PromoteError {
    PromoteError::Repository { side: Side::Source, source }
}

/// What a promotion moves and what it leaves behind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(serialize_with = "as_text")]
    pub(crate) source: RepositoryName,
    #[serde(serialize_with = "as_optional_text")]
    pub(crate) source_tag: Option<Tag>,
    pub(crate) root: Descriptor,
    pub(crate) objects: Vec<PlannedObject>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) bytes: u64,
}

impl Plan {
    /// Returns where it is promoted from.
    pub fn source(&self) -> &RepositoryName {
        &self.source
    }

    /// Returns the tag it was found under.
    pub fn source_tag(&self) -> Option<&Tag> {
        self.source_tag.as_ref()
    }

    /// Says whether manifests that the root lists stay behind.
    pub fn is_sparse(&self) -> bool {
        self.skipped.iter().any(|skipped| skipped.storage.is_none())
    }

    /// Returns what is promoted.
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// Returns the manifests that are moved, the root first, each after what it is attached to.
    pub fn objects(&self) -> &[PlannedObject] {
        &self.objects
    }

    /// Returns what is left behind, with the reasons.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Returns the size of everything together, blobs shared by several manifests once, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Admits the plan.
    ///
    /// # Errors
    /// [`PromoteError::WrongDecision`] for a decision about another digest or place, [`PromoteError::Denied`] and
    /// [`PromoteError::Undecided`] for one that does not allow.
    pub fn admit(self, decision: &Decision) -> Result<AdmittedPlan, PromoteError> {
        require(decision, &self.source, &self.root.digest)?;
        Ok(AdmittedPlan { plan: self, judged: Some(record::decision(decision)) })
    }

    /// Admits the plan though nobody judged it: what `sealift copy` does.
    pub fn admit_unverified_unsafe(self) -> AdmittedPlan {
        AdmittedPlan { plan: self, judged: None }
    }

    fn add_members(&mut self, manifests: Vec<&RawManifest>, counted: &mut HashSet<Digest>) {
        for manifest in manifests {
            self.count_with_blobs(manifest, counted);
            let role = if manifest.descriptor().digest == self.root.digest { Role::Root } else { Role::Child };
            self.objects.push(PlannedObject::member(role, manifest.clone()));
        }
    }

    /// Adds what is attached to anything that travels, with what attached indexes bring along, until nothing more comes.
    async fn add_attachments(
        &mut self,
        attached: Attachments,
        mut parts: Parts,
        selection: &Selection,
        source: &dyn ReadRepository,
        counted: &mut HashSet<Digest>,
    ) -> Result<(), PromoteError> {
        let count = attached.unread.len();
        if let Some(unread) = attached.unread.into_iter().next() {
            return Err(PromoteError::Unread { count, subject: unread.subject, source: unread.error });
        }
        let mut waiting = Waiting::of(attached.found);
        let mut planned: HashSet<Digest> = self.objects.iter().map(|object| object.digest().clone()).collect();
        let mut next = 0;
        while let Some(subject) = self.objects.get(next).map(|object| object.digest().clone()) {
            next += 1;
            for attachment in waiting.take(&subject) {
                if selection.excludes(&attachment, source).await.map_err(at_source)? {
                    self.skipped.push(Skipped::of(&attachment, SkipReason::Excluded));
                    continue;
                }
                let below = parts.take(&attachment.descriptor().digest);
                self.add_attachment(attachment, below, &mut planned, counted)?;
            }
        }
        let rest = waiting.rest();
        self.skipped.extend(rest.map(|attachment| Skipped::of(&attachment, SkipReason::AttachedToSkipped)));
        // What an attached index brings along is not left behind, whatever else speaks against it. A tag of cosign's is.
        let is_brought = |skipped: &Skipped| skipped.digest.as_ref().is_some_and(|digest| planned.contains(digest));
        self.skipped.retain(|skipped| matches!(skipped.storage, Some(Storage::CosignTag(_))) || !is_brought(skipped));
        self.skipped.extend(attached.problems.into_iter().map(|problem| Skipped {
            subject: problem.subject,
            storage: Some(problem.storage),
            digest: problem.digest,
            artifact_type: None,
            reason: SkipReason::of(&problem.reason),
        }));
        Ok(())
    }

    /// Adds `attachment`, and what is `below` it where it is an index.
    fn add_attachment(
        &mut self,
        attachment: Attachment,
        below: Below,
        planned: &mut HashSet<Digest>,
        counted: &mut HashSet<Digest>,
    ) -> Result<(), PromoteError> {
        let Below { held, missing } = below;
        let digest = attachment.descriptor().digest.clone();
        if !missing.is_empty() {
            return Err(PromoteError::Incomplete { repository: self.source.clone(), index: digest, missing });
        }
        self.count_with_blobs(&attachment.manifest, counted);
        self.objects.push(PlannedObject::attached(attachment));
        planned.insert(digest);
        for (index, part) in held {
            if planned.insert(part.descriptor().digest.clone()) {
                self.count_with_blobs(&part, counted);
                self.objects.push(PlannedObject::part(&index, part));
            }
        }
        Ok(())
    }

    fn count_with_blobs(&mut self, manifest: &RawManifest, counted: &mut HashSet<Digest>) {
        self.count(manifest.descriptor(), counted);
        // It was parsed when it was read.
        let parsed = manifest.parse().ok();
        for child in parsed.iter().flat_map(graph::children).filter(|child| !child.is_manifest) {
            self.count(&child.descriptor, counted);
        }
    }

    fn count(&mut self, descriptor: &Descriptor, counted: &mut HashSet<Digest>) {
        if counted.insert(descriptor.digest.clone()) {
            self.bytes = self.bytes.saturating_add(descriptor.size);
        }
    }
}

/// Attachments whose subject does not travel so far; an attached index may still bring it along.
struct Waiting {
    attachments: Vec<Option<Attachment>>,
    /// Where the attachments of each subject are.
    places: HashMap<Digest, Vec<usize>>,
}

impl Waiting {
    fn of(attachments: Vec<Attachment>) -> Self {
        let mut places: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (place, attachment) in attachments.iter().enumerate() {
            places.entry(attachment.subject.clone()).or_default().push(place);
        }
        Self { attachments: attachments.into_iter().map(Some).collect(), places }
    }

    /// Takes what is attached to `subject`.
    fn take(&mut self, subject: &Digest) -> Vec<Attachment> {
        let places = self.places.remove(subject).unwrap_or_default();
        places.into_iter().filter_map(|place| self.attachments.get_mut(place).and_then(Option::take)).collect()
    }

    /// Returns what still waits, in the order it was found.
    fn rest(self) -> impl Iterator<Item = Attachment> {
        self.attachments.into_iter().flatten()
    }
}

/// A plan whose root a policy allowed at the source. Only [`Plan::admit`] makes it.
///
/// One plan may be carried out at several destinations.
#[derive(Clone, Debug)]
pub struct AdmittedPlan {
    pub(crate) plan: Plan,
    /// The decision that admitted it, for the record.
    pub(crate) judged: Option<RecordedDecision>,
}

impl AdmittedPlan {
    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the same for the image as it is found under another tag of its repository, or under none.
    #[must_use]
    pub fn found_under(mut self, tag: Option<Tag>) -> Self {
        self.plan.source_tag = tag;
        self
    }
}

/// Requires that `decision` allows `digest` at `repository`.
pub(crate) fn require(decision: &Decision, repository: &RepositoryName, digest: &Digest) -> Result<(), PromoteError> {
    let (repository, digest) = (repository.clone(), digest.clone());
    if *decision.digest() != digest || *decision.repository() != repository {
        return Err(PromoteError::WrongDecision {
            repository,
            digest,
            found_repository: decision.repository().clone(),
            found_digest: decision.digest().clone(),
        });
    }
    match decision.ruling() {
        Ruling::Allow => Ok(()),
        Ruling::Deny => Err(PromoteError::Denied { repository, digest }),
        Ruling::Undecided => Err(PromoteError::Undecided { repository, digest }),
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_optional_text<S: Serializer>(value: &Option<impl std::fmt::Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
