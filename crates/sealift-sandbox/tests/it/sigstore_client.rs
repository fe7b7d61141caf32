//! A small client of the Sigstore services, which shares no code with them or with the product.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder, Response};
use sealift_sandbox::sigstore::{Identity, LogVersion, Sigstore, SigstoreOptions};
use serde_json::{Value, json};

/// A sandbox and a client that follows no redirect.
pub(crate) struct World {
    pub(crate) sigstore: Sigstore,
    pub(crate) client: Client,
}

/// A certified key.
pub(crate) struct Certified {
    pub(crate) key: EcdsaKeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl World {
    pub(crate) fn new(options: SigstoreOptions) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { sigstore: Sigstore::start(options).unwrap(), client }
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.client.get(url).send().await.unwrap()
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Response {
        self.client.post(url).json(body).send().await.unwrap()
    }

    pub(crate) fn form(&self, url: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(url).form(fields)
    }

    /// Asks for a certificate with a public key and a proof of possession.
    pub(crate) async fn ask(&self, token: &str, key: &EcdsaKeyPair, challenge: &str) -> Response {
        let proof = key.sign(&SystemRandom::new(), challenge.as_bytes()).unwrap();
        let body = json!({
            "credentials": { "oidcIdentityToken": token },
            "publicKeyRequest": {
                "publicKey": { "algorithm": "ECDSA", "content": pem("PUBLIC KEY", &spki(key)) },
                "proofOfPossession": encode(proof),
            },
        });
        self.post(&format!("{}/api/v2/signingCert", self.sigstore.urls().fulcio), &body).await
    }

    pub(crate) async fn certify(&self, identity: &Identity) -> Certified {
        let key = new_key();
        let token = self.sigstore.mint(identity).unwrap();
        let claims: Value = serde_json::from_slice(&decode_url(token.split('.').nth(1).unwrap())).unwrap();
        let challenge = claims["email"].as_str().or(claims["sub"].as_str()).unwrap();
        let response = self.ask(&token, &key, challenge).await;
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        let chain = &body["signedCertificateEmbeddedSct"]["chain"]["certificates"];
        assert_eq!(chain.as_array().unwrap().len(), 3);
        Certified { key, certificate: from_pem(chain[0].as_str().unwrap()) }
    }

    /// Signs a blob the way clients do, and returns the bundle.
    pub(crate) async fn sign(&self, artifact: &[u8], identity: &Identity, log: LogVersion) -> Value {
        let certified = self.certify(identity).await;
        let signature = certified.sign(artifact);
        let timestamp = self.timestamp(&signature).await;
        let entry = match log {
            LogVersion::V1 => self.log_v1(&hashed_rekord(artifact, &signature, &certified.certificate)).await,
            _ => self.log_v2(&hashed_rekord_v2(artifact, &signature, &certified.certificate)).await,
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": encode(&certified.certificate) },
                "tlogEntries": [entry],
                "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": encode(timestamp) }] },
            },
            "messageSignature": {
                "messageDigest": { "algorithm": "SHA2_256", "digest": encode(digest(&SHA256, artifact)) },
                "signature": encode(signature),
            },
        })
    }

    pub(crate) async fn timestamp(&self, signature: &[u8]) -> Vec<u8> {
        // version 1, SHA-256 imprint, nonce, certificate wanted
        let imprint = [&[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09][..], &SHA256_OID, &[0x05, 0x00, 0x04, 0x20]].concat();
        let imprint = [&imprint[..], digest(&SHA256, signature).as_ref()].concat();
        let parts = [&[0x02, 0x01, 0x01][..], &imprint, &[0x02, 0x02, 0x12, 0x34], &[0x01, 0x01, 0xff]].concat();
        let request = [&[0x30, u8::try_from(parts.len()).unwrap()][..], &parts].concat();
        let url = format!("{}/api/v1/timestamp", self.sigstore.urls().timestamp);
        let response = self.client.post(url).header("content-type", "application/timestamp-query").body(request).send();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 201);
        response.bytes().await.unwrap().to_vec()
    }

    /// Logs an entry and returns it as bundles hold it.
    async fn log_v1(&self, proposed: &Value) -> Value {
        let url = format!("{}/api/v1/log/entries", self.sigstore.urls().rekor_v1);
        let response = self.post(&url, proposed).await;
        assert_eq!(response.status(), 201);
        let body: Value = response.json().await.unwrap();
        let entry = body.as_object().unwrap().values().next().unwrap();
        let proof = &entry["verification"]["inclusionProof"];
        let hashes: Vec<_> = proof["hashes"].as_array().unwrap().iter().map(from_hex).collect();
        json!({
            "logIndex": entry["logIndex"].to_string(),
            "logId": { "keyId": from_hex(&entry["logID"]) },
            "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
            "integratedTime": entry["integratedTime"].to_string(),
            "inclusionPromise": { "signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"] },
            "inclusionProof": {
                "logIndex": proof["logIndex"].to_string(),
                "rootHash": from_hex(&proof["rootHash"]),
                "treeSize": proof["treeSize"].to_string(),
                "hashes": hashes,
                "checkpoint": { "envelope": proof["checkpoint"] },
            },
            "canonicalizedBody": entry["body"],
        })
    }

    async fn log_v2(&self, request: &Value) -> Value {
        let response = self.post(&format!("{}/api/v2/log/entries", self.sigstore.urls().rekor_v2), request).await;
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }
}

impl Certified {
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

pub(crate) fn hashed_rekord(artifact: &[u8], signature: &[u8], certificate: &[u8]) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": { "hash": { "algorithm": "sha256", "value": hex(digest(&SHA256, artifact).as_ref()) } },
        "signature": {
            "content": encode(signature),
            "publicKey": { "content": encode(pem("CERTIFICATE", certificate)) },
        },
    } })
}

pub(crate) fn hashed_rekord_v2(artifact: &[u8], signature: &[u8], certificate: &[u8]) -> Value {
    json!({ "hashedRekordRequestV002": {
        "digest": encode(digest(&SHA256, artifact)),
        "signature": {
            "content": encode(signature),
            "verifier": {
                "x509Certificate": { "rawBytes": encode(certificate) },
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    } })
}

pub(crate) fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn decode_url(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Reads hexadecimal and returns base64.
fn from_hex(value: &Value) -> String {
    let text = value.as_str().unwrap();
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap());
    encode(bytes.collect::<Vec<_>>())
}

fn spki(key: &EcdsaKeyPair) -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encode(der))
}

fn from_pem(text: &str) -> Vec<u8> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).unwrap()
}

const SHA256_OID: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
