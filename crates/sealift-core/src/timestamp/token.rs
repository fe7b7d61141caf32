//! The structure of a timestamp token: CMS `SignedData` around a `TSTInfo`.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};

use super::{TimestampError, digest_algorithm};
use crate::oci::{Digest, DigestAlgorithm};
use crate::x509::{Certificate, UnixTime};

/// The most certificates taken from one token.
const MAX_CERTIFICATES: usize = 16;
/// The most signed attributes of one token.
const MAX_ATTRIBUTES: usize = 32;

/// What a token says, and what its signature is over.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) time: UnixTime,
    pub(super) imprint: Digest,
    pub(super) nonce: Option<Vec<u8>>,
    /// The DER `TSTInfo`.
    pub(super) content: Vec<u8>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signer: SignerId,
    pub(super) digest_algorithm: DigestAlgorithm,
    /// The DER `SET OF Attribute`, which the signature is over.
    pub(super) signed_attributes: Vec<u8>,
    attributes: Vec<(ObjectIdentifier, Vec<u8>)>,
    pub(super) signature_algorithm: ObjectIdentifier,
    pub(super) signature: Vec<u8>,
}

/// Who signed, as `SignerInfo` says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum SignerId {
    /// DER of issuer name and serial number.
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    /// Subject key identifier.
    KeyIdentifier(Vec<u8>),
}

impl Token {
    pub(super) fn parse_response(der: &[u8]) -> Result<Self, TimestampError> {
        let mut outer = Input::new(der)?;
        let mut response = outer.nested(Tag::Sequence)?;
        outer.finish()?;
        let mut status = response.nested(Tag::Sequence)?;
        // "Granted with modifications" is not taken: nobody signed the status, and requests ask for nothing that could
        // be modified.
        match status.small_integer()? {
            GRANTED => status.finish()?,
            status => return Err(TimestampError::Refused { status }),
        }
        let mut content_info = response.nested(Tag::Sequence)?;
        response.finish()?;
        if content_info.object_identifier()? != SIGNED_DATA {
            return Err(TimestampError::Malformed);
        }
        let mut explicit = content_info.nested(context(0, true))?;
        content_info.finish()?;
        let signed_data = explicit.nested(Tag::Sequence)?;
        explicit.finish()?;
        Self::parse_signed_data(signed_data)
    }

    fn parse_signed_data(mut input: Input<'_>) -> Result<Self, TimestampError> {
        if input.small_integer()? != SIGNED_DATA_VERSION {
            return Err(TimestampError::Malformed);
        }
        let mut digests = input.nested(Tag::Set)?;
        let mut encapsulated = input.nested(Tag::Sequence)?;
        if encapsulated.object_identifier()? != TST_INFO {
            return Err(TimestampError::Malformed);
        }
        let mut explicit = encapsulated.nested(context(0, true))?;
        encapsulated.finish()?;
        let content = explicit.octet_string()?.to_vec();
        explicit.finish()?;
        let certificates = match input.optional(context(0, true))? {
            Some(bag) => parse_certificates(bag)?,
            None => Vec::new(),
        };
        // Revocation lists (tag 1) are not signed either, and nothing here would read them.
        let mut signers = input.nested(Tag::Set)?;
        input.finish()?;
        let mut signer = signers.nested(Tag::Sequence)?;
        // Exactly one signer (RFC 3161 section 2.4.2).
        signers.finish()?;
        let version = signer.small_integer()?;
        let id = parse_signer_id(&mut signer)?;
        // RFC 5652 section 5.3 fixes the version by the kind of identifier.
        if version != if matches!(id, SignerId::KeyIdentifier(_)) { 3 } else { 1 } {
            return Err(TimestampError::Malformed);
        }
        let digest_algorithm = parse_digest_algorithm(&mut signer)?;
        if parse_digest_algorithm(&mut digests)? != digest_algorithm || !digests.is_finished() {
            return Err(TimestampError::Malformed);
        }
        let attribute_bytes = signer.nested(context(0, true))?;
        // Signed is the set itself, not the implicit tag it is stored under (RFC 5652 section 5.4).
        let signed_attributes = attribute_bytes.wrapped_as(Tag::Set)?;
        let attributes = parse_attributes(attribute_bytes)?;
        let mut signature_identifier = signer.nested(Tag::Sequence)?;
        let signature_algorithm = signature_identifier.object_identifier()?;
        if signature_algorithm != crate::crypto::RSASSA_PSS {
            signature_identifier.optional(Tag::Null)?;
            signature_identifier.finish()?;
        }
        let signature = signer.octet_string()?.to_vec();
        signer.optional(context(1, true))?;
        signer.finish()?;
        let info = parse_info(&content)?;
        Ok(Self {
            time: info.time,
            imprint: info.imprint,
            nonce: info.nonce,
            content,
            certificates,
            signer: id,
            digest_algorithm,
            signed_attributes,
            attributes,
            signature_algorithm,
            signature,
        })
    }

    /// Returns the one value of a signed attribute.
    pub(super) fn attribute(&self, oid: ObjectIdentifier) -> Result<&[u8], TimestampError> {
        let mut found = self.attributes.iter().filter(|(id, _)| *id == oid);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            _ => Err(TimestampError::Attribute { oid }),
        }
    }
}

struct Info {
    time: UnixTime,
    imprint: Digest,
    nonce: Option<Vec<u8>>,
}

fn parse_info(der: &[u8]) -> Result<Info, TimestampError> {
    let mut outer = Input::new(der)?;
    let mut info = outer.nested(Tag::Sequence)?;
    outer.finish()?;
    if info.small_integer()? != 1 {
        return Err(TimestampError::Malformed);
    }
    info.object_identifier()?;
    let mut imprint = info.nested(Tag::Sequence)?;
    let algorithm = digest_algorithm(imprint.nested(Tag::Sequence)?.object_identifier()?)?;
    let imprint_bytes = imprint.octet_string()?;
    imprint.finish()?;
    let imprint = Digest::from_bytes(algorithm, imprint_bytes).map_err(|_| TimestampError::Malformed)?;
    info.nested(Tag::Integer)?;
    let time = parse_time(info.value(Tag::GeneralizedTime)?).ok_or(TimestampError::Malformed)?;
    info.optional(Tag::Sequence)?;
    info.optional(Tag::Boolean)?;
    let nonce = info.optional_value(Tag::Integer)?.map(|bytes| bytes.to_vec());
    info.optional(context(0, true))?;
    // No extension of a token is known, and critical ones must be (RFC 3161 section 2.4.2).
    if info.optional(context(1, true))?.is_some() {
        return Err(TimestampError::Malformed);
    }
    info.finish()?;
    Ok(Info { time, imprint, nonce })
}

/// Reads a digest's identifier, whose parameters are absent or null (RFC 5754 section 2).
fn parse_digest_algorithm(input: &mut Input<'_>) -> Result<DigestAlgorithm, TimestampError> {
    let mut identifier = input.nested(Tag::Sequence)?;
    let algorithm = digest_algorithm(identifier.object_identifier()?)?;
    identifier.optional(Tag::Null)?;
    identifier.finish()?;
    Ok(algorithm)
}

/// Reads `YYYYMMDDHHMMSS[.f]Z`; RFC 3161 section 2.4.2 allows fractions, which are cut off.
fn parse_time(bytes: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, "1"), |(whole, fraction)| (whole, fraction));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // DER forbids trailing zeros; an empty fraction is none.
    if whole.len() != 14 || !is_digits(whole) || !is_digits(fraction) || fraction.ends_with('0') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| whole.get(range)?.parse::<i8>().ok();
    let year: i16 = whole.get(..4)?.parse().ok()?;
    let time = jiff::civil::DateTime::new(
        year,
        number(4..6)?,
        number(6..8)?,
        number(8..10)?,
        number(10..12)?,
        number(12..14)?,
        0,
    )
    .ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn parse_certificates(mut bag: Input<'_>) -> Result<Vec<Certificate>, TimestampError> {
    let mut certificates = Vec::new();
    while !bag.is_finished() {
        if certificates.len() == MAX_CERTIFICATES {
            return Err(TimestampError::Malformed);
        }
        let der = bag.element()?;
        certificates.push(Certificate::from_der(der).map_err(|_| TimestampError::Malformed)?);
    }
    Ok(certificates)
}

fn parse_signer_id(signer: &mut Input<'_>) -> Result<SignerId, TimestampError> {
    if let Some(id) = signer.optional_value(context(0, false))? {
        return Ok(SignerId::KeyIdentifier(id.to_vec()));
    }
    let mut name = signer.nested(Tag::Sequence)?;
    let issuer = name.element()?.to_vec();
    let serial = name.element()?.to_vec();
    name.finish()?;
    Ok(SignerId::IssuerAndSerial { issuer, serial })
}

fn parse_attributes(mut set: Input<'_>) -> Result<Vec<(ObjectIdentifier, Vec<u8>)>, TimestampError> {
    let mut attributes = Vec::new();
    while !set.is_finished() {
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(TimestampError::Malformed);
        }
        let mut attribute = set.nested(Tag::Sequence)?;
        let id = attribute.object_identifier()?;
        let mut values = attribute.nested(Tag::Set)?;
        attribute.finish()?;
        let value = values.element()?.to_vec();
        values.finish()?;
        attributes.push((id, value));
    }
    Ok(attributes)
}

/// Says whether a `SigningCertificateV2` names `signer` first.
pub(super) fn names_certificate_v2(value: &[u8], signer: &Certificate) -> bool {
    let parse = || {
        let mut id = first_certificate_id(value)?;
        let algorithm = match id.optional(Tag::Sequence)? {
            Some(mut identifier) => digest_algorithm(identifier.object_identifier()?)?,
            None => DigestAlgorithm::Sha256,
        };
        Ok::<_, TimestampError>(id.octet_string()? == Digest::of(algorithm, signer.as_der()).as_bytes())
    };
    parse().unwrap_or(false)
}

/// Says whether a `SigningCertificate` names `signer` first; SHA-1 is all that it can say, and only a second check.
pub(super) fn names_certificate_v1(value: &[u8], signer: &Certificate) -> bool {
    let parse = || {
        Ok::<_, TimestampError>(first_certificate_id(value)?.octet_string()? == crate::crypto::sha1(signer.as_der()))
    };
    parse().unwrap_or(false)
}

fn first_certificate_id(value: &[u8]) -> Result<Input<'_>, TimestampError> {
    Input::new(value)?.nested(Tag::Sequence)?.nested(Tag::Sequence)?.nested(Tag::Sequence)
}

/// DER being read, element by element.
pub(super) struct Input<'a>(SliceReader<'a>, &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(der: &'a [u8]) -> Result<Self, TimestampError> {
        SliceReader::new(der).map(|reader| Self(reader, der)).map_err(|_| TimestampError::Malformed)
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    fn finish(self) -> Result<(), TimestampError> {
        self.0.finish().map_err(|_| TimestampError::Malformed)
    }

    /// Returns the next element with its header.
    fn element(&mut self) -> Result<&'a [u8], TimestampError> {
        self.0.tlv_bytes().map_err(|_| TimestampError::Malformed)
    }

    /// Returns the content of the next element, which must have `tag`.
    fn value(&mut self, tag: Tag) -> Result<&'a [u8], TimestampError> {
        let any = AnyRef::from_der(self.element()?).map_err(|_| TimestampError::Malformed)?;
        if any.tag() == tag { Ok(any.value()) } else { Err(TimestampError::Malformed) }
    }

    fn optional_value(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, TimestampError> {
        if Tag::peek(&self.0).is_ok_and(|found| found == tag) { self.value(tag).map(Some) } else { Ok(None) }
    }

    fn nested(&mut self, tag: Tag) -> Result<Self, TimestampError> {
        Self::new(self.value(tag)?)
    }

    fn optional(&mut self, tag: Tag) -> Result<Option<Self>, TimestampError> {
        self.optional_value(tag)?.map(Self::new).transpose()
    }

    pub(super) fn object_identifier(&mut self) -> Result<ObjectIdentifier, TimestampError> {
        ObjectIdentifier::from_der(self.element()?).map_err(|_| TimestampError::Malformed)
    }

    pub(super) fn octet_string(&mut self) -> Result<&'a [u8], TimestampError> {
        let string: &'a OctetStringRef =
            self.0.decode().map_err(|_: x509_cert::der::Error| TimestampError::Malformed)?;
        Ok(string.as_bytes())
    }

    fn small_integer(&mut self) -> Result<u8, TimestampError> {
        u8::from_der(self.element()?).map_err(|_| TimestampError::Malformed)
    }

    /// Returns everything, under another tag.
    fn wrapped_as(&self, tag: Tag) -> Result<Vec<u8>, TimestampError> {
        AnyRef::new(tag, self.1).and_then(|any| any.to_der()).map_err(|_| TimestampError::Malformed)
    }
}

const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific { constructed, number: TagNumber(number) }
}

const GRANTED: u8 = 0;
/// Version of `SignedData` around any other content than plain data (RFC 5652 section 5.1).
const SIGNED_DATA_VERSION: u8 = 3;

/// `id-signedData`, RFC 5652 section 5.1.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `id-ct-TSTInfo`, RFC 3161 section 2.4.2.
pub(super) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_and_without_fractions() {
        for (text, time) in [
            ("20250509115856Z", Some(1_746_791_936)),
            ("20250509115856.25Z", Some(1_746_791_936)),
            ("20250509115856.250Z", None),
            ("20250509115856", None),
            ("202505091158Z", None),
            ("20251309115856Z", None),
            ("20250509115860Z", None),
            ("+0250509115856Z", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()), time, "{text}");
        }
    }
}
