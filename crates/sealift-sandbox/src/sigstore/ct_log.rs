//! The certificate transparency log: promises for pre-certificates, and the log that keeps them.
//!
//! Specification: RFC 6962, <https://www.rfc-editor.org/rfc/rfc6962>.

use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use axum::http::Method;
use sealift_core::locked;
use serde_json::json;

use super::encoding::{base64, from_base64, sha256};
use super::fault::Fault;
use super::key::{KeyKind, SigningKey};
use super::merkle::{Tree, leaf_hash};
use super::service::{Call, Handler, Refusal, Reply, Service, Shared};

/// The log.
pub(super) struct CtLog {
    pub(super) key: SigningKey,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tree: Tree,
    leaves: Vec<Vec<u8>>,
}

impl CtLog {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, Unspecified> {
        Ok(Self { key: SigningKey::generate(KeyKind::EcdsaP256)?, shared, state: Mutex::default() })
    }

    /// Logs a pre-certificate and returns the list of the one SCT for it, as the extension holds it.
    ///
    /// `body` is the certificate's to-be-signed part without poison and without SCTs.
    pub(super) fn add_pre_certificate(&self, issuer_spki: &[u8], body: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let timestamp = u64::try_from(self.shared.clock.now().as_millisecond()).unwrap_or(0).to_be_bytes();
        let issuer = sha256(&[issuer_spki]);
        let entry = [&PRECERT_ENTRY[..], &issuer, &sized(3, body), NO_EXTENSIONS].concat();
        let leaf = [&[V1, TIMESTAMPED_ENTRY], &timestamp[..], &entry].concat();
        let mut signed = [&[V1, CERTIFICATE_TIMESTAMP], &timestamp[..], &entry].concat();
        {
            let mut state = locked(&self.state);
            state.tree.append(leaf_hash(&leaf));
            state.leaves.push(leaf);
        }
        if self.shared.faults.strikes(Service::CtLog, Fault::WrongPromise) {
            signed[2] ^= 1;
        }
        let signature = self.key.sign(&signed)?;
        let sct =
            [&[V1], &self.key.spki_sha256()[..], &timestamp, NO_EXTENSIONS, &SHA256_WITH_ECDSA, &sized(2, &signature)]
                .concat();
        Ok(sized(2, &sized(2, &sct)))
    }

    fn signed_tree_head(&self) -> Result<Reply, Refusal> {
        let (size, root) = {
            let state = locked(&self.state);
            (state.tree.size(), state.tree.root(state.tree.size()))
        };
        let timestamp = u64::try_from(self.shared.clock.now().as_millisecond()).unwrap_or(0);
        let signed = [&[V1, TREE_HASH], &timestamp.to_be_bytes()[..], &(size as u64).to_be_bytes(), &root].concat();
        let signature = [&SHA256_WITH_ECDSA[..], &sized(2, &self.key.sign(&signed)?)].concat();
        Ok(Reply::json(
            200,
            &json!({
                "tree_size": size,
                "timestamp": timestamp,
                "sha256_root_hash": base64(root),
                "tree_head_signature": base64(signature),
            }),
        ))
    }

    fn entries(&self, call: &Call) -> Result<Reply, Refusal> {
        let (start, end) = (number(call, "start")?, number(call, "end")?);
        let state = locked(&self.state);
        if start > end || start >= state.leaves.len() {
            return Err(Refusal::bad("no such entries"));
        }
        let leaves = &state.leaves[start..=end.min(state.leaves.len() - 1)];
        let entries: Vec<_> =
            leaves.iter().map(|leaf| json!({ "leaf_input": base64(leaf), "extra_data": "" })).collect();
        Ok(Reply::json(200, &json!({ "entries": entries })))
    }

    fn proof_by_hash(&self, call: &Call) -> Result<Reply, Refusal> {
        let size = number(call, "tree_size")?;
        let hash = call.parameter("hash").and_then(from_base64).ok_or_else(|| Refusal::bad("hash is missing"))?;
        let state = locked(&self.state);
        let index = state.leaves.iter().position(|leaf| leaf_hash(leaf)[..] == hash[..]);
        let index = index.filter(|index| *index < size && size <= state.leaves.len()).ok_or_else(Refusal::not_found)?;
        let path: Vec<_> = state.tree.inclusion(index, size).iter().map(base64).collect();
        Ok(Reply::json(200, &json!({ "leaf_index": index, "audit_path": path })))
    }
}

impl Handler for CtLog {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        match (&call.method, call.path.as_str()) {
            (&Method::GET, "/ct/v1/get-sth") => self.signed_tree_head(),
            (&Method::GET, "/ct/v1/get-entries") => self.entries(call),
            (&Method::GET, "/ct/v1/get-proof-by-hash") => self.proof_by_hash(call),
            _ => Err(Refusal::not_found()),
        }
    }
}

fn number(call: &Call, name: &str) -> Result<usize, Refusal> {
    let value = call.parameter(name).and_then(|value| value.parse().ok());
    value.ok_or_else(|| Refusal::bad(format!("{name} is not a number")))
}

/// Puts the length in front, in so many bytes.
fn sized(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    [&length[length.len() - width..], bytes].concat()
}

const V1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const TREE_HASH: u8 = 1;
const TIMESTAMPED_ENTRY: u8 = 0;
const PRECERT_ENTRY: [u8; 2] = [0, 1];
const NO_EXTENSIONS: &[u8] = &[0, 0];
/// `HashAlgorithm` and `SignatureAlgorithm` of TLS 1.2.
const SHA256_WITH_ECDSA: [u8; 2] = [4, 3];
