//! Finds what is attached to a manifest, in every storage scheme and at any depth.
//!
//! Never takes a listing that failed for an empty one, and never believes an entry before its manifest is opened.

use std::collections::HashSet;
use std::mem::take;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, Shared, try_join, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Attachment, AttachmentKind, AttachmentProblem, Attachments, CosignSuffix, ProblemReason, Storage, Unread};
use crate::oci::{Descriptor, Digest, RawManifest, Selector, Tag};
use crate::repository::{ReadRepository, ReferrersListing, RepositoryError};

/// The most attachments gathered in one walk; stops a listing that fills the memory.
pub const MAX_ATTACHMENTS: usize = 50_000;
/// The most bytes that the manifests gathered in one walk have together: [`MAX_ATTACHMENTS`] of the size that signatures
/// have. Stops whoever may attach something from filling the memory with few manifests that are as large as they may be.
pub const MAX_ATTACHMENT_BYTES: u64 = 64 * 1024 * 1024;
/// How deep attachments of attachments are followed; stops a chain that never ends.
pub const MAX_ATTACHMENT_DEPTH: usize = 128;
/// Requests in flight at once; the repository may bound them further.
const CONCURRENCY: usize = 16;

/// How far to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// What is attached to the subject itself.
    Direct,
    /// What is attached to the subject, to that in turn, and so on.
    Nested,
}

/// Returns everything attached to `subject`, in all storage schemes.
///
/// Every place where something may be attached to the subject itself is asked. A listing of the repository's tags, which
/// may be stale, says no only about what is found on the way.
///
/// # Errors
/// Fails when a listing cannot be read: then nothing is known to be unattached.
pub async fn attachments(
    repository: &dyn ReadRepository,
    subject: &Digest,
    scope: Scope,
) -> Result<Attachments, RepositoryError> {
    walk(repository, std::slice::from_ref(subject), scope, Named::Probed).await
}

/// Returns everything attached to each of `subjects`, in all storage schemes.
///
/// Where there are several, or depth, a listing of the repository's tags says which of cosign's tags and fallback tags
/// there are: one request instead of four for each manifest. It is taken at its word, so that a registry whose listing
/// lags behind can hide what only such a tag leads to. One that leaves out a tag which answered in this process (see
/// `sealift-oci`), and one without any tag, are not taken at their word: every tag is asked for.
///
/// # Errors
/// Fails when a listing cannot be read: then nothing is known to be unattached.
pub async fn attachments_of_all(
    repository: &dyn ReadRepository,
    subjects: &[Digest],
    scope: Scope,
) -> Result<Attachments, RepositoryError> {
    let named = if subjects.len() == 1 && scope == Scope::Direct { Named::Probed } else { Named::Listed };
    walk(repository, subjects, scope, named).await
}

/// How it is found out which tags the subjects named by the caller have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Named {
    /// From the listing of all tags.
    Listed,
    /// By asking for each.
    Probed,
}

async fn walk(
    repository: &dyn ReadRepository,
    subjects: &[Digest],
    scope: Scope,
    named: Named,
) -> Result<Attachments, RepositoryError> {
    let listed = known_tags(repository);
    let mut all = Attachments::default();
    let mut room = Room { manifests: MAX_ATTACHMENTS, bytes: MAX_ATTACHMENT_BYTES };
    let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
    let mut level: Vec<Digest> = subjects.to_vec();
    for depth in 0.. {
        let Some(subject) = level.first() else { break };
        if depth == MAX_ATTACHMENT_DEPTH {
            let depth = Full { what: "depth of attachments", limit: MAX_ATTACHMENT_DEPTH as u64 };
            all.unread.push(depth.at(repository, subject));
            break;
        }
        let before = all.found.len();
        let tags = if depth == 0 && named == Named::Probed { unknown_tags() } else { listed.clone() };
        let (listed, beyond) = list_level(repository, &level, &tags, &mut room).await?;
        let full = open_listed(repository, listed, &mut room, &mut all).await.or(beyond);
        if let Some((subject, full)) = full {
            all.unread.push(full.at(repository, &subject));
            return Ok(all);
        }
        if scope == Scope::Direct {
            break;
        }
        let new = all.found[before..].iter().map(|attachment| attachment.descriptor().digest.clone());
        level = new.filter(|digest| seen.insert(digest.clone())).collect();
    }
    Ok(all)
}

/// What a walk may still gather.
struct Room {
    manifests: usize,
    bytes: u64,
}

impl Room {
    fn take_manifests(&mut self, count: usize) -> Result<(), Full> {
        let left = self.manifests.checked_sub(count);
        self.manifests = left.ok_or(Full { what: "number of attachments", limit: MAX_ATTACHMENTS as u64 })?;
        Ok(())
    }

    fn take_bytes(&mut self, manifest: &RawManifest) -> Result<(), Full> {
        let left = self.bytes.checked_sub(manifest.descriptor().size);
        self.bytes = left.ok_or(Full { what: "manifests of attachments", limit: MAX_ATTACHMENT_BYTES })?;
        Ok(())
    }

    /// Makes room for what a listing names, and for what was read with it.
    fn take(&mut self, listed: &Listed) -> Result<(), Full> {
        self.take_manifests(listed.entries.len() + listed.tagged.len())?;
        listed.tagged.iter().flat_map(|(_, manifest)| manifest).try_for_each(|manifest| self.take_bytes(manifest))
    }
}

/// The bound that a search reached.
pub(super) struct Full {
    pub(super) what: &'static str,
    pub(super) limit: u64,
}

impl Full {
    /// Says so of what is attached to `subject`.
    pub(super) fn at(self, repository: &dyn ReadRepository, subject: &Digest) -> Unread {
        let Self { what, limit } = self;
        let error = RepositoryError::TooLarge { repository: repository.name().clone(), what, limit };
        Unread { subject: subject.clone(), storage: Storage::ReferrersApi, digest: None, error }
    }
}

/// The tags of the repository, asked for once and only when first needed; `None` where they have to be probed.
type KnownTags<'a> = Shared<BoxFuture<'a, Option<Arc<HashSet<Tag>>>>>;

/// One listing of all tags replaces four probes of each manifest. Where it is refused or too long the tags are probed
/// instead; also where it lists nothing, which is what a listing looks like that was not made yet, or not for this reader.
fn known_tags(repository: &dyn ReadRepository) -> KnownTags<'_> {
    let listing = async move {
        let tags = repository.tags().await.ok().filter(|tags| !tags.is_empty())?;
        Some(Arc::new(tags.into_iter().collect::<HashSet<_>>()))
    };
    listing.boxed().shared()
}

fn unknown_tags<'a>() -> KnownTags<'a> {
    std::future::ready(None).boxed().shared()
}

/// What the listings say is attached to one subject.
struct Listed {
    subject: Digest,
    entries: Vec<Entry>,
    tagged: Vec<(CosignSuffix, Result<RawManifest, RepositoryError>)>,
    problems: Vec<AttachmentProblem>,
}

/// One entry of a listing: a claim.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What the listing says.
    pub(crate) descriptor: Descriptor,
    /// Which listing says it.
    pub(crate) storage: Storage,
}

/// Lists what is attached to each subject, up to the first that there is no `room` for.
async fn list_level(
    repository: &dyn ReadRepository,
    subjects: &[Digest],
    tags: &KnownTags<'_>,
    room: &mut Room,
) -> Result<(Vec<Listed>, Option<(Digest, Full)>), RepositoryError> {
    let listings = stream::iter(subjects).map(|subject| list(repository, subject, tags.clone()));
    let mut listings = listings.buffered(CONCURRENCY);
    let mut level = Vec::new();
    while let Some(listed) = listings.try_next().await? {
        if let Err(full) = room.take(&listed) {
            return Ok((level, Some((listed.subject, full))));
        }
        level.push(listed);
    }
    Ok((level, None))
}

async fn list(
    repository: &dyn ReadRepository,
    subject: &Digest,
    tags: KnownTags<'_>,
) -> Result<Listed, RepositoryError> {
    let tagged = async {
        let tags = tags.await;
        let is_possible = |tag: &Tag| tags.as_ref().is_none_or(|tags| tags.contains(tag));
        let fallback = async {
            if !is_possible(&Tag::referrers_fallback(subject)) {
                return Ok(None);
            }
            match repository.referrers(subject, ReferrersListing::FallbackTag).await {
                Err(RepositoryError::Squatted { found, .. }) => Ok(Some(Err(found))),
                listing => Ok(listing?.map(Ok)),
            }
        };
        let cosign = CosignSuffix::ALL.into_iter().filter(|suffix| is_possible(&suffix.tag(subject)));
        let cosign = try_join_all(cosign.map(|suffix| async move {
            Ok(read_tag(repository, &suffix.tag(subject)).await?.map(|manifest| (suffix, manifest)))
        }));
        try_join(fallback, cosign).await
    };
    let (api, (fallback, cosign)) = try_join(repository.referrers(subject, ReferrersListing::Api), tagged).await?;
    let mut listed = Listed {
        subject: subject.clone(),
        entries: Vec::new(),
        tagged: cosign.into_iter().flatten().collect(),
        problems: Vec::new(),
    };
    let fallback = match fallback {
        Some(Ok(entries)) => entries,
        Some(Err(found)) => {
            listed.problems.push(AttachmentProblem {
                subject: subject.clone(),
                storage: Storage::FallbackTag,
                digest: None,
                reason: ProblemReason::Squatted { found },
            });
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut seen = HashSet::new();
    let api =
        api.unwrap_or_default().into_iter().map(|descriptor| Entry { descriptor, storage: Storage::ReferrersApi });
    let fallback = fallback.into_iter().map(|descriptor| Entry { descriptor, storage: Storage::FallbackTag });
    listed.entries = api.chain(fallback).filter(|entry| seen.insert(entry.descriptor.digest.clone())).collect();
    Ok(listed)
}

/// Returns the manifest under a tag, `None` where there is no such tag, and an error inside where the tag is there but
/// what it holds is damaged.
async fn read_tag(
    repository: &dyn ReadRepository,
    tag: &Tag,
) -> Result<Option<Result<RawManifest, RepositoryError>>, RepositoryError> {
    match repository.manifest(&Selector::Tag(tag.clone())).await {
        Ok(manifest) => Ok(Some(Ok(manifest))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error @ (RepositoryError::Content { .. } | RepositoryError::Manifest { .. })) => Ok(Some(Err(error))),
        Err(error) => Err(error),
    }
}

/// Opens the entries of all listings of a level side by side, up to the first that there is no `room` for; what is found
/// keeps the listings' order.
async fn open_listed(
    repository: &dyn ReadRepository,
    mut listed: Vec<Listed>,
    room: &mut Room,
    all: &mut Attachments,
) -> Option<(Digest, Full)> {
    let read: Vec<_> = listed.iter_mut().map(|listed| (take(&mut listed.problems), take(&mut listed.tagged))).collect();
    let entries = listed.iter().flat_map(|listed| listed.entries.iter().map(move |entry| (&listed.subject, entry)));
    // Collected, because a future that holds the closure cannot be sent to another thread.
    let opening: Vec<_> = entries.map(|(subject, entry)| open(repository, subject, entry)).collect();
    let mut opened = stream::iter(opening).buffered(CONCURRENCY);
    for (Listed { subject, entries, .. }, (problems, tagged)) in listed.iter().zip(read) {
        all.problems.extend(problems);
        let mut opened = opened.by_ref().take(entries.len());
        while let Some(opened) = opened.next().await {
            if let Opened::Attachment(attachment) = &opened
                && let Err(full) = room.take_bytes(&attachment.manifest)
            {
                return Some((subject.clone(), full));
            }
            all.add(opened);
        }
        for (suffix, manifest) in tagged {
            let storage = Storage::CosignTag(suffix);
            all.add(match manifest {
                Ok(manifest) => attachment(subject, storage, manifest),
                Err(error) => Opened::Unread(Unread { subject: subject.clone(), storage, digest: None, error }),
            });
        }
    }
    None
}

impl Attachments {
    /// Takes what became of an entry.
    pub(super) fn add(&mut self, opened: Opened) {
        match opened {
            Opened::Attachment(attachment) => self.found.push(attachment),
            Opened::Problem(problem) => self.problems.push(problem),
            Opened::Unread(unread) => self.unread.push(unread),
        }
    }
}

/// What became of an entry when its manifest was opened.
pub(crate) enum Opened {
    Attachment(Attachment),
    Problem(AttachmentProblem),
    Unread(Unread),
}

/// Opens the manifest of an entry and checks that it refers to `subject`. The entry's media type is a claim like the rest
/// of it: what it leads to is asked for as a manifest also where it says nothing, or something else.
pub(crate) async fn open(repository: &dyn ReadRepository, subject: &Digest, entry: &Entry) -> Opened {
    let digest = &entry.descriptor.digest;
    let problem = |reason| {
        let (subject, storage, digest) = (subject.clone(), entry.storage, Some(digest.clone()));
        Opened::Problem(AttachmentProblem { subject, storage, digest, reason })
    };
    let manifest = match repository.manifest(&Selector::Digest(digest.clone())).await {
        Ok(manifest) => manifest,
        Err(error) if error.is_not_found() => {
            let listed = &entry.descriptor.media_type;
            return problem(match listed.is_manifest() || listed.as_str().is_empty() {
                true => ProblemReason::Dangling,
                false => ProblemReason::NotAManifest { media_type: listed.clone() },
            });
        }
        Err(error) => {
            let (subject, storage, digest) = (subject.clone(), entry.storage, Some(digest.clone()));
            return Opened::Unread(Unread { subject, storage, digest, error });
        }
    };
    attachment(subject, entry.storage, manifest)
}

/// Judges a manifest by what it says itself. Cosign's tags name their subject in the tag, referrers in the manifest.
pub(crate) fn attachment(subject: &Digest, storage: Storage, manifest: RawManifest) -> Opened {
    let problem = |manifest: &RawManifest, reason| {
        let (subject, digest) = (subject.clone(), Some(manifest.descriptor().digest.clone()));
        Opened::Problem(AttachmentProblem { subject, storage, digest, reason })
    };
    let parsed = match manifest.parse() {
        Ok(parsed) => parsed,
        Err(error) => return problem(&manifest, ProblemReason::Malformed(error)),
    };
    let found = parsed.subject.as_ref().map(|subject| &subject.digest);
    let is_referrer = !matches!(storage, Storage::CosignTag(_));
    if is_referrer && found != Some(subject) {
        return problem(&manifest, ProblemReason::OtherSubject { found: found.cloned() });
    }
    Opened::Attachment(Attachment {
        subject: subject.clone(),
        storage,
        kind: AttachmentKind::of(&parsed, storage),
        artifact_type: parsed.artifact_type().map(str::to_owned),
        manifest,
    })
}
