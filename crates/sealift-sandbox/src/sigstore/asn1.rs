//! Distinguished Encoding Rules, written and read: just the shapes that certificates and timestamps need.
//!
//! Written by hand because a sandbox must also be able to make what a library refuses to.
//! Specification: X.690, <https://www.itu.int/rec/T-REC-X.690>.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use x509_cert::der::asn1::ObjectIdentifier;

/// Encodes one value with its tag and length.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    let bytes = length.to_be_bytes();
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1)..];
    match length {
        0..=0x7f => out.extend_from_slice(significant),
        _ => {
            // a length has at most eight bytes
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// Encodes SEQUENCE.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

/// Encodes SET OF, sorted as DER asks.
pub(super) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    tagged(0x31, &parts.concat())
}

/// Encodes a non-negative INTEGER from its big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut content = Vec::new();
    if bytes.get(start).is_none_or(|first| *first >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(&bytes[start..]);
    tagged(0x02, &content)
}

/// Encodes OBJECT IDENTIFIER.
pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    tagged(0x06, oid.as_bytes())
}

/// Encodes OCTET STRING.
pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(0x04, bytes)
}

/// Encodes BIT STRING of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

/// Encodes UTF8String.
pub(super) fn utf8(text: &str) -> Vec<u8> {
    tagged(0x0c, text.as_bytes())
}

/// Encodes NULL.
pub(super) fn null() -> Vec<u8> {
    tagged(0x05, &[])
}

/// Encodes BOOLEAN TRUE.
pub(super) fn yes() -> Vec<u8> {
    tagged(0x01, &[0xff])
}

/// Encodes `[number]` around complete values (EXPLICIT), or around the content of a constructed one (IMPLICIT).
pub(super) fn context(number: u8, content: &[u8]) -> Vec<u8> {
    tagged(0xa0 | number, content)
}

/// Encodes `[number]` in place of the tag of a primitive value (IMPLICIT).
pub(super) fn context_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tagged(0x80 | number, content)
}

/// Encodes GeneralizedTime, in whole seconds.
pub(super) fn generalized_time(time: Timestamp) -> Vec<u8> {
    tagged(0x18, time.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// Encodes Time of certificates: UTCTime until 2049, GeneralizedTime afterwards (RFC 5280, 4.1.2.5).
pub(super) fn time(time: Timestamp) -> Vec<u8> {
    let zoned = time.to_zoned(TimeZone::UTC);
    if zoned.year() >= 2050 {
        return generalized_time(time);
    }
    tagged(0x17, zoned.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
}

/// One value read: its tag, its content, and the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Tag byte.
    pub(super) tag: u8,
    /// What the length covers.
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the one value that `bytes` must be.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (element, rest) = Self::split(bytes)?;
        rest.is_empty().then_some(element)
    }

    /// Reads the values inside this one.
    pub(super) fn children(&self) -> Option<Vec<Self>> {
        let mut rest = self.content;
        let mut children = Vec::new();
        while !rest.is_empty() {
            let (child, after) = Self::split(rest)?;
            children.push(child);
            rest = after;
        }
        Some(children)
    }

    /// Reads one value and what follows. Tags of one byte only; the shortest form of the length only.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
                (digits[0] != 0 && length > 0x7f).then_some((length, rest))?
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        Some((Self { tag, content, whole: &bytes[..bytes.len() - after.len()] }, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_integers_have_their_shortest_form() {
        assert_eq!(integer(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0]), [2, 1, 0]);
        assert_eq!(integer(&[0x7f]), [2, 1, 0x7f]);
        for (length, header) in
            [(0, vec![4, 0]), (127, vec![4, 127]), (128, vec![4, 0x81, 128]), (256, vec![4, 0x82, 1, 0])]
        {
            let encoded = octets(&vec![7; length]);
            assert_eq!(encoded[..header.len()], header);
            assert_eq!(Element::parse(&encoded).map(|element| element.content.len()), Some(length));
        }
    }

    #[test]
    fn malformed_values_are_not_read() {
        for bytes in
            [&[][..], &[4], &[4, 1], &[4, 0x80], &[4, 0x81, 5, 0, 0, 0, 0, 0], &[4, 0x85, 0, 0, 0, 0, 1, 9], &[4, 0, 0]]
        {
            assert_eq!(Element::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn times_change_their_form_in_2050() {
        let before: Timestamp = "2049-12-31T23:59:59Z".parse().unwrap();
        let after: Timestamp = "2050-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(before)[2..], *b"491231235959Z");
        assert_eq!(time(after)[2..], *b"20500101000000Z");
    }
}
