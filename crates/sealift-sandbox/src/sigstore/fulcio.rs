//! The certificate authority: short-lived certificates for identities, as Fulcio issues them.
//!
//! API: <https://github.com/sigstore/fulcio/blob/main/fulcio.proto>; extensions:
//! <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>.

use std::sync::Arc;

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::request::CertReq;

use super::asn1;
use super::certificate::{Authority, Body, CODE_SIGNING, Criticality, Lifetime, SUBJECT_ALT_NAME, extension, name};
use super::ct_log::CtLog;
use super::encoding::{from_base64, from_pem, pem};
use super::identity::{ACTIONS_PATH, GITHUB, SPIFFE_PATH, USERNAME_DOMAIN, USERNAME_PATH};
use super::key::VerifyingKey;
use super::oidc::Oidc;
use super::service::{Call, Handler, Refusal, Reply, Service, Shared};

/// The certificate authority.
pub(super) struct Fulcio {
    pub(super) root: Authority,
    pub(super) issuing: Authority,
    pub(super) ct_log: Arc<CtLog>,
    pub(super) oidc: Arc<Oidc>,
    pub(super) shared: Arc<Shared>,
}

/// Whom a certificate is for.
struct Subject {
    /// What the requester proves that it knows: the address, or the token's subject.
    challenge: String,
    alternative_name: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Fulcio {
    /// Answers version 2 of the API: a public key with a proof of possession, or a certificate signing request.
    fn sign(&self, call: &Call) -> Result<Reply, Refusal> {
        let body = call.json()?;
        let token = body["credentials"]["oidcIdentityToken"].as_str().or(call.bearer());
        let subject = self.subject(token)?;
        let key = match body["certificateSigningRequest"].as_str() {
            Some(request) => requested_key(request)?,
            None => proven_key(&body["publicKeyRequest"], &subject)?,
        };
        let leaf = self.issue(&subject, &key)?;
        if let Some(reply) = self.shared.faults.after(Service::Fulcio) {
            return Ok(reply);
        }
        let chain = [pem("CERTIFICATE", &leaf), self.issuing.pem(), self.root.pem()];
        Ok(Reply::json(200, &json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } })))
    }

    /// Answers version 1 of the API, which cosign 2 speaks.
    fn sign_v1(&self, call: &Call) -> Result<Reply, Refusal> {
        let body = call.json()?;
        let subject = self.subject(call.bearer())?;
        let content = bytes(&body["publicKey"]["content"], "publicKey.content")?;
        let proof = bytes(&body["signedEmailAddress"], "signedEmailAddress")?;
        let key = VerifyingKey::from_pem(&content).or_else(|| VerifyingKey::from_spki(&content));
        let key = checked(key, &proof, &subject)?;
        let leaf = self.issue(&subject, &key)?;
        let chain = [pem("CERTIFICATE", &leaf), self.issuing.pem(), self.root.pem()].concat();
        Ok(Reply::bytes(201, "application/pem-certificate-chain", chain))
    }

    fn issue(&self, subject: &Subject, key: &VerifyingKey) -> Result<Vec<u8>, Refusal> {
        let length = self.shared.faults.lifetime(Service::Fulcio).unwrap_or(LIFETIME);
        let lifetime = Lifetime::starting(self.shared.clock.now(), length);
        let mut body = Body::new(&name(None), key.spki(), lifetime)?.signs(CODE_SIGNING, Criticality::Ordinary);
        // Critical, as the certificate has no other name (RFC 5280, 4.2.1.6).
        let names = asn1::sequence(&[&subject.alternative_name]);
        body.extensions.push(extension(SUBJECT_ALT_NAME, Criticality::Critical, &names));
        body.extensions.extend(subject.extensions.iter().cloned());
        let promises = self.ct_log.add_pre_certificate(self.issuing.key.spki(), &self.issuing.to_be_signed(&body))?;
        body.extensions.push(extension(SCT_LIST, Criticality::Ordinary, &asn1::octets(&promises)));
        Ok(self.issuing.issue(&body)?)
    }

    fn subject(&self, token: Option<&str>) -> Result<Subject, Refusal> {
        let token = token.ok_or_else(|| Refusal::new(401, "there is no identity token"))?;
        let claims = self.oidc.verify(token, AUDIENCE).map_err(|reason| Refusal::new(401, reason))?;
        let issuer = claims["iss"].as_str().unwrap_or_default();
        let text = |claim: &str| {
            claims[claim].as_str().map(str::to_owned).ok_or_else(|| Refusal::bad(format!("claim {claim} is missing")))
        };
        let subject = text("sub")?;
        match self.oidc.issuer_path(issuer) {
            Some("") => {
                if claims["email_verified"] != true {
                    return Err(Refusal::bad("the address is not verified"));
                }
                let address = text("email")?;
                let issuer = claims["federated_claims"]["connector_id"].as_str().unwrap_or(issuer);
                let alternative_name = asn1::context_primitive(RFC822_NAME, address.as_bytes());
                Ok(Subject { challenge: address, alternative_name, extensions: issuer_extensions(issuer) })
            }
            Some(SPIFFE_PATH) => {
                let alternative_name = asn1::context_primitive(URI, subject.as_bytes());
                Ok(Subject { challenge: subject, alternative_name, extensions: issuer_extensions(issuer) })
            }
            Some(USERNAME_PATH) => {
                let full = format!("{subject}!{USERNAME_DOMAIN}");
                let value = asn1::context(0, &asn1::utf8(&full));
                let alternative_name = asn1::context(OTHER_NAME, &[asn1::oid(fulcio_oid(7)?), value].concat());
                Ok(Subject { challenge: subject, alternative_name, extensions: issuer_extensions(issuer) })
            }
            Some(ACTIONS_PATH) => {
                let uri = format!("{GITHUB}/{}", text("job_workflow_ref")?);
                let mut extensions = issuer_extensions(issuer);
                extensions.splice(1..1, old_workflow_extensions(&text)?);
                extensions.extend(workflow_extensions(&text)?);
                let alternative_name = asn1::context_primitive(URI, uri.as_bytes());
                Ok(Subject { challenge: subject, alternative_name, extensions })
            }
            _ => Err(Refusal::bad("there is no such issuer")),
        }
    }

    fn configuration(&self) -> Value {
        let issuer = |path: &str, kind: &str, claim: &str| {
            json!({
                "issuerUrl": format!("{}{path}", self.oidc.issuer(&super::Identity::email(""))),
                "audience": AUDIENCE,
                "challengeClaim": claim,
                "spiffeTrustDomain": if path == SPIFFE_PATH { USERNAME_DOMAIN } else { "" },
                "issuerType": kind,
            })
        };
        json!({ "issuers": [
            issuer("", "email", "email"),
            issuer(ACTIONS_PATH, "ci-provider", "sub"),
            issuer(SPIFFE_PATH, "spiffe", "sub"),
            issuer(USERNAME_PATH, "username", "sub"),
        ] })
    }
}

impl Handler for Fulcio {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        match (&call.method, call.path.as_str()) {
            (&Method::POST, "/api/v2/signingCert") => self.sign(call),
            (&Method::POST, "/api/v1/signingCert") => self.sign_v1(call),
            (&Method::GET, "/api/v2/trustBundle") => {
                let chain = [self.issuing.pem(), self.root.pem()];
                Ok(Reply::json(200, &json!({ "chains": [{ "certificates": chain }] })))
            }
            (&Method::GET, "/api/v1/rootCert") => {
                let chain = [self.issuing.pem(), self.root.pem()].concat();
                Ok(Reply::bytes(200, "application/pem-certificate-chain", chain))
            }
            (&Method::GET, "/api/v2/configuration") => Ok(Reply::json(200, &self.configuration())),
            _ => Err(Refusal::not_found()),
        }
    }
}

/// Reads the key of a certificate signing request, which must be signed with it.
fn requested_key(request: &str) -> Result<VerifyingKey, Refusal> {
    let malformed = || Refusal::bad("certificateSigningRequest is not a certificate signing request");
    let pem = from_base64(request).ok_or_else(malformed)?;
    let (_, der) = from_pem(&pem).ok_or_else(malformed)?;
    let request = CertReq::from_der(&der).map_err(|_| malformed())?;
    let spki = request.info.public_key.to_der().map_err(|_| malformed())?;
    let signed = request.info.to_der().map_err(|_| malformed())?;
    let key = VerifyingKey::from_spki(&spki).ok_or_else(|| Refusal::bad("this kind of key is not accepted"))?;
    if !key.accepts(&signed, request.signature.raw_bytes()) {
        return Err(Refusal::bad("the request is not signed with its key"));
    }
    Ok(key)
}

fn proven_key(request: &Value, subject: &Subject) -> Result<VerifyingKey, Refusal> {
    let content = request["publicKey"]["content"].as_str().unwrap_or_default();
    let proof = bytes(&request["proofOfPossession"], "proofOfPossession")?;
    checked(VerifyingKey::from_pem(content.as_bytes()), &proof, subject)
}

fn checked(key: Option<VerifyingKey>, proof: &[u8], subject: &Subject) -> Result<VerifyingKey, Refusal> {
    let key = key.ok_or_else(|| Refusal::bad("the public key is missing, malformed, or of no accepted kind"))?;
    if !key.accepts(subject.challenge.as_bytes(), proof) {
        return Err(Refusal::bad("the proof of possession is not the subject signed with the key"));
    }
    Ok(key)
}

fn bytes(value: &Value, field: &str) -> Result<Vec<u8>, Refusal> {
    value.as_str().and_then(from_base64).ok_or_else(|| Refusal::bad(format!("{field} is missing or not base64")))
}

/// The issuer, as bare text and as UTF8String.
fn issuer_extensions(issuer: &str) -> Vec<Vec<u8>> {
    let mut extensions = Vec::new();
    if let (Ok(old), Ok(new)) = (fulcio_oid(1), fulcio_oid(8)) {
        extensions.push(extension(old, Criticality::Ordinary, issuer.as_bytes()));
        extensions.push(extension(new, Criticality::Ordinary, &asn1::utf8(issuer)));
    }
    extensions
}

/// The claims of GitHub's tokens as bare text, from before there were general ones.
fn old_workflow_extensions(claim: &dyn Fn(&str) -> Result<String, Refusal>) -> Result<Vec<Vec<u8>>, Refusal> {
    let claims = [(2, "event_name"), (3, "sha"), (4, "workflow"), (5, "repository"), (6, "ref")];
    let encode = |(number, name)| Ok(extension(fulcio_oid(number)?, Criticality::Ordinary, claim(name)?.as_bytes()));
    claims.into_iter().map(encode).collect()
}

fn workflow_extensions(claim: &dyn Fn(&str) -> Result<String, Refusal>) -> Result<Vec<Vec<u8>>, Refusal> {
    let repository = format!("{GITHUB}/{}", claim("repository")?);
    let values = [
        (9, format!("{GITHUB}/{}", claim("job_workflow_ref")?)),
        (10, claim("job_workflow_sha")?),
        (11, claim("runner_environment")?),
        (12, repository.clone()),
        (13, claim("sha")?),
        (14, claim("ref")?),
        (15, claim("repository_id")?),
        (16, format!("{GITHUB}/{}", claim("repository_owner")?)),
        (17, claim("repository_owner_id")?),
        (18, format!("{GITHUB}/{}", claim("workflow_ref")?)),
        (19, claim("workflow_sha")?),
        (20, claim("event_name")?),
        (21, format!("{repository}/actions/runs/{}/attempts/{}", claim("run_id")?, claim("run_attempt")?)),
        (22, claim("repository_visibility")?),
    ];
    let encode =
        |(number, value): (u32, String)| Ok(extension(fulcio_oid(number)?, Criticality::Ordinary, &asn1::utf8(&value)));
    values.into_iter().map(encode).collect()
}

/// Returns `1.3.6.1.4.1.57264.1.number`.
fn fulcio_oid(number: u32) -> Result<ObjectIdentifier, Refusal> {
    FULCIO.push_arc(number).map_err(|_| Refusal::new(500, "no such extension"))
}

const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const AUDIENCE: &str = "sigstore";
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Choices of GeneralName.
const OTHER_NAME: u8 = 0;
const RFC822_NAME: u8 = 1;
const URI: u8 = 6;
