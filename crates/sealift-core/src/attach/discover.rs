//! Finds what is attached to a manifest, in every storage scheme and at any depth.
//!
//! Never takes a listing that failed for an empty one, and never believes an entry before its manifest is opened.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, Shared, try_join, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Attachment, AttachmentKind, AttachmentProblem, Attachments, CosignSuffix, ProblemReason, Storage, Unread};
use crate::oci::{Descriptor, Digest, RawManifest, Selector, Tag};
use crate::repository::{ReadRepository, ReferrersListing, RepositoryError};

/// The most attachments gathered in one walk; stops a listing that fills the memory.
pub const MAX_ATTACHMENTS: usize = 50_000;
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
/// lags behind can hide what only such a tag leads to; one that leaves out a tag which answered in this process is not
/// taken at its word (see `sealift-oci`), and every tag is asked for.
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
    let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
    let mut level: Vec<Digest> = subjects.to_vec();
    for depth in 0.. {
        let Some(subject) = level.first() else { break };
        if depth == MAX_ATTACHMENT_DEPTH {
            all.unread.push(bound_reached(repository, subject, "depth of attachments", MAX_ATTACHMENT_DEPTH));
            break;
        }
        let before = all.found.len();
        let tags = if depth == 0 && named == Named::Probed { unknown_tags() } else { listed.clone() };
        let mut listed = list_level(repository, &level, &tags).await?;
        let mut room = MAX_ATTACHMENTS.saturating_sub(all.found.len());
        let too_many = listed.iter().position(|listed| {
            let count = listed.entries.len() + listed.tagged.len();
            let fits = room >= count;
            room = room.saturating_sub(count);
            !fits
        });
        let beyond = too_many.map(|position| listed.split_off(position));
        open_listed(repository, listed, &mut all).await;
        if let Some(listed) = beyond.iter().flatten().next() {
            all.unread.push(bound_reached(repository, &listed.subject, "number of attachments", MAX_ATTACHMENTS));
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

fn bound_reached(repository: &dyn ReadRepository, subject: &Digest, what: &'static str, limit: usize) -> Unread {
    let error = RepositoryError::TooLarge { repository: repository.name().clone(), what, limit: limit as u64 };
    Unread { subject: subject.clone(), storage: Storage::ReferrersApi, digest: None, error }
}

/// The tags of the repository, asked for once and only when first needed; `None` where they have to be probed.
type KnownTags<'a> = Shared<BoxFuture<'a, Option<Arc<HashSet<Tag>>>>>;

/// One listing of all tags replaces four probes of each manifest. Where it is refused or too long the tags are probed
/// instead.
fn known_tags(repository: &dyn ReadRepository) -> KnownTags<'_> {
    let listing = async move {
        let tags = repository.tags().await.ok()?;
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

async fn list_level(
    repository: &dyn ReadRepository,
    subjects: &[Digest],
    tags: &KnownTags<'_>,
) -> Result<Vec<Listed>, RepositoryError> {
    let listings = stream::iter(subjects).map(|subject| list(repository, subject, tags.clone()));
    listings.buffered(CONCURRENCY).try_collect().await
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

/// Opens the entries of all listings of a level side by side; what is found keeps the listings' order.
async fn open_listed(repository: &dyn ReadRepository, listed: Vec<Listed>, all: &mut Attachments) {
    let entries = listed.iter().flat_map(|listed| listed.entries.iter().map(move |entry| (&listed.subject, entry)));
    // Collected, because a future that holds the closure cannot be sent to another thread.
    let opening: Vec<_> = entries.map(|(subject, entry)| open(repository, subject, entry)).collect();
    let opened: Vec<_> = stream::iter(opening).buffered(CONCURRENCY).collect().await;
    let mut opened = opened.into_iter();
    for Listed { subject, entries, tagged, problems } in listed {
        all.problems.extend(problems);
        let tagged = tagged.into_iter().map(|(suffix, manifest)| {
            let storage = Storage::CosignTag(suffix);
            match manifest {
                Ok(manifest) => attachment(&subject, storage, manifest),
                Err(error) => Opened::Unread(Unread { subject: subject.clone(), storage, digest: None, error }),
            }
        });
        for opened in opened.by_ref().take(entries.len()).chain(tagged) {
            match opened {
                Opened::Attachment(attachment) => all.found.push(attachment),
                Opened::Problem(problem) => all.problems.push(problem),
                Opened::Unread(unread) => all.unread.push(unread),
            }
        }
    }
}

/// What became of an entry when its manifest was opened.
pub(crate) enum Opened {
    Attachment(Attachment),
    Problem(AttachmentProblem),
    Unread(Unread),
}

/// Opens the manifest of an entry and checks that it refers to `subject`.
pub(crate) async fn open(repository: &dyn ReadRepository, subject: &Digest, entry: &Entry) -> Opened {
    let digest = &entry.descriptor.digest;
    let problem = |reason| {
        let (subject, storage, digest) = (subject.clone(), entry.storage, Some(digest.clone()));
        Opened::Problem(AttachmentProblem { subject, storage, digest, reason })
    };
    if !entry.descriptor.media_type.is_manifest() {
        return problem(ProblemReason::NotAManifest { media_type: entry.descriptor.media_type.clone() });
    }
    let manifest = match repository.manifest(&Selector::Digest(digest.clone())).await {
        Ok(manifest) => manifest,
        Err(error) if error.is_not_found() => return problem(ProblemReason::Dangling),
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
