//! Version 2: entries `hashedrekord` 0.0.2, also for envelopes.
//!
//! The log's operators refuse `dsse` 0.0.2 today: an envelope is logged by the digest of its pre-authentication
//! encoding, which is what was signed. The entry comes with its proof and checkpoint, and without a time: who needs one
//! asks a timestamp authority. API:
//! <https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/rekor_service.proto>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::crypto::KeyAlgorithm;
use sealift_core::entity::LogEntry;
use sealift_core::oci::DigestAlgorithm;
use serde_json::json;
use url::Url;

use super::{MAX_ANSWER_BYTES, Proposed, RekorError};
use crate::transport::{Request, Transport, endpoint};

/// Logs an entry.
pub(super) async fn log(url: &Url, transport: &Transport, proposed: &Proposed<'_>) -> Result<LogEntry, RekorError> {
    let unsupported = || RekorError::UnsupportedKey { algorithm: proposed.key.algorithm() };
    let (details, algorithm) = key_details(proposed.key.algorithm()).ok_or_else(unsupported)?;
    let digest = proposed.digest(algorithm).ok_or_else(unsupported)?;
    let (field, der) = match proposed.certificate {
        Some(certificate) => ("x509Certificate", certificate.as_der()),
        None => ("publicKey", proposed.key.as_der()),
    };
    let body = json!({ "hashedRekordRequestV002": {
        "digest": STANDARD.encode(digest.as_bytes()),
        "signature": {
            "content": STANDARD.encode(proposed.content.signature()),
            "verifier": { field: { "rawBytes": STANDARD.encode(der) }, "keyDetails": details },
        },
    } });
    let request = Request::post_json(endpoint(url, ENTRIES), &body).map_err(RekorError::Json)?;
    let answer = transport.send(&request.limit(MAX_ANSWER_BYTES)).await.map_err(RekorError::Transport)?;
    let body = answer.into_body().map_err(RekorError::Refused)?;
    LogEntry::parse(&body).map_err(RekorError::Malformed)
}

/// Returns the name of a key's algorithm and the digest that goes with it; `None` for Ed25519, of which the log takes
/// only the prehashed kind.
///
/// Registry: <https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md>.
fn key_details(algorithm: KeyAlgorithm) -> Option<(&'static str, DigestAlgorithm)> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Some(("PKIX_ECDSA_P256_SHA_256", DigestAlgorithm::Sha256)),
        KeyAlgorithm::EcdsaP384 => Some(("PKIX_ECDSA_P384_SHA_384", DigestAlgorithm::Sha384)),
        KeyAlgorithm::EcdsaP521 => Some(("PKIX_ECDSA_P521_SHA_512", DigestAlgorithm::Sha512)),
        KeyAlgorithm::Rsa2048 => Some(("PKIX_RSA_PKCS1V15_2048_SHA256", DigestAlgorithm::Sha256)),
        KeyAlgorithm::Rsa3072 => Some(("PKIX_RSA_PKCS1V15_3072_SHA256", DigestAlgorithm::Sha256)),
        KeyAlgorithm::Rsa4096 => Some(("PKIX_RSA_PKCS1V15_4096_SHA256", DigestAlgorithm::Sha256)),
        _ => None,
    }
}

const ENTRIES: &str = "api/v2/log/entries";
