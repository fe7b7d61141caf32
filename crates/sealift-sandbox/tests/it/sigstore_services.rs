//! The Sigstore services one by one: what they answer, and what they refuse.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealift_sandbox::sigstore::{DeviceAnswer, Fault, Identity, LogVersion, Role, Service, SigstoreOptions, Times};
use serde_json::{Map, Value, json};

use crate::sigstore_client::{World, decode_url, encode, hashed_rekord, hashed_rekord_v2, hex, new_key};

#[tokio::test]
async fn fulcio_refuses_tokens_and_proofs_that_prove_nothing() {
    let world = World::new(SigstoreOptions::default());
    let issuer = world.sigstore.urls().oidc.clone();
    let token = |change: &dyn Fn(&mut Map<String, Value>)| {
        let claims = json!({
            "iss": issuer, "aud": "sigstore", "sub": "dev", "email": "dev@example.com", "email_verified": true,
        });
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        world.sigstore.mint_claims(claims).unwrap()
    };
    let good = token(&|_| {});
    let mut forged = good.clone();
    forged.truncate(good.len() - 4);
    let cases: [(&str, String, &str, u16); 8] = [
        ("good", good.clone(), "dev@example.com", 200),
        ("proof over something else", good.clone(), "dev", 400),
        (
            "another audience",
            token(&|claims| drop(claims.insert("aud".into(), "other".into()))),
            "dev@example.com",
            401,
        ),
        ("expired", token(&|claims| drop(claims.insert("exp".into(), 1_000_000_000.into()))), "dev@example.com", 401),
        (
            "another issuer",
            token(&|claims| drop(claims.insert("iss".into(), "http://x".into()))),
            "dev@example.com",
            401,
        ),
        (
            "unverified",
            token(&|claims| drop(claims.insert("email_verified".into(), false.into()))),
            "dev@example.com",
            400,
        ),
        ("cut signature", forged, "dev@example.com", 401),
        ("no token", String::new(), "dev@example.com", 401),
    ];
    for (name, token, challenge, status) in cases {
        assert_eq!(world.ask(&token, &new_key(), challenge).await.status().as_u16(), status, "{name}");
    }
    let configuration: Value =
        world.get(&format!("{}/api/v2/configuration", world.sigstore.urls().fulcio)).await.json().await.unwrap();
    assert_eq!(configuration["issuers"][0]["issuerUrl"], issuer.as_str());
}

#[tokio::test]
async fn rekor_v1_logs_once_and_finds_again() {
    let world = World::new(SigstoreOptions::default());
    let certified = world.certify(&Identity::email("dev@example.com")).await;
    let signature = certified.sign(b"blob");
    let proposed = hashed_rekord(b"blob", &signature, &certified.certificate);
    let base = world.sigstore.urls().rekor_v1.clone();
    let entries = format!("{base}/api/v1/log/entries");
    let first = world.post(&entries, &proposed).await;
    assert_eq!(first.status(), 201);
    let location = first.headers()["location"].to_str().unwrap().to_owned();
    let uuid = location.rsplit('/').next().unwrap().to_owned();
    assert_eq!(first.headers()["etag"], uuid.as_str());
    let again = world.post(&entries, &proposed).await;
    assert_eq!(again.status(), 409);
    assert_eq!(again.headers()["location"], location.as_str());
    let other = hashed_rekord(b"massage", &signature, &certified.certificate);
    assert_eq!(world.post(&entries, &other).await.status(), 400, "a signature over something else");

    for url in [format!("{base}{location}"), format!("{entries}?logIndex=0"), format!("{entries}/{}", &uuid[16..])] {
        let found: Value = world.get(&url).await.json().await.unwrap();
        assert_eq!(found[&uuid]["logIndex"], 0, "{url}");
    }
    for query in [json!({ "logIndexes": [0] }), json!({ "entryUUIDs": [uuid] }), json!({ "entries": [proposed] })] {
        let found: Value = world.post(&format!("{entries}/retrieve"), &query).await.json().await.unwrap();
        assert_eq!(found[0][&uuid]["logIndex"], 0, "{query}");
    }
    let query = json!({ "hash": format!("sha256:{}", hex(digest(&SHA256, b"blob").as_ref())) });
    let found: Value = world.post(&format!("{base}/api/v1/index/retrieve"), &query).await.json().await.unwrap();
    assert_eq!(found, json!([uuid]));
    assert_eq!(world.get(&format!("{entries}?logIndex=1")).await.status(), 404);
}

#[tokio::test]
async fn both_logs_take_envelopes_whose_signatures_verify() {
    let world = World::new(SigstoreOptions::default());
    let certified = world.certify(&Identity::email("dev@example.com")).await;
    let payload = b"{\"statement\": 1}";
    let signed = format!("DSSEv1 28 application/vnd.in-toto+json {} {{\"statement\": 1}}", payload.len());
    let certificate = encode(certified.pem());
    for (message, accepted) in [(signed.as_bytes(), true), (payload, false)] {
        let sig = encode(certified.sign(message));
        let kind = "application/vnd.in-toto+json";
        let envelope = json!({ "payloadType": kind, "payload": encode(payload), "signatures": [{ "sig": sig }] });
        let dsse = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "proposedContent": { "envelope": envelope.to_string(), "verifiers": [certificate] },
        } });
        let doubled = json!({
            "payloadType": kind,
            "payload": encode(encode(payload)),
            "signatures": [{ "publicKey": certificate, "sig": encode(&sig) }],
        });
        let intoto = json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": { "envelope": doubled } } });
        let verifier = json!({
            "x509Certificate": { "rawBytes": encode(&certified.certificate) },
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        });
        let dsse_v2 = json!({ "dsseRequestV002": { "envelope": envelope, "verifiers": [verifier] } });
        let urls = world.sigstore.urls();
        let (v1, v2) =
            (format!("{}/api/v1/log/entries", urls.rekor_v1), format!("{}/api/v2/log/entries", urls.rekor_v2));
        for (url, request) in [(&v1, &dsse), (&v1, &intoto), (&v2, &dsse_v2)] {
            let status = world.post(url, request).await.status();
            assert_eq!(status.as_u16(), if accepted { 201 } else { 400 }, "{request}");
        }
    }
}

#[tokio::test]
async fn rekor_v1_keeps_what_it_logged_when_the_reply_is_lost() {
    let world = World::new(SigstoreOptions::default());
    let certified = world.certify(&Identity::email("dev@example.com")).await;
    let proposed = hashed_rekord(b"blob", &certified.sign(b"blob"), &certified.certificate);
    let entries = format!("{}/api/v1/log/entries", world.sigstore.urls().rekor_v1);
    world.sigstore.inject(Service::RekorV1, Fault::Status(503), Times::Next(1));
    assert_eq!(world.post(&entries, &proposed).await.status(), 503);
    world.sigstore.inject(Service::RekorV1, Fault::StatusAfter(502), Times::Next(1));
    assert_eq!(world.post(&entries, &proposed).await.status(), 502);
    assert_eq!(world.post(&entries, &proposed).await.status(), 409);
    let statuses: Vec<_> = world.sigstore.requests().into_iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 503, 502, 409]);
}

#[tokio::test]
async fn rekor_v2_shows_its_entries_in_tiles() {
    let world = World::new(SigstoreOptions::default());
    let base = format!("{}/api/v2", world.sigstore.urls().rekor_v2);
    let certified = world.certify(&Identity::email("dev@example.com")).await;
    let mut bodies = Vec::new();
    for artifact in ["one", "two", "three"] {
        let signature = certified.sign(artifact.as_bytes());
        let request = hashed_rekord_v2(artifact.as_bytes(), &signature, &certified.certificate);
        let entry: Value = world.post(&format!("{base}/log/entries"), &request).await.json().await.unwrap();
        assert!(entry.get("integratedTime").is_none());
        let again: Value = world.post(&format!("{base}/log/entries"), &request).await.json().await.unwrap();
        assert_eq!(again["logIndex"], entry["logIndex"], "an equal entry is not logged twice");
        bodies.push(entry["canonicalizedBody"].as_str().unwrap().to_owned());
    }
    let checkpoint = world.get(&format!("{base}/checkpoint")).await.text().await.unwrap();
    assert!(checkpoint.starts_with("127.0.0.1\n3\n"), "{checkpoint}");
    let tile = world.get(&format!("{base}/tile/entries/000.p/3")).await.bytes().await.unwrap();
    let mut rest = &tile[..];
    let hashes = world.get(&format!("{base}/tile/0/000.p/3")).await.bytes().await.unwrap();
    for (body, hash) in bodies.iter().zip(hashes.chunks(32)) {
        let (length, after) = rest.split_at(2);
        let (entry, after) = after.split_at(usize::from(length[0]) << 8 | usize::from(length[1]));
        assert_eq!(encode(entry), *body);
        assert_eq!(digest(&SHA256, &[&[0], entry].concat()).as_ref(), hash);
        rest = after;
    }
    assert!(rest.is_empty());
    assert_eq!(world.get(&format!("{base}/tile/0/000.p/4")).await.status(), 404);
    let wrong = hashed_rekord_v2(b"four", &certified.sign(b"five"), &certified.certificate);
    assert_eq!(world.post(&format!("{base}/log/entries"), &wrong).await.status(), 400);
}

#[tokio::test]
async fn the_browser_flow_binds_a_code_to_its_verifier() {
    let world = World::new(SigstoreOptions::default());
    let base = world.sigstore.urls().oidc.clone();
    let discovery: Value = world.get(&format!("{base}/.well-known/openid-configuration")).await.json().await.unwrap();
    assert_eq!(discovery["issuer"], base.as_str());
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let authorize = |redirect: &str| {
        let query = [
            ("response_type", "code"),
            ("client_id", "sigstore"),
            ("redirect_uri", redirect),
            ("state", "the state"),
            ("nonce", "the nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        world.client.get(format!("{base}/auth")).query(&query).send()
    };
    assert_eq!(authorize("https://elsewhere.example/").await.unwrap().status(), 400);
    for (verifier, error) in [("wrong", Some("invalid_grant")), (VERIFIER, None)] {
        let response = authorize(REDIRECT).await.unwrap();
        assert_eq!(response.status(), 303);
        let location = url::Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
        let answer: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
        assert_eq!(answer["state"], "the state");
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", answer["code"].as_str()),
            ("redirect_uri", REDIRECT),
            ("client_id", "sigstore"),
            ("code_verifier", verifier),
        ];
        let token: Value = world.form(&format!("{base}/token"), &fields).send().await.unwrap().json().await.unwrap();
        assert_eq!(token["error"].as_str(), error);
        if error.is_none() {
            let claims = decode_url(token["id_token"].as_str().unwrap().split('.').nth(1).unwrap());
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["nonce"], "the nonce");
            assert_eq!(claims["email"], "dev@example.com");
            let replay = world.form(&format!("{base}/token"), &fields).send().await.unwrap();
            assert_eq!(replay.status(), 400, "a code works once");
        }
    }
}

#[tokio::test]
async fn a_device_waits_until_the_person_has_answered() {
    let world = World::new(SigstoreOptions::default());
    let base = world.sigstore.urls().oidc.clone();
    world.sigstore.set_device_answers([DeviceAnswer::Pending, DeviceAnswer::SlowDown]);
    let device = world.form(&format!("{base}/device/code"), &[("client_id", "sigstore"), ("scope", "openid email")]);
    let device: Value = device.send().await.unwrap().json().await.unwrap();
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device["device_code"].as_str().unwrap()),
        ("client_id", "sigstore"),
    ];
    for error in [Some("authorization_pending"), Some("slow_down"), None, Some("invalid_grant")] {
        let answer = world.form(&format!("{base}/token"), &fields).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"].as_str(), error);
        assert_eq!(answer["id_token"].is_string(), error.is_none());
    }
}

#[tokio::test]
async fn a_job_gets_a_token_about_its_workflow() {
    let world = World::new(SigstoreOptions { identity: Identity::workflow("acme/app"), ..SigstoreOptions::default() });
    let environment: BTreeMap<_, _> = world.sigstore.actions_environment().into_iter().collect();
    let url = format!("{}&audience=sigstore", environment["ACTIONS_ID_TOKEN_REQUEST_URL"]);
    assert_eq!(world.get(&url).await.status(), 401);
    let token = environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"].as_str();
    let answer: Value = world.client.get(&url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let claims = decode_url(answer["value"].as_str().unwrap().split('.').nth(1).unwrap());
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], format!("{}/actions", world.sigstore.urls().oidc));
    assert_eq!(claims["repository"], "acme/app");
    assert_eq!(claims["job_workflow_ref"], "acme/app/.github/workflows/release.yml@refs/heads/main");
}

#[tokio::test]
async fn tuf_leads_from_the_first_root_to_the_trusted_root() {
    let world = World::new(SigstoreOptions::default());
    let first: Value = serde_json::from_slice(&world.sigstore.tuf_root()).unwrap();
    world.sigstore.rotate_root().unwrap();
    let second = tuf(&world, "2.root.json").await;
    signed_by(&second, &first, "root");
    signed_by(&second, &second, "root");
    assert_ne!(first["signed"]["roles"]["root"], second["signed"]["roles"]["root"]);
    let timestamp = tuf(&world, "timestamp.json").await;
    signed_by(&timestamp, &second, "timestamp");
    let snapshot = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
    let snapshot = tuf(&world, &format!("{snapshot}.snapshot.json")).await;
    signed_by(&snapshot, &second, "snapshot");
    let targets = &snapshot["signed"]["meta"]["targets.json"]["version"];
    let targets = tuf(&world, &format!("{targets}.targets.json")).await;
    signed_by(&targets, &second, "targets");
    let target = &targets["signed"]["targets"]["trusted_root.json"];
    let name = format!("targets/{}.trusted_root.json", target["hashes"]["sha256"].as_str().unwrap());
    assert_eq!(tuf(&world, &name).await["tlogs"].as_array().unwrap().len(), 2);
    assert_eq!(world.get(&format!("{}/3.root.json", world.sigstore.urls().tuf)).await.status(), 404);
}

#[tokio::test]
async fn tuf_expires_and_rolls_back_on_request() {
    let world = World::new(SigstoreOptions::default());
    assert_eq!(tuf(&world, "timestamp.json").await["signed"]["version"], 1);
    world.sigstore.publish().unwrap();
    assert_eq!(tuf(&world, "timestamp.json").await["signed"]["version"], 2);
    world.sigstore.rollback();
    assert_eq!(tuf(&world, "timestamp.json").await["signed"]["version"], 1);
    let before = tuf(&world, "timestamp.json").await["signed"]["expires"].as_str().unwrap().to_owned();
    world.sigstore.set_lifetime(Role::Timestamp, jiff::SignedDuration::from_hours(-1)).unwrap();
    let expired = tuf(&world, "timestamp.json").await;
    assert!(expired["signed"]["expires"].as_str().unwrap() < before.as_str());
    assert_eq!(expired["signed"]["version"], 3);
}

#[tokio::test]
async fn the_timestamp_authority_refuses_what_is_no_request() {
    let world = World::new(SigstoreOptions::default());
    let url = format!("{}/api/v1/timestamp", world.sigstore.urls().timestamp);
    for body in [&b""[..], &[0x30, 0x00], &[0x30, 0x03, 0x02, 0x01, 0x01]] {
        assert_eq!(world.client.post(&url).body(body).send().await.unwrap().status(), 400, "{body:?}");
    }
    assert!(!world.timestamp(b"signature").await.is_empty());
}

#[tokio::test]
async fn the_certificate_log_has_what_the_authority_issued() {
    let world = World::new(SigstoreOptions::default());
    world.sign(b"blob", &Identity::email("dev@example.com"), LogVersion::V1).await;
    let base = format!("{}/ct/v1", world.sigstore.urls().ct_log);
    let head: Value = world.get(&format!("{base}/get-sth")).await.json().await.unwrap();
    assert_eq!(head["tree_size"], 1);
    let entries: Value = world.get(&format!("{base}/get-entries?start=0&end=5")).await.json().await.unwrap();
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_service_is_slow() {
    let world = World::new(SigstoreOptions::default());
    world.sigstore.inject(Service::Tuf, Fault::Latency(Duration::from_secs(3600)), Times::Next(1));
    let slow = world.client.get(format!("{}/timestamp.json", world.sigstore.urls().tuf));
    assert!(slow.timeout(Duration::from_millis(50)).send().await.unwrap_err().is_timeout());
    assert_eq!(world.get(&format!("{}/timestamp.json", world.sigstore.urls().tuf)).await.status(), 200);
}

async fn tuf(world: &World, path: &str) -> Value {
    world.get(&format!("{}/{path}", world.sigstore.urls().tuf)).await.json().await.unwrap()
}

/// Checks that a file is signed with the key that `root` names for its role.
fn signed_by(file: &Value, root: &Value, role: &str) {
    let id = root["signed"]["roles"][role]["keyids"][0].as_str().unwrap();
    let key = unhex(root["signed"]["keys"][id]["keyval"]["public"].as_str().unwrap());
    let signatures = file["signatures"].as_array().unwrap();
    let signature = signatures.iter().find(|signature| signature["keyid"] == id).unwrap();
    // Members are sorted and there is nothing to escape: this is the canonical form.
    let signed = file["signed"].to_string();
    let signature = unhex(signature["sig"].as_str().unwrap());
    UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature).unwrap();
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

const VERIFIER: &str = "a verifier that is as long as verifiers have to be, 43 characters";
const REDIRECT: &str = "http://localhost:1/auth/callback";
