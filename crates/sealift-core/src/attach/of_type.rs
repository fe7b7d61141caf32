//! Finds what is attached under one artifact type, without opening what is certainly something else.

use std::collections::HashSet;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::discover::{Entry, Full, Opened, open};
use super::{AttachmentProblem, Attachments, ProblemReason, Storage, Unread};
use crate::oci::{Descriptor, Digest, media_type};
use crate::repository::{ReadRepository, ReferrersListing, RepositoryError};

/// The most manifests opened in search of a type; stops a listing of thousands that costs a request each.
pub const MAX_OF_TYPE: usize = 1000;
/// The most bytes that the manifests found have together; stops whoever may attach something from filling the memory with
/// manifests that are as large as they may be.
pub const MAX_BYTES_OF_TYPE: u64 = 16 * 1024 * 1024;
/// Manifests read at once.
const CONCURRENCY: usize = 8;

/// Returns the referrers of `subject` whose own artifact type is `artifact_type`. What could not be read, listings
/// included, is in [`Attachments::unread`].
///
/// The referrers API computes the type from the manifest, so what it lists as something else is not opened. Fallback
/// indexes lie about it. [`Attachments::problems`] has what may be of the type: an unusable entry that says that it is
/// something else is left out, since whoever writes a false type may as well leave the entry out.
pub async fn referrers_of_type(repository: &dyn ReadRepository, subject: &Digest, artifact_type: &str) -> Attachments {
    let mut all = Attachments::default();
    let listings = join(
        repository.referrers(subject, ReferrersListing::Api),
        repository.referrers(subject, ReferrersListing::FallbackTag),
    );
    let (api, fallback) = listings.await;
    let mut seen = HashSet::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (storage, listing) in [(Storage::ReferrersApi, api), (Storage::FallbackTag, fallback)] {
        for descriptor in listed(&mut all, subject, storage, listing) {
            let is_possible = storage != Storage::ReferrersApi || may_be(&descriptor, artifact_type);
            if is_possible && seen.insert(descriptor.digest.clone()) {
                entries.push(Entry { descriptor, storage });
            }
        }
    }
    if entries.len() > MAX_OF_TYPE {
        entries.truncate(MAX_OF_TYPE);
        let full = Full { what: "number of referrers of a type", limit: MAX_OF_TYPE as u64 };
        all.unread.push(full.at(repository, subject));
    }
    let mut room = MAX_BYTES_OF_TYPE;
    let opened = stream::iter(entries).map(|entry| async move {
        let is_possible = may_be(&entry.descriptor, artifact_type);
        (is_possible, open(repository, subject, &entry).await)
    });
    let mut opened = opened.buffered(CONCURRENCY);
    while let Some((is_possible, opened)) = opened.next().await {
        match opened {
            Opened::Attachment(found) if found.artifact_type.as_deref() == Some(artifact_type) => {
                let Some(left) = room.checked_sub(found.descriptor().size) else {
                    let full = Full { what: "referrers of a type", limit: MAX_BYTES_OF_TYPE };
                    all.unread.push(full.at(repository, subject));
                    return all;
                };
                room = left;
                all.found.push(found);
            }
            Opened::Attachment(_) => {}
            Opened::Problem(_) if !is_possible => {}
            opened => all.add(opened),
        }
    }
    all
}

/// Returns what a listing holds, and notes what is wrong with it.
fn listed(
    all: &mut Attachments,
    subject: &Digest,
    storage: Storage,
    listing: Result<Option<Vec<Descriptor>>, RepositoryError>,
) -> Vec<Descriptor> {
    let subject = subject.clone();
    match listing {
        Ok(entries) => return entries.unwrap_or_default(),
        Err(RepositoryError::Squatted { found, .. }) => {
            let reason = ProblemReason::Squatted { found };
            all.problems.push(AttachmentProblem { subject, storage, digest: None, reason });
        }
        Err(error) => all.unread.push(Unread { subject, storage, digest: None, error }),
    }
    Vec::new()
}

fn may_be(descriptor: &Descriptor, artifact_type: &str) -> bool {
    descriptor
        .artifact_type
        .as_deref()
        .is_none_or(|listed| listed.is_empty() || listed == media_type::EMPTY || listed == artifact_type)
}
