//! The plan: everything that a promotion moves, and everything it leaves behind with the reason.
//!
//! Planning only reads. A plan is data; only a decision that allows its root at its source admits it.

use std::collections::HashSet;

use sealift_core::attach::{
    Attachment, AttachmentKind, Attachments, ProblemReason, Scope, Storage, attachments_of_all,
};
use sealift_core::copy::Side;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Tag};
use sealift_core::repository::ReadRepository;
use sealift_core::repository::graph::{self, Graph};
use sealift_policy::{Decision, Ruling};
use serde::{Serialize, Serializer};

use crate::error::PromoteError;
use crate::request::{Promotion, Selection};

/// Manifests read at once.
const CONCURRENCY: usize = 8;

/// Reads everything that `promotion` would move: the image or index, every platform, and everything attached to any of
/// them at any depth, in every storage scheme.
///
/// Given a [`Snapshot`](sealift_core::repository::Snapshot) that verification read through, only what is new is asked.
///
/// # Errors
/// Fails when anything could not be read, because the plan would then not be whole.
pub async fn plan(source: &dyn ReadRepository, promotion: &Promotion) -> Result<Plan, PromoteError> {
    let at_source = |source| PromoteError::Repository { side: Side::Source, source };
    let graph = graph::walk(source, &promotion.root, CONCURRENCY).await.map_err(at_source)?;
    let subjects: Vec<Digest> = graph.manifests().map(|manifest| manifest.descriptor().digest.clone()).collect();
    let attached = attachments_of_all(source, &subjects, Scope::Nested).await.map_err(at_source)?;
    let mut plan = Plan {
        source: source.name().clone(),
        source_tag: promotion.source_tag.clone(),
        destination_tag: promotion.destination_tag.clone(),
        overwrite: promotion.overwrite,
        root: promotion.root.to_plain(),
        objects: Vec::new(),
        skipped: Vec::new(),
        bytes: 0,
    };
    let mut counted = HashSet::new();
    plan.add_graph(&graph, &mut counted);
    plan.add_attachments(attached, &promotion.selection, &mut counted)?;
    Ok(plan)
}

/// What a promotion moves and what it leaves behind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(serialize_with = "as_text")]
    pub(crate) source: RepositoryName,
    #[serde(serialize_with = "as_optional_text")]
    pub(crate) source_tag: Option<Tag>,
    #[serde(serialize_with = "as_optional_text")]
    pub(crate) destination_tag: Option<Tag>,
    #[serde(skip)]
    pub(crate) overwrite: crate::request::Overwrite,
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

    /// Returns what is promoted.
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// Returns the tag it gets.
    pub fn destination_tag(&self) -> Option<&Tag> {
        self.destination_tag.as_ref()
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
        Ok(AdmittedPlan { plan: self })
    }

    fn add_graph(&mut self, graph: &Graph, counted: &mut HashSet<Digest>) {
        for blob in graph.blobs() {
            self.count(&blob.descriptor, counted);
        }
        for manifest in graph.manifests() {
            let descriptor = manifest.descriptor();
            self.count(descriptor, counted);
            let role = if descriptor.digest == self.root.digest { Role::Root } else { Role::Child };
            self.objects.push(PlannedObject {
                role,
                subject: None,
                kind: None,
                storage: None,
                artifact_type: None,
                manifest: manifest.clone(),
            });
        }
    }

    fn add_attachments(
        &mut self,
        attached: Attachments,
        selection: &Selection,
        counted: &mut HashSet<Digest>,
    ) -> Result<(), PromoteError> {
        let count = attached.unread.len();
        if let Some(unread) = attached.unread.into_iter().next() {
            return Err(PromoteError::Unread { count, subject: unread.subject, source: unread.error });
        }
        let mut left_behind: HashSet<Digest> = HashSet::new();
        for attachment in attached.found {
            let artifact_type = attachment.artifact_type.as_deref().unwrap_or_default();
            let reason = if selection.excludes(artifact_type) {
                Some(SkipReason::ExcludedType)
            } else if left_behind.contains(&attachment.subject) {
                Some(SkipReason::AttachedToSkipped)
            } else {
                None
            };
            if let Some(reason) = reason {
                left_behind.insert(attachment.descriptor().digest.clone());
                self.skipped.push(Skipped::of(&attachment, reason));
                continue;
            }
            self.count(attachment.descriptor(), counted);
            if let Ok(manifest) = attachment.manifest.parse() {
                manifest.children().for_each(|child| self.count(child, counted));
            }
            self.objects.push(PlannedObject::attached(attachment));
        }
        self.skipped.extend(attached.problems.into_iter().map(|problem| Skipped {
            subject: problem.subject,
            storage: problem.storage,
            digest: problem.digest,
            artifact_type: None,
            reason: SkipReason::of(&problem.reason),
        }));
        Ok(())
    }

    fn count(&mut self, descriptor: &Descriptor, counted: &mut HashSet<Digest>) {
        if counted.insert(descriptor.digest.clone()) {
            self.bytes = self.bytes.saturating_add(descriptor.size);
        }
    }
}

/// A plan whose root a policy allowed at the source. Only [`Plan::admit`] makes it.
#[derive(Debug)]
pub struct AdmittedPlan {
    pub(crate) plan: Plan,
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

/// A manifest that is moved, with its blobs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PlannedObject {
    /// What it is to the promotion.
    pub role: Role,
    /// What it is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// What kind of attachment it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<AttachmentKind>,
    /// Where the source keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Its own artifact type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its manifest, bytes as the source keeps them.
    #[serde(rename = "descriptor", serialize_with = "as_descriptor")]
    pub manifest: RawManifest,
}

impl PlannedObject {
    fn attached(attachment: Attachment) -> Self {
        let role = match attachment.storage {
            Storage::CosignTag(_) => Role::CosignTag,
            _ => Role::Referrer,
        };
        Self {
            role,
            subject: Some(attachment.subject),
            kind: Some(attachment.kind),
            storage: Some(attachment.storage),
            artifact_type: attachment.artifact_type,
            manifest: attachment.manifest,
        }
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.manifest.descriptor().digest
    }
}

/// What a manifest is to a promotion.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A manifest that the root lists, such as a platform.
    Child,
    /// What one of cosign's tags holds.
    CosignTag,
    /// A manifest whose subject is another planned one.
    Referrer,
    /// What is promoted.
    Root,
}

/// Something at the source that is left behind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Skipped {
    /// What it is, or is said to be, attached to.
    pub subject: Digest,
    /// Where the source keeps or lists it.
    pub storage: Storage,
    /// Its digest; none when a whole listing is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its artifact type, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Why it is left behind.
    pub reason: SkipReason,
}

impl Skipped {
    fn of(attachment: &Attachment, reason: SkipReason) -> Self {
        Self {
            subject: attachment.subject.clone(),
            storage: attachment.storage,
            digest: Some(attachment.descriptor().digest.clone()),
            artifact_type: attachment.artifact_type.clone(),
            reason,
        }
    }
}

/// Says why something is left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// It is attached to something that is left behind.
    AttachedToSkipped,
    /// It is listed, but the source does not hold it.
    Dangling,
    /// The selection leaves out its artifact type.
    ExcludedType,
    /// Its manifest is not usable.
    Malformed,
    /// It is listed, but does not refer to the subject.
    NotAttached,
    /// The fallback tag holds something that is no referrers index.
    Squatted,
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AttachedToSkipped => "attached to something that stays behind",
            Self::Dangling => "listed, but the source does not hold it",
            Self::ExcludedType => "its artifact type is excluded",
            Self::Malformed => "its manifest is not usable",
            Self::NotAttached => "listed, but it does not refer to the subject",
            Self::Squatted => "the fallback tag holds something that is no referrers index",
        })
    }
}

impl SkipReason {
    fn of(reason: &ProblemReason) -> Self {
        match reason {
            ProblemReason::Dangling => Self::Dangling,
            ProblemReason::NotAManifest { .. } | ProblemReason::OtherSubject { .. } => Self::NotAttached,
            ProblemReason::Squatted { .. } => Self::Squatted,
            _ => Self::Malformed,
        }
    }
}

fn as_descriptor<S: Serializer>(manifest: &RawManifest, serializer: S) -> Result<S::Ok, S::Error> {
    manifest.descriptor().serialize(serializer)
}

pub(crate) fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn as_optional_text<S: Serializer>(
    value: &Option<impl std::fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
