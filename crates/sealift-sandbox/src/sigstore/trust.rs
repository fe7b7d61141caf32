//! The documents that tell clients whom to trust and where to sign.
//!
//! Formats: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>.

use serde_json::{Value, json};

use super::certificate::ORGANIZATION_NAME;
use super::encoding::base64;
use super::key::SigningKey;
use super::{LogVersion, Services};

/// Version of the trusted root's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedRootVersion {
    /// `application/vnd.dev.sigstore.trustedroot+json;version=0.1`
    #[default]
    V0_1,
    /// `application/vnd.dev.sigstore.trustedroot.v0.2+json`
    V0_2,
}

/// Returns the trusted root of a sandbox.
pub(super) fn trusted_root(services: &Services, version: TrustedRootVersion) -> Value {
    let media_type = match version {
        TrustedRootVersion::V0_1 => "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        TrustedRootVersion::V0_2 => "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    };
    let start = services.trusted_since.to_string();
    let log = |url: &str, key: &SigningKey, log_id: [u8; 32]| {
        json!({
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64(key.spki()),
                "keyDetails": key.key_details(),
                "validFor": { "start": start },
            },
            "logId": { "keyId": base64(log_id) },
        })
    };
    let authority = |url: &str, name: &str, chain: &[&[u8]]| {
        json!({
            "subject": { "organization": ORGANIZATION_NAME, "commonName": name },
            "uri": url,
            "certChain": { "certificates": chain.iter().map(|der| json!({ "rawBytes": base64(der) })).collect::<Vec<_>>() },
            "validFor": { "start": start },
        })
    };
    let urls = &services.urls;
    let fulcio = &services.fulcio;
    let timestamp_url = format!("{}{TIMESTAMP_PATH}", urls.timestamp);
    json!({
        "mediaType": media_type,
        "tlogs": [
            log(&urls.rekor_v1, &services.rekor_v1.key, services.rekor_v1.key.spki_sha256()),
            log(&urls.rekor_v2, &services.rekor_v2.key, services.rekor_v2.log_id()),
        ],
        "certificateAuthorities": [authority(&urls.fulcio, "sealift sandbox root", &[&fulcio.issuing.der, &fulcio.root.der])],
        "ctlogs": [log(&urls.ct_log, &services.ct_log.key, services.ct_log.key.spki_sha256())],
        "timestampAuthorities": [authority(&timestamp_url, "sealift sandbox timestamp root", &services.timestamp.chain())],
    })
}

/// Returns the signing configuration of a sandbox, with the logs of the given versions.
pub(super) fn signing_config(services: &Services, logs: &[LogVersion]) -> Value {
    let start = services.trusted_since.to_string();
    let service = |url: String, version: u32| {
        json!({
            "url": url,
            "majorApiVersion": version,
            "validFor": { "start": start },
            "operator": ORGANIZATION_NAME,
        })
    };
    let urls = &services.urls;
    let logs = logs.iter().map(|log| match log {
        LogVersion::V1 => service(urls.rekor_v1.clone(), 1),
        LogVersion::V2 => service(urls.rekor_v2.clone(), 2),
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service(urls.fulcio.clone(), 1)],
        "oidcUrls": [service(urls.oidc.clone(), 1)],
        "rekorTlogUrls": logs.collect::<Vec<_>>(),
        "rekorTlogConfig": { "selector": "ANY" },
        "tsaUrls": [service(format!("{}{TIMESTAMP_PATH}", urls.timestamp), 1)],
        "tsaConfig": { "selector": "ANY" },
    })
}

/// Returns both in one document, which sigstore-python reads.
pub(super) fn trust_config(trusted_root: &Value, signing_config: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": trusted_root,
        "signingConfig": signing_config,
    })
}

const TIMESTAMP_PATH: &str = "/api/v1/timestamp";
