//! Tags that several writers change: fallback tags, and cosign's. Changed without losing what others write meanwhile.
//!
//! Within one process writers take turns. Against others, a write is conditional where the registry is known to honour
//! conditions: then it is final. Most do not, CNCF distribution among them, though they give entity tags. There a writer
//! that read before us may write after us, and no client can stop it. So every such write is watched until the tag was
//! left alone for a quiet time, which is several times as long as this process needs from reading to writing; whatever
//! was written over meanwhile is merged again, by everybody who saw it. What this rests on, and where it ends, is in
//! `docs/registries/concurrent-writers.md`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sealift_core::locked;
use sealift_core::oci::{Digest, IndexDocument, RawManifest, Selector, Tag};
use sealift_core::repository::{RepositoryError, Revised, Revision};
use sealift_core::retry::RetryPolicy;

use super::RegistryRepository;
use super::client::Endpoint;
use super::manifest::{Condition, Read};
use super::retry::Retries;

/// How often a write is repeated because another writer was faster; each of so many writers may be faster once.
const MAX_ROUNDS: u32 = 100;
/// How often a tag is looked at while others keep changing it without harm to ours; stops a busy tag from holding us for
/// ever. After twice as many looks it is given up.
const MAX_WATCHES: u32 = 40;
/// The quiet time is so many times as long as the slowest step from reading to having written that was seen.
const QUIET_FACTOR: u32 = 3;
/// The shortest quiet time: what other processes may be held up by, whatever our own were not.
const MIN_QUIET: Duration = Duration::from_millis(100);
/// The longest quiet time; stops a stalled request from making every later one wait.
const MAX_QUIET: Duration = Duration::from_secs(10);
/// An entity tag that nothing has: a write under it fails where conditions are honoured.
const NO_ETAG: &str = "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"";

/// The shared tags of one repository that this process changed.
#[derive(Debug, Default)]
pub(super) struct SharedTags {
    tags: Mutex<HashMap<Tag, Arc<tokio::sync::Mutex<Watch>>>>,
}

/// What this process wants of a tag, and what it saw there.
#[derive(Debug)]
struct Watch {
    /// What must still hold when the tag has settled; empty when it has.
    revisions: Vec<Arc<dyn Revision>>,
    /// What the tag held when last seen.
    held: Option<Digest>,
    /// Since when it is known to hold that.
    since: Instant,
    /// The longest time from the beginning of a read to the end of the write based on it.
    window: Duration,
}

impl Watch {
    fn new() -> Self {
        Self { revisions: Vec::new(), held: None, since: Instant::now(), window: Duration::ZERO }
    }

    fn saw(&mut self, held: Option<Digest>) {
        (self.held, self.since) = (held, Instant::now());
    }

    fn quiet(&self) -> Duration {
        self.window.saturating_mul(QUIET_FACTOR).clamp(MIN_QUIET, MAX_QUIET)
    }
}

/// Whether a write can still be overwritten by a writer that did not see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Finality {
    Final,
    Open,
}

impl SharedTags {
    /// Applies `revision` to the tag, and returns what it holds then. Unless the write is final, [`SharedTags::settle`]
    /// applies it again.
    pub(super) async fn revise(
        &self,
        repository: &RegistryRepository,
        tag: &Tag,
        revision: Arc<dyn Revision>,
    ) -> Result<Option<RawManifest>, RepositoryError> {
        let watch = self.watch(tag);
        let mut watch = watch.lock().await;
        let (held, finality) = apply(repository, tag, std::slice::from_ref(&revision), &mut watch).await?;
        if finality == Finality::Open {
            watch.revisions.push(revision);
        }
        Ok(held)
    }

    /// Applies `revision`, which takes something away, until reading shows that it is gone. What else was put there is
    /// insisted on as before; the last word is this one's.
    pub(super) async fn withdraw(
        &self,
        repository: &RegistryRepository,
        tag: &Tag,
        revision: Arc<dyn Revision>,
    ) -> Result<(), RepositoryError> {
        let watch = self.watch(tag);
        let mut watch = watch.lock().await;
        let is_alone = watch.revisions.is_empty();
        watch.revisions.push(revision);
        let revisions = watch.revisions.clone();
        let mut delays = delays(repository);
        loop {
            let before = watch.held.clone();
            let (held, finality) = apply(repository, tag, &revisions, &mut watch).await?;
            let is_written = before.as_ref() != digest(held.as_ref());
            if finality == Finality::Final || !is_written {
                break;
            }
            wait(&repository.endpoint, tag, &mut delays).await?;
        }
        if is_alone {
            watch.revisions.clear();
        }
        Ok(())
    }

    /// Watches those of `tags` that have open writes until each was left alone for its quiet time, and returns what was
    /// read then.
    pub(super) async fn settle(
        &self,
        repository: &RegistryRepository,
        tags: &HashSet<Tag>,
    ) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        let watches: Vec<_> = {
            let known = locked(&self.tags);
            tags.iter().filter_map(|tag| Some((tag.clone(), Arc::clone(known.get(tag)?)))).collect()
        };
        let settled = watches.iter().map(|(tag, watch)| async move {
            let held = settle(repository, tag, watch).await?;
            Ok::<_, RepositoryError>(held.map(|held| (tag.clone(), held)))
        });
        let settled = try_join_all(settled).await?;
        drop(watches);
        self.forget_settled();
        Ok(settled.into_iter().flatten().collect())
    }

    /// Does `work` while no other task of this process changes the tag.
    pub(super) async fn alone<T>(&self, tag: &Tag, work: impl Future<Output = T>) -> T {
        let done = {
            let watch = self.watch(tag);
            let _turn = watch.lock().await;
            work.await
        };
        self.forget_settled();
        done
    }

    /// Says whether a tag may not have settled.
    pub(super) fn is_watched(&self, tag: &Tag) -> bool {
        locked(&self.tags).contains_key(tag)
    }

    /// Drops what nobody uses any more; it is made anew when needed. What another task wrote since is not settled.
    fn forget_settled(&self) {
        let mut tags = locked(&self.tags);
        tags.retain(|_, watch| {
            let is_open = watch.try_lock().map_or(true, |watch| !watch.revisions.is_empty());
            is_open || Arc::strong_count(watch) > 1
        });
    }

    fn watch(&self, tag: &Tag) -> Arc<tokio::sync::Mutex<Watch>> {
        let mut tags = locked(&self.tags);
        Arc::clone(tags.entry(tag.clone()).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(Watch::new()))))
    }
}

/// Returns what the tag held when it had settled; `None` where it had before, or holds nothing.
async fn settle(
    repository: &RegistryRepository,
    tag: &Tag,
    watch: &tokio::sync::Mutex<Watch>,
) -> Result<Option<RawManifest>, RepositoryError> {
    let mut watches = 0;
    loop {
        let since = {
            let watch = watch.lock().await;
            if watch.revisions.is_empty() {
                return Ok(None);
            }
            let due = watch.since + watch.quiet();
            let since = watch.since;
            drop(watch);
            tokio::time::sleep_until(due.into()).await;
            since
        };
        let mut watch = watch.lock().await;
        if watch.since != since || watch.revisions.is_empty() {
            // Another task of this process wrote, or settled the tag.
            continue;
        }
        let revisions = watch.revisions.clone();
        let (held, finality) = apply(repository, tag, &revisions, &mut watch).await?;
        watches += 1;
        let was_left_alone = watch.since == since;
        if was_left_alone || (watches >= MAX_WATCHES && finality == Finality::Final) {
            watch.revisions.clear();
            return Ok(held);
        }
        if watches > 2 * MAX_WATCHES {
            return Err(contended(&repository.endpoint, tag));
        }
        tracing::debug!(%tag, "another writer changed the tag; watching on");
    }
}

/// Reads the tag, applies the revisions and writes, until nobody was known to be faster.
async fn apply(
    repository: &RegistryRepository,
    tag: &Tag,
    revisions: &[Arc<dyn Revision>],
    watch: &mut Watch,
) -> Result<(Option<RawManifest>, Finality), RepositoryError> {
    let endpoint = &repository.endpoint;
    let mut delays = delays(repository);
    let mut started = Instant::now();
    let mut found = read(endpoint, tag).await?;
    loop {
        let read_in = started.elapsed();
        let now = found.as_ref().map(|found| found.manifest.clone());
        let Some(wanted) = revised(repository, revisions, now.as_ref()).await? else {
            if watch.held.as_ref() != digest(now.as_ref()) {
                watch.saw(digest(now.as_ref()).cloned());
            }
            return Ok((now, Finality::Final));
        };
        let mut is_fresh = true;
        if started.elapsed() > read_in.saturating_mul(2) + SWIFT {
            // Revising asked the registry or was held up, which gave others time: what is written over must be fresh.
            started = Instant::now();
            let again = read(endpoint, tag).await?;
            is_fresh = digest_of(again.as_ref()) == digest_of(found.as_ref());
            found = again;
        }
        let written = match is_fresh {
            true => put(endpoint, tag, found.as_ref(), wanted.as_ref()).await?,
            false => None,
        };
        match written {
            Some(finality) => {
                watch.window = watch.window.max(started.elapsed());
                watch.saw(digest(wanted.as_ref()).cloned());
                return Ok((wanted, finality));
            }
            None => {
                wait(endpoint, tag, &mut delays).await?;
                started = Instant::now();
                found = read(endpoint, tag).await?;
            }
        }
    }
}

/// How long revising takes at most when it asks nothing.
const SWIFT: Duration = Duration::from_millis(10);

/// Returns what the tag is to hold, where that is not what it holds; `Some(None)` when it is to go.
async fn revised(
    repository: &RegistryRepository,
    revisions: &[Arc<dyn Revision>],
    found: Option<&RawManifest>,
) -> Result<Option<Option<RawManifest>>, RepositoryError> {
    let mut wanted = found.cloned();
    for revision in revisions {
        match revision.revise(repository, wanted.as_ref()).await? {
            Revised::Unchanged => {}
            Revised::Delete => wanted = None,
            Revised::Write(manifest) => wanted = Some(*manifest),
        }
    }
    // One may take away what another had just put there.
    let is_as_found = digest(wanted.as_ref()) == digest(found) || (wanted.is_none() && found.is_some_and(is_emptied));
    Ok((!is_as_found).then_some(wanted))
}

/// Says whether a manifest is what [`delete`] leaves where tags stay.
fn is_emptied(manifest: &RawManifest) -> bool {
    let emptied = IndexDocument::new().and_then(|index| index.to_json());
    emptied.is_ok_and(|emptied| *manifest.bytes() == emptied)
}

fn digest(manifest: Option<&RawManifest>) -> Option<&Digest> {
    manifest.map(|manifest| &manifest.descriptor().digest)
}

fn digest_of(read: Option<&Read>) -> Option<&Digest> {
    read.map(|read| &read.manifest.descriptor().digest)
}

/// Reads what the tag holds.
///
/// GitLab answers `sha256-<hex>` with the manifest of that digest where there is no such tag. A tag that is not among the
/// repository's tags is not there, and can be written; one that is was left by `cosign copy`, and is not ours.
pub(super) async fn read(endpoint: &Endpoint, tag: &Tag) -> Result<Option<Read>, RepositoryError> {
    match endpoint.read_manifest(&tag.clone().into()).await {
        Ok(found) if Tag::referrers_fallback(&found.manifest.descriptor().digest) == *tag => {
            let is_there = endpoint.list_tags().await.map_or(true, |tags| tags.contains(tag));
            Ok(is_there.then_some(found))
        }
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        // By its tag nobody gets it, by its digest whoever looks after the quarantine.
        Err(RepositoryError::Quarantined { digest, .. }) => endpoint.read_manifest(&digest.into()).await.map(Some),
        Err(error) => Err(error),
    }
}

/// Writes or deletes; `None` when the registry says that somebody was faster.
async fn put(
    endpoint: &Endpoint,
    tag: &Tag,
    found: Option<&Read>,
    wanted: Option<&RawManifest>,
) -> Result<Option<Finality>, RepositoryError> {
    match wanted {
        Some(manifest) => write(endpoint, tag, found, manifest).await,
        None => delete(endpoint, tag, found).await,
    }
}

async fn write(
    endpoint: &Endpoint,
    tag: &Tag,
    found: Option<&Read>,
    manifest: &RawManifest,
) -> Result<Option<Finality>, RepositoryError> {
    let habits = endpoint.host.habits();
    if !habits.gives_etags || habits.honours_conditions == Some(false) {
        return write_if(endpoint, tag, manifest, Condition::Always)
            .await
            .map(|is_done| is_done.then_some(Finality::Open));
    }
    if habits.honours_conditions.is_none() {
        // A condition that never holds: a registry that writes all the same ignores conditions, and has done what was
        // asked of it. One that refuses may refuse without looking at it, as where tags are immutable.
        if write_if(endpoint, tag, manifest, Condition::Unchanged(NO_ETAG)).await? {
            endpoint.host.note(|habits| habits.honours_conditions = Some(false));
            return Ok(Some(Finality::Open));
        }
    }
    let condition = match found {
        Some(found) => found.etag.as_deref().map_or(Condition::Always, Condition::Unchanged),
        None => Condition::Absent,
    };
    let finality = if matches!(condition, Condition::Always) { Finality::Open } else { Finality::Final };
    if !write_if(endpoint, tag, manifest, condition).await? {
        return Ok(None);
    }
    if finality == Finality::Final {
        // It refused the condition that never holds, and took this one.
        endpoint.host.note(|habits| habits.honours_conditions = Some(true));
    }
    Ok(Some(finality))
}

/// Writes under a condition, and says whether it held.
async fn write_if(
    endpoint: &Endpoint,
    tag: &Tag,
    manifest: &RawManifest,
    condition: Condition<'_>,
) -> Result<bool, RepositoryError> {
    let response = endpoint.put_manifest(manifest, &Selector::Tag(tag.clone()), condition).await?;
    match response.status().as_u16() {
        200..=299 => Ok(true),
        409 | 412 => Ok(false),
        _ => Err(response.into_refusal(&endpoint.name, "change a shared tag").await),
    }
}

/// Removes a tag that holds nothing any more; where tags are not deleted, an index without entries says the same.
async fn delete(endpoint: &Endpoint, tag: &Tag, found: Option<&Read>) -> Result<Option<Finality>, RepositoryError> {
    let condition = found.and_then(|found| found.etag.as_deref()).map_or(Condition::Always, Condition::Unchanged);
    match endpoint.delete_manifest(&tag.clone().into(), condition).await {
        Ok(()) => return Ok(Some(Finality::Final)),
        Err(RepositoryError::Unsupported { .. }) => {}
        Err(RepositoryError::Registry { status: 409 | 412, .. }) => return Ok(None),
        Err(error) if error.is_not_found() => return Ok(Some(Finality::Final)),
        Err(error) => return Err(error),
    }
    let unusable = |source| endpoint.unusable_manifest(&tag.clone().into(), source);
    let empty = IndexDocument::new().and_then(|index| index.to_manifest()).map_err(unusable)?;
    write(endpoint, tag, found, &empty).await
}

fn delays(repository: &RegistryRepository) -> Retries {
    Retries::new(RetryPolicy { retries: MAX_ROUNDS, ..repository.endpoint.host.retry })
}

async fn wait(endpoint: &Endpoint, tag: &Tag, delays: &mut Retries) -> Result<(), RepositoryError> {
    let delay = delays.next_delay(None).ok_or_else(|| contended(endpoint, tag))?;
    tokio::time::sleep(delay).await;
    Ok(())
}

fn contended(endpoint: &Endpoint, tag: &Tag) -> RepositoryError {
    RepositoryError::Registry {
        repository: endpoint.name.clone(),
        operation: "change a shared tag",
        status: 412,
        code: "-".to_owned(),
        message: format!("other writers keep changing tag {tag}"),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use sealift_core::repository::Repository;

    use super::*;

    #[derive(Debug)]
    struct Untouched;

    #[async_trait]
    impl Revision for Untouched {
        async fn revise(&self, _: &dyn Repository, _: Option<&RawManifest>) -> Result<Revised, RepositoryError> {
            Ok(Revised::Unchanged)
        }
    }

    #[tokio::test]
    async fn only_what_is_settled_is_forgotten() {
        let tags = SharedTags::default();
        let [open, settled, busy] = ["open", "settled", "busy"].map(|name| name.parse::<Tag>().unwrap());
        // Another task wrote it after this one had looked, or while this one waited for other tags.
        tags.watch(&open).lock().await.revisions.push(Arc::new(Untouched));
        tags.watch(&settled);
        let held = tags.watch(&busy);
        let _writing = held.lock().await;
        tags.forget_settled();
        let known = tags.tags.lock().unwrap();
        assert!(known.contains_key(&open) && known.contains_key(&busy) && !known.contains_key(&settled));
    }
}
