//! Metadata files: a signed body and its signatures.
//!
//! The body that is read is the one whose canonical form is verified: both come from one parsed value.
//! Specification: <https://theupdateframework.github.io/specification/latest/#document-formats>.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealift_core::hex;
use sealift_core::repository::foreign_text;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::TufError;
use super::canonical::to_canonical;
use super::key::{Key, KeyJson};

/// A parsed file; whose signatures count is said by another one.
#[derive(Clone, Debug)]
pub(super) struct Metadata<T> {
    /// Its name for messages, such as `root.json`.
    file: String,
    body: T,
    /// What the signatures are over.
    canonical: Vec<u8>,
    signatures: Vec<SignatureJson>,
}

/// The body of a file.
pub(super) trait Role: DeserializeOwned {
    /// Its `_type`.
    const TYPE: &'static str;

    /// Returns what all bodies have.
    fn head(&self) -> &Head;

    /// Checks what the JSON's types do not say.
    fn rule_broken(&self) -> Option<&'static str> {
        None
    }
}

impl<T: Role> Metadata<T> {
    /// Reads a file that is called `name` in messages.
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self, TufError> {
        let file = foreign_text(name);
        let json = |source| TufError::Json { file: file.clone(), source };
        let malformed = |what| TufError::Malformed { file: file.clone(), what };
        let parsed: FileJson = serde_json::from_slice(bytes).map_err(json)?;
        let canonical = to_canonical(&parsed.signed).ok_or_else(|| malformed("it has a number that is no integer"))?;
        let body: T = serde_json::from_value(parsed.signed).map_err(json)?;
        let head = body.head();
        if head.kind != T::TYPE {
            return Err(malformed("it is of another type"));
        }
        if head.spec_version.split('.').next() != Some("1") {
            return Err(malformed("it is of another version of the specification"));
        }
        if head.version == 0 {
            return Err(malformed("versions start at 1"));
        }
        if head.version == u64::MAX {
            return Err(malformed("no version can follow"));
        }
        if let Some(what) = body.rule_broken() {
            return Err(malformed(what));
        }
        Ok(Self { file, body, canonical, signatures: parsed.signatures })
    }

    pub(super) fn body(&self) -> &T {
        &self.body
    }

    pub(super) fn version(&self) -> u64 {
        self.body.head().version
    }

    /// Verifies that as many distinct keys of `role` signed as it demands.
    ///
    /// One key under several identifiers is one key (CVE-2020-6174), and one that signs twice is refused.
    pub(super) fn verify(&self, keys: &BTreeMap<String, Key>, role: &RoleKeys) -> Result<(), TufError> {
        let mut seen = BTreeSet::new();
        let mut signers = BTreeSet::new();
        for signature in &self.signatures {
            // Repositories note who has yet to sign with an empty signature.
            if signature.sig.is_empty() || !role.keyids.contains(&signature.keyid) {
                continue;
            }
            if !seen.insert(&signature.keyid) {
                let key_id = foreign_text(&signature.keyid);
                return Err(TufError::DuplicateSignature { file: self.file.clone(), key_id });
            }
            let Some(key) = keys.get(&signature.keyid) else { continue };
            let bytes = hex::decode(&signature.sig);
            if bytes.is_some_and(|bytes| key.verifies(&self.canonical, &bytes)) {
                signers.insert(key.public_key_info());
            }
        }
        let (required, found) = (role.threshold, signers.len());
        // A threshold of nothing would be met by nobody (CVE-2026-23992).
        if required == 0 || found < required {
            return Err(TufError::Threshold { file: self.file.clone(), required, found });
        }
        Ok(())
    }

    pub(super) fn refuse_expired(&self, now: Timestamp) -> Result<(), TufError> {
        let at = self.body.head().expires;
        if at <= now { Err(TufError::Expired { file: self.file.clone(), at }) } else { Ok(()) }
    }
}

#[derive(Deserialize)]
struct FileJson {
    signed: Value,
    signatures: Vec<SignatureJson>,
}

#[derive(Clone, Debug, Deserialize)]
struct SignatureJson {
    keyid: String,
    #[serde(default)]
    sig: String,
}

/// What all bodies have.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: u64,
    #[serde(deserialize_with = "time")]
    expires: Timestamp,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Names the keys of all top-level roles.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Root {
    #[serde(flatten)]
    head: Head,
    #[serde(default)]
    pub(super) consistent_snapshot: bool,
    #[serde(deserialize_with = "keys")]
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) roles: RootRoles,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct RootRoles {
    pub(super) root: RoleKeys,
    pub(super) snapshot: RoleKeys,
    pub(super) targets: RoleKeys,
    pub(super) timestamp: RoleKeys,
}

/// Whose signatures a role needs, and how many.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RoleKeys {
    keyids: BTreeSet<String>,
    threshold: usize,
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Key>, D::Error> {
    let keys = BTreeMap::<String, KeyJson>::deserialize(deserializer)?;
    Ok(keys.into_iter().map(|(id, key)| (id, key.into())).collect())
}

impl Role for Root {
    const TYPE: &'static str = "root";

    fn head(&self) -> &Head {
        &self.head
    }
}

/// Names the newest snapshot.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TimestampRole {
    #[serde(flatten)]
    head: Head,
    meta: TimestampMeta,
}

#[derive(Clone, Debug, Deserialize)]
struct TimestampMeta {
    #[serde(rename = "snapshot.json")]
    snapshot: FileMeta,
}

impl TimestampRole {
    pub(super) fn snapshot(&self) -> &FileMeta {
        &self.meta.snapshot
    }
}

impl Role for TimestampRole {
    const TYPE: &'static str = "timestamp";

    fn head(&self) -> &Head {
        &self.head
    }
}

/// What is signed about another metadata file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct FileMeta {
    pub(super) version: u64,
    pub(super) length: Option<u64>,
    pub(super) hashes: Option<BTreeMap<String, String>>,
}

/// Names the newest version of all files of targets.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Snapshot {
    #[serde(flatten)]
    head: Head,
    pub(super) meta: BTreeMap<String, FileMeta>,
}

impl Role for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn head(&self) -> &Head {
        &self.head
    }
}

/// Names files, and others who may.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Targets {
    #[serde(flatten)]
    head: Head,
    pub(super) targets: BTreeMap<String, TargetFile>,
    #[serde(default)]
    pub(super) delegations: Option<Delegations>,
}

/// What is signed about a file.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetFile {
    pub(super) length: u64,
    pub(super) hashes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Delegations {
    #[serde(deserialize_with = "keys")]
    pub(super) keys: BTreeMap<String, Key>,
    #[serde(default)]
    pub(super) roles: Vec<Delegation>,
}

/// Whom a role of targets lets name files, and which.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Delegation {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) keys: RoleKeys,
    #[serde(default)]
    pub(super) terminating: bool,
    pub(super) paths: Option<Vec<String>>,
    pub(super) path_hash_prefixes: Option<Vec<String>>,
}

impl Role for Targets {
    const TYPE: &'static str = "targets";

    fn head(&self) -> &Head {
        &self.head
    }

    fn rule_broken(&self) -> Option<&'static str> {
        let roles = self.delegations.as_ref().map(|delegations| &delegations.roles[..]).unwrap_or_default();
        let mut names = BTreeSet::new();
        for role in roles {
            if TOP_LEVEL.contains(&role.name.as_str()) || role.name.is_empty() {
                return Some("a delegation has the name of a top-level role, or none");
            }
            if !names.insert(&role.name) {
                return Some("two delegations have one name");
            }
            if role.paths.is_some() && role.path_hash_prefixes.is_some() {
                return Some("a delegation is by paths and by hashes of paths");
            }
        }
        None
    }
}

/// Names that no delegated role may have: its file would take the place of theirs.
const TOP_LEVEL: [&str; 4] = ["root", "snapshot", "targets", "timestamp"];
