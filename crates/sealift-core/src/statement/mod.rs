//! in-toto statements: what is said about which content.
//!
//! A statement keeps the bytes it was read from; what was signed is never serialised again.
//! Specification: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::oci::Digest;

pub mod predicate;

/// Subjects, and a predicate of a type about them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    bytes: Bytes,
    version: StatementVersion,
    subjects: Vec<Subject>,
    predicate_type: String,
    predicate: Option<Bytes>,
}

impl Statement {
    /// Makes a statement of version 1.
    ///
    /// # Errors
    /// [`StatementError`] when the bounds of [`Statement::parse`] are not kept, or the predicate is not JSON.
    pub fn new(
        subjects: Vec<Subject>,
        predicate_type: impl Into<String>,
        predicate: &(impl Serialize + ?Sized),
    ) -> Result<Self, StatementError> {
        Self::with_version(StatementVersion::V1, subjects, predicate_type, predicate)
    }

    /// Makes a statement of a given version: cosign's `.att` tags hold version 0.1.
    ///
    /// # Errors
    /// As [`Statement::new`].
    pub fn with_version(
        version: StatementVersion,
        subjects: Vec<Subject>,
        predicate_type: impl Into<String>,
        predicate: &(impl Serialize + ?Sized),
    ) -> Result<Self, StatementError> {
        let json = StatementJson {
            version: version.as_str().into(),
            predicate_type: predicate_type.into(),
            subjects,
            predicate,
        };
        Self::from_bytes(serde_json::to_vec(&json).map_err(StatementError::Json)?.into())
    }

    /// Makes the statement cosign 3 signs an image with: one subject without a name, its annotations, and the empty
    /// predicate.
    ///
    /// # Errors
    /// As [`Statement::new`].
    pub fn image_signature(digest: &Digest, annotations: BTreeMap<String, String>) -> Result<Self, StatementError> {
        let subject = Subject { annotations, ..Subject::of(digest) };
        Self::new(vec![subject], predicate::IMAGE_SIGNATURE, &predicate::Empty {})
    }

    /// Reads a statement of version 0.1 or 1.
    ///
    /// # Errors
    /// [`StatementError`] when it is malformed, of another type, without subjects, or beyond a bound.
    pub fn parse(json: &[u8]) -> Result<Self, StatementError> {
        Self::from_bytes(Bytes::copy_from_slice(json))
    }

    /// Reads a statement as [`Statement::parse`], sharing the bytes instead of copying them.
    ///
    /// # Errors
    /// As [`Statement::parse`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self, StatementError> {
        if bytes.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError::TooLarge { limit: MAX_STATEMENT_BYTES });
        }
        let json: ReceivedJson<'_> = serde_json::from_slice(&bytes).map_err(StatementError::Json)?;
        let version = StatementVersion::parse(&json.version)?;
        if json.subjects.is_empty() {
            return Err(StatementError::NoSubject);
        }
        if json.subjects.len() > MAX_SUBJECTS {
            return Err(StatementError::TooMany { what: "subjects", limit: MAX_SUBJECTS });
        }
        if json.subjects.iter().any(|subject| subject.digest.len() > MAX_DIGESTS) {
            return Err(StatementError::TooMany { what: "digests of one subject", limit: MAX_DIGESTS });
        }
        if json.predicate_type.is_empty() {
            return Err(StatementError::NoPredicateType);
        }
        let predicate = json.predicate.map(|predicate| bytes.slice_ref(predicate.get().as_bytes()));
        Ok(Self { version, subjects: json.subjects, predicate_type: json.predicate_type, predicate, bytes })
    }

    /// Returns the bytes: as received, or as they will be signed.
    pub fn to_bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Returns the version.
    pub fn version(&self) -> StatementVersion {
        self.version
    }

    /// Returns the subjects; there is at least one.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Returns the predicate's type, as written.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// Returns the JSON of the predicate, if there is one.
    pub fn predicate(&self) -> Option<&Bytes> {
        self.predicate.as_ref()
    }

    /// Reads the predicate as `T`; a missing predicate reads as `null`.
    ///
    /// # Errors
    /// The error of reading JSON.
    pub fn predicate_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.predicate.as_deref().unwrap_or(b"null"))
    }
}

/// The version of a statement's form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StatementVersion {
    /// `https://in-toto.io/Statement/v0.1`.
    V01,
    /// `https://in-toto.io/Statement/v1`.
    V1,
}

impl StatementVersion {
    /// Returns the URI in `_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V01 => "https://in-toto.io/Statement/v0.1",
            Self::V1 => "https://in-toto.io/Statement/v1",
        }
    }

    fn parse(text: &str) -> Result<Self, StatementError> {
        [Self::V01, Self::V1]
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| StatementError::Type { found: crate::repository::foreign_text(text) })
    }
}

/// One piece of content a statement is about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subject {
    /// Name, such as a repository; says nothing about identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digests by algorithm, in hexadecimal, as written.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// Annotations that are text; others cannot be asked for and are left out.
    #[serde(default, deserialize_with = "text_values", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Subject {
    /// Returns a subject with this digest and nothing else.
    pub fn of(digest: &Digest) -> Self {
        let digest = BTreeMap::from([(digest.algorithm().to_string(), digest.hex())]);
        Self { name: None, digest, annotations: BTreeMap::new() }
    }

    /// Returns the same subject with a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// Keeps the entries whose values are text, so that `"a": true` never passes for `a=true`.
pub(crate) fn text_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values: Option<BTreeMap<String, serde_json::Value>> = Option::deserialize(deserializer)?;
    let text = |(key, value)| match value {
        serde_json::Value::String(value) => Some((key, value)),
        _ => None,
    };
    Ok(values.unwrap_or_default().into_iter().filter_map(text).collect())
}

/// The fields in the order cosign writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementJson<'a, P: Serialize + ?Sized> {
    #[serde(rename = "_type")]
    version: String,
    #[serde(rename = "subject")]
    subjects: Vec<Subject>,
    predicate_type: String,
    predicate: &'a P,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceivedJson<'a> {
    #[serde(rename = "_type")]
    version: String,
    #[serde(rename = "subject")]
    subjects: Vec<Subject>,
    predicate_type: String,
    #[serde(borrow, default)]
    predicate: Option<&'a RawValue>,
}

/// The largest statement read. SBOMs of real images take several MiB; more would let one attestation fill memory
/// (CVE-2024-29902).
pub const MAX_STATEMENT_BYTES: usize = 16 * 1024 * 1024;
/// The most subjects of one statement; stops verification that compares for ever (CVE-2024-45395).
pub const MAX_SUBJECTS: usize = 1024;
/// The most digests of one subject; stops the same.
pub const MAX_DIGESTS: usize = 32;

/// Says why bytes are not a statement this crate takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is not the JSON of a statement.
    #[error("the statement is malformed JSON")]
    Json(#[source] serde_json::Error),
    /// The predicate's type is empty.
    #[error("the statement names no predicate type")]
    NoPredicateType,
    /// It is about nothing.
    #[error("the statement has no subject")]
    NoSubject,
    /// It is too large.
    #[error("the statement exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
    /// There are too many of something.
    #[error("the statement has more than {limit} {what}")]
    TooMany {
        /// Of what, such as `subjects`.
        what: &'static str,
        /// The most taken.
        limit: usize,
    },
    /// `_type` is no statement's.
    #[error("`{found}` is no in-toto statement of version 0.1 or 1")]
    Type {
        /// The type found, bounded and printable.
        found: String,
    },
}
