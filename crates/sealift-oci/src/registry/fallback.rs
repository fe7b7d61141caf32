//! The fallback tag: read, extended and shortened without losing what others write at the same time.
//!
//! Within one process writers take turns. Against others, writes are conditional where the registry has entity tags,
//! and every write is read back and repeated until the registry holds what it should. A registry that honours no
//! conditions leaves one gap that no client can close: a writer that read before us and writes after our check.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealift_core::oci::{Descriptor, Digest, IndexDocument, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::RepositoryError;
use sealift_core::repository::fallback::{self, Unlinked};

use super::client::Endpoint;
use super::manifest::{Condition, Read};
use super::retry::Retries;
use crate::access::RetryPolicy;

/// How often a write is repeated because another writer was faster.
const MAX_ROUNDS: u32 = 20;

/// The turns of this process's writers, by tag.
#[derive(Debug, Default)]
pub(super) struct FallbackTags {
    turns: Mutex<HashMap<Tag, Arc<tokio::sync::Mutex<()>>>>,
}

/// What is to become of the index under a tag.
enum Change {
    Delete,
    Nothing,
    Write(Box<RawManifest>),
}

impl FallbackTags {
    /// Returns what the fallback tag of `subject` lists, or `None` when there is no such tag.
    pub(super) async fn list(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        match read(endpoint, subject, &Tag::referrers_fallback(subject)).await? {
            None => Ok(None),
            Some(found) => fallback::entries(&endpoint.name, subject, &found.manifest).map(Some),
        }
    }

    /// Makes the tag list `entries` too.
    pub(super) async fn link(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        entries: &[Descriptor],
    ) -> Result<(), RepositoryError> {
        self.change(endpoint, subject, |found| {
            let linked = fallback::linked(&endpoint.name, subject, found, entries)?;
            Ok(linked.map_or(Change::Nothing, |index| Change::Write(Box::new(index))))
        })
        .await
    }

    /// Makes the tag list `entries` no more.
    pub(super) async fn unlink(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        entries: &[Digest],
    ) -> Result<(), RepositoryError> {
        self.change(endpoint, subject, |found| {
            let Some(found) = found else { return Ok(Change::Nothing) };
            Ok(match fallback::unlinked(&endpoint.name, subject, found, entries)? {
                Unlinked::Empty => Change::Delete,
                Unlinked::Index(index) => Change::Write(index),
                Unlinked::Unchanged => Change::Nothing,
            })
        })
        .await
    }

    /// Reads, changes and writes until there is nothing left to change.
    async fn change(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        decide: impl Fn(Option<&RawManifest>) -> Result<Change, RepositoryError> + Send,
    ) -> Result<(), RepositoryError> {
        let tag = Tag::referrers_fallback(subject);
        let turn = self.turn(&tag);
        let _turn = turn.lock().await;
        let mut delays = Retries::new(RetryPolicy { retries: MAX_ROUNDS, ..endpoint.host.retry });
        let mut written = false;
        loop {
            let found = read(endpoint, subject, &tag).await?;
            let change = decide(found.as_ref().map(|found| &found.manifest))?;
            if written && !matches!(change, Change::Nothing) {
                wait(endpoint, &tag, &mut delays).await?;
            }
            match change {
                Change::Nothing => return Ok(()),
                Change::Delete => {
                    if delete(endpoint, subject, &tag, found.as_ref()).await? {
                        return Ok(());
                    }
                    wait(endpoint, &tag, &mut delays).await?;
                }
                Change::Write(index) => {
                    if !write(endpoint, &tag, found.as_ref(), &index).await? {
                        wait(endpoint, &tag, &mut delays).await?;
                        continue;
                    }
                    written = true;
                }
            }
        }
    }

    fn turn(&self, tag: &Tag) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more are made anew when needed.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(tag.clone()).or_default())
    }
}

/// Reads what the tag holds.
///
/// GitLab answers `sha256-<hex>` with the manifest of that digest where there is no such tag. A tag that is not among the
/// repository's tags is not there, and can be written; one that is was left by `cosign copy`, and is not ours.
async fn read(endpoint: &Endpoint, subject: &Digest, tag: &Tag) -> Result<Option<Read>, RepositoryError> {
    match endpoint.read_manifest(&tag.clone().into()).await {
        Ok(found) if found.manifest.descriptor().digest == *subject => {
            let is_there = endpoint.list_tags().await.map_or(true, |tags| tags.contains(tag));
            Ok(is_there.then_some(found))
        }
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the index, and says whether nobody was faster.
async fn write(
    endpoint: &Endpoint,
    tag: &Tag,
    found: Option<&Read>,
    index: &RawManifest,
) -> Result<bool, RepositoryError> {
    let condition = match found {
        Some(found) => unchanged(found),
        None if endpoint.host.habits().gives_etags => Condition::Absent,
        None => Condition::Always,
    };
    let selector = Selector::Tag(tag.clone());
    let response = endpoint.put_manifest(index, &selector, condition).await?;
    match response.status().as_u16() {
        200..=299 => Ok(true),
        409 | 412 => Ok(false),
        _ => Err(response.into_refusal(&endpoint.name, "link referrers").await),
    }
}

fn unchanged(found: &Read) -> Condition<'_> {
    found.etag.as_deref().map_or(Condition::Always, Condition::Unchanged)
}

/// Removes a tag that lists nothing any more, and says whether nobody was faster; where tags are not deleted, an index
/// without entries says the same.
async fn delete(
    endpoint: &Endpoint,
    subject: &Digest,
    tag: &Tag,
    found: Option<&Read>,
) -> Result<bool, RepositoryError> {
    match endpoint.delete_manifest(&tag.clone().into(), found.map_or(Condition::Always, unchanged)).await {
        Ok(()) => return Ok(true),
        Err(RepositoryError::Unsupported { .. }) => {}
        Err(RepositoryError::Registry { status: 409 | 412, .. }) => return Ok(false),
        Err(error) if error.is_not_found() => return Ok(true),
        Err(error) => return Err(error),
    }
    let unusable = |source| endpoint.unusable_manifest(&subject.clone().into(), source);
    let json = IndexDocument::new().and_then(|index| index.to_json()).map_err(unusable)?;
    let empty = RawManifest::new(media_type::IMAGE_INDEX, json);
    write(endpoint, tag, found, &empty).await
}

async fn wait(endpoint: &Endpoint, tag: &Tag, delays: &mut Retries) -> Result<(), RepositoryError> {
    let delay = delays.next_delay(None).ok_or_else(|| contended(endpoint, tag))?;
    tokio::time::sleep(delay).await;
    Ok(())
}

fn contended(endpoint: &Endpoint, tag: &Tag) -> RepositoryError {
    RepositoryError::Registry {
        repository: endpoint.name.clone(),
        operation: "link referrers",
        status: 412,
        code: "-".to_owned(),
        message: format!("other writers keep changing tag {tag}"),
    }
}
