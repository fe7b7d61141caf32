//! The plan: everything that a promotion moves, and everything it leaves behind with the reason.
//!
//! Planning only reads. A plan is data; only a decision that allows its root at its source admits it.

use std::collections::HashSet;

use sealift_core::attach::{Attachments, Scope, attachments_of_all};
use sealift_core::copy::Side;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Tag};
use sealift_core::repository::ReadRepository;
use sealift_core::repository::graph;
use sealift_core::statement::predicate::RecordedDecision;
use sealift_policy::{Decision, Ruling};
use serde::{Serialize, Serializer};

use crate::error::PromoteError;
use crate::object::{PlannedObject, Role, SkipReason, Skipped};
use crate::part::{self, Parts};
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
    let mut parts = part::follow(source, subjects, &mut attached).await.map_err(at_source)?;
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
    plan.add_attachments(attached, &mut parts, &promotion.selection, source, &mut counted).await?;
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

    async fn add_attachments(
        &mut self,
        attached: Attachments,
        parts: &mut Parts,
        selection: &Selection,
        source: &dyn ReadRepository,
        counted: &mut HashSet<Digest>,
    ) -> Result<(), PromoteError> {
        let count = attached.unread.len();
        if let Some(unread) = attached.unread.into_iter().next() {
            return Err(PromoteError::Unread { count, subject: unread.subject, source: unread.error });
        }
        let mut travelling: HashSet<Digest> = self.objects.iter().map(|object| object.digest().clone()).collect();
        for attachment in attached.found {
            let reason = if !travelling.contains(&attachment.subject) {
                Some(SkipReason::AttachedToSkipped)
            } else if selection.excludes(&attachment, source).await.map_err(at_source)? {
                Some(SkipReason::Excluded)
            } else {
                None
            };
            if let Some(reason) = reason {
                self.skipped.push(Skipped::of(&attachment, reason));
                continue;
            }
            let digest = attachment.descriptor().digest.clone();
            self.count_with_blobs(&attachment.manifest, counted);
            self.objects.push(PlannedObject::attached(attachment));
            for part in parts.remove(&digest).unwrap_or_default() {
                travelling.insert(part.descriptor().digest.clone());
                self.count_with_blobs(&part, counted);
                self.objects.push(PlannedObject::part(&digest, part));
            }
            travelling.insert(digest);
        }
        self.skipped.extend(attached.problems.into_iter().map(|problem| Skipped {
            subject: problem.subject,
            storage: Some(problem.storage),
            digest: problem.digest,
            artifact_type: None,
            reason: SkipReason::of(&problem.reason),
        }));
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
