//! A Sigstore instance in a few functions, honest or not as a test wants it: authority, certificate transparency log,
//! transparency log and timestamp authority, whose every field can be chosen.
//!
//! Writes DER by hand, so that what the library reads was not written by the library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::oci::Digest;
use sealift_core::tlog::merkle::leaf_hash;
use sealift_core::trust::{Authority, Log, TrustRoot};
use sealift_core::x509::{Certificate, UnixTime, Validity};
use serde_json::{Value, json};

/// When everything here happens.
pub(crate) const NOW: UnixTime = 1_790_000_000;
pub(crate) const EMAIL: &str = "signer@example.test";
pub(crate) const ISSUER: &str = "https://issuer.example.test";

/// A key with a certificate.
pub(crate) struct Certified {
    pub(crate) key: PrivateKey,
    pub(crate) certificate: Certificate,
    name: String,
}

/// What a certificate is for.
pub(crate) enum Purpose<'a> {
    Authority,
    /// Somebody who signs, with the log that must know the certificate.
    Signer(Option<&'a PrivateKey>),
    TimeStamping,
}

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate(KeyAlgorithm::EcdsaP256).expect("a key")
}

/// Returns a span around [`NOW`], in seconds before and after.
pub(crate) fn around(before: i64, after: i64) -> Validity {
    Validity::new(NOW - before, Some(NOW + after))
}

pub(crate) fn root(name: &str, validity: Validity) -> Certified {
    let key = key();
    let tbs = to_be_signed(name, name, validity, &key, &Purpose::Authority, None);
    let certificate = certificate(&tbs, &key);
    Certified { key, certificate, name: name.to_owned() }
}

impl Certified {
    pub(crate) fn issue(&self, name: &str, validity: Validity, purpose: &Purpose<'_>) -> Self {
        let key = key();
        let scts = match purpose {
            Purpose::Signer(Some(log)) => {
                let precertificate = to_be_signed(name, &self.name, validity, &key, purpose, None);
                Some(sct_list(log, &precertificate, self.key.public_key().as_der()))
            }
            _ => None,
        };
        let tbs = to_be_signed(name, &self.name, validity, &key, purpose, scts.as_deref());
        let certificate = certificate(&tbs, &self.key);
        Self { key, certificate, name: name.to_owned() }
    }
}

fn certificate(tbs: &[u8], issuer: &PrivateKey) -> Certificate {
    let signature = issuer.sign(tbs).expect("it signs");
    let der = sequence(&[tbs.to_vec(), ecdsa_with_sha256(), bit_string(&signature)]);
    Certificate::from_der(&der).expect("a certificate")
}

fn to_be_signed(
    name: &str,
    issuer: &str,
    validity: Validity,
    key: &PrivateKey,
    purpose: &Purpose<'_>,
    scts: Option<&[u8]>,
) -> Vec<u8> {
    let mut extensions = match purpose {
        Purpose::Authority => vec![
            extension(&[0x55, 0x1d, 0x13], true, &sequence(&[boolean(true)])),
            extension(&[0x55, 0x1d, 0x0f], true, &tlv(0x03, &[1, 0x06])),
        ],
        Purpose::Signer(_) => vec![
            extension(&[0x55, 0x1d, 0x0f], true, &tlv(0x03, &[7, 0x80])),
            extension(&[0x55, 0x1d, 0x25], false, &sequence(&[oid(&[0x2b, 6, 1, 5, 5, 7, 3, 3])])),
            extension(&[0x55, 0x1d, 0x11], true, &sequence(&[tlv(0x81, EMAIL.as_bytes())])),
            extension(&FULCIO_ISSUER_V2, false, &tlv(0x0c, ISSUER.as_bytes())),
        ],
        Purpose::TimeStamping => vec![
            extension(&[0x55, 0x1d, 0x0f], true, &tlv(0x03, &[7, 0x80])),
            extension(&[0x55, 0x1d, 0x25], true, &sequence(&[oid(&[0x2b, 6, 1, 5, 5, 7, 3, 8])])),
        ],
    };
    extensions.extend(scts.map(|list| extension(&EMBEDDED_SCTS, false, &tlv(0x04, list))));
    let serial = Digest::sha256(key.public_key().as_der());
    sequence(&[
        tlv(0xa0, &tlv(0x02, &[2])),
        tlv(0x02, &[&[0x40], &serial.as_bytes()[..15]].concat()),
        ecdsa_with_sha256(),
        distinguished_name(issuer),
        sequence(&[utc_time(validity.start), utc_time(validity.end.expect("it ends"))]),
        distinguished_name(name),
        key.public_key().as_der().to_vec(),
        tlv(0xa3, &sequence(&extensions)),
    ])
}

/// Returns a list of one timestamp by `log` over a precertificate.
fn sct_list(log: &PrivateKey, precertificate: &[u8], issuer_key_info: &[u8]) -> Vec<u8> {
    let timestamp = (u64::try_from(NOW).expect("it is positive") * 1000).to_be_bytes();
    let length = u32::try_from(precertificate.len()).expect("it is short").to_be_bytes();
    let signed = [
        &[0, 0][..],
        &timestamp,
        &[0, 1],
        Digest::sha256(issuer_key_info).as_bytes(),
        &length[1..],
        precertificate,
        &[0, 0],
    ]
    .concat();
    let signature = log.sign(&signed).expect("it signs");
    let id = Digest::sha256(log.public_key().as_der());
    let sct = [&[0][..], id.as_bytes(), &timestamp, &[0, 0, 4, 3], &vector16(&signature)].concat();
    vector16(&vector16(&sct))
}

/// What an RFC 3161 token may be made to say.
pub(crate) struct Token<'a> {
    pub(crate) signer: &'a Certified,
    pub(crate) issuer: &'a str,
    pub(crate) time: UnixTime,
    /// Certificates that come along.
    pub(crate) bag: Vec<Vec<u8>>,
}

impl Token<'_> {
    /// Returns a timestamp response over `message`.
    pub(crate) fn over(&self, message: &[u8]) -> Vec<u8> {
        let sha256 = sequence(&[oid(&SHA256)]);
        let info = sequence(&[
            tlv(0x02, &[1]),
            oid(&[0x2b, 6, 1]),
            sequence(&[sha256.clone(), tlv(0x04, Digest::sha256(message).as_bytes())]),
            tlv(0x02, &[7]),
            tlv(0x18, strftime(self.time, "%Y%m%d%H%M%SZ").as_bytes()),
        ]);
        let certificate = self.signer.certificate.as_der();
        let named = sequence(&[sequence(&[sequence(&[tlv(0x04, Digest::sha256(certificate).as_bytes())])])]);
        let mut attributes = [
            attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3], &oid(&TST_INFO)),
            attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4], &tlv(0x04, Digest::sha256(&info).as_bytes())),
            attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47], &named),
        ];
        attributes.sort();
        let attributes = attributes.concat();
        let signature = self.signer.key.sign(&tlv(0x31, &attributes)).expect("it signs");
        let serial = Digest::sha256(self.signer.key.public_key().as_der());
        let serial = tlv(0x02, &[&[0x40], &serial.as_bytes()[..15]].concat());
        let signer_info = sequence(&[
            tlv(0x02, &[1]),
            sequence(&[distinguished_name(self.issuer), serial]),
            sha256.clone(),
            tlv(0xa0, &attributes),
            ecdsa_with_sha256(),
            tlv(0x04, &signature),
        ]);
        let bag = if self.bag.is_empty() { Vec::new() } else { tlv(0xa0, &self.bag.concat()) };
        let signed_data = sequence(&[
            tlv(0x02, &[3]),
            tlv(0x31, &sha256),
            sequence(&[oid(&TST_INFO), tlv(0xa0, &tlv(0x04, &info))]),
            bag,
            tlv(0x31, &signer_info),
        ]);
        let token = sequence(&[oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]), tlv(0xa0, &signed_data)]);
        sequence(&[sequence(&[tlv(0x02, &[0])]), token])
    }
}

/// A whole instance: whom its trust root trusts.
pub(crate) struct Instance {
    pub(crate) fulcio: Certified,
    pub(crate) ctlog: PrivateKey,
    pub(crate) rekor: PrivateKey,
    pub(crate) tsa_root: Certified,
    pub(crate) tsa: Certified,
}

impl Instance {
    pub(crate) fn new() -> Self {
        let tsa_root = root("time root", around(86_400, 86_400));
        let tsa = tsa_root.issue("time", around(86_400, 86_400), &Purpose::TimeStamping);
        Self { fulcio: root("fulcio", around(86_400, 86_400)), ctlog: key(), rekor: key(), tsa_root, tsa }
    }

    pub(crate) fn trust(&self) -> TrustRoot {
        let window = around(86_400, 86_400);
        let chain = vec![self.tsa.certificate.clone(), self.tsa_root.certificate.clone()];
        TrustRoot::default()
            .with_certificate_authority(authority(vec![self.fulcio.certificate.clone()], window))
            .with_timestamp_authority(authority(chain, window))
            .with_ctlog(Log::of_key("https://ctlog.test", self.ctlog.public_key().clone(), window))
            .with_tlog(Log::of_key("https://rekor.test", self.rekor.public_key().clone(), window))
    }

    /// Returns a certificate for [`EMAIL`], valid for ten minutes.
    pub(crate) fn certify(&self) -> Certified {
        self.fulcio.issue("", around(60, 540), &Purpose::Signer(Some(&self.ctlog)))
    }

    pub(crate) fn timestamp(&self, signature: &[u8], time: UnixTime) -> Vec<u8> {
        Token { signer: &self.tsa, issuer: "time root", time, bag: Vec::new() }.over(signature)
    }

    /// Returns the bundle of an image's signature, as JSON to be tampered with.
    pub(crate) fn sign_image(&self, digest: &Digest) -> Value {
        let signer = self.certify();
        let payload = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.hex()}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        })
        .to_string();
        let encoded = sealift_core::dsse::PreAuthentication::new(IN_TOTO, payload.as_bytes()).to_bytes();
        let signature = signer.key.sign(&encoded).expect("it signs");
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(signer.certificate.as_der())
        );
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": Digest::sha256(b"unknown").hex()},
                "payloadHash": {"algorithm": "sha256", "value": Digest::sha256(payload.as_bytes()).hex()},
                "signatures": [{"signature": STANDARD.encode(&signature), "verifier": STANDARD.encode(pem)}],
            },
        });
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": STANDARD.encode(signer.certificate.as_der())},
                "tlogEntries": [self.log_entry("dsse", "0.0.1", body.to_string().as_bytes(), 41)],
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": STANDARD.encode(self.timestamp(&signature, NOW))}],
                },
            },
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": STANDARD.encode(signature), "keyid": ""}],
            },
        })
    }

    /// Returns an entry with everything Rekor 1 gives: promise, proof in a tree of two leaves, checkpoint.
    pub(crate) fn log_entry(&self, kind: &str, version: &str, body: &[u8], index: u64) -> Value {
        let id = Digest::sha256(self.rekor.public_key().as_der());
        let body_text = STANDARD.encode(body);
        let promised =
            format!(r#"{{"body":"{body_text}","integratedTime":{NOW},"logID":"{}","logIndex":{index}}}"#, id.hex());
        let promise = self.rekor.sign(promised.as_bytes()).expect("it signs");
        let sibling = leaf_hash(b"another entry");
        let root = Digest::sha256(&[&[1][..], &sibling, &leaf_hash(body)].concat());
        let root = STANDARD.encode(root.as_bytes());
        let text = format!("rekor.test - 1\n2\n{root}\n");
        let signature = self.rekor.sign(text.as_bytes()).expect("it signs");
        let line = STANDARD.encode([&id.as_bytes()[..4], &signature].concat());
        json!({
            "logIndex": index.to_string(),
            "logId": {"keyId": STANDARD.encode(id.as_bytes())},
            "kindVersion": {"kind": kind, "version": version},
            "integratedTime": NOW.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": STANDARD.encode(promise)},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": root,
                "treeSize": "2",
                "hashes": [STANDARD.encode(sibling)],
                "checkpoint": {"envelope": format!("{text}\n\u{2014} rekor.test {line}\n")},
            },
            "canonicalizedBody": body_text,
        })
    }
}

pub(crate) fn authority(chain: Vec<Certificate>, validity: Validity) -> Authority {
    Authority::new(chain, "", validity).expect("the chain ends in a root")
}

const IN_TOTO: &str = "application/vnd.in-toto+json";
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const TST_INFO: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const FULCIO_ISSUER_V2: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
const EMBEDDED_SCTS: [u8; 10] = [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        Ok(one) => bytes.extend([0x81, one]),
        Err(_) => {
            bytes.push(0x82);
            bytes.extend(u16::try_from(length).expect("test data is short").to_be_bytes());
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn oid(content: &[u8]) -> Vec<u8> {
    tlv(0x06, content)
}

fn boolean(value: bool) -> Vec<u8> {
    tlv(0x01, &[if value { 0xff } else { 0 }])
}

fn bit_string(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

fn ecdsa_with_sha256() -> Vec<u8> {
    sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])])
}

/// A name of one common name; none for the empty text.
fn distinguished_name(name: &str) -> Vec<u8> {
    if name.is_empty() {
        return sequence(&[]);
    }
    sequence(&[tlv(0x31, &sequence(&[oid(&[0x55, 4, 3]), tlv(0x0c, name.as_bytes())]))])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { boolean(true) } else { Vec::new() };
    sequence(&[oid(id), critical, tlv(0x04, value)])
}

fn attribute(id: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[oid(id), tlv(0x31, value)])
}

fn utc_time(time: UnixTime) -> Vec<u8> {
    tlv(0x17, strftime(time, "%y%m%d%H%M%SZ").as_bytes())
}

fn strftime(time: UnixTime, format: &str) -> String {
    jiff::Timestamp::from_second(time).expect("a time").strftime(format).to_string()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).expect("test data is short").to_be_bytes()[..], content].concat()
}
