//! The canonical JSON that TUF signs, which is not that of RFC 8785: line ends inside strings are not escaped, and
//! there are no fractions.
//!
//! Specification: <https://theupdateframework.github.io/specification/latest/#metaformat>, by way of OLPC's.

use serde_json::Value;

/// Returns the canonical form of `value`; `None` when it has a number that is no integer.
pub(super) fn to_canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write_value(&mut bytes, value)?;
    Some(bytes)
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) -> Option<()> {
    match value {
        Value::Null => bytes.extend(b"null"),
        Value::Bool(true) => bytes.extend(b"true"),
        Value::Bool(false) => bytes.extend(b"false"),
        Value::Number(number) if number.is_f64() => return None,
        Value::Number(number) => bytes.extend(number.to_string().as_bytes()),
        Value::String(string) => write_string(bytes, string),
        Value::Array(items) => {
            bytes.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write_value(bytes, item)?;
            }
            bytes.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| key.as_str());
            bytes.push(b'{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    bytes.push(b',');
                }
                write_string(bytes, key);
                bytes.push(b':');
                write_value(bytes, member)?;
            }
            bytes.push(b'}');
        }
    }
    Some(())
}

fn write_string(bytes: &mut Vec<u8>, string: &str) {
    bytes.push(b'"');
    for byte in string.bytes() {
        if matches!(byte, b'"' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes.push(b'"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sorts_and_escapes_as_little_as_possible() {
        let value = json!({ "b": [1, -2, null, true], "a": "line\nend \"quoted\" back\\slash \u{20ac}", "": {} });
        let expected = "{\"\":{},\"a\":\"line\nend \\\"quoted\\\" back\\\\slash \u{20ac}\",\"b\":[1,-2,null,true]}";
        assert_eq!(String::from_utf8(to_canonical(&value).unwrap()).unwrap(), expected);
        assert_eq!(to_canonical(&json!({ "a": 1.5 })), None);
        assert_eq!(to_canonical(&serde_json::from_str("18446744073709551616").unwrap()), None);
    }
}
