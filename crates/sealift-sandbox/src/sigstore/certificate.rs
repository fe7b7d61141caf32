//! Certificates, made byte by byte so that a pre-certificate's body is exactly its certificate's without the SCT.
//!
//! Specification: RFC 5280, <https://www.rfc-editor.org/rfc/rfc5280>.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use jiff::{SignedDuration, Timestamp};
use x509_cert::der::asn1::ObjectIdentifier;

use super::asn1;
use super::encoding::{pem, sha256};
use super::key::SigningKey;

/// An authority: a key and the certificate that says what it may do.
pub(super) struct Authority {
    pub(super) key: SigningKey,
    pub(super) name: Vec<u8>,
    pub(super) der: Vec<u8>,
}

impl Authority {
    /// Makes a self-signed authority.
    pub(super) fn root(common_name: &str, key: SigningKey, lifetime: Lifetime) -> Result<Self, Unspecified> {
        let name = name(Some(common_name));
        let body = Body::new(&name, key.spki(), lifetime)?.authority(None);
        let der = sign(&body.encode(&name, &key, &[]), &key)?;
        Ok(Self { key, name, der })
    }

    /// Makes an authority below this one that issues no further authorities.
    pub(super) fn intermediate(
        &self,
        common_name: &str,
        key: SigningKey,
        lifetime: Lifetime,
        usage: ObjectIdentifier,
    ) -> Result<Self, Unspecified> {
        let name = name(Some(common_name));
        let mut body = Body::new(&name, key.spki(), lifetime)?.authority(Some(0));
        body.extensions.push(extended_key_usage(usage, Criticality::Ordinary));
        let der = self.issue(&body)?;
        Ok(Self { key, name, der })
    }

    /// Signs a certificate.
    pub(super) fn issue(&self, body: &Body) -> Result<Vec<u8>, Unspecified> {
        sign(&self.to_be_signed(body), &self.key)
    }

    /// Returns what [`Authority::issue`] signs.
    pub(super) fn to_be_signed(&self, body: &Body) -> Vec<u8> {
        body.encode(&self.name, &self.key, self.key.spki())
    }

    /// Returns the certificate as PEM.
    pub(super) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }
}

/// From when until when a certificate is valid, both inclusive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Lifetime {
    /// Returns the time from `from` on.
    pub(super) fn starting(from: Timestamp, length: SignedDuration) -> Self {
        Self { from, until: from.checked_add(length).unwrap_or(from) }
    }
}

/// What a certificate says.
pub(super) struct Body {
    subject: Vec<u8>,
    spki: Vec<u8>,
    lifetime: Lifetime,
    serial: Vec<u8>,
    /// Encoded extensions, in order.
    pub(super) extensions: Vec<Vec<u8>>,
}

impl Body {
    /// Returns a certificate without extensions but with a serial number.
    pub(super) fn new(subject: &[u8], spki: &[u8], lifetime: Lifetime) -> Result<Self, Unspecified> {
        let mut serial = [0; 19];
        rand::fill(&mut serial)?;
        serial[0] = 0x10 | (serial[0] & 0x6f);
        let serial = serial.to_vec();
        Ok(Self { subject: subject.to_vec(), spki: spki.to_vec(), lifetime, serial, extensions: Vec::new() })
    }

    /// Makes it an authority's.
    fn authority(mut self, path_length: Option<u8>) -> Self {
        let length = path_length.map(|length| asn1::integer(&[length])).unwrap_or_default();
        let constraints = asn1::sequence(&[&asn1::yes(), &length]);
        self.extensions.push(key_usage(KEY_CERT_SIGN_AND_CRL_SIGN));
        self.extensions.push(extension(BASIC_CONSTRAINTS, Criticality::Critical, &constraints));
        self
    }

    /// Makes it one whose key signs, for a purpose.
    pub(super) fn signs(mut self, usage: ObjectIdentifier, criticality: Criticality) -> Self {
        self.extensions.push(key_usage(DIGITAL_SIGNATURE));
        self.extensions.push(extended_key_usage(usage, criticality));
        self
    }

    /// Returns the serial number as INTEGER.
    pub(super) fn serial_number(&self) -> Vec<u8> {
        asn1::integer(&self.serial)
    }

    fn encode(&self, issuer: &[u8], key: &SigningKey, issuer_spki: &[u8]) -> Vec<u8> {
        let key_id = asn1::octets(&key_identifier(&self.spki));
        let mut extensions = vec![extension(SUBJECT_KEY_IDENTIFIER, Criticality::Ordinary, &key_id)];
        if !issuer_spki.is_empty() {
            let authority = asn1::sequence(&[&asn1::context_primitive(0, &key_identifier(issuer_spki))]);
            extensions.push(extension(AUTHORITY_KEY_IDENTIFIER, Criticality::Ordinary, &authority));
        }
        // key usage first and the rest last, as Fulcio orders them
        let usages = self.extensions.len().min(2);
        extensions.splice(0..0, self.extensions[..usages].iter().cloned());
        extensions.extend_from_slice(&self.extensions[usages..]);
        let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        asn1::sequence(&[
            &asn1::context(0, &asn1::integer(&[VERSION_3])),
            &self.serial_number(),
            &key.signature_algorithm(),
            issuer,
            &asn1::sequence(&[&asn1::time(self.lifetime.from), &asn1::time(self.lifetime.until)]),
            &self.subject,
            &self.spki,
            &asn1::context(3, &asn1::sequence(&extensions)),
        ])
    }
}

/// Whether who does not know an extension must refuse the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criticality {
    /// It must be refused.
    Critical,
    /// It may be passed over.
    Ordinary,
}

/// Encodes an extension.
pub(super) fn extension(oid: ObjectIdentifier, criticality: Criticality, value: &[u8]) -> Vec<u8> {
    let critical = if criticality == Criticality::Critical { asn1::yes() } else { Vec::new() };
    asn1::sequence(&[&asn1::oid(oid), &critical, &asn1::octets(value)])
}

/// Encodes the name of something in this sandbox, or an empty name.
pub(super) fn name(common_name: Option<&str>) -> Vec<u8> {
    let Some(common_name) = common_name else { return asn1::sequence(&[]) };
    let attribute = |oid, text| asn1::set_of(vec![asn1::sequence(&[&asn1::oid(oid), &asn1::utf8(text)])]);
    asn1::sequence(&[&attribute(ORGANIZATION, ORGANIZATION_NAME), &attribute(COMMON_NAME, common_name)])
}

/// Returns the identifier of a key, as in RFC 7093, 2, method 1.
fn key_identifier(spki: &[u8]) -> [u8; 20] {
    let digest = sha256(&[spki]);
    let mut short = [0; 20];
    short.copy_from_slice(&digest[..20]);
    short
}

fn key_usage(bits: [u8; 2]) -> Vec<u8> {
    extension(KEY_USAGE, Criticality::Critical, &asn1::tagged(0x03, &bits))
}

fn extended_key_usage(usage: ObjectIdentifier, criticality: Criticality) -> Vec<u8> {
    extension(EXTENDED_KEY_USAGE, criticality, &asn1::sequence(&[&asn1::oid(usage)]))
}

fn sign(body: &[u8], key: &SigningKey) -> Result<Vec<u8>, Unspecified> {
    Ok(asn1::sequence(&[body, &key.signature_algorithm(), &asn1::bits(&key.sign(body)?)]))
}

/// Organization in every certificate's name, so that nobody takes one for the real thing.
pub(super) const ORGANIZATION_NAME: &str = "sealift sandbox";
/// Purpose of certificates that sign artifacts.
pub(super) const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// Purpose of certificates that sign timestamps.
pub(super) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// The names an end entity goes by.
pub(super) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

const VERSION_3: u8 = 2;
/// Unused bits, then `keyCertSign | cRLSign`.
const KEY_CERT_SIGN_AND_CRL_SIGN: [u8; 2] = [0x01, 0x06];
/// Unused bits, then `digitalSignature`.
const DIGITAL_SIGNATURE: [u8; 2] = [0x07, 0x80];
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigstore::key::{KeyKind, VerifyingKey};
    use x509_cert::der::{Decode as _, Encode as _};

    #[test]
    fn certificates_are_read_by_another_implementation_and_signed_by_their_issuer() {
        let from: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let lifetime = Lifetime::starting(from, SignedDuration::from_hours(24));
        let root = Authority::root("root", SigningKey::generate(KeyKind::EcdsaP384).unwrap(), lifetime).unwrap();
        let key = SigningKey::generate(KeyKind::EcdsaP256).unwrap();
        let issuing = root.intermediate("issuing", key, lifetime, CODE_SIGNING).unwrap();
        let certificate = x509_cert::Certificate::from_der(&issuing.der).unwrap();
        assert_eq!(certificate.to_der().unwrap(), issuing.der);
        let body = certificate.tbs_certificate();
        assert_eq!(body.subject().to_string(), "CN=issuing,O=sealift sandbox");
        assert_eq!(body.issuer().to_string(), "CN=root,O=sealift sandbox");
        assert_eq!(body.extensions().unwrap().len(), 5);
        let signed = body.to_der().unwrap();
        let signature = certificate.signature().raw_bytes();
        assert!(VerifyingKey::from_spki(root.key.spki()).unwrap().accepts(&signed, signature));
    }
}
