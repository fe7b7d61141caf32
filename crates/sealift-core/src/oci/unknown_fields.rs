//! Fields of JSON objects that this crate does not know.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Fields that are kept as they were received, and not looked into.
///
/// As text: read into values, `[{"a":1},{"a":1}]` takes a hundred times the memory, which a registry could have us use up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnknownFields {
    /// A JSON object; empty where there are no fields.
    json: String,
}

impl UnknownFields {
    /// Keeps the fields of an object that are not `known`.
    pub(super) fn of(object: &RawValue, known: &[&str]) -> Result<Self, serde_json::Error> {
        let mut json = String::new();
        each_field(object.get(), |name, value| {
            if !known.contains(&name.as_str()) {
                json.push(if json.is_empty() { '{' } else { ',' });
                json += &serde_json::to_string(&name).unwrap_or_default();
                json.push(':');
                json += value.get();
            }
        })?;
        if !json.is_empty() {
            json.push('}');
        }
        Ok(Self { json })
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Reads those of the fields that `T` has; `None` where they are not as `T` wants them.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(if self.is_empty() { "{}" } else { &self.json }).ok()
    }
}

impl Serialize for UnknownFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        let mut failed = None;
        if !self.is_empty() {
            // It was read from JSON once.
            let _ = each_field(&self.json, |name, value| {
                if failed.is_none() {
                    failed = fields.serialize_entry(&name, &value).err();
                }
            });
        }
        failed.map_or_else(|| fields.end(), Err)
    }
}

/// Calls `take` with each field of a JSON object.
fn each_field(json: &str, take: impl FnMut(String, &RawValue)) -> Result<(), serde_json::Error> {
    struct Fields<F>(F);

    impl<'de, F: FnMut(String, &RawValue)> Visitor<'de> for Fields<F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry::<_, &RawValue>()? {
                (self.0)(name, value);
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_map(Fields(take))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::oci::Descriptor;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn nothing_is_lost_and_what_is_wanted_is_read() {
        let json = format!(
            r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":1,"platform":{{"architecture":"a","os":"b","os.version":"1.50"}},"urls":["x"],"z":{{"\"q\"":1.50}}}}"#
        );
        let descriptor: Descriptor = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), json);
        let value = serde_json::to_value(&descriptor).unwrap();
        assert_eq!(value["z"]["\"q\""], 1.5);
        assert_eq!(serde_json::from_value::<Descriptor>(value).unwrap().size, 1);

        #[derive(Deserialize)]
        struct Urls {
            urls: Vec<String>,
        }
        assert_eq!(descriptor.other.read::<Urls>().unwrap().urls, ["x"]);
        assert!(descriptor.to_plain().other.is_empty());
        assert!(descriptor.to_plain().other.read::<Urls>().is_none());
    }

    #[test]
    fn a_known_field_that_comes_twice_is_refused() {
        let json = format!(r#"{{"mediaType":"a/b","digest":"{DIGEST}","size":1,"size":2}}"#);
        assert!(serde_json::from_str::<Descriptor>(&json).is_err());
    }
}
