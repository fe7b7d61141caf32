//! The payload of cosign's legacy signatures.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>; where its text and cosign
//! differ, this is what cosign writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::statement::text_values;

/// What a legacy signature says: that a manifest is what a reference means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimpleSigning {
    /// The reference, without digest; informational.
    docker_reference: String,
    digest: Digest,
    annotations: BTreeMap<String, String>,
}

impl SimpleSigning {
    /// Says that `digest` is what `docker_reference` (registry and repository, no tag) means.
    pub fn new(docker_reference: impl Into<String>, digest: Digest, annotations: BTreeMap<String, String>) -> Self {
        Self { docker_reference: docker_reference.into(), digest, annotations }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`SimpleSigningError`] when it is too large, not the JSON of a payload, or of another type than cosign's.
    pub fn parse(payload: &[u8]) -> Result<Self, SimpleSigningError> {
        if payload.len() > MAX_SIMPLE_SIGNING_BYTES {
            return Err(SimpleSigningError::TooLarge { limit: MAX_SIMPLE_SIGNING_BYTES });
        }
        let json: PayloadJson = serde_json::from_slice(payload).map_err(SimpleSigningError::Json)?;
        if json.critical.kind != SIMPLE_SIGNING_TYPE {
            let found = crate::repository::foreign_text(&json.critical.kind);
            return Err(SimpleSigningError::Type { found });
        }
        Ok(Self {
            docker_reference: json.critical.identity.docker_reference,
            digest: json.critical.image.docker_manifest_digest,
            annotations: json.optional,
        })
    }

    /// Returns the payload byte for byte as cosign writes it.
    ///
    /// # Errors
    /// [`SimpleSigningError::Json`] when writing JSON fails, which it does not for text.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SimpleSigningError> {
        let json = PayloadJson {
            critical: CriticalJson {
                identity: IdentityJson { docker_reference: self.docker_reference.clone() },
                image: ImageJson { docker_manifest_digest: self.digest.clone() },
                kind: SIMPLE_SIGNING_TYPE.to_owned(),
            },
            optional: self.annotations.clone(),
        };
        let text = serde_json::to_string(&json).map_err(SimpleSigningError::Json)?;
        Ok(escape_as_go(&text).into_bytes())
    }

    /// Returns the reference, which nothing ties to where the signature is stored.
    pub fn docker_reference(&self) -> &str {
        &self.docker_reference
    }

    /// Returns the digest of the manifest that was signed.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the annotations that are text.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

/// Go's encoder escapes what HTML would read; these characters occur only inside of JSON's strings.
fn escape_as_go(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

#[derive(Deserialize, Serialize)]
struct PayloadJson {
    critical: CriticalJson,
    #[serde(default, deserialize_with = "text_values", serialize_with = "empty_as_null")]
    optional: BTreeMap<String, String>,
}

/// What is not understood here must not be passed over: that is what `critical` means.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CriticalJson {
    identity: IdentityJson,
    image: ImageJson,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IdentityJson {
    docker_reference: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ImageJson {
    docker_manifest_digest: Digest,
}

fn empty_as_null<S: serde::Serializer>(map: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    Some(map).filter(|map| !map.is_empty()).serialize(serializer)
}

/// The only `critical.type` taken.
pub const SIMPLE_SIGNING_TYPE: &str = "cosign container image signature";
/// The largest payload read; cosign's have less than a kilobyte. Stops a layer that fills memory.
pub const MAX_SIMPLE_SIGNING_BYTES: usize = 1024 * 1024;

/// Says why bytes are not a legacy payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimpleSigningError {
    /// It is not the JSON of a payload.
    #[error("the signature's payload is malformed JSON")]
    Json(#[source] serde_json::Error),
    /// It is too large.
    #[error("the signature's payload exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
    /// It is a payload of something else.
    #[error("the payload's type is `{found}`")]
    Type {
        /// The type found, bounded and printable.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(annotations: &[(&str, &str)]) -> SimpleSigning {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        SimpleSigning::new("ghcr.io/o/r", Digest::sha256(b""), annotations)
    }

    #[test]
    fn writes_cosign_s_bytes() {
        let digest = Digest::sha256(b"");
        let critical = format!(
            r#""critical":{{"identity":{{"docker-reference":"ghcr.io/o/r"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}}"#
        );
        let text = |payload: SimpleSigning| String::from_utf8(payload.to_bytes().unwrap()).unwrap();
        assert_eq!(text(payload(&[])), format!(r#"{{{critical},"optional":null}}"#));
        let annotated = text(payload(&[("b", "1"), ("a", "x&<y>")]));
        assert_eq!(annotated, format!(r#"{{{critical},"optional":{{"a":"x\u0026\u003cy\u003e","b":"1"}}}}"#));
    }

    #[test]
    fn parses_what_it_writes_and_skopeo_s_numbers() {
        let annotated = payload(&[("a", "x&y")]);
        let bytes = annotated.to_bytes().unwrap();
        assert_eq!(SimpleSigning::parse(&bytes).unwrap(), annotated);
        let numbers = String::from_utf8(bytes).unwrap().replace(r#"{"a""#, r#"{"timestamp":1700000000,"a""#);
        assert_eq!(SimpleSigning::parse(numbers.as_bytes()).unwrap(), annotated);
    }

    #[test]
    fn refuses_other_types_and_critical_extras() {
        let text = String::from_utf8(payload(&[]).to_bytes().unwrap()).unwrap();
        let other = text.replace("cosign container", "atomic container");
        assert!(matches!(SimpleSigning::parse(other.as_bytes()), Err(SimpleSigningError::Type { .. })));
        for (from, to) in [
            (r#""type""#, r#""not-before":1,"type""#),
            ("docker-manifest-digest", "Docker-manifest-digest"),
            ("sha256:", "SHA256:"),
            (r#""critical""#, r#""critical":null,"critical""#),
        ] {
            let changed = text.replace(from, to);
            assert!(matches!(SimpleSigning::parse(changed.as_bytes()), Err(SimpleSigningError::Json(_))), "{to}");
        }
    }
}
