//! A repository of TUF whose every part a test may spoil.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::oci::{Digest, DigestAlgorithm};
use sealift_keyless::tuf::{Cache, Repository, TufClient, TufError};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::support::{Service, now, transport};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A repository and a client's directory.
pub(crate) struct TufRepository {
    service: Service,
    files: Files,
    /// How long each answer takes.
    pause: Arc<Mutex<Duration>>,
    directory: TempDir,
    first_root: Vec<u8>,
    pub(crate) now: Timestamp,
    pub(crate) keys: BTreeMap<String, Vec<PrivateKey>>,
    pub(crate) root: Value,
    pub(crate) timestamp: Value,
    pub(crate) snapshot: Value,
    pub(crate) targets: Value,
    pub(crate) delegated: BTreeMap<String, Value>,
}

impl TufRepository {
    pub(crate) async fn new() -> Self {
        let files = Files::default();
        let served = Arc::clone(&files);
        let pause: Arc<Mutex<Duration>> = Arc::default();
        let pause_of_service = Arc::clone(&pause);
        let service = Service::with(move |_, request| {
            let pause = *pause_of_service.lock().unwrap();
            match served.lock().unwrap().get(request.uri.path()) {
                Some(bytes) if bytes == ENDLESS => Response::new(endless()),
                Some(bytes) => Response::new(after(pause, bytes.clone())),
                None => Response::builder().status(404).body(after(pause, Vec::new())).unwrap(),
            }
        })
        .await;
        let now = now();
        let body = |kind: &str| {
            let expires = day(now, 10);
            json!({ "_type": kind, "spec_version": "1.0.31", "version": 1, "expires": expires })
        };
        let mut repository = Self {
            service,
            files,
            pause,
            directory: tempfile::tempdir().unwrap(),
            first_root: Vec::new(),
            now,
            keys: ROLES.map(|role| (role.to_owned(), vec![new_key()])).into(),
            root: body("root"),
            timestamp: body("timestamp"),
            snapshot: body("snapshot"),
            targets: body("targets"),
            delegated: BTreeMap::new(),
        };
        repository.root["consistent_snapshot"] = true.into();
        repository.root["keys"] = json!({});
        for role in ROLES {
            repository.authorise(role, 1);
        }
        repository.timestamp["meta"] = json!({ "snapshot.json": { "version": 1 } });
        repository.snapshot["meta"] = json!({ "targets.json": { "version": 1 } });
        repository.targets["targets"] = json!({});
        repository.add("file.txt", b"content");
        repository.publish_root();
        repository.publish();
        repository.first_root = repository.file("/1.root.json").unwrap();
        repository
    }

    /// Names the keys of a role in the root.
    pub(crate) fn authorise(&mut self, role: &str, threshold: usize) {
        let mut ids = Vec::new();
        for key in &self.keys[role] {
            self.root["keys"][key_id(key)] = public(key);
            ids.push(key_id(key));
        }
        self.root["roles"][role] = json!({ "keyids": ids, "threshold": threshold });
    }

    /// Delegates files that match `paths` to a role, which signs with a new key.
    pub(crate) fn delegate(&mut self, parent: &str, role: &str, paths: &[&str]) {
        self.keys.entry(role.to_owned()).or_insert_with(|| vec![new_key()]);
        let key = &self.keys[role][0];
        let (id, public) = (key_id(key), public(key));
        let expires = day(self.now, 10);
        self.delegated.entry(role.to_owned()).or_insert_with(
            || json!({ "_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": expires, "targets": {} }),
        );
        self.snapshot["meta"][format!("{role}.json")] = json!({ "version": 1 });
        let delegator = if parent == "targets" { &mut self.targets } else { self.delegated.get_mut(parent).unwrap() };
        if delegator["delegations"].is_null() {
            delegator["delegations"] = json!({ "keys": {}, "roles": [] });
        }
        delegator["delegations"]["keys"][&id] = public;
        let delegation = json!({ "name": role, "keyids": [id], "threshold": 1, "terminating": false, "paths": paths });
        delegator["delegations"]["roles"].as_array_mut().unwrap().push(delegation);
    }

    /// Adds a file to the top-level targets.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        self.targets["targets"][name] = describe(content);
        self.put_target(name, content);
    }

    /// Puts a file where clients look for it.
    pub(crate) fn put_target(&self, name: &str, content: &[u8]) {
        let hash = Digest::sha256(content).hex();
        let path = match name.rsplit_once('/') {
            Some((folder, base)) => format!("{folder}/{hash}.{base}"),
            None => format!("{hash}.{name}"),
        };
        self.put(&format!("/targets/{path}"), content.to_vec());
    }

    /// Publishes the root under its version.
    pub(crate) fn publish_root(&self) {
        let file = self.sign(&self.root, "root", None);
        self.put(&format!("/{}.root.json", self.root["version"]), file);
    }

    /// Publishes a root that follows the present one, signed with these keys of before as well.
    pub(crate) fn publish_next_root(&mut self, old: &[PrivateKey]) {
        self.root["version"] = (self.root["version"].as_u64().unwrap() + 1).into();
        let file = self.sign(&self.root, "root", Some(old));
        self.put(&format!("/{}.root.json", self.root["version"]), file);
    }

    /// Publishes everything else as it stands.
    pub(crate) fn publish(&self) {
        self.put("/timestamp.json", self.sign(&self.timestamp, "timestamp", None));
        let snapshot = self.sign(&self.snapshot, "snapshot", None);
        self.put(&format!("/{}.snapshot.json", self.timestamp["meta"]["snapshot.json"]["version"]), snapshot);
        let targets = self.sign(&self.targets, "targets", None);
        self.put(&format!("/{}.targets.json", self.snapshot["meta"]["targets.json"]["version"]), targets);
        for (role, body) in &self.delegated {
            self.put(&format!("/{}.{}.json", body["version"], quoted(role)), self.sign(body, role, None));
        }
    }

    /// Publishes new versions of timestamp, snapshot and targets.
    pub(crate) fn bump(&mut self) {
        for body in [&mut self.timestamp, &mut self.snapshot, &mut self.targets] {
            body["version"] = (body["version"].as_u64().unwrap() + 1).into();
        }
        self.timestamp["meta"]["snapshot.json"]["version"] = self.snapshot["version"].clone();
        self.snapshot["meta"]["targets.json"]["version"] = self.targets["version"].clone();
        self.publish();
    }

    pub(crate) fn sign(&self, body: &Value, role: &str, old: Option<&[PrivateKey]>) -> Vec<u8> {
        // Members are sorted and there is nothing to escape: this is the canonical form.
        let message = body.to_string();
        let keys = self.keys[role].iter().chain(old.unwrap_or_default());
        let signature = |key: &PrivateKey| {
            let signature = key.sign(message.as_bytes()).unwrap();
            json!({ "keyid": key_id(key), "sig": hex(&signature) })
        };
        let signatures: Vec<Value> = keys.map(signature).collect();
        json!({ "signed": body, "signatures": signatures }).to_string().into_bytes()
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    /// Lets each answer take so long from now on.
    pub(crate) fn answer_after(&self, pause: Duration) {
        *self.pause.lock().unwrap() = pause;
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(path).cloned()
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.directory.path())
    }

    pub(crate) fn service_url(&self) -> Url {
        self.service.url.clone()
    }

    /// Returns a client that starts with the first root and this cache.
    pub(crate) fn client(&self) -> Result<TufClient, TufError> {
        let repository = Repository::new(&self.service.url, transport());
        TufClient::new(&self.first_root, self.cache(), self.cache().below("targets"), Some(repository))
    }

    /// Returns a client that has only the first root, and keeps what it reads in `directory`.
    pub(crate) fn client_in(&self, directory: &TempDir) -> Result<TufClient, TufError> {
        let (cache, repository) = (Cache::new(directory.path()), Repository::new(&self.service.url, transport()));
        TufClient::new(&self.first_root, cache.clone(), cache.below("targets"), Some(repository))
    }

    /// Returns a client that asks nobody.
    pub(crate) fn offline_client(&self) -> TufClient {
        TufClient::new(&self.first_root, self.cache(), self.cache().below("targets"), None).unwrap()
    }

    /// Runs a client as a process of its own would.
    pub(crate) async fn refresh(&self) -> Result<TufClient, TufError> {
        let mut client = self.client()?;
        client.refresh(self.now).await?;
        Ok(client)
    }

    /// Returns the version of a file in the client's cache.
    pub(crate) fn cached_version(&self, name: &str) -> Option<u64> {
        let bytes = self.cache().read(name, usize::MAX - 1).unwrap()?;
        serde_json::from_slice::<Value>(&bytes).unwrap()["signed"]["version"].as_u64()
    }

    /// Returns the paths asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.service.seen().iter().map(|seen| seen.uri.path().to_owned()).collect()
    }
}

pub(crate) fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap()
}

pub(crate) fn public(key: &PrivateKey) -> Value {
    let der = key.public_key().as_der();
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": hex(&der[der.len() - 32..]) } })
}

pub(crate) fn key_id(key: &PrivateKey) -> String {
    Digest::sha256(public(key).to_string().as_bytes()).hex()
}

/// Returns what targets say of a file.
pub(crate) fn describe(content: &[u8]) -> Value {
    let hash = |algorithm| Digest::of(algorithm, content).hex();
    let hashes = json!({ "sha256": hash(DigestAlgorithm::Sha256), "sha512": hash(DigestAlgorithm::Sha512) });
    json!({ "length": content.len(), "hashes": hashes })
}

/// Returns the time so many days from `now`, as metadata has it.
pub(crate) fn day(now: Timestamp, days: i64) -> String {
    now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn quoted(role: &str) -> String {
    role.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a body that comes after a while.
fn after(pause: Duration, bytes: Vec<u8>) -> Body {
    Body::from_stream(stream::once(async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(bytes)
    }))
}

/// Returns a body that never ends, nor says how long it is.
fn endless() -> Body {
    let piece = Bytes::from_static(&[b' '; 16 * 1024]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
}

/// A file with this content goes on for ever.
pub(crate) const ENDLESS: &[u8] = b"endless";

const ROLES: [&str; 4] = ["root", "snapshot", "targets", "timestamp"];
