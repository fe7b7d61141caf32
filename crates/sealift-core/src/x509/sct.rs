//! Signed certificate timestamps: a log's word that it has seen a certificate.
//!
//! Reads those embedded in certificates, and rebuilds what they are over.
//! Specification: <https://www.rfc-editor.org/rfc/rfc6962#section-3>.

use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Encode, Length, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::{Certificate, UnixTime};

/// The most timestamps read from one certificate; each costs one verification.
pub const MAX_SCTS: usize = 16;

/// A timestamp of a certificate transparency log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SignedCertificateTimestamp {
    /// SHA-256 of the log's public key.
    pub log_id: [u8; 32],
    /// Milliseconds since the epoch.
    pub timestamp: u64,
    /// Extensions of the log, which are signed.
    pub extensions: Vec<u8>,
    /// TLS number of the hash algorithm: 4 is SHA-256, the only one allowed.
    pub hash_algorithm: u8,
    /// TLS number of the signature algorithm: 1 is RSA, 3 ECDSA.
    pub signature_algorithm: u8,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignedCertificateTimestamp {
    /// Reads the timestamps embedded in `certificate`; none when it has no such extension.
    ///
    /// # Errors
    /// When the extension is malformed, or holds more than [`MAX_SCTS`].
    pub fn embedded_in(certificate: &Certificate) -> Result<Vec<Self>, SctError> {
        let Some((_, value)) = certificate.extension(EMBEDDED_SCTS) else {
            return Ok(Vec::new());
        };
        let list = <&OctetStringRef>::from_der(value).map_err(|_| SctError::Malformed)?;
        let mut list = Input(list.as_bytes());
        let mut entries = Input(list.vector16().filter(|_| list.0.is_empty()).ok_or(SctError::Malformed)?);
        let mut timestamps = Vec::new();
        while !entries.0.is_empty() {
            if timestamps.len() == MAX_SCTS {
                return Err(SctError::TooMany { limit: MAX_SCTS });
            }
            let entry = entries.vector16().ok_or(SctError::Malformed)?;
            timestamps.push(Self::parse(entry).ok_or(SctError::Malformed)?);
        }
        Ok(timestamps)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let [version] = input.take()?;
        let log_id = input.take()?;
        let timestamp = u64::from_be_bytes(input.take()?);
        let extensions = input.vector16()?.to_vec();
        let [hash_algorithm, signature_algorithm] = input.take()?;
        let signature = input.vector16()?.to_vec();
        let is_known = version == V1 && hash_algorithm == SHA256 && input.0.is_empty();
        is_known.then_some(Self { log_id, timestamp, extensions, hash_algorithm, signature_algorithm, signature })
    }

    /// Returns the time in seconds.
    pub fn time(&self) -> UnixTime {
        UnixTime::try_from(self.timestamp / 1000).unwrap_or(UnixTime::MAX)
    }

    /// Returns what the signature is over, for a certificate issued by the key of `issuer_key_info`.
    ///
    /// The issuer is the one of the verified chain: looking it up by name finds the wrong one of two that share it.
    pub fn signed_data(&self, certificate: &Certificate, issuer_key_info: &[u8]) -> Option<Vec<u8>> {
        let tbs = certificate.tbs_without(EMBEDDED_SCTS)?;
        let mut data = vec![V1, CERTIFICATE_TIMESTAMP];
        data.extend(self.timestamp.to_be_bytes());
        data.extend(PRECERTIFICATE_ENTRY.to_be_bytes());
        data.extend(Sha256::digest(issuer_key_info));
        let length = u32::try_from(tbs.len()).ok().filter(|length| *length < 1 << 24)?;
        data.extend(&length.to_be_bytes()[1..]);
        data.extend(tbs);
        data.extend(u16::try_from(self.extensions.len()).ok()?.to_be_bytes());
        data.extend(&self.extensions);
        Some(data)
    }
}

/// Takes an extension out of a DER `TBSCertificate`; everything else stays byte for byte.
pub(super) fn without_extension(tbs: &[u8], id: ObjectIdentifier) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(AnyRef::from_der(tbs).ok()?.value()).ok()?;
    let mut fields = Vec::new();
    while !reader.is_finished() {
        let field = reader.tlv_bytes().ok()?;
        let any = AnyRef::from_der(field).ok()?;
        if any.tag() == EXTENSIONS {
            let list = AnyRef::from_der(any.value()).ok()?;
            let mut kept = Vec::new();
            let mut extensions = SliceReader::new(list.value()).ok()?;
            while !extensions.is_finished() {
                let extension = extensions.tlv_bytes().ok()?;
                let found = x509_cert::ext::Extension::from_der(extension).ok()?;
                if found.extn_id != id {
                    kept.extend_from_slice(extension);
                }
            }
            if !kept.is_empty() {
                fields.extend(wrap(EXTENSIONS, &wrap(Tag::Sequence, &kept)?)?);
            }
        } else {
            fields.extend_from_slice(field);
        }
    }
    wrap(Tag::Sequence, &fields)
}

fn wrap(tag: Tag, content: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = tag.to_der().ok()?;
    bytes.extend(Length::try_from(content.len()).ok()?.to_der().ok()?);
    bytes.extend_from_slice(content);
    Some(bytes)
}

/// Bytes being read in the TLS presentation language (RFC 8446 section 3).
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take()?);
        let (taken, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(taken)
    }
}

const V1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const PRECERTIFICATE_ENTRY: u16 = 1;
const SHA256: u8 = 4;
const EXTENSIONS: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };

/// Embedded timestamps, RFC 6962 section 3.3.
const EMBEDDED_SCTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Says why the timestamps of a certificate cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SctError {
    /// The list is malformed, or of an unknown version or digest.
    #[error("the certificate's list of signed certificate timestamps is malformed")]
    Malformed,
    /// There are too many.
    #[error("the certificate has more than {limit} signed certificate timestamps")]
    TooMany {
        /// Most timestamps.
        limit: usize,
    },
}
