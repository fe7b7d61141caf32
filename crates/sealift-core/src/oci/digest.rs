//! Content digests, parsed once and compared as bytes.
//!
//! Never holds an unchecked string: a digest goes into URLs and file names, so its grammar is the first line of
//! defence (CVE-2024-3727).
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hex;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A digest of content: an algorithm and its raw bytes.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// Returns the digest of `content` under `algorithm`.
    pub fn of(algorithm: DigestAlgorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// Returns the SHA-256 digest of `content`.
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(DigestAlgorithm::Sha256, content)
    }

    /// Returns the digest whose raw bytes are `bytes`, or an error when their number is not the algorithm's.
    pub fn from_bytes(algorithm: DigestAlgorithm, bytes: &[u8]) -> Result<Self, DigestError> {
        if bytes.len() != algorithm.size() {
            return Err(DigestError::Length { algorithm, expected: algorithm.size() * 2, found: bytes.len() * 2 });
        }
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Returns the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the encoded part: lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(&self.bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        let algorithm: DigestAlgorithm = algorithm.parse()?;
        let expected = algorithm.size() * 2;
        if encoded.len() != expected {
            return Err(DigestError::Length { algorithm, expected, found: encoded.len() });
        }
        // Only lower case is a digest (image-spec: `[a-f0-9]`); two spellings of one digest would defeat comparison.
        let lower = Some(encoded).filter(|encoded| !encoded.bytes().any(|byte| byte.is_ascii_uppercase()));
        let bytes = lower.and_then(hex::decode).ok_or(DigestError::NotHex)?;
        Ok(Self { algorithm, bytes })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A registered digest algorithm.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// `sha256`, which every registry knows.
    Sha256,
    /// `sha384`, seen in Sigstore message digests.
    Sha384,
    /// `sha512`, optional in the image specification.
    Sha512,
}

impl DigestAlgorithm {
    /// Returns the size of a digest, in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Returns the name as the specification spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DigestAlgorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnknownAlgorithm),
        }
    }
}

/// Computes a digest of content that arrives in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(HasherState);

#[derive(Clone, Debug)]
enum HasherState {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a digest.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self(match algorithm {
            DigestAlgorithm::Sha256 => HasherState::Sha256(Sha256::new()),
            DigestAlgorithm::Sha384 => HasherState::Sha384(Sha384::new()),
            DigestAlgorithm::Sha512 => HasherState::Sha512(Sha512::new()),
        })
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            HasherState::Sha256(state) => state.update(piece),
            HasherState::Sha384(state) => state.update(piece),
            HasherState::Sha512(state) => state.update(piece),
        }
    }

    /// Returns the digest of everything taken.
    pub fn finish(self) -> Digest {
        match self.0 {
            HasherState::Sha256(state) => {
                Digest { algorithm: DigestAlgorithm::Sha256, bytes: state.finalize().to_vec() }
            }
            HasherState::Sha384(state) => {
                Digest { algorithm: DigestAlgorithm::Sha384, bytes: state.finalize().to_vec() }
            }
            HasherState::Sha512(state) => {
                Digest { algorithm: DigestAlgorithm::Sha512, bytes: state.finalize().to_vec() }
            }
        }
    }
}

/// Says why a text is not a digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The encoded part has the wrong number of digits.
    #[error("a {algorithm} digest has {expected} hexadecimal digits, not {found}")]
    Length {
        /// The algorithm named.
        algorithm: DigestAlgorithm,
        /// Digits expected.
        expected: usize,
        /// Digits found.
        found: usize,
    },
    /// There is no `algorithm:` in front.
    #[error("a digest starts with its algorithm, as in `sha256:`")]
    NoAlgorithm,
    /// The encoded part holds something other than lower-case hexadecimal digits.
    #[error("a digest is written in lower-case hexadecimal digits")]
    NotHex,
    /// The algorithm is not one this crate computes.
    #[error("unknown digest algorithm; known are sha256, sha384 and sha512")]
    UnknownAlgorithm,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn formats_what_it_parses() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest, Digest::sha256(b""));
        assert_eq!(digest.to_string(), EMPTY);
    }

    #[test]
    fn refuses_other_spellings() {
        let traversal = format!("sha256:../{}", "a".repeat(61));
        for (text, error) in [
            ("", DigestError::NoAlgorithm),
            ("md5:00", DigestError::UnknownAlgorithm),
            (&EMPTY.to_uppercase().replace("SHA", "sha"), DigestError::NotHex),
            (&traversal, DigestError::NotHex),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
        assert!(matches!("sha256:00".parse::<Digest>(), Err(DigestError::Length { found: 2, .. })));
    }
}
