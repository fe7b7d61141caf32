//! The timestamp authority.
//!
//! Specifications: RFC 3161 (<https://www.rfc-editor.org/rfc/rfc3161>), RFC 5652 (CMS), RFC 5816 (certificate
//! identifiers).

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use x509_cert::der::asn1::ObjectIdentifier;

use super::asn1::{self, Element};
use super::certificate::{Authority, Body, Criticality, Lifetime, TIME_STAMPING, name};
use super::encoding::{from_base64, sha256};
use super::fault::Fault;
use super::key::{KeyKind, SigningKey};
use super::service::{Call, Handler, Refusal, Reply, Service, Shared};

/// The timestamp authority.
pub(super) struct TimestampAuthority {
    root: Authority,
    signer: Signer,
    expired: Signer,
    shared: Arc<Shared>,
}

/// A certificate that signs timestamps.
struct Signer {
    key: SigningKey,
    der: Vec<u8>,
    serial: Vec<u8>,
}

impl TimestampAuthority {
    pub(super) fn new(kind: KeyKind, lifetime: Lifetime, shared: Arc<Shared>) -> Result<Self, Unspecified> {
        let root = Authority::root("timestamp root", SigningKey::generate(KeyKind::EcdsaP384)?, lifetime)?;
        let signer = Signer::new(&root, SigningKey::generate(kind)?, lifetime)?;
        let over = Lifetime::starting(lifetime.from, SignedDuration::from_hours(1));
        let expired = Signer::new(&root, SigningKey::generate(KeyKind::EcdsaP256)?, over)?;
        Ok(Self { root, signer, expired, shared })
    }

    /// Returns the chain of the current certificate, the signer's first.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.signer.der, &self.root.der]
    }

    /// Answers a request in DER, or in JSON as timestamp-authority takes it.
    fn stamp(&self, call: &Call) -> Result<Reply, Refusal> {
        let json = call.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let request = if json { json_request(call)? } else { Query::parse(&call.body) };
        let Some(request) = request else {
            return Ok(Reply::bytes(400, REPLY_TYPE, rejection(BAD_DATA_FORMAT)));
        };
        let signer = match self.shared.faults.strikes(Service::Timestamp, Fault::ExpiredCertificate) {
            true => &self.expired,
            false => &self.signer,
        };
        let token = self.token(&request, signer, self.shared.clock.now())?;
        if let Some(reply) = self.shared.faults.after(Service::Timestamp) {
            return Ok(reply);
        }
        let granted = asn1::sequence(&[&asn1::integer(&[GRANTED])]);
        Ok(Reply::bytes(201, REPLY_TYPE, asn1::sequence(&[&granted, &token])))
    }

    /// Returns `ContentInfo` with `SignedData` with `TSTInfo`.
    fn token(&self, request: &Query, signer: &Signer, now: Timestamp) -> Result<Vec<u8>, Unspecified> {
        let mut serial = [0; 16];
        rand::fill(&mut serial)?;
        let info = asn1::sequence(&[
            &asn1::integer(&[1]),
            &asn1::oid(request.policy.unwrap_or(POLICY)),
            &request.imprint,
            &asn1::integer(&serial),
            &asn1::generalized_time(now),
            // accuracy: one second
            &asn1::sequence(&[&asn1::integer(&[1])]),
            &request.nonce,
        ]);
        let hash = signer.digest_algorithm();
        let attributes = signer.attributes(&info, now);
        let signature = signer.key.sign(&asn1::set_of(attributes.clone()))?;
        let signer_info = asn1::sequence(&[
            &asn1::integer(&[1]),
            &asn1::sequence(&[&self.root.name, &signer.serial]),
            &hash,
            &implicit_set(attributes),
            &signer.key.signature_algorithm(),
            &asn1::octets(&signature),
        ]);
        let certificates = match request.certificates {
            Certificates::Left => Vec::new(),
            Certificates::Wanted => asn1::context(0, &signer.der),
        };
        let signed = asn1::sequence(&[
            &asn1::integer(&[3]),
            &asn1::set_of(vec![hash]),
            &asn1::sequence(&[&asn1::oid(TST_INFO), &asn1::context(0, &asn1::octets(&info))]),
            &certificates,
            &asn1::set_of(vec![signer_info]),
        ]);
        Ok(asn1::sequence(&[&asn1::oid(SIGNED_DATA), &asn1::context(0, &signed)]))
    }
}

impl Handler for TimestampAuthority {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        match (&call.method, call.path.as_str()) {
            (&Method::POST, "/api/v1/timestamp") => self.stamp(call),
            (&Method::GET, "/api/v1/timestamp/certchain") => {
                let chain = self.chain().map(|der| super::encoding::pem("CERTIFICATE", der)).concat();
                Ok(Reply::bytes(200, "application/pem-certificate-chain", chain))
            }
            _ => Err(Refusal::not_found()),
        }
    }
}

impl Signer {
    fn new(root: &Authority, key: SigningKey, lifetime: Lifetime) -> Result<Self, Unspecified> {
        let body = Body::new(&name(Some("timestamp signer")), key.spki(), lifetime)?
            .signs(TIME_STAMPING, Criticality::Critical);
        Ok(Self { der: root.issue(&body)?, serial: body.serial_number(), key })
    }

    /// Returns the attributes that the signature covers.
    fn attributes(&self, info: &[u8], now: Timestamp) -> Vec<Vec<u8>> {
        let attribute = |oid, value: Vec<u8>| asn1::sequence(&[&asn1::oid(oid), &asn1::set_of(vec![value])]);
        let hash = if self.key.kind() == KeyKind::EcdsaP384 { &digest::SHA384 } else { &digest::SHA256 };
        // SHA-256 is the default of ESSCertIDv2 and therefore left out
        let certificate = asn1::sequence(&[&asn1::octets(&sha256(&[&self.der]))]);
        let certificates = asn1::sequence(&[&asn1::sequence(&[&certificate])]);
        vec![
            attribute(CONTENT_TYPE, asn1::oid(TST_INFO)),
            attribute(SIGNING_TIME, asn1::time(now)),
            attribute(MESSAGE_DIGEST, asn1::octets(digest::digest(hash, info).as_ref())),
            attribute(SIGNING_CERTIFICATE_V2, certificates),
        ]
    }

    fn digest_algorithm(&self) -> Vec<u8> {
        let oid = if self.key.kind() == KeyKind::EcdsaP384 { SHA384 } else { SHA256 };
        asn1::sequence(&[&asn1::oid(oid)])
    }
}

/// A request, as far as it comes back in the answer.
struct Query {
    /// `MessageImprint`, encoded.
    imprint: Vec<u8>,
    policy: Option<ObjectIdentifier>,
    /// INTEGER, encoded, or nothing.
    nonce: Vec<u8>,
    certificates: Certificates,
}

/// Whether the answer holds the signer's certificate.
enum Certificates {
    Left,
    Wanted,
}

impl Query {
    fn parse(der: &[u8]) -> Option<Self> {
        let request = Element::parse(der).filter(|request| request.tag == SEQUENCE)?;
        let parts = request.children()?;
        let [version, imprint, rest @ ..] = &parts[..] else { return None };
        if version.content != [1] || !is_imprint(imprint) {
            return None;
        }
        let mut query =
            Self { imprint: imprint.whole.to_vec(), policy: None, nonce: Vec::new(), certificates: Certificates::Left };
        for part in rest {
            match part.tag {
                OBJECT_IDENTIFIER => query.policy = Some(ObjectIdentifier::from_bytes(part.content).ok()?),
                INTEGER => query.nonce = part.whole.to_vec(),
                BOOLEAN if part.content != [0] => query.certificates = Certificates::Wanted,
                BOOLEAN => {}
                _ => return None,
            }
        }
        Some(query)
    }
}

/// Says whether this is a digest of a known hash, with the hash's length.
fn is_imprint(imprint: &Element<'_>) -> bool {
    let Some(parts) = imprint.children() else { return false };
    let [algorithm, digest] = &parts[..] else { return false };
    let Some(algorithm) = algorithm.children().and_then(|parts| parts.first().copied()) else { return false };
    let length = match ObjectIdentifier::from_bytes(algorithm.content) {
        Ok(SHA256) => 32,
        Ok(SHA384) => 48,
        Ok(SHA512) => 64,
        _ => return false,
    };
    digest.tag == OCTET_STRING && digest.content.len() == length
}

fn json_request(call: &Call) -> Result<Option<Query>, Refusal> {
    let body = call.json()?;
    let (hash, length) = match body["hashAlgorithm"].as_str() {
        Some("sha256") => (SHA256, 32),
        Some("sha384") => (SHA384, 48),
        Some("sha512") => (SHA512, 64),
        _ => return Ok(None),
    };
    let digest = body["artifactHash"].as_str().and_then(from_base64).filter(|digest| digest.len() == length);
    let nonce = body["nonce"].as_u64().map(|nonce| asn1::integer(&nonce.to_be_bytes()));
    Ok(digest.map(|digest| Query {
        imprint: asn1::sequence(&[&asn1::sequence(&[&asn1::oid(hash)]), &asn1::octets(&digest)]),
        policy: None,
        nonce: nonce.unwrap_or_default(),
        certificates: if body["certificates"] == json!(true) { Certificates::Wanted } else { Certificates::Left },
    }))
}

fn rejection(failure: [u8; 2]) -> Vec<u8> {
    let status = asn1::sequence(&[&asn1::integer(&[REJECTED]), &asn1::tagged(BIT_STRING, &failure)]);
    asn1::sequence(&[&status])
}

/// Encodes the attributes as `[0] IMPLICIT SET OF`.
fn implicit_set(attributes: Vec<Vec<u8>>) -> Vec<u8> {
    let mut encoded = asn1::set_of(attributes);
    encoded[0] = 0xa0;
    encoded
}

const REPLY_TYPE: &str = "application/timestamp-reply";
const GRANTED: u8 = 0;
const REJECTED: u8 = 2;
/// Unused bits, then bit 5, `badDataFormat`.
const BAD_DATA_FORMAT: [u8; 2] = [0x02, 0x04];
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The policy that Sigstore's authority names.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
