//! Attributes of manifests and tags, as ACR has them below `/acr/v1`, and the quarantine that is one of them.
//!
//! Facts: <https://github.com/Azure/acr/blob/main/docs/preview/quarantine/readme.md>. Kept in memory only.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::StatusCode;
use sealift_core::locked;
use sealift_core::oci::Digest;
use serde::Deserialize;
use serde_json::json;

use super::auth::user;
use super::blob::parse_digest;
use super::reply::{Refusal, Reply, json};
use super::route::Call;
use super::server::Server;
use super::store::unknown_manifest;

/// What is known of manifests besides their bytes.
#[derive(Default)]
pub(super) struct Attributes(Mutex<HashMap<(String, Digest), Quarantined>>);

/// What somebody said of a manifest; as long as nobody did, it is in quarantine.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quarantined {
    quarantine_state: String,
    quarantine_details: Option<String>,
}

impl Attributes {
    /// Returns the state of a manifest.
    pub(super) fn state(&self, repository: &str, digest: &Digest) -> String {
        self.of(repository, digest).map_or_else(|| "Quarantined".to_owned(), |found| found.quarantine_state)
    }

    fn of(&self, repository: &str, digest: &Digest) -> Option<Quarantined> {
        locked(&self.0).get(&(repository.to_owned(), digest.clone())).cloned()
    }
}

/// Refuses to serve what is kept back: by a tag it is not there, by its digest it is not allowed.
pub(super) fn check_pull(server: &Server, call: &Call, digest: &Digest) -> Result<(), Refusal> {
    let Some(quarantine) = server.options.quirks.quarantine else { return Ok(()) };
    if server.attributes.state(&call.repository, digest) == PASSED {
        return Ok(());
    }
    let may = user(server, call).is_some_and(|user| user == quarantine.reader || user == quarantine.writer);
    match (parse_digest(&call.reference), may) {
        (Err(_), _) => Err(unknown_manifest()),
        (Ok(_), true) => Ok(()),
        (Ok(_), false) => Err(disallowed(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

/// `GET /acr/v1/<name>/_manifests/<digest>` and `GET /acr/v1/<name>/_tags/<tag>`
pub(super) fn read(server: &Server, call: &Call) -> Result<Reply, Refusal> {
    let digest = find(server, call)?;
    let said = server.attributes.of(&call.repository, &digest);
    let state = server.options.quirks.quarantine.map(|_| server.attributes.state(&call.repository, &digest));
    let mut changeable =
        json!({ "deleteEnabled": true, "writeEnabled": true, "listEnabled": true, "readEnabled": true });
    if let Some(state) = &state {
        changeable["quarantineState"] = state.clone().into();
    }
    if let Some(details) = said.and_then(|said| said.quarantine_details) {
        changeable["quarantineDetails"] = details.into();
    }
    let registry = server.origin(call).trim_start_matches("http://").to_owned();
    let mut answer = json!({ "registry": registry, "imageName": call.repository });
    let (kind, about) = match parse_digest(&call.reference) {
        Ok(_) => ("manifest", json!({ "digest": digest, "changeableAttributes": changeable })),
        Err(_) => ("tag", json!({ "name": call.reference, "digest": digest, "changeableAttributes": changeable })),
    };
    answer[kind] = about;
    Ok(json(StatusCode::OK, &answer))
}

/// `PATCH /acr/v1/<name>/_manifests/<digest>`
pub(super) async fn change(server: &Server, call: &Call, body: Body) -> Result<Reply, Refusal> {
    let digest = find(server, call)?;
    let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
    let bytes = bytes.map_err(|error| Refusal::bad_request("UNSUPPORTED", error.to_string()))?;
    let said: Quarantined = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad_request("UNSUPPORTED", format!("no attributes: {error}")))?;
    let writer = server.options.quirks.quarantine.map(|quarantine| quarantine.writer);
    if user(server, call).as_deref() != writer {
        return Err(disallowed(StatusCode::FORBIDDEN));
    }
    locked(&server.attributes.0).insert((call.repository.clone(), digest), said);
    read(server, call)
}

fn find(server: &Server, call: &Call) -> Result<Digest, Refusal> {
    if !server.options.quirks.attributes_api {
        return Err(Refusal::not_found("UNSUPPORTED", "no such endpoint"));
    }
    let found = server.store.manifest(&call.repository, &call.reference).ok_or_else(unknown_manifest)?;
    Ok(found.descriptor().digest.clone())
}

/// ACR's words for whatever its rules do not let: <https://github.com/Azure/azure-sdk-for-net/issues/22827>.
fn disallowed(status: StatusCode) -> Refusal {
    let words = "The operation is disallowed on this registry, repository or image.";
    Refusal::new(status, "REGISTRY_DISALLOWED_OPERATION", words)
}

/// The state of what everybody may pull.
const PASSED: &str = "Passed";
/// Largest body read; stops an endless request.
const MAX_BODY_BYTES: usize = 64 * 1024;
