//! How Protocol Buffers write bytes and 64-bit integers in JSON.
//!
//! Specification: <https://protobuf.dev/programming-guides/json/>.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as padded standard base64, in exactly one spelling: no line breaks, no stray bits at the end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            // Takes borrowed text where the parser can lend it, so a payload of megabytes is not copied first.
            fn visit_str<E: Error>(self, text: &str) -> Result<Base64, E> {
                STANDARD.decode(text).map(Base64).map_err(|_| E::custom("invalid base64"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A 64-bit integer, written as a string and read from a string or a number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Int64(pub(crate) i64);

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Int64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer or its decimal digits in a string")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Int64, E> {
                i64::try_from(value).map(Int64).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Int64, E> {
                let value: Option<i64> = text.parse().ok();
                // One spelling per number: no plus sign, no leading zeros.
                let value = value.filter(|value| value.to_string() == text);
                value.map(Int64).ok_or_else(|| E::custom("not a decimal integer"))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strings_or_numbers() {
        for (json, value) in [("7", Some(7)), ("\"7\"", Some(7)), ("\"-1\"", Some(-1)), ("\"07\"", None), ("1.5", None)]
        {
            assert_eq!(serde_json::from_str::<Int64>(json).ok().map(|number| number.0), value, "{json}");
        }
        assert!(serde_json::from_str::<Int64>("18446744073709551615").is_err());
        assert_eq!(serde_json::to_string(&Int64(7)).unwrap(), "\"7\"");
    }

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(serde_json::from_str::<Base64>("\"YQ==\"").unwrap().0, b"a");
        for json in ["\"YQ\"", "\"YR==\"", "\"Y Q==\"", "\"-_==\"", "1"] {
            assert!(serde_json::from_str::<Base64>(json).is_err(), "{json}");
        }
    }
}
