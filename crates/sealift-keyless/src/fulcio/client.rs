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

impl FulcioClient {
    /// Returns a client of the authority at `url`.
    pub fn new(url: Url, transport: Transport) -> Self {
        Self { url, transport }
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
    ) -> Result<SigningCertificate, FulcioError> {
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

fn read(answer: &Answer, key: &PrivateKey) -> Result<SigningCertificate, FulcioError> {
    if !answer.status().is_success() {
        return Err(FulcioError::Refused(answer.refusal()));
    }
    let issued: Issued = answer.json().map_err(|_| FulcioError::Malformed)?;
    let chain = match (issued.embedded, issued.detached) {
        (Some(issued), None) | (None, Some(issued)) => issued.chain,
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
    // One text may hold several certificates, to get past the limit.
    if certificates.len() != found {
        return Err(FulcioError::ChainLength { found: certificates.len() });
    }
    let issuers = certificates.split_off(1);
    let leaf = certificates.pop().ok_or(FulcioError::ChainLength { found: 0 })?;
    if leaf.is_authority() || !leaf.is_for_code_signing() {
        return Err(FulcioError::NotForSigning);
    }
    let certificate = SigningCertificate::new(leaf, issuers).map_err(FulcioError::Key)?;
    if certificate.public_key() != key.public_key() {
        return Err(FulcioError::OtherKey);
    }
    Ok(certificate)
}

#[derive(Deserialize)]
struct Issued {
    #[serde(rename = "signedCertificateEmbeddedSct")]
    embedded: Option<WithChain>,
    /// The promise of a certificate log that comes beside the certificate is left: no bundle has a place for it.
    #[serde(rename = "signedCertificateDetachedSct")]
    detached: Option<WithChain>,
}

#[derive(Deserialize)]
struct WithChain {
    chain: Chain,
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
