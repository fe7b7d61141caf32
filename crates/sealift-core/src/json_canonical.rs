//! Canonical JSON, the form that logs sign.
//!
//! Never used to compare or to store foreign JSON: only to rebuild the bytes of a signed entry timestamp.
//! Specification: <https://www.rfc-editor.org/rfc/rfc8785>.

use serde_json::{Number, Value};

/// Returns the one canonical form of `value`: no white space, keys sorted by UTF-16 units, numbers as ECMAScript
/// writes them.
///
/// Numbers are IEEE 754 doubles, as the specification demands: integers beyond 2^53 lose their last digits.
pub fn to_canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => write_number(text, number),
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            text.push('{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(text, key);
                text.push(':');
                write_value(text, member);
            }
            text.push('}');
        }
    }
}

/// Writes a string as RFC 8785 section 3.2.2.2 does: only what must be escaped is.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Writes a number as `Number.prototype.toString` of ECMAScript does (section 3.2.2.3).
fn write_number(text: &mut String, number: &Number) {
    let value = number.as_f64().unwrap_or_default();
    if value == 0.0 {
        text.push('0');
        return;
    }
    if value < 0.0 {
        text.push('-');
    }
    // `{:e}` gives the shortest digits that read back as the same double, which is what ECMAScript asks for.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The decimal point stands behind this many digits.
    let point = exponent + 1;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    match point {
        point if count <= point && point <= 21 => {
            text.push_str(&digits);
            text.push_str(&zeros(point - count));
        }
        point if 0 < point && point <= 21 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
            text.push_str(&format!("{whole}.{fraction}"));
        }
        point if -6 < point && point <= 0 => text.push_str(&format!("0.{}{digits}", zeros(-point))),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            text.push_str(&format!("{first}{dot}{rest}e{exponent:+}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_ecmascript() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            let number = Number::from_f64(f64::from_bits(bits)).unwrap();
            assert_eq!(to_canonical_json(&Value::Number(number)), expected, "{bits:x}");
        }
    }

    #[test]
    fn keys_are_sorted_by_utf16_units() {
        let value = serde_json::json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        let order: Vec<u32> = [2, 4, 6, 7, 1, 5, 3].into();
        let text = to_canonical_json(&value);
        let found: Vec<u32> = text.split(':').skip(1).map(|part| part[..1].parse().unwrap()).collect();
        assert_eq!(found, order);
        assert!(text.starts_with("{\"\\r\":2,\"1\":4,"));
    }
}
