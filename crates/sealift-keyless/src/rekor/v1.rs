//! Version 1: entries `hashedrekord` and `dsse`, both 0.0.1.
//!
//! An entry that is there already is answered with 409 and where it is; so a request whose answer was lost may be sent
//! again. API: <https://github.com/sigstore/rekor/blob/main/openapi.yaml>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{ACCEPT, LOCATION};
use sealift_core::entity::{InclusionProof, LogEntry, SignedContent};
use sealift_core::hex;
use sealift_core::oci::DigestAlgorithm;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{MAX_ANSWER_BYTES, Proposed, RekorError};
use crate::transport::{Answer, Request, Transport, endpoint};

/// Logs an entry, or fetches the one that is there.
pub(super) async fn log(url: &Url, transport: &Transport, proposed: &Proposed<'_>) -> Result<LogEntry, RekorError> {
    let (kind, spec) = match proposed.content {
        SignedContent::Envelope(envelope) => {
            ("dsse", dsse(proposed, &envelope.to_json().map_err(RekorError::Envelope)?))
        }
        content => ("hashedrekord", hashed_rekord(proposed, content.signature())?),
    };
    let body = json!({ "apiVersion": VERSION, "kind": kind, "spec": spec });
    let request = Request::post_json(endpoint(url, ENTRIES), &body).map_err(RekorError::Json)?;
    let answer = transport.send(&request.limit(MAX_ANSWER_BYTES)).await.map_err(RekorError::Transport)?;
    let answer = if answer.status() == StatusCode::CONFLICT {
        let there = endpoint(url, &format!("{ENTRIES}/{}", existing(&answer)?));
        let request = Request::get(there).header(ACCEPT, "application/json").limit(MAX_ANSWER_BYTES);
        transport.send(&request).await.map_err(RekorError::Transport)?
    } else {
        answer
    };
    let body = answer.into_body().map_err(RekorError::Refused)?;
    read(&body, kind)
}

/// Fetches the entry that has this number.
pub(super) async fn fetch(url: &Url, transport: &Transport, log_index: i64) -> Result<LogEntry, RekorError> {
    let mut there = endpoint(url, ENTRIES);
    there.query_pairs_mut().append_pair("logIndex", &log_index.to_string());
    let request = Request::get(there).header(ACCEPT, "application/json").limit(MAX_ANSWER_BYTES);
    let answer = transport.send(&request).await.map_err(RekorError::Transport)?;
    // Its kind is in its body, and nobody asks for it here.
    read(&answer.into_body().map_err(RekorError::Refused)?, "")
}

fn hashed_rekord(proposed: &Proposed<'_>, signature: &[u8]) -> Result<Value, RekorError> {
    let digest = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512]
        .into_iter()
        .find_map(|algorithm| proposed.digest(algorithm))
        .ok_or_else(|| RekorError::UnsupportedKey { algorithm: proposed.key.algorithm() })?;
    Ok(json!({
        "data": { "hash": { "algorithm": digest.algorithm().as_str(), "value": digest.hex() } },
        "signature": {
            "content": STANDARD.encode(signature),
            "publicKey": { "content": STANDARD.encode(proposed.verifier_pem()) },
        },
    }))
}

fn dsse(proposed: &Proposed<'_>, envelope: &[u8]) -> Value {
    json!({ "proposedContent": {
        "envelope": String::from_utf8_lossy(envelope),
        "verifiers": [STANDARD.encode(proposed.verifier_pem())],
    } })
}

/// Returns the identifier of the entry that is there already; only that, so that the log sends nobody elsewhere.
fn existing(answer: &Answer) -> Result<String, RekorError> {
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let id = location.and_then(|location| location.rsplit('/').next()).unwrap_or_default();
    // Hash of the leaf, on sharded logs with the number of the tree in front.
    if matches!(id.len(), 64 | 80) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(id.to_owned());
    }
    Err(RekorError::AnswerForm { what: "it does not say where the entry is that is there already" })
}

/// Reads the one entry of an answer.
fn read(body: &[u8], kind: &str) -> Result<LogEntry, RekorError> {
    let mut entries: BTreeMap<String, EntryJson> = serde_json::from_slice(body).map_err(RekorError::Answer)?;
    let (Some((_, entry)), None) = (entries.pop_first(), entries.pop_first()) else {
        return Err(RekorError::AnswerForm { what: "it does not hold one entry" });
    };
    let hex = |text: &str| hex::decode(text).ok_or(RekorError::AnswerForm { what: "a hash is not hexadecimal" });
    let base64 = |text: &str| STANDARD.decode(text).map_err(|_| RekorError::AnswerForm { what: "it is not base64" });
    let verification = entry.verification.ok_or(RekorError::NoProof)?;
    let proof = verification.inclusion_proof.ok_or(RekorError::NoProof)?;
    if proof.hashes.len() > MAX_PROOF_HASHES {
        return Err(RekorError::MalformedProof);
    }
    Ok(LogEntry {
        log_index: entry.log_index,
        log_id: hex(&entry.log_id)?,
        kind: kind.to_owned(),
        version: VERSION.to_owned(),
        integrated_time: Some(entry.integrated_time),
        inclusion_promise: verification.signed_entry_timestamp.as_deref().map(base64).transpose()?,
        inclusion_proof: Some(InclusionProof {
            log_index: proof.log_index,
            root_hash: hex(&proof.root_hash)?,
            tree_size: proof.tree_size,
            hashes: proof.hashes.iter().map(|hash| hex(hash)).collect::<Result<_, _>>()?,
            checkpoint: Some(proof.checkpoint),
        }),
        canonicalized_body: base64(&entry.body)?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryJson {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: i64,
    verification: Option<VerificationJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationJson {
    inclusion_proof: Option<ProofJson>,
    signed_entry_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofJson {
    checkpoint: String,
    #[serde(default)]
    hashes: Vec<String>,
    log_index: i64,
    root_hash: String,
    tree_size: i64,
}

const ENTRIES: &str = "api/v1/log/entries";
const VERSION: &str = "0.0.1";
/// The most hashes of one proof: a tree of 2^63 leaves has no more levels.
const MAX_PROOF_HASHES: usize = 64;
