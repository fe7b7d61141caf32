//! The Update Framework: how a client gets from a root it trusts to files that are signed and new.
//!
//! Reads no clock: the time is an argument, and the same throughout a refresh. Opens no socket unless it is given a
//! repository. Written here because the crates that do this bring their own HTTP client and a second generation of
//! RustCrypto (`sigstore-tuf`), or refuse the roots of GitHub (`tough`).
//! Specification: <https://theupdateframework.github.io/specification/latest/>.

mod cache;
mod canonical;
mod delegation;
mod error;
mod key;
mod metadata;
mod repository;
mod trusted;

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use sealift_core::repository::foreign_text;

pub use cache::Cache;
pub use error::TufError;
pub use repository::Repository;

use cache::quote;
use metadata::TargetFile;
use trusted::{Origin, TrustedSet};

/// A client of one repository, with what it trusts so far.
#[derive(Debug)]
pub struct TufClient {
    trusted: TrustedSet,
    metadata: Cache,
    targets: Cache,
    repository: Option<Repository>,
}

impl TufClient {
    /// Starts with a root that the caller trusts, and goes on from there to newer ones in the cache.
    ///
    /// Without a repository only the cache is used.
    ///
    /// # Errors
    /// [`TufError`] when the root is malformed, or not signed as it demands.
    pub fn new(root: &[u8], metadata: Cache, targets: Cache, repository: Option<Repository>) -> Result<Self, TufError> {
        let mut trusted = TrustedSet::new(root)?;
        let history = metadata.below(ROOT_HISTORY);
        while let Some(bytes) = read(&history, &format!("{}.root.json", trusted.root().version() + 1), MAX_ROOT_BYTES) {
            if let Err(error) = trusted.update_root(&bytes) {
                tracing::debug!(%error, "a cached root is passed over");
                break;
            }
        }
        Ok(Self { trusted, metadata, targets, repository })
    }

    /// Checks that a root is well formed and signed as it demands.
    ///
    /// # Errors
    /// As [`TufClient::new`].
    pub fn check_root(root: &[u8]) -> Result<(), TufError> {
        TrustedSet::new(root).map(|_| ())
    }

    /// Brings root, timestamp, snapshot and targets up to date; from the cache alone when there is no repository.
    ///
    /// # Errors
    /// [`TufError`] with what is wrong: nothing that failed is kept, and what was trusted before stays in the cache.
    pub async fn refresh(&mut self, now: Timestamp) -> Result<(), TufError> {
        self.refresh_root().await?;
        self.trusted.refuse_expired_root(now)?;
        self.refresh_timestamp(now).await?;
        self.refresh_snapshot(now).await?;
        self.refresh_targets(TARGETS, None, now).await
    }

    /// Returns a file: from the cache if that is the one that is signed, else from the repository.
    ///
    /// # Errors
    /// [`TufError::NotListed`] when no role that may names it; else as [`TufClient::refresh`], which must come first.
    pub async fn target(&mut self, name: &str, now: Timestamp) -> Result<Bytes, TufError> {
        let target = self.find(name, now).await?;
        if let Some(bytes) = read(&self.targets, name, MAX_TARGET_BYTES)
            && target.refuse_changed(name, &bytes).is_ok()
        {
            return Ok(bytes.into());
        }
        let limit = usize::try_from(target.length).ok().filter(|length| *length <= MAX_TARGET_BYTES);
        let too_large = || TufError::TooLarge { file: foreign_text(name), limit: MAX_TARGET_BYTES };
        let limit = limit.ok_or_else(too_large)?;
        let repository = self.repository.as_ref().ok_or_else(|| not_cached(name))?;
        let bytes = repository.target(&self.target_path(name, &target), limit).await?.ok_or_else(|| gone(name))?;
        target.refuse_changed(name, &bytes)?;
        keep(&self.targets, name, &bytes);
        Ok(bytes)
    }

    /// Step 5.3.
    async fn refresh_root(&mut self) -> Result<(), TufError> {
        let Some(repository) = &self.repository else { return Ok(()) };
        for _ in 0..MAX_ROOT_ROTATIONS {
            let name = format!("{}.root.json", self.trusted.root().version() + 1);
            let Some(bytes) = repository.metadata(&name, MAX_ROOT_BYTES).await? else { return Ok(()) };
            self.trusted.update_root(&bytes)?;
            keep(&self.metadata.below(ROOT_HISTORY), &name, &bytes);
            keep(&self.metadata, "root.json", &bytes);
        }
        Err(TufError::TooManyRoots { limit: MAX_ROOT_ROTATIONS })
    }

    /// Step 5.4.
    async fn refresh_timestamp(&mut self, now: Timestamp) -> Result<(), TufError> {
        const NAME: &str = "timestamp.json";
        let cached = read(&self.metadata, NAME, MAX_TIMESTAMP_BYTES);
        let Some(repository) = &self.repository else {
            self.trusted.update_timestamp(&cached.ok_or_else(|| not_cached(NAME))?)?;
            return self.trusted.refuse_expired_timestamp(now);
        };
        if let Some(Err(error)) = cached.map(|bytes| self.trusted.update_timestamp(&bytes)) {
            tracing::debug!(%error, "the cached timestamp is passed over");
        }
        let bytes = repository.metadata(NAME, MAX_TIMESTAMP_BYTES).await?.ok_or_else(|| gone(NAME))?;
        let is_new = self.trusted.update_timestamp(&bytes)?;
        self.trusted.refuse_expired_timestamp(now)?;
        if is_new {
            keep(&self.metadata, NAME, &bytes);
        }
        Ok(())
    }

    /// Step 5.5.
    async fn refresh_snapshot(&mut self, now: Timestamp) -> Result<(), TufError> {
        const NAME: &str = "snapshot.json";
        let cached = read(&self.metadata, NAME, MAX_SNAPSHOT_BYTES).ok_or_else(|| not_cached(NAME));
        let from_cache = cached
            .and_then(|bytes| self.trusted.update_snapshot(&bytes, Origin::Cache))
            .and_then(|()| self.trusted.refuse_stale_snapshot(now));
        let Some(repository) = &self.repository else { return from_cache };
        if from_cache.is_ok() {
            return Ok(());
        }
        let meta = self.trusted.snapshot_meta()?;
        let name = self.versioned(NAME, meta.version);
        let limit = bound(meta.length, MAX_SNAPSHOT_BYTES);
        let bytes = repository.metadata(&name, limit).await?.ok_or_else(|| gone(NAME))?;
        self.trusted.update_snapshot(&bytes, Origin::Repository)?;
        self.trusted.refuse_stale_snapshot(now)?;
        keep(&self.metadata, NAME, &bytes);
        Ok(())
    }

    /// Step 5.6.
    async fn refresh_targets(&mut self, role: &str, parent: Option<&str>, now: Timestamp) -> Result<(), TufError> {
        if self.trusted.verify_for_parent(role, parent)? {
            return Ok(());
        }
        let name = format!("{role}.json");
        let cached = read(&self.metadata, &name, MAX_TARGETS_BYTES).ok_or_else(|| not_cached(&name));
        let from_cache = cached.and_then(|bytes| self.trusted.update_targets(&bytes, role, parent, now));
        let Some(repository) = &self.repository else { return from_cache };
        if from_cache.is_ok() {
            return Ok(());
        }
        let meta = self.trusted.targets_meta(role)?;
        let limit = bound(meta.length, MAX_TARGETS_BYTES);
        let bytes = repository.metadata(&self.versioned(&name, meta.version), limit).await?;
        let bytes = bytes.ok_or_else(|| gone(&name))?;
        self.trusted.update_targets(&bytes, role, parent, now)?;
        keep(&self.metadata, &name, &bytes);
        Ok(())
    }

    /// Step 5.6.7: searches the roles depth first, in the order in which they are delegated to.
    async fn find(&mut self, name: &str, now: Timestamp) -> Result<TargetFile, TufError> {
        let mut open: Vec<(String, Option<String>)> = vec![(TARGETS.to_owned(), None)];
        let mut visited = BTreeSet::new();
        while let Some((role, parent)) = open.pop() {
            if visited.contains(&role) {
                continue;
            }
            if visited.len() == MAX_ROLES {
                return Err(TufError::TooManyRoles { file: foreign_text(name), limit: MAX_ROLES });
            }
            self.refresh_targets(&role, parent.as_deref(), now).await?;
            if let Some(target) = self.trusted.target(&role, name) {
                return Ok(target.clone());
            }
            let mut children = Vec::new();
            for delegation in self.trusted.delegations(&role).iter().filter(|delegation| delegation.covers(name)) {
                children.push((delegation.name.clone(), Some(role.clone())));
                if delegation.terminating {
                    open.clear();
                    break;
                }
            }
            open.extend(children.into_iter().rev());
            visited.insert(role);
        }
        Err(TufError::NotListed { file: foreign_text(name) })
    }

    /// Returns the name under which the repository has this version of a metadata file.
    fn versioned(&self, name: &str, version: u64) -> String {
        if self.trusted.has_consistent_snapshots() { format!("{version}.{name}") } else { name.to_owned() }
    }

    /// Returns the path at which the repository has a file.
    fn target_path(&self, name: &str, target: &TargetFile) -> String {
        match target.name_prefix().filter(|_| self.trusted.has_consistent_snapshots()) {
            Some(prefix) => match name.rsplit_once('/') {
                Some((folder, base)) => format!("{folder}/{prefix}.{base}"),
                None => format!("{prefix}.{name}"),
            },
            None => name.to_owned(),
        }
    }
}

/// Reads a file of the cache; one that cannot be read is one that is not there.
fn read(cache: &Cache, name: &str, limit: usize) -> Option<Vec<u8>> {
    cache.read(name, limit).unwrap_or_else(|error| {
        tracing::debug!(%error, name = quote(name), "a cached file cannot be read");
        None
    })
}

/// Keeps a verified file. Failing to does not make it less true (as it did in CVE-2024-51491).
fn keep(cache: &Cache, name: &str, bytes: &[u8]) {
    if let Err(error) = cache.write(name, bytes) {
        tracing::warn!(%error, directory = %cache.directory().display(), "a verified file cannot be kept");
    }
}

fn bound(length: Option<u64>, limit: usize) -> usize {
    length.and_then(|length| usize::try_from(length).ok()).map_or(limit, |length| length.min(limit))
}

fn not_cached(name: &str) -> TufError {
    TufError::NotCached { file: foreign_text(name) }
}

fn gone(name: &str) -> TufError {
    TufError::Missing { file: foreign_text(name) }
}

const TARGETS: &str = "targets";
/// Directory of all roots seen, which lead from the first one to the last.
const ROOT_HISTORY: &str = "root_history";

// What a repository, or who pretends to be one, can make this machine read. Real files are a tenth of these.
const MAX_ROOT_BYTES: usize = 512 * 1024;
const MAX_TIMESTAMP_BYTES: usize = 16 * 1024;
const MAX_SNAPSHOT_BYTES: usize = 2 * 1024 * 1024;
const MAX_TARGETS_BYTES: usize = 5 * 1024 * 1024;
const MAX_TARGET_BYTES: usize = 64 * 1024 * 1024;
/// The most new roots in one go.
const MAX_ROOT_ROTATIONS: u64 = 256;
/// The most roles searched for one file; stops delegations that go on for ever. Not the answer that nobody lists it.
const MAX_ROLES: usize = 32;
