//! The transparency log of version 2: tiles and checkpoints, no promises and no times.
//!
//! API: <https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/rekor_service.proto>; tiles:
//! <https://c2sp.org/tlog-tiles>.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use axum::http::Method;
use sealift_core::locked;
use serde_json::{Value, json};

use super::encoding::{base64, canonical_json, from_base64, sha256};
use super::entry_v1::pre_authentication;
use super::fault::Fault;
use super::key::{Hash as HashKind, KeyKind, SigningKey, VerifyingKey};
use super::merkle::{Hash, TILE_WIDTH, Tree, leaf_hash, mislead};
use super::note;
use super::service::{Call, Handler, Refusal, Reply, Service, Shared};

/// The log.
pub(super) struct RekorV2 {
    pub(super) key: SigningKey,
    /// Origin of the log and name of its key: the host it answers at.
    name: String,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tree: Tree,
    entries: Vec<String>,
    by_leaf: HashMap<Hash, usize>,
}

impl RekorV2 {
    pub(super) fn new(name: &str, key: KeyKind, shared: Arc<Shared>) -> Result<Self, Unspecified> {
        Ok(Self { key: SigningKey::generate(key)?, name: name.to_owned(), shared, state: Mutex::default() })
    }

    /// Returns the log's identifier: that of its checkpoints' key.
    pub(super) fn log_id(&self) -> [u8; 32] {
        note::key_id(&self.name, &self.key)
    }

    /// Logs an entry, or finds the equal one that is there.
    fn add(&self, call: &Call) -> Result<Reply, Refusal> {
        let request = call.json()?;
        let (kind, spec) = match (&request["hashedRekordRequestV002"], &request["dsseRequestV002"]) {
            (Value::Object(_), Value::Null) => ("hashedrekord", hashed_rekord(&request["hashedRekordRequestV002"])?),
            (Value::Null, Value::Object(_)) => ("dsse", dsse(&request["dsseRequestV002"])?),
            _ => return Err(Refusal::bad("exactly one known request must be there")),
        };
        let body = canonical_json(&json!({ "apiVersion": VERSION, "kind": kind, "spec": spec }));
        let leaf = leaf_hash(body.as_bytes());
        let mut state = locked(&self.state);
        let index = match state.by_leaf.get(&leaf) {
            Some(index) => *index,
            None => {
                let index = state.tree.append(leaf);
                state.entries.push(body);
                state.by_leaf.insert(leaf, index);
                index
            }
        };
        if let Some(reply) = self.shared.faults.after(Service::RekorV2) {
            return Ok(reply);
        }
        Ok(Reply::json(201, &self.entry(&state, index, kind)?))
    }

    fn entry(&self, state: &State, index: usize, kind: &str) -> Result<Value, Unspecified> {
        let size = state.tree.size();
        let strikes = |fault| self.shared.faults.strikes(Service::RekorV2, fault);
        let mut hashes = state.tree.inclusion(index, size);
        let root = state.tree.root(size);
        if strikes(Fault::WrongProof) {
            mislead(&mut hashes);
        }
        let noted = if strikes(Fault::OldCheckpoint) { size.saturating_sub(1) } else { size };
        Ok(json!({
            "logIndex": index.to_string(),
            "logId": { "keyId": base64(self.log_id()) },
            "kindVersion": { "kind": kind, "version": VERSION },
            "inclusionProof": {
                "logIndex": index.to_string(),
                "rootHash": base64(root),
                "treeSize": size.to_string(),
                "hashes": hashes.iter().map(base64).collect::<Vec<_>>(),
                "checkpoint": { "envelope": self.checkpoint(state, noted)? },
            },
            "canonicalizedBody": base64(&state.entries[index]),
        }))
    }

    fn checkpoint(&self, state: &State, size: usize) -> Result<String, Unspecified> {
        note::checkpoint(&self.name, &self.name, size, &state.tree.root(size), &self.key)
    }

    fn tile(&self, level: &str, rest: &[&str]) -> Result<Reply, Refusal> {
        let (index, width) = tile_place(rest).ok_or_else(Refusal::not_found)?;
        let state = locked(&self.state);
        let bytes = if level == "entries" {
            let start = index.checked_mul(TILE_WIDTH).ok_or_else(Refusal::not_found)?;
            let entries = state.entries.get(start..start.saturating_add(width)).ok_or_else(Refusal::not_found)?;
            entries.iter().flat_map(|entry| bundle(entry)).collect()
        } else {
            let level = level.parse().map_err(|_| Refusal::not_found())?;
            state.tree.tile(level, index, width).ok_or_else(Refusal::not_found)?
        };
        Ok(Reply::bytes(200, "application/octet-stream", bytes))
    }
}

impl Handler for RekorV2 {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        let segments = call.segments();
        let ["api", "v2", rest @ ..] = &segments[..] else { return Err(Refusal::not_found()) };
        match (&call.method, rest) {
            (&Method::POST, ["log", "entries"]) => self.add(call),
            (&Method::GET, ["checkpoint"]) => {
                let state = locked(&self.state);
                let checkpoint = self.checkpoint(&state, state.tree.size())?;
                Ok(Reply::bytes(200, "text/plain; charset=utf-8", checkpoint))
            }
            (&Method::GET, ["tile", level, rest @ ..]) => self.tile(level, rest),
            _ => Err(Refusal::not_found()),
        }
    }
}

fn hashed_rekord(request: &Value) -> Result<Value, Refusal> {
    let digest = bytes(&request["digest"], "digest")?;
    let signature = bytes(&request["signature"]["content"], "signature.content")?;
    let (key, verifier, details) = verifier(&request["signature"]["verifier"])?;
    let hash = details_hash(&details).ok_or_else(|| Refusal::bad("keyDetails name no known algorithm"))?;
    if digest.len() != hash.length() {
        return Err(Refusal::bad("digest has the wrong length for keyDetails"));
    }
    if !key.accepts_digest(hash, &digest, &signature) {
        return Err(Refusal::bad("the signature does not verify"));
    }
    Ok(json!({ "hashedRekordV002": {
        "data": { "algorithm": hash.protobuf_name(), "digest": base64(digest) },
        "signature": { "content": base64(signature), "verifier": verifier },
    } }))
}

fn dsse(request: &Value) -> Result<Value, Refusal> {
    let envelope = &request["envelope"];
    let payload = bytes(&envelope["payload"], "envelope.payload")?;
    let signed = pre_authentication(envelope["payloadType"].as_str().unwrap_or_default(), &payload);
    let verifiers = request["verifiers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let verifiers: Vec<_> = verifiers.iter().map(verifier).collect::<Result<_, _>>()?;
    let mut signatures = Vec::new();
    for signature in envelope["signatures"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let sig = bytes(&signature["sig"], "envelope.signatures.sig")?;
        let (_, verifier, _) = verifiers
            .iter()
            .find(|(key, ..)| key.accepts(&signed, &sig))
            .ok_or_else(|| Refusal::bad("a signature of the envelope verifies with none of the verifiers"))?;
        signatures.push(json!({ "content": base64(sig), "verifier": verifier }));
    }
    if signatures.is_empty() {
        return Err(Refusal::bad("the envelope has no signature"));
    }
    Ok(json!({ "dsseV002": {
        "payloadHash": { "algorithm": HashKind::Sha256.protobuf_name(), "digest": base64(sha256(&[&payload])) },
        "signatures": signatures,
    } }))
}

/// Reads a verifier: its key, its canonical form and its `keyDetails`.
fn verifier(value: &Value) -> Result<(VerifyingKey, Value, String), Refusal> {
    let details = value["keyDetails"].as_str().ok_or_else(|| Refusal::bad("verifier.keyDetails is missing"))?;
    let (key, field) = match (&value["x509Certificate"], &value["publicKey"]) {
        (certificate @ Value::Object(_), Value::Null) => {
            (VerifyingKey::from_certificate(&bytes(&certificate["rawBytes"], "rawBytes")?), "x509Certificate")
        }
        (Value::Null, public_key @ Value::Object(_)) => {
            (VerifyingKey::from_spki(&bytes(&public_key["rawBytes"], "rawBytes")?), "publicKey")
        }
        _ => return Err(Refusal::bad("verifier is neither a certificate nor a public key")),
    };
    let key = key.ok_or_else(|| Refusal::bad("the verifier's key is not accepted"))?;
    let canonical = json!({ field: { "rawBytes": value[field]["rawBytes"] }, "keyDetails": details });
    Ok((key, canonical, details.to_owned()))
}

fn details_hash(details: &str) -> Option<HashKind> {
    match details {
        "PKIX_ECDSA_P256_SHA_256"
        | "PKIX_RSA_PKCS1V15_2048_SHA256"
        | "PKIX_RSA_PKCS1V15_3072_SHA256"
        | "PKIX_RSA_PKCS1V15_4096_SHA256" => Some(HashKind::Sha256),
        "PKIX_ECDSA_P384_SHA_384" => Some(HashKind::Sha384),
        "PKIX_ECDSA_P521_SHA_512" => Some(HashKind::Sha512),
        _ => None,
    }
}

fn bytes(value: &Value, field: &str) -> Result<Vec<u8>, Refusal> {
    value.as_str().and_then(from_base64).ok_or_else(|| Refusal::bad(format!("{field} is missing or not base64")))
}

/// Reads `x001/x234/067` and `x001/x234/067.p/8`: number and width of a tile.
fn tile_place(segments: &[&str]) -> Option<(usize, usize)> {
    let joined = segments.join("/");
    let (number, width) = match joined.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?),
        None => (joined.as_str(), TILE_WIDTH),
    };
    let groups: Vec<_> = number.split('/').collect();
    let (last, above) = groups.split_last()?;
    let mut index = 0_usize;
    for group in above.iter().map(|group| group.strip_prefix('x')).chain([Some(*last)]) {
        let group = group.filter(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()))?;
        index = index.checked_mul(1000)?.checked_add(group.parse().ok()?)?;
    }
    Some((index, width))
}

/// Returns an entry as a bundle of entries holds it: length, then bytes.
fn bundle(entry: &str) -> Vec<u8> {
    // Rekor's limit on an entry is far below what two bytes can say; a longer one shows up as unreadable.
    let length = u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], entry.as_bytes()].concat()
}

const VERSION: &str = "0.0.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_found_by_their_paths() {
        let cases: [(&[&str], _); 7] = [
            (&["000"], Some((0, 256))),
            (&["067.p", "8"], Some((67, 8))),
            (&["x001", "x234", "067"], Some((1_234_067, 256))),
            (&["x001", "067.p", "255"], Some((1067, 255))),
            (&["67"], None),
            (&["001", "067"], None),
            (&["067.p", "256"], None),
        ];
        for (segments, place) in cases {
            assert_eq!(tile_place(segments), place, "{segments:?}");
        }
    }
}
