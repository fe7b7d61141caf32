//! Listings of referrers compared with what the repository holds, and mended.
//!
//! A listing is wrong when a client that believes it would miss something or be led astray. What is not listed anywhere
//! cannot be found either, so the caller says what else is known to refer to the subject: [`tagged_referrers`], or a
//! digest that somebody wrote down.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::discover::{Entry, Opened, open};
use super::{ProblemReason, Storage, Unread};
use crate::oci::{Descriptor, Digest, EntryEdit, IndexDocument, RawManifest, Selector, Tag};
use crate::repository::{ReadRepository, ReferrersListing, Repository, RepositoryError, Revised, Revision, fallback};

/// Manifests read at once.
const CONCURRENCY: usize = 8;
/// The most tags looked through; stops a repository of millions of tags from keeping an audit for days.
pub const MAX_SCANNED_TAGS: usize = 20_000;

/// What the listings of one subject say, and what is wrong with it.
#[derive(Debug)]
pub struct Audit {
    /// The subject.
    pub subject: Digest,
    /// Whether the repository lists referrers by itself.
    pub has_api: bool,
    /// Whether there is a fallback tag.
    pub has_tag: bool,
    /// Everything found that refers to the subject, in order of digest.
    pub referrers: BTreeMap<Digest, RawManifest>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What could not be read: whether it is wrong stays open.
    pub unread: Vec<Unread>,
    /// What the entries of the fallback tag are to become; entries that are not in here stay.
    edits: HashMap<Digest, EntryEdit>,
}

/// Something wrong with a listing.
#[derive(Debug)]
pub struct Finding {
    /// The listing.
    pub storage: Storage,
    /// The entry; none when the whole listing is meant.
    pub digest: Option<Digest>,
    /// What is wrong.
    pub fault: ListingFault,
}

/// Says what is wrong with a listing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingFault {
    /// The entry says other annotations than the manifest has, so that clients that select by them pass it over.
    #[error("its annotations are not those of the manifest")]
    Annotations,
    /// The entry says another artifact type than the manifest has.
    #[error("it is listed as {}, and is {}", or_nothing(listed), or_nothing(found))]
    ArtifactType {
        /// What the listing says.
        listed: Option<String>,
        /// What the manifest says.
        found: Option<String>,
    },
    /// The entry says another media type or size than the manifest has.
    #[error("its media type or size is not that of the manifest")]
    Descriptor,
    /// The entry is there more than once.
    #[error("it is listed more than once")]
    Repeated,
    /// What is listed is no referrer of the subject.
    #[error(transparent)]
    Unrelated(ProblemReason),
    /// It refers to the subject and is not listed.
    #[error("it refers to the subject and is not listed; known from {known_from}")]
    Unlisted {
        /// Where it was found.
        known_from: KnownFrom,
    },
}

impl ListingFault {
    /// Returns a short name for programs, such as `dangling`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Annotations => "wrong-annotations",
            Self::ArtifactType { listed: None, .. } => "missing-artifact-type",
            Self::ArtifactType { .. } => "wrong-artifact-type",
            Self::Descriptor => "wrong-descriptor",
            Self::Repeated => "repeated",
            Self::Unlisted { .. } => "unlisted",
            Self::Unrelated(ProblemReason::Dangling) => "dangling",
            Self::Unrelated(ProblemReason::Malformed(_)) => "malformed",
            Self::Unrelated(ProblemReason::NotAManifest { .. }) => "not-a-manifest",
            Self::Unrelated(ProblemReason::OtherSubject { .. }) => "other-subject",
            Self::Unrelated(ProblemReason::Squatted { .. }) => "squatted",
        }
    }
}

fn or_nothing(artifact_type: &Option<String>) -> String {
    artifact_type.as_ref().map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"))
}

/// How a referrer that no listing names became known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KnownFrom {
    /// The fallback tag lists it.
    FallbackTag,
    /// The caller named it.
    Given,
    /// The referrers API lists it.
    ReferrersApi,
    /// A tag of the repository holds it.
    Tag(Tag),
}

impl std::fmt::Display for KnownFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FallbackTag => f.write_str("the fallback tag"),
            Self::Given => f.write_str("the command line"),
            Self::ReferrersApi => f.write_str("the referrers API"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

/// A manifest that is known to be in the repository, whatever the listings say.
#[derive(Clone, Debug)]
pub struct KnownReferrer {
    /// The manifest.
    pub manifest: RawManifest,
    /// What it refers to.
    pub subject: Digest,
    /// How it became known.
    pub known_from: KnownFrom,
}

impl KnownReferrer {
    /// Returns what `manifest` is known to refer to; none when it refers to nothing.
    pub fn of(manifest: RawManifest, known_from: KnownFrom) -> Option<Self> {
        let subject = manifest.parse().ok()?.subject?.digest;
        Some(Self { manifest, subject, known_from })
    }
}

/// Returns every referrer that a tag of the repository holds; one request for each tag.
///
/// # Errors
/// [`RepositoryError::TooLarge`] beyond [`MAX_SCANNED_TAGS`]; anything else when a tag could not be read.
pub async fn tagged_referrers(repository: &dyn ReadRepository) -> Result<Vec<KnownReferrer>, RepositoryError> {
    let tags = repository.tags().await?;
    if tags.len() > MAX_SCANNED_TAGS {
        let (repository, limit) = (repository.name().clone(), MAX_SCANNED_TAGS as u64);
        return Err(RepositoryError::TooLarge { repository, what: "number of tags to look through", limit });
    }
    let read = stream::iter(tags).map(|tag| async move {
        match repository.manifest(&Selector::Tag(tag.clone())).await {
            Ok(manifest) => Ok(KnownReferrer::of(manifest, KnownFrom::Tag(tag))),
            // Gone since it was listed, or damaged: no referrer that anybody could use.
            Err(error) if error.is_not_found() => Ok(None),
            Err(RepositoryError::Manifest { .. } | RepositoryError::Content { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    read.buffer_unordered(CONCURRENCY).try_filter_map(|known| async { Ok(known) }).try_collect().await
}

/// Compares the listings of `subject` with what they name, with each other and with what is `known` besides.
///
/// # Errors
/// Fails when a listing could not be read.
pub async fn audit(
    repository: &dyn ReadRepository,
    subject: &Digest,
    known: &[KnownReferrer],
) -> Result<Audit, RepositoryError> {
    let api = repository.referrers(subject, ReferrersListing::Api).await?;
    let (tag, squatter) = match repository.referrers(subject, ReferrersListing::FallbackTag).await {
        Err(RepositoryError::Squatted { found, .. }) => (None, Some(found)),
        listing => (listing?, None),
    };
    let mut audit = Audit {
        subject: subject.clone(),
        has_api: api.is_some(),
        has_tag: tag.is_some() || squatter.is_some(),
        referrers: BTreeMap::new(),
        findings: Vec::new(),
        unread: Vec::new(),
        edits: HashMap::new(),
    };
    if let Some(found) = squatter {
        audit.find(Storage::FallbackTag, None, ListingFault::Unrelated(ProblemReason::Squatted { found }));
    }
    for (storage, listing) in [(Storage::ReferrersApi, &api), (Storage::FallbackTag, &tag)] {
        audit.compare(repository, storage, listing.as_deref().unwrap_or_default()).await;
    }
    let api_lists: HashSet<&Digest> = api.iter().flatten().map(|entry| &entry.digest).collect();
    let tag_lists: HashSet<&Digest> = tag.iter().flatten().map(|entry| &entry.digest).collect();
    let listed = audit.referrers.keys().map(|digest| match api_lists.contains(digest) {
        true => (digest.clone(), KnownFrom::ReferrersApi),
        false => (digest.clone(), KnownFrom::FallbackTag),
    });
    let mut sources: BTreeMap<Digest, KnownFrom> = listed.collect();
    for referrer in known.iter().filter(|referrer| referrer.subject == *subject) {
        let digest = referrer.manifest.descriptor().digest.clone();
        audit.referrers.entry(digest.clone()).or_insert_with(|| referrer.manifest.clone());
        sources.entry(digest).or_insert_with(|| referrer.known_from.clone());
    }
    for (digest, known_from) in sources {
        // Where there is an API the tag is needed by nobody, but one that is there should be whole.
        if (audit.has_tag || !audit.has_api) && !tag_lists.contains(&digest) {
            let fault = ListingFault::Unlisted { known_from: known_from.clone() };
            audit.find(Storage::FallbackTag, Some(digest.clone()), fault);
        }
        if audit.has_api && !api_lists.contains(&digest) {
            audit.find(Storage::ReferrersApi, Some(digest), ListingFault::Unlisted { known_from });
        }
    }
    Ok(audit)
}

impl Audit {
    /// Says whether the fallback tag holds something that is no listing.
    pub fn is_squatted(&self) -> bool {
        self.findings.iter().any(|found| matches!(found.fault, ListingFault::Unrelated(ProblemReason::Squatted { .. })))
    }

    fn find(&mut self, storage: Storage, digest: Option<Digest>, fault: ListingFault) {
        self.findings.push(Finding { storage, digest, fault });
    }

    async fn compare(&mut self, repository: &dyn ReadRepository, storage: Storage, listed: &[Descriptor]) {
        let subject = self.subject.clone();
        let opened = stream::iter(listed).map(|descriptor| {
            let (entry, subject) = (Entry { descriptor: descriptor.clone(), storage }, &subject);
            async move { (descriptor, open(repository, subject, &entry).await) }
        });
        let opened: Vec<_> = opened.buffered(CONCURRENCY).collect().await;
        let mut seen = HashSet::new();
        for (listed, opened) in opened {
            if !seen.insert(&listed.digest) {
                self.find(storage, Some(listed.digest.clone()), ListingFault::Repeated);
                continue;
            }
            match opened {
                Opened::Attachment(attachment) => self.compare_entry(storage, listed, attachment.manifest),
                Opened::Unread(unread) => self.unread.push(unread),
                Opened::Problem(problem) => {
                    // What cannot be read may be readable to others, so it stays.
                    if storage == Storage::FallbackTag && !matches!(problem.reason, ProblemReason::Malformed(_)) {
                        self.edits.insert(listed.digest.clone(), EntryEdit::Remove);
                    }
                    self.find(storage, Some(listed.digest.clone()), ListingFault::Unrelated(problem.reason));
                }
            }
        }
    }

    fn compare_entry(&mut self, storage: Storage, listed: &Descriptor, manifest: RawManifest) {
        // It was parsed when it was opened.
        let Ok(right) = manifest.to_referrer_entry() else { return };
        let digest = || Some(listed.digest.clone());
        let before = self.findings.len();
        if !listed.is_same_content(&right) {
            self.find(storage, digest(), ListingFault::Descriptor);
        }
        if listed.artifact_type != right.artifact_type {
            let (listed, found) = (listed.artifact_type.clone(), right.artifact_type.clone());
            self.find(storage, digest(), ListingFault::ArtifactType { listed, found });
        }
        if listed.annotations != right.annotations {
            self.find(storage, digest(), ListingFault::Annotations);
        }
        if storage == Storage::FallbackTag && self.findings.len() > before {
            let right = Descriptor { platform: listed.platform.clone(), other: listed.other.clone(), ..right };
            self.edits.insert(listed.digest.clone(), EntryEdit::Replace(Box::new(right)));
        }
        self.referrers.insert(listed.digest.clone(), manifest);
    }
}

/// What becomes of something else under the fallback tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Squatter {
    /// It stays, and so nothing is listed.
    Leave,
    /// The listing takes its place. What it was is still there by digest, and without this tag.
    Replace,
}

/// Mends what `audit` found: the fallback tag is written anew in one step, and what the referrers API does not list is
/// pushed again.
///
/// # Errors
/// Fails when the repository does not do it; nothing that was right becomes wrong.
pub async fn repair(repository: &dyn Repository, audit: &Audit, squatter: Squatter) -> Result<(), RepositoryError> {
    let missing = |storage| {
        let missing = audit
            .findings
            .iter()
            .filter(move |found| found.storage == storage && matches!(found.fault, ListingFault::Unlisted { .. }));
        missing.filter_map(|found| audit.referrers.get(found.digest.as_ref()?))
    };
    for manifest in missing(Storage::ReferrersApi) {
        repository.push(manifest.descriptor(), manifest.bytes().clone().into()).await?;
    }
    let is_wrong = audit.findings.iter().any(|found| found.storage == Storage::FallbackTag);
    if !is_wrong || (audit.is_squatted() && squatter == Squatter::Leave) {
        return repository.flush().await;
    }
    let additions = missing(Storage::FallbackTag).filter_map(|manifest| manifest.to_referrer_entry().ok()).collect();
    let mending = Mending { subject: audit.subject.clone(), edits: audit.edits.clone(), additions, squatter };
    repository.revise_tag(&Tag::referrers_fallback(&audit.subject), Arc::new(mending)).await?;
    repository.settle().await?;
    repository.flush().await
}

/// The revision that mends a fallback tag.
#[derive(Debug)]
struct Mending {
    subject: Digest,
    edits: HashMap<Digest, EntryEdit>,
    additions: Vec<Descriptor>,
    squatter: Squatter,
}

#[async_trait]
impl Revision for Mending {
    async fn revise(
        &self,
        repository: &dyn Repository,
        found: Option<&RawManifest>,
    ) -> Result<Revised, RepositoryError> {
        let unusable = |source| RepositoryError::Manifest {
            repository: repository.name().clone(),
            digest: Tag::referrers_fallback(&self.subject).to_string(),
            source,
        };
        let listed = found.map(|found| fallback::entries(repository.name(), &self.subject, found)).transpose();
        let is_squatted = matches!(listed, Err(RepositoryError::Squatted { .. }));
        let mut index = match (listed, found) {
            (Ok(_), Some(found)) => IndexDocument::parse(found.bytes()).map_err(unusable)?,
            (Err(RepositoryError::Squatted { .. }), _) if self.squatter == Squatter::Replace => {
                IndexDocument::new().map_err(unusable)?
            }
            (Err(error), _) => return Err(error),
            (Ok(_), None) => IndexDocument::new().map_err(unusable)?,
        };
        let before = found.map(|_| index.to_json()).transpose().map_err(unusable)?;
        let mut seen = HashSet::new();
        let edit = |entry: &Descriptor| match seen.insert(entry.digest.clone()) {
            true => self.edits.get(&entry.digest).cloned().unwrap_or(EntryEdit::Keep),
            false => EntryEdit::Remove,
        };
        index.edit(edit).map_err(unusable)?;
        for entry in &self.additions {
            if seen.insert(entry.digest.clone()) {
                index.push(entry.clone()).map_err(unusable)?;
            }
        }
        let after = index.to_manifest().map_err(unusable)?;
        Ok(match (index.is_empty(), found) {
            (true, None) => Revised::Unchanged,
            (_, Some(_)) if before.as_deref() == Some(after.bytes()) && !is_squatted => Revised::Unchanged,
            // What a tag's deletion takes along differs between registries; a squatter may be the subject itself.
            (true, Some(_)) if !is_squatted => Revised::Delete,
            _ => Revised::Write(Box::new(after)),
        })
    }
}
