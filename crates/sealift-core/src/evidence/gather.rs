//! Gathers evidence with as few requests as the answer allows.
//!
//! Requests: a signature listed by the referrers API costs three (listing, manifest, content). The fallback tag and
//! cosign's tags are asked only when that did not satisfy; a "no" has read all of them.

use std::collections::HashSet;

use futures_util::future::{join, join_all};
use futures_util::lock::Mutex;
use futures_util::stream::{self, StreamExt};

use super::candidate::{Candidate, candidates};
use super::{Effort, Evidence, Likelihood, Proof, Rejection, RejectionReason};
use crate::attach::{
    AttachmentProblem, CosignSuffix, Entry, MAX_COSIGN_LAYERS, Opened, ProblemReason, Storage, Unread, attachment, open,
};
use crate::entity::SignedEntity;
use crate::identity::IdentityMatcher;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, RawManifest, Selector};
use crate::repository::{ReadRepository, ReferrersListing, RepositoryError, foreign_text};
use crate::verify::{Artifact, Claim, Verifier};

/// The most manifests opened in search of one signature; stops a listing of thousands that costs a request each.
/// When it is reached without success, the verdict is undecided.
pub const MAX_CANDIDATES: usize = 1000;
/// The most manifests or signatures that may fail to be read; stops a registry where each takes as long as it may. The
/// search ends undecided then.
const MAX_UNREAD: usize = 16;
/// Manifests or signatures read at once.
const CONCURRENCY: usize = 8;

/// Finds what speaks for `claim` about `subject` in every storage scheme, and verifies it.
pub async fn gather(
    repository: &dyn ReadRepository,
    subject: &Digest,
    verifier: &Verifier,
    identities: &IdentityMatcher,
    claim: &Claim,
    effort: Effort,
) -> Evidence {
    let evidence = Evidence {
        repository: repository.name().clone(),
        subject: subject.clone(),
        claim: claim.clone(),
        verified: Vec::new(),
        rejected: Vec::new(),
        undecided: Vec::new(),
        problems: Vec::new(),
    };
    let large = Mutex::new(());
    let seen = HashSet::new();
    let mut search = Search { repository, verifier, identities, effort, evidence, seen, opened: 0, large: &large };
    search.run().await;
    search.evidence
}

struct Search<'a> {
    repository: &'a dyn ReadRepository,
    verifier: &'a Verifier,
    identities: &'a IdentityMatcher,
    effort: Effort,
    evidence: Evidence,
    /// Manifests that one listing named already.
    seen: HashSet<Digest>,
    opened: usize,
    large: &'a Mutex<()>,
}

impl Search<'_> {
    async fn run(&mut self) {
        let (repository, subject) = (self.repository, self.evidence.subject.clone());
        let suffix = match self.evidence.claim {
            Claim::ImageSignature => CosignSuffix::Signature,
            _ => CosignSuffix::Attestation,
        };
        let tag = Selector::Tag(suffix.tag(&subject));
        let api = repository.referrers(&subject, ReferrersListing::Api).await;
        let has_api = !matches!(api, Ok(None));
        self.take_listing(Storage::ReferrersApi, api).await;
        if self.is_done() {
            return;
        }
        // Where there is an API, neither of the other places is likely to hold anything: one round for both. Where
        // there is none, the fallback tag is likely to answer alone.
        let fallback = repository.referrers(&subject, ReferrersListing::FallbackTag);
        if has_api || self.effort == Effort::All {
            let (fallback, tagged) = join(fallback, repository.manifest(&tag)).await;
            self.take_listing(Storage::FallbackTag, fallback).await;
            self.take_tag(suffix, tagged).await;
            return;
        }
        let fallback = fallback.await;
        self.take_listing(Storage::FallbackTag, fallback).await;
        if !self.is_done() {
            let tagged = repository.manifest(&tag).await;
            self.take_tag(suffix, tagged).await;
        }
    }

    fn is_done(&self) -> bool {
        let is_found = self.effort == Effort::FirstMatch && !self.evidence.verified.is_empty();
        is_found || self.evidence.undecided.len() >= MAX_UNREAD
    }

    async fn take_listing(&mut self, storage: Storage, listing: Result<Option<Vec<Descriptor>>, RepositoryError>) {
        let entries = match listing {
            Ok(entries) => entries.unwrap_or_default(),
            Err(RepositoryError::Squatted { found, .. }) => {
                let (subject, reason) = (self.evidence.subject.clone(), ProblemReason::Squatted { found });
                return self.evidence.problems.push(AttachmentProblem { subject, storage, digest: None, reason });
            }
            Err(error) => return self.unread(storage, None, error),
        };
        let mut entries = self.promising(storage, entries);
        let room = MAX_CANDIDATES.saturating_sub(self.opened);
        if entries.len() > room {
            entries.truncate(room);
            self.bound_reached(storage, "number of possible signatures", MAX_CANDIDATES);
        }
        self.opened += entries.len();
        let (repository, subject) = (self.repository, self.evidence.subject.clone());
        for group in entries.chunk_by(|(one, _), (other, _)| one == other) {
            let mut rest = group;
            while !rest.is_empty() && !self.is_done() {
                let (round, later) = rest.split_at(round_length(rest));
                let opened = join_all(round.iter().map(|(_, entry)| open(repository, &subject, entry))).await;
                self.take_opened(opened).await;
                rest = later;
            }
        }
    }

    /// Returns the entries worth opening, the likeliest first, and equally likely ones in the order of their digests:
    /// registries list them as they like, and of several signatures that count, the one found first is named and recorded.
    ///
    /// The referrers API computes the artifact type from the manifest, so what is certainly something else is left out
    /// there. Fallback indexes lie about it, so there it only decides the order.
    fn promising(&mut self, storage: Storage, entries: Vec<Descriptor>) -> Vec<(Likelihood, Entry)> {
        let mut promising: Vec<_> = entries
            .into_iter()
            .filter(|entry| self.seen.insert(entry.digest.clone()))
            .map(|descriptor| {
                let artifact_type = descriptor.artifact_type.as_deref();
                let likelihood = Likelihood::of(artifact_type, &descriptor.annotations, &self.evidence.claim);
                (likelihood, Entry { descriptor, storage })
            })
            .filter(|(likelihood, _)| storage != Storage::ReferrersApi || *likelihood != Likelihood::Foreign)
            .collect();
        promising.sort_by(|(one, entry), (other, listed)| {
            one.cmp(other).then_with(|| entry.descriptor.digest.cmp(&listed.descriptor.digest))
        });
        promising
    }

    async fn take_tag(&mut self, suffix: CosignSuffix, tagged: Result<RawManifest, RepositoryError>) {
        let storage = Storage::CosignTag(suffix);
        match tagged {
            _ if self.is_done() => {}
            Ok(manifest) => {
                let opened = attachment(&self.evidence.subject, storage, manifest);
                self.take_opened(vec![opened]).await;
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => self.unread(storage, None, error),
        }
    }

    /// Reads and judges the signatures in opened manifests, the likeliest first.
    async fn take_opened(&mut self, opened: Vec<Opened>) {
        let mut found: Vec<(Likelihood, Candidate)> = Vec::new();
        for opened in opened {
            let attachment = match opened {
                Opened::Attachment(attachment) => attachment,
                Opened::Problem(problem) => {
                    self.evidence.problems.push(problem);
                    continue;
                }
                Opened::Unread(unread) => {
                    self.evidence.undecided.push(unread);
                    continue;
                }
            };
            // It was parsed when it was opened.
            let Ok(manifest) = attachment.manifest.parse() else { continue };
            if manifest.layers.len() > MAX_COSIGN_LAYERS {
                self.bound_reached(attachment.storage, "number of signatures in one manifest", MAX_COSIGN_LAYERS);
                continue;
            }
            let likelihood = Likelihood::of(manifest.artifact_type(), &manifest.annotations, &self.evidence.claim);
            let candidates = candidates(&attachment, &manifest, &self.evidence.claim);
            found.extend(candidates.into_iter().map(|candidate| (likelihood, candidate)));
        }
        found.sort_by_key(|(likelihood, _)| *likelihood);
        for group in found.chunk_by(|(one, _), (other, _)| one == other) {
            self.read(group).await;
            if self.is_done() {
                return;
            }
        }
    }

    async fn read(&mut self, group: &[(Likelihood, Candidate)]) {
        let (repository, large) = (self.repository, self.large);
        // Collected, because a future that holds the closure cannot be sent to another thread.
        let reads: Vec<_> = group
            .iter()
            .map(|(_, candidate)| async move { (candidate, candidate.read(repository, large).await) })
            .collect();
        let mut read = stream::iter(reads).buffered(CONCURRENCY);
        while let Some((candidate, read)) = read.next().await {
            match read {
                Ok(entities) => entities.into_iter().for_each(|entity| self.judge(candidate, entity)),
                Err(error) => self.unread(candidate.storage, Some(candidate.manifest.clone()), error),
            }
            if self.is_done() {
                return;
            }
        }
    }

    fn judge(&mut self, candidate: &Candidate, entity: Result<SignedEntity, Rejection>) {
        let entity = match entity {
            Ok(entity) => entity,
            Err(rejection) => return self.evidence.rejected.push(rejection),
        };
        let artifact = Artifact::Digest(&self.evidence.subject);
        match self.verifier.verify(&entity, &artifact, self.identities, &self.evidence.claim) {
            Ok(verified) => self.evidence.verified.push(Proof { place: candidate.place(), verified }),
            Err(error) => self.evidence.rejected.push(Rejection {
                place: candidate.place(),
                signer_hint: entity.material.key.hint().map(foreign_text),
                reason: RejectionReason::Verify(error),
            }),
        }
    }

    fn bound_reached(&mut self, storage: Storage, what: &'static str, limit: usize) {
        let repository = self.repository.name().clone();
        self.unread(storage, None, RepositoryError::TooLarge { repository, what, limit: limit as u64 });
    }

    fn unread(&mut self, storage: Storage, digest: Option<Digest>, error: RepositoryError) {
        let subject = self.evidence.subject.clone();
        self.evidence.undecided.push(Unread { subject, storage, digest, error });
    }
}

/// Returns how many of `entries`, which are not none, are opened at once: fewer where they are large, so that many large
/// manifests are never in memory together.
fn round_length(entries: &[(Likelihood, Entry)]) -> usize {
    let sizes = entries.iter().take(CONCURRENCY).scan(0_u64, |bytes, (_, entry)| {
        *bytes = bytes.saturating_add(entry.descriptor.size);
        Some(*bytes)
    });
    sizes.take_while(|bytes| *bytes <= MAX_MANIFEST_BYTES).count().max(1)
}
