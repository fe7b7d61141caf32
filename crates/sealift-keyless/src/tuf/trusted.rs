//! The metadata that is trusted so far, and the rules by which more gets there.
//!
//! Pure: bytes and the time come in as arguments. The steps are those of section 5 of the specification:
//! <https://theupdateframework.github.io/specification/latest/#detailed-client-workflow>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_core::oci::{Digest, DigestAlgorithm};
use sealift_core::repository::foreign_text;

use super::TufError;
use super::metadata::{Delegation, FileMeta, Metadata, Root, Snapshot, TargetFile, Targets, TimestampRole};

/// The trusted metadata.
#[derive(Debug)]
pub(super) struct TrustedSet {
    root: Metadata<Root>,
    timestamp: Option<Metadata<TimestampRole>>,
    snapshot: Option<Metadata<Snapshot>>,
    targets: BTreeMap<String, Metadata<Targets>>,
}

/// Where a snapshot comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// The cache: it was trusted under an earlier timestamp, so the present one need not fit its hash.
    Cache,
    Repository,
}

impl TrustedSet {
    /// Trusts a root because the caller does; it must still be signed as it demands itself.
    pub(super) fn new(root: &[u8]) -> Result<Self, TufError> {
        let root = Metadata::<Root>::parse("root.json", root)?;
        root.verify(&root.body().keys, &root.body().roles.root)?;
        Ok(Self { root, timestamp: None, snapshot: None, targets: BTreeMap::new() })
    }

    pub(super) fn root(&self) -> &Metadata<Root> {
        &self.root
    }

    pub(super) fn has_consistent_snapshots(&self) -> bool {
        self.root.body().consistent_snapshot
    }

    /// Step 5.3: the next root, signed as the old one and as itself demand.
    pub(super) fn update_root(&mut self, bytes: &[u8]) -> Result<(), TufError> {
        let new = Metadata::<Root>::parse("root.json", bytes)?;
        new.verify(&self.root.body().keys, &self.root.body().roles.root)?;
        let (expected, found) = (self.root.version() + 1, new.version());
        if found != expected {
            return Err(TufError::Version { file: "root.json".to_owned(), expected, found });
        }
        new.verify(&new.body().keys, &new.body().roles.root)?;
        self.root = new;
        // What other keys signed is not trusted any more; that is how repositories recover (5.3.11).
        self.timestamp = None;
        self.snapshot = None;
        self.targets.clear();
        Ok(())
    }

    /// Step 5.3.10: the last root must not have expired.
    pub(super) fn refuse_expired_root(&self, now: Timestamp) -> Result<(), TufError> {
        self.root.refuse_expired(now)
    }

    /// Step 5.4: a timestamp; one of the trusted version changes nothing. It may have expired: even so it says which
    /// versions have been seen.
    ///
    /// Returns whether it is now trusted.
    pub(super) fn update_timestamp(&mut self, bytes: &[u8]) -> Result<bool, TufError> {
        let new = Metadata::<TimestampRole>::parse("timestamp.json", bytes)?;
        new.verify(&self.root.body().keys, &self.root.body().roles.timestamp)?;
        if let Some(trusted) = &self.timestamp {
            refuse_rollback("timestamp.json", trusted.version(), new.version())?;
            if trusted.version() == new.version() {
                return Ok(false);
            }
            let snapshot = |metadata: &Metadata<TimestampRole>| metadata.body().snapshot().version;
            refuse_rollback("snapshot.json", snapshot(trusted), snapshot(&new))?;
        }
        self.timestamp = Some(new);
        Ok(true)
    }

    /// Step 5.4.4: the timestamp must not have expired.
    pub(super) fn refuse_expired_timestamp(&self, now: Timestamp) -> Result<(), TufError> {
        self.trusted_timestamp()?.refuse_expired(now)
    }

    /// Returns what the timestamp says of the snapshot.
    pub(super) fn snapshot_meta(&self) -> Result<&FileMeta, TufError> {
        Ok(self.trusted_timestamp()?.body().snapshot())
    }

    /// Step 5.5: the snapshot. An older one from the cache is taken for what it says about versions.
    pub(super) fn update_snapshot(&mut self, bytes: &[u8], origin: Origin) -> Result<(), TufError> {
        if origin == Origin::Repository {
            refuse_changed("snapshot.json", bytes, self.snapshot_meta()?)?;
        }
        let new = Metadata::<Snapshot>::parse("snapshot.json", bytes)?;
        new.verify(&self.root.body().keys, &self.root.body().roles.snapshot)?;
        if let Some(trusted) = &self.snapshot {
            for (file, trusted) in &trusted.body().meta {
                // A file that is no longer named could come back in any version.
                let listed = new.body().meta.get(file);
                let listed = listed.ok_or_else(|| TufError::NotListed { file: foreign_text(file) })?;
                refuse_rollback(file, trusted.version, listed.version)?;
            }
        }
        if origin == Origin::Repository {
            refuse_other_version("snapshot.json", self.snapshot_meta()?.version, new.version())?;
        }
        self.snapshot = Some(new);
        Ok(())
    }

    /// Steps 5.5.4 and 5.5.6: the snapshot must be the timestamp's, and must not have expired.
    pub(super) fn refuse_stale_snapshot(&self, now: Timestamp) -> Result<(), TufError> {
        self.refuse_expired_timestamp(now)?;
        let snapshot = self.snapshot.as_ref().ok_or_else(|| not_listed("snapshot.json"))?;
        refuse_other_version("snapshot.json", self.snapshot_meta()?.version, snapshot.version())?;
        snapshot.refuse_expired(now)
    }

    /// Returns what the snapshot says of a role of targets.
    pub(super) fn targets_meta(&self, role: &str) -> Result<&FileMeta, TufError> {
        let file = format!("{role}.json");
        let meta = self.snapshot.as_ref().and_then(|snapshot| snapshot.body().meta.get(&file));
        meta.ok_or_else(|| not_listed(&file))
    }

    /// Step 5.6: the top-level targets, or those of a role that `parent` delegates to.
    pub(super) fn update_targets(
        &mut self,
        bytes: &[u8],
        role: &str,
        parent: Option<&str>,
        now: Timestamp,
    ) -> Result<(), TufError> {
        self.refuse_stale_snapshot(now)?;
        let file = format!("{role}.json");
        let meta = self.targets_meta(role)?;
        refuse_changed(&file, bytes, meta)?;
        let new = Metadata::<Targets>::parse(&file, bytes)?;
        self.verify_targets(&new, role, parent)?;
        refuse_other_version(&file, meta.version, new.version())?;
        new.refuse_expired(now)?;
        self.targets.insert(role.to_owned(), new);
        Ok(())
    }

    /// Verifies a trusted role once more, for another parent: each delegation has keys of its own.
    pub(super) fn verify_for_parent(&self, role: &str, parent: Option<&str>) -> Result<bool, TufError> {
        match self.targets.get(role) {
            Some(trusted) => self.verify_targets(trusted, role, parent).map(|()| true),
            None => Ok(false),
        }
    }

    fn verify_targets(&self, new: &Metadata<Targets>, role: &str, parent: Option<&str>) -> Result<(), TufError> {
        let Some(parent) = parent else {
            return new.verify(&self.root.body().keys, &self.root.body().roles.targets);
        };
        let delegations = self.targets.get(parent).and_then(|parent| parent.body().delegations.as_ref());
        let delegations = delegations.ok_or_else(|| not_listed(&format!("{role}.json")))?;
        let delegation = delegations.roles.iter().find(|delegation| delegation.name == role);
        let delegation = delegation.ok_or_else(|| not_listed(&format!("{role}.json")))?;
        new.verify(&delegations.keys, &delegation.keys)
    }

    /// Returns what a trusted role says of a file.
    pub(super) fn target(&self, role: &str, name: &str) -> Option<&TargetFile> {
        self.targets.get(role)?.body().targets.get(name)
    }

    /// Returns whom a trusted role delegates to.
    pub(super) fn delegations(&self, role: &str) -> &[Delegation] {
        let delegations = self.targets.get(role).and_then(|targets| targets.body().delegations.as_ref());
        delegations.map(|delegations| &delegations.roles[..]).unwrap_or_default()
    }

    fn trusted_timestamp(&self) -> Result<&Metadata<TimestampRole>, TufError> {
        self.timestamp.as_ref().ok_or_else(|| not_listed("timestamp.json"))
    }
}

impl TargetFile {
    /// Checks length and hashes.
    pub(super) fn refuse_changed(&self, name: &str, bytes: &[u8]) -> Result<(), TufError> {
        refuse_length(name, bytes, Some(self.length))?;
        refuse_hashes(name, bytes, &self.hashes)
    }

    /// Returns the hash that a repository with consistent snapshots puts in front of the file's name.
    pub(super) fn name_prefix(&self) -> Option<&str> {
        self.hashes.get("sha256").or_else(|| self.hashes.get("sha512")).map(String::as_str)
    }
}

fn refuse_changed(file: &str, bytes: &[u8], meta: &FileMeta) -> Result<(), TufError> {
    refuse_length(file, bytes, meta.length)?;
    match &meta.hashes {
        Some(hashes) => refuse_hashes(file, bytes, hashes),
        None => Ok(()),
    }
}

fn refuse_length(file: &str, bytes: &[u8], expected: Option<u64>) -> Result<(), TufError> {
    let found = bytes.len() as u64;
    match expected {
        Some(expected) if expected != found => Err(TufError::Length { file: foreign_text(file), expected, found }),
        _ => Ok(()),
    }
}

/// All known hashes must be right, and there must be one.
fn refuse_hashes(file: &str, bytes: &[u8], hashes: &BTreeMap<String, String>) -> Result<(), TufError> {
    let known = [("sha256", DigestAlgorithm::Sha256), ("sha512", DigestAlgorithm::Sha512)];
    let mut found = known.into_iter().filter_map(|(name, algorithm)| Some((name, algorithm, hashes.get(name)?)));
    let wrong = |algorithm| TufError::Digest { file: foreign_text(file), algorithm };
    let Some(first) = found.next() else { return Err(wrong("hash")) };
    for (name, algorithm, expected) in std::iter::once(first).chain(found) {
        if Digest::of(algorithm, bytes).hex() != expected.to_ascii_lowercase() {
            return Err(wrong(name));
        }
    }
    Ok(())
}

fn refuse_rollback(file: &str, trusted: u64, found: u64) -> Result<(), TufError> {
    if found < trusted { Err(TufError::RolledBack { file: foreign_text(file), trusted, found }) } else { Ok(()) }
}

fn refuse_other_version(file: &str, expected: u64, found: u64) -> Result<(), TufError> {
    if found == expected { Ok(()) } else { Err(TufError::Version { file: foreign_text(file), expected, found }) }
}

fn not_listed(file: &str) -> TufError {
    TufError::NotListed { file: foreign_text(file) }
}
