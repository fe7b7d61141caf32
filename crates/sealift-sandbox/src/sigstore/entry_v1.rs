//! Entries of Rekor v1: what is proposed is checked as Rekor checks it, and brought into its canonical form.
//!
//! Kinds: <https://github.com/sigstore/rekor/tree/main/pkg/types>.

use serde_json::{Value, json};

use super::encoding::{base64, canonical_json, from_base64, from_hex, from_pem, hex, pem, sha256};
use super::key::{Hash, VerifyingKey};
use super::service::Refusal;

/// An entry fit to be logged.
pub(super) struct Entry {
    /// Canonical JSON.
    pub(super) body: String,
    /// Digests by which the entry is found, as in `sha256:<hex>`.
    pub(super) digests: Vec<String>,
}

/// Checks a proposed entry.
pub(super) fn check(proposed: &Value) -> Result<Entry, Refusal> {
    let (kind, version) = (proposed["kind"].as_str(), proposed["apiVersion"].as_str());
    let (kind, version) = kind.zip(version).ok_or_else(|| Refusal::bad("kind or apiVersion is missing"))?;
    let spec = &proposed["spec"];
    let (spec, digests) = match (kind, version) {
        ("dsse", "0.0.1") => dsse(spec)?,
        ("hashedrekord", "0.0.1") => hashedrekord(spec)?,
        ("intoto", "0.0.2") => intoto(spec)?,
        _ => return Err(Refusal::bad(format!("entries of kind {kind} {version} are not known here"))),
    };
    let body = canonical_json(&json!({ "apiVersion": version, "kind": kind, "spec": spec }));
    Ok(Entry { body, digests })
}

fn hashedrekord(spec: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let name = text(&spec["data"]["hash"]["algorithm"], "data.hash.algorithm")?;
    let hash = Hash::from_name(name).ok_or_else(|| Refusal::bad("data.hash.algorithm is not known"))?;
    let digest = from_hex(text(&spec["data"]["hash"]["value"], "data.hash.value")?)
        .filter(|digest| digest.len() == hash.length())
        .ok_or_else(|| Refusal::bad("data.hash.value is not a digest"))?;
    let (key, key_pem) = verifier(&spec["signature"]["publicKey"]["content"], "signature.publicKey.content")?;
    let signature = bytes(&spec["signature"]["content"], "signature.content")?;
    if !key.accepts_digest(hash, &digest, &signature) {
        return Err(Refusal::bad("the signature does not verify"));
    }
    let value = hex(digest);
    let canonical = json!({
        "data": { "hash": { "algorithm": name, "value": value } },
        "signature": { "content": base64(signature), "publicKey": { "content": base64(key_pem) } },
    });
    Ok((canonical, vec![format!("{name}:{value}")]))
}

fn dsse(spec: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let content = &spec["proposedContent"];
    let text_of_envelope = text(&content["envelope"], "proposedContent.envelope")?;
    let envelope: Value =
        serde_json::from_str(text_of_envelope).map_err(|_| Refusal::bad("the envelope is not JSON"))?;
    let payload = bytes(&envelope["payload"], "payload")?;
    let signed = pre_authentication(text(&envelope["payloadType"], "payloadType")?, &payload);
    let verifiers = array(&content["verifiers"], "proposedContent.verifiers")?;
    let verifiers: Vec<_> =
        verifiers.iter().map(|value| verifier(value, "proposedContent.verifiers")).collect::<Result<_, _>>()?;
    let mut signatures = Vec::new();
    for signature in array(&envelope["signatures"], "signatures")? {
        let sig = bytes(&signature["sig"], "sig")?;
        let (_, key_pem) = verifiers
            .iter()
            .find(|(key, _)| key.accepts(&signed, &sig))
            .ok_or_else(|| Refusal::bad("a signature of the envelope verifies with none of the verifiers"))?;
        signatures.push(json!({ "signature": base64(sig), "verifier": base64(key_pem) }));
    }
    signatures.sort_by_key(|signature| signature["signature"].as_str().unwrap_or_default().to_owned());
    let envelope_hash = hex(sha256(&[text_of_envelope.as_bytes()]));
    let payload_hash = hex(sha256(&[&payload]));
    let canonical = json!({
        "envelopeHash": { "algorithm": "sha256", "value": envelope_hash },
        "payloadHash": { "algorithm": "sha256", "value": payload_hash },
        "signatures": signatures,
    });
    Ok((canonical, vec![format!("sha256:{envelope_hash}"), format!("sha256:{payload_hash}")]))
}

/// In this kind, payload and signatures are base64 of base64.
fn intoto(spec: &Value) -> Result<(Value, Vec<String>), Refusal> {
    let envelope = &spec["content"]["envelope"];
    let payload = twice(&envelope["payload"], "payload")?;
    let payload_type = text(&envelope["payloadType"], "payloadType")?;
    let signed = pre_authentication(payload_type, &payload);
    let mut signatures = Vec::new();
    for signature in array(&envelope["signatures"], "signatures")? {
        let (key, key_pem) = verifier(&signature["publicKey"], "signatures.publicKey")?;
        if !key.accepts(&signed, &twice(&signature["sig"], "signatures.sig")?) {
            return Err(Refusal::bad("a signature of the envelope does not verify"));
        }
        let mut canonical = json!({ "publicKey": base64(key_pem), "sig": signature["sig"] });
        if let Some(key_id) = signature["keyid"].as_str().filter(|key_id| !key_id.is_empty()) {
            canonical["keyid"] = key_id.into();
        }
        signatures.push(canonical);
    }
    let payload_hash = hex(sha256(&[&payload]));
    let hash = match spec["content"]["hash"]["value"].as_str() {
        Some(value) if from_hex(value).is_some_and(|digest| digest.len() == Hash::Sha256.length()) => value.to_owned(),
        Some(_) => return Err(Refusal::bad("content.hash.value is not a digest")),
        None => hex(sha256(&[canonical_json(envelope).as_bytes()])),
    };
    let canonical = json!({ "content": {
        "envelope": { "payloadType": payload_type, "signatures": signatures },
        "hash": { "algorithm": "sha256", "value": hash },
        "payloadHash": { "algorithm": "sha256", "value": payload_hash },
    } });
    Ok((canonical, vec![format!("sha256:{hash}"), format!("sha256:{payload_hash}")]))
}

/// Returns what an envelope's signatures are over
/// (<https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>).
pub(super) fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn verifier(value: &Value, field: &str) -> Result<(VerifyingKey, String), Refusal> {
    let content = bytes(value, field)?;
    let key = VerifyingKey::from_pem(&content);
    let canonical = from_pem(&content).map(|(label, der)| pem(&label, &der));
    key.zip(canonical).ok_or_else(|| Refusal::bad(format!("{field} is neither a public key nor a certificate")))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    value.as_str().ok_or_else(|| Refusal::bad(format!("{field} is missing")))
}

fn bytes(value: &Value, field: &str) -> Result<Vec<u8>, Refusal> {
    from_base64(text(value, field)?).ok_or_else(|| Refusal::bad(format!("{field} is not base64")))
}

fn twice(value: &Value, field: &str) -> Result<Vec<u8>, Refusal> {
    let once = String::from_utf8(bytes(value, field)?).ok();
    once.and_then(|once| from_base64(&once)).ok_or_else(|| Refusal::bad(format!("{field} is not base64 of base64")))
}

fn array<'a>(value: &'a Value, field: &str) -> Result<&'a [Value], Refusal> {
    let items = value.as_array().filter(|items| !items.is_empty());
    items.map(Vec::as_slice).ok_or_else(|| Refusal::bad(format!("{field} is missing or empty")))
}
