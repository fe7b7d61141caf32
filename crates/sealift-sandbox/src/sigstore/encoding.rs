//! Base64, hexadecimal, PEM and canonical JSON (RFC 8785, <https://www.rfc-editor.org/rfc/rfc8785>).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Returns standard base64 with padding.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Reads standard base64 with padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Returns the base64 of JSON web tokens.
pub(super) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the base64 of JSON web tokens.
pub(super) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Returns lower-case hexadecimal.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    sealift_core::hex::encode(bytes.as_ref())
}

/// Reads hexadecimal of either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Returns the SHA-256 of the parts put together.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Returns one PEM block with the given label and lines of 64 characters.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// Reads the first PEM block: its label and its bytes.
pub(super) fn from_pem(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    Some((label.to_owned(), from_base64(&body)?))
}

/// Returns canonical JSON: members sorted by name, no white space. Numbers must be integers.
pub(super) fn canonical_json(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            let members = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::String(name.clone()), canonical_json(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_json_sorts_members_and_keeps_the_order_of_items() {
        let value = json!({"b": [2, 1, {"z": null, "a": "\u{e9}\n"}], "a": {"10": true, "9": false}});
        assert_eq!(
            canonical_json(&value),
            "{\"a\":{\"10\":true,\"9\":false},\"b\":[2,1,{\"a\":\"\u{e9}\\n\",\"z\":null}]}"
        );
    }

    #[test]
    fn encodings_are_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&hex(&bytes)), Some(bytes.clone()));
        assert_eq!(from_base64(&base64(&bytes)), Some(bytes.clone()));
        assert_eq!(from_base64_url(&base64_url(&bytes)), Some(bytes.clone()));
        assert_eq!(from_pem(pem("X Y", &bytes).as_bytes()), Some(("X Y".to_owned(), bytes)));
        for broken in ["0", "0g", "é0"] {
            assert_eq!(from_hex(broken), None, "{broken}");
        }
    }
}
