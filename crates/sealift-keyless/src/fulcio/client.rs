//! The certificate authority's API, version 2.
//!
//! Specification: <https://github.com/sigstore/fulcio/blob/main/fulcio.proto>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::crypto::PrivateKey;
use sealift_core::sign::SigningCertificate;
use sealift_core::x509::Certificate;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::FulcioError;
use super::request::certificate_request;
use crate::oidc::IdentityToken;
use crate::transport::{Answer, JSON, Request, Transport, endpoint};

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct FulcioClient {
    url: Url,
    transport: Transport,
}

/// What a certificate authority issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuedCertificate {
    /// The certificate over the key asked for, with its issuers.
    pub certificate: SigningCertificate,
    /// The promise of a certificate transparency log that came beside the certificate instead of in it, in JSON. No
    /// bundle has a place for it.
    pub detached_promise: Option<Vec<u8>>,
}

impl FulcioClient {
    /// Returns a client of the authority at `url`.
    pub fn new(url: Url, transport: Transport) -> Self {
        Self { url, transport }
    }

    /// Returns where the authority is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for a certificate that says that `key` is of whom `token` speaks.
    ///
    /// The certificate is not verified: only whoever has a trusted root can say what it is worth.
    ///
    /// # Errors
    /// [`FulcioError::Token`] before anything is sent, [`FulcioError::Refused`] and those of the transport, and the
    /// others when the answer is not what was asked for.
    pub async fn signing_certificate(
        &self,
        token: &IdentityToken,
        key: &PrivateKey,
    ) -> Result<IssuedCertificate, FulcioError> {
        // The authority refuses such a token too, with less to say.
        token.proof_subject().map_err(FulcioError::Token)?;
        let request = certificate_request(key).map_err(FulcioError::Key)?;
        let body = json!({
            "credentials": { "oidcIdentityToken": token.expose() },
            "certificateSigningRequest": STANDARD.encode(request),
        });
        let request = Request::post(endpoint(&self.url, PATH), JSON, body.to_string());
        let answer = self.transport.send(&request.secret(token.expose()).limit(MAX_ANSWER_BYTES)).await?;
        read(&answer, key)
    }
}

fn read(answer: &Answer, key: &PrivateKey) -> Result<IssuedCertificate, FulcioError> {
    if !answer.status().is_success() {
        return Err(FulcioError::Refused(answer.refusal()));
    }
    let issued: Issued = answer.json().map_err(FulcioError::Malformed)?;
    let (chain, detached_promise) = match (issued.embedded, issued.detached) {
        (Some(embedded), None) => (embedded.chain, None),
        (None, Some(detached)) => {
            let promise = STANDARD.decode(detached.signed_certificate_timestamp);
            let malformed = |_| FulcioError::Malformed(serde::de::Error::custom("the timestamp is not base64"));
            (detached.chain, Some(promise.map_err(malformed)?))
        }
        (embedded, detached) => {
            let found = usize::from(embedded.is_some()) + usize::from(detached.is_some());
            return Err(FulcioError::NotOneAnswer { found });
        }
    };
    let found = chain.certificates.len();
    if !(1..=MAX_CHAIN).contains(&found) {
        return Err(FulcioError::ChainLength { found });
    }
    let mut certificates = Vec::new();
    for pem in &chain.certificates {
        certificates.extend(Certificate::chain_from_pem(pem).map_err(FulcioError::Certificate)?);
    }
    let issuers = certificates.split_off(1);
    // There is one: each text holds at least one.
    let leaf = certificates.pop().ok_or(FulcioError::ChainLength { found: 0 })?;
    if leaf.is_authority() || !leaf.is_for_code_signing() {
        return Err(FulcioError::NotForSigning);
    }
    let certificate = SigningCertificate::new(leaf, issuers).map_err(FulcioError::Key)?;
    if certificate.public_key() != key.public_key() {
        return Err(FulcioError::OtherKey);
    }
    Ok(IssuedCertificate { certificate, detached_promise })
}

#[derive(Deserialize)]
struct Issued {
    #[serde(rename = "signedCertificateEmbeddedSct")]
    embedded: Option<Embedded>,
    #[serde(rename = "signedCertificateDetachedSct")]
    detached: Option<Detached>,
}

#[derive(Deserialize)]
struct Embedded {
    chain: Chain,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detached {
    chain: Chain,
    signed_certificate_timestamp: String,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

const PATH: &str = "api/v2/signingCert";
/// The largest answer read: chains have some KiB; stops endless bodies.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// The most certificates of a chain; public ones have two or three.
const MAX_CHAIN: usize = 10;
