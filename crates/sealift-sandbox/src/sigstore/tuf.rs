//! A repository of The Update Framework that hands out the trusted root and the signing configuration.
//!
//! Specification: <https://theupdateframework.github.io/specification/latest/>, with consistent snapshots.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use sealift_core::locked;
use serde_json::{Map, Value, json};

use super::encoding::{canonical_json, hex, sha256};
use super::key::{KeyKind, SigningKey};
use super::service::{Call, Handler, Refusal, Reply, Shared};

/// A role of TUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Names the keys of all roles.
    Root,
    /// Names the version of the targets.
    Snapshot,
    /// Names the files.
    Targets,
    /// Names the version of the snapshot.
    Timestamp,
}

impl Role {
    const ALL: [Self; 4] = [Self::Root, Self::Snapshot, Self::Targets, Self::Timestamp];

    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Timestamp => "timestamp",
        }
    }
}

/// A file to hand out.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// What older clients of Sigstore take the file for, as in `Fulcio`.
    pub(super) usage: Option<&'static str>,
}

/// The repository.
pub(super) struct Tuf {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    keys: BTreeMap<Role, SigningKey>,
    versions: BTreeMap<Role, u64>,
    lifetimes: BTreeMap<Role, SignedDuration>,
    targets: Map<String, Value>,
    /// Everything served, by path.
    files: BTreeMap<String, Vec<u8>>,
    /// Every `timestamp.json` served so far.
    timestamps: Vec<Vec<u8>>,
}

impl Tuf {
    /// Makes a repository with the first version of every role.
    pub(super) fn new(targets: Vec<Target>, shared: Arc<Shared>) -> Result<Self, Unspecified> {
        let mut keys = BTreeMap::new();
        for role in Role::ALL {
            keys.insert(role, SigningKey::generate(KeyKind::Ed25519)?);
        }
        let mut state = State {
            keys,
            versions: BTreeMap::new(),
            lifetimes: Role::ALL.map(|role| (role, LIFETIME)).into(),
            targets: Map::new(),
            files: BTreeMap::new(),
            timestamps: Vec::new(),
        };
        let now = shared.clock.now();
        state.publish_root(now, None)?;
        state.publish_targets(now, targets)?;
        Ok(Self { shared, state: Mutex::new(state) })
    }

    /// Returns the first root, with which clients start.
    pub(super) fn first_root(&self) -> Vec<u8> {
        locked(&self.state).files.get("/1.root.json").cloned().unwrap_or_default()
    }

    /// Publishes files in place of those of the same names, with new versions of targets, snapshot and timestamp.
    pub(super) fn publish(&self, targets: Vec<Target>) -> Result<(), Unspecified> {
        locked(&self.state).publish_targets(self.shared.clock.now(), targets)
    }

    /// Publishes a new root with a new key, signed with the old key as well.
    pub(super) fn rotate_root(&self) -> Result<(), Unspecified> {
        let mut state = locked(&self.state);
        let new = SigningKey::generate(KeyKind::Ed25519)?;
        let old = state.keys.insert(Role::Root, new);
        state.publish_root(self.shared.clock.now(), old.as_ref())
    }

    /// Publishes a new version of a role that lasts this long; a negative time means that it has expired already.
    pub(super) fn set_lifetime(&self, role: Role, lifetime: SignedDuration) -> Result<(), Unspecified> {
        let mut state = locked(&self.state);
        state.lifetimes.insert(role, lifetime);
        let now = self.shared.clock.now();
        match role {
            Role::Root => state.publish_root(now, None),
            _ => state.publish_targets(now, Vec::new()),
        }
    }

    /// Serves the first `timestamp.json` again, as an attacker does who has kept it.
    pub(super) fn rollback(&self) {
        let mut state = locked(&self.state);
        if let Some(first) = state.timestamps.first().cloned() {
            state.files.insert("/timestamp.json".to_owned(), first);
        }
    }
}

impl State {
    fn publish_root(&mut self, now: Timestamp, old_key: Option<&SigningKey>) -> Result<(), Unspecified> {
        let mut keys = Map::new();
        let mut roles = Map::new();
        for (role, key) in &self.keys {
            let id = key_id(key);
            roles.insert(role.name().to_owned(), json!({ "keyids": [id], "threshold": 1 }));
            keys.insert(id, public_key(key));
        }
        let body = json!({ "consistent_snapshot": true, "keys": keys, "roles": roles });
        let (version, bytes) = self.sign(Role::Root, body, now, old_key)?;
        self.files.insert(format!("/{version}.root.json"), bytes.clone());
        // The unversioned copy is for people: `cosign initialize --root URL/root.json`.
        self.files.insert("/root.json".to_owned(), bytes);
        Ok(())
    }

    fn publish_targets(&mut self, now: Timestamp, targets: Vec<Target>) -> Result<(), Unspecified> {
        for target in targets {
            let digest = hex(sha256(&[&target.bytes]));
            let mut entry = json!({ "length": target.bytes.len(), "hashes": { "sha256": digest } });
            if let Some(usage) = target.usage {
                entry["custom"] = json!({ "sigstore": { "status": "Active", "usage": usage } });
            }
            self.targets.insert(target.name.to_owned(), entry);
            self.files.insert(format!("/targets/{digest}.{}", target.name), target.bytes);
        }
        let (targets_version, bytes) = self.sign(Role::Targets, json!({ "targets": self.targets }), now, None)?;
        self.files.insert(format!("/{targets_version}.targets.json"), bytes);
        let meta = json!({ "meta": { "targets.json": { "version": targets_version } } });
        let (snapshot_version, bytes) = self.sign(Role::Snapshot, meta, now, None)?;
        self.files.insert(format!("/{snapshot_version}.snapshot.json"), bytes);
        let meta = json!({ "meta": { "snapshot.json": { "version": snapshot_version } } });
        let (_, bytes) = self.sign(Role::Timestamp, meta, now, None)?;
        self.timestamps.push(bytes.clone());
        self.files.insert("/timestamp.json".to_owned(), bytes);
        Ok(())
    }

    /// Signs the next version of a role and returns its number and the file.
    fn sign(
        &mut self,
        role: Role,
        mut body: Value,
        now: Timestamp,
        old_key: Option<&SigningKey>,
    ) -> Result<(u64, Vec<u8>), Unspecified> {
        let version = self.versions.get(&role).copied().unwrap_or(0) + 1;
        self.versions.insert(role, version);
        let lifetime = self.lifetimes.get(&role).copied().unwrap_or(LIFETIME);
        let expires = now.checked_add(lifetime).unwrap_or(now);
        body["_type"] = role.name().into();
        body["spec_version"] = SPEC_VERSION.into();
        body["version"] = version.into();
        body["expires"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
        let signed = canonical_json(&body);
        let mut signatures = Vec::new();
        for key in self.keys.get(&role).into_iter().chain(old_key) {
            signatures.push(json!({ "keyid": key_id(key), "sig": hex(key.sign(signed.as_bytes())?) }));
        }
        let file = json!({ "signatures": signatures, "signed": body });
        Ok((version, file.to_string().into_bytes()))
    }
}

impl Handler for Tuf {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        let state = locked(&self.state);
        match (&call.method, state.files.get(&call.path)) {
            (&Method::GET | &Method::HEAD, Some(bytes)) => {
                Ok(Reply::bytes(200, "application/octet-stream", bytes.clone()))
            }
            _ => Err(Refusal::not_found()),
        }
    }
}

fn public_key(key: &SigningKey) -> Value {
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hex(key.raw_public()) } })
}

fn key_id(key: &SigningKey) -> String {
    hex(sha256(&[canonical_json(&public_key(key)).as_bytes()]))
}

const SPEC_VERSION: &str = "1.0.31";
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 90);
