//! The transparency log of version 1: signed promises, proofs and checkpoints in one answer.
//!
//! API: <https://github.com/sigstore/rekor/blob/main/openapi.yaml>.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use axum::http::Method;
use sealift_core::locked;
use serde_json::{Map, Value, json};

use super::encoding::{base64, canonical_json, from_hex, hex};
use super::entry_v1::{self, Entry};
use super::fault::Fault;
use super::key::{KeyKind, SigningKey};
use super::merkle::{Hash, Tree, leaf_hash, mislead};
use super::note;
use super::service::{Call, Handler, Refusal, Reply, Service, Shared};

/// The log.
pub(super) struct RekorV1 {
    pub(super) key: SigningKey,
    /// Name of the log: the host it answers at.
    name: String,
    tree_id: u64,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tree: Tree,
    entries: Vec<Logged>,
    by_leaf: HashMap<Hash, usize>,
    by_digest: HashMap<String, Vec<usize>>,
}

struct Logged {
    body: String,
    time: i64,
}

impl RekorV1 {
    pub(super) fn new(name: &str, shared: Arc<Shared>) -> Result<Self, Unspecified> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes)?;
        let tree_id = u64::from_be_bytes(bytes) >> 1;
        let key = SigningKey::generate(KeyKind::EcdsaP256)?;
        Ok(Self { key, name: name.to_owned(), tree_id, shared, state: Mutex::default() })
    }

    fn add(&self, call: &Call) -> Result<Reply, Refusal> {
        let Entry { body, digests } = entry_v1::check(&call.json()?)?;
        let leaf = leaf_hash(body.as_bytes());
        let mut state = locked(&self.state);
        if let Some(index) = state.by_leaf.get(&leaf) {
            return Err(self.conflict(&state, *index));
        }
        let index = state.tree.append(leaf);
        state.entries.push(Logged { body, time: self.shared.clock.now().as_second() });
        state.by_leaf.insert(leaf, index);
        for digest in digests {
            state.by_digest.entry(digest).or_default().push(index);
        }
        if let Some(reply) = self.shared.faults.after(Service::RekorV1) {
            return Ok(reply);
        }
        let uuid = self.uuid(&state, index);
        let reply = Reply::json(201, &self.entry(&state, index)?.into());
        // Rekor's own client finds the entry in the answer by the entity tag.
        Ok(reply.with_header("location", format!("/api/v1/log/entries/{uuid}")).with_header("etag", uuid))
    }

    fn conflict(&self, state: &State, index: usize) -> Refusal {
        let uuid = self.uuid(state, index);
        let message = format!("an equivalent entry already exists in the transparency log with UUID {uuid}");
        let mut refusal = Refusal::new(409, message);
        refusal.headers.push(("location", format!("/api/v1/log/entries/{uuid}")));
        refusal
    }

    fn uuid(&self, state: &State, index: usize) -> String {
        format!("{:016x}{}", self.tree_id, hex(leaf_hash(state.entries[index].body.as_bytes())))
    }

    /// Returns an entry under its identifier, with promise, proof and checkpoint of the log as it is now.
    fn entry(&self, state: &State, index: usize) -> Result<Map<String, Value>, Unspecified> {
        let logged = &state.entries[index];
        let size = state.tree.size();
        let strikes = |fault| self.shared.faults.strikes(Service::RekorV1, fault);
        let log_id = hex(self.key.spki_sha256());
        let mut entry = json!({
            "body": base64(&logged.body),
            "integratedTime": logged.time,
            "logID": log_id,
            "logIndex": index,
        });
        let mut promised = entry.clone();
        if strikes(Fault::WrongPromise) {
            promised["logIndex"] = (index + 1).into();
        }
        let promise = self.key.sign(canonical_json(&promised).as_bytes())?;
        let mut hashes = state.tree.inclusion(index, size);
        let root = state.tree.root(size);
        if strikes(Fault::WrongProof) {
            mislead(&mut hashes);
        }
        let noted = if strikes(Fault::OldCheckpoint) { size.saturating_sub(1) } else { size };
        let checkpoint = match strikes(Fault::ForeignCheckpoint) {
            true => self.checkpoint(state, noted, &SigningKey::generate(KeyKind::EcdsaP256)?)?,
            false => self.checkpoint(state, noted, &self.key)?,
        };
        entry["verification"] = json!({
            "inclusionProof": {
                "checkpoint": checkpoint,
                "hashes": hashes.iter().map(hex).collect::<Vec<_>>(),
                "logIndex": index,
                "rootHash": hex(root),
                "treeSize": size,
            },
            "signedEntryTimestamp": base64(promise),
        });
        Ok(Map::from_iter([(self.uuid(state, index), entry)]))
    }

    fn checkpoint(&self, state: &State, size: usize, key: &SigningKey) -> Result<String, Unspecified> {
        let origin = format!("{} - {}", self.name, self.tree_id);
        note::checkpoint(&origin, &self.name, size, &state.tree.root(size), key)
    }

    fn by_index(&self, call: &Call) -> Result<Reply, Refusal> {
        let index = call.parameter("logIndex").and_then(|index| index.parse::<usize>().ok());
        let index = index.ok_or_else(|| Refusal::bad("logIndex is not a number"))?;
        let state = locked(&self.state);
        if index >= state.entries.len() {
            return Err(Refusal::not_found());
        }
        let is_other = self.shared.faults.strikes(Service::RekorV1, Fault::OtherEntry);
        let index = if is_other { index.saturating_sub(1) } else { index };
        Ok(Reply::json(200, &self.entry(&state, index)?.into()))
    }

    fn by_uuid(&self, uuid: &str) -> Result<Reply, Refusal> {
        let state = locked(&self.state);
        let index = self.find(&state, uuid)?.ok_or_else(Refusal::not_found)?;
        Ok(Reply::json(200, &self.entry(&state, index)?.into()))
    }

    /// Finds an entry by its leaf's hash, with or without the tree's identifier in front.
    fn find(&self, state: &State, uuid: &str) -> Result<Option<usize>, Refusal> {
        let leaf = match uuid.len() {
            64 => uuid,
            80 => uuid.strip_prefix(&format!("{:016x}", self.tree_id)).unwrap_or_default(),
            _ => return Err(Refusal::bad("this is not an entry's identifier")),
        };
        let leaf: Option<Hash> = from_hex(leaf).and_then(|leaf| leaf.try_into().ok());
        Ok(leaf.and_then(|leaf| state.by_leaf.get(&leaf).copied()))
    }

    /// Answers a search: entries by number, by identifier, or by what was proposed.
    fn retrieve(&self, call: &Call) -> Result<Reply, Refusal> {
        let query = call.json()?;
        let items = |name: &str| query[name].as_array().cloned().unwrap_or_default();
        let state = locked(&self.state);
        let mut found = Vec::new();
        for index in items("logIndexes") {
            found.extend(index.as_u64().and_then(|index| usize::try_from(index).ok()));
        }
        for uuid in items("entryUUIDs") {
            found.extend(self.find(&state, uuid.as_str().unwrap_or_default())?);
        }
        for proposed in items("entries") {
            let leaf = leaf_hash(entry_v1::check(&proposed)?.body.as_bytes());
            found.extend(state.by_leaf.get(&leaf));
        }
        found.retain(|index| *index < state.entries.len());
        let entries: Vec<_> =
            found.into_iter().map(|index| self.entry(&state, index).map(Value::Object)).collect::<Result<_, _>>()?;
        Ok(Reply::json(200, &entries.into()))
    }

    fn search_index(&self, call: &Call) -> Result<Reply, Refusal> {
        let query = call.json()?;
        let digest = query["hash"].as_str().unwrap_or_default();
        let digest = if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
        let state = locked(&self.state);
        let found = state.by_digest.get(&digest).cloned().unwrap_or_default();
        let uuids: Vec<_> = found.into_iter().map(|index| self.uuid(&state, index)).collect();
        Ok(Reply::json(200, &json!(uuids)))
    }

    fn log(&self) -> Result<Reply, Refusal> {
        let state = locked(&self.state);
        let size = state.tree.size();
        Ok(Reply::json(
            200,
            &json!({
                "inactiveShards": [],
                "rootHash": hex(state.tree.root(size)),
                "signedTreeHead": self.checkpoint(&state, size, &self.key)?,
                "treeID": self.tree_id.to_string(),
                "treeSize": size,
            }),
        ))
    }

    fn consistency(&self, call: &Call) -> Result<Reply, Refusal> {
        let number = |name| call.parameter(name).and_then(|value| value.parse::<usize>().ok());
        let first = number("firstSize").unwrap_or(1);
        let last = number("lastSize").ok_or_else(|| Refusal::bad("lastSize is not a number"))?;
        let state = locked(&self.state);
        if first == 0 || first > last || last > state.tree.size() {
            return Err(Refusal::bad("the log has no such sizes"));
        }
        let hashes: Vec<_> = state.tree.consistency(first, last).iter().map(hex).collect();
        Ok(Reply::json(200, &json!({ "hashes": hashes, "rootHash": hex(state.tree.root(last)) })))
    }
}

impl Handler for RekorV1 {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        let segments = call.segments();
        let ["api", "v1", rest @ ..] = &segments[..] else {
            return Err(Refusal::not_found());
        };
        match (&call.method, rest) {
            (&Method::POST, ["log", "entries"]) => self.add(call),
            (&Method::GET, ["log", "entries"]) => self.by_index(call),
            (&Method::POST, ["log", "entries", "retrieve"]) => self.retrieve(call),
            (&Method::GET, ["log", "entries", uuid]) => self.by_uuid(uuid),
            (&Method::GET, ["log", "publicKey"]) => {
                Ok(Reply::bytes(200, "application/x-pem-file", self.key.public_pem()))
            }
            (&Method::GET, ["log", "proof"]) => self.consistency(call),
            (&Method::GET, ["log"]) => self.log(),
            (&Method::POST, ["index", "retrieve"]) => self.search_index(call),
            _ => Err(Refusal::not_found()),
        }
    }
}
