//! `trusted_root.json`, versions 0.1 and 0.2.
//!
//! Every part must be whole: an entry without a start of validity is refused rather than trusted since ever.
//! Specification: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>.

use serde::Deserialize;

use super::{Authority, AuthorityError, Log, LogError, TrustRoot};
use crate::crypto::{KeyError, PublicKey};
use crate::protojson::Base64;
use crate::x509::{Certificate, CertificateError, Validity};

/// The largest document read; the public ones take 12 KiB. Stops reading whatever a path names.
pub const MAX_TRUSTED_ROOT_BYTES: usize = 4 * 1024 * 1024;
/// The most authorities or logs of one kind.
const MAX_ENTRIES: usize = 256;
/// The most documents of one file of several.
const MAX_DOCUMENTS: usize = 64;

impl TrustRoot {
    /// Reads one document.
    ///
    /// # Errors
    /// [`TrustedRootError`] with the place inside the document.
    pub fn parse(json: &[u8]) -> Result<Self, TrustedRootError> {
        if json.len() > MAX_TRUSTED_ROOT_BYTES {
            return Err(TrustedRootError::TooLarge { limit: MAX_TRUSTED_ROOT_BYTES });
        }
        let document: Document = serde_json::from_slice(json).map_err(TrustedRootError::Json)?;
        if !MEDIA_TYPES.contains(&document.media_type.as_str()) {
            return Err(TrustedRootError::MediaType { found: crate::repository::foreign_text(&document.media_type) });
        }
        Ok(Self {
            certificate_authorities: read_all(
                "certificateAuthorities",
                document.certificate_authorities,
                AuthorityJson::read,
            )?,
            ctlogs: read_all("ctlogs", document.ctlogs, LogJson::read)?,
            timestamp_authorities: read_all(
                "timestampAuthorities",
                document.timestamp_authorities,
                AuthorityJson::read,
            )?,
            tlogs: read_all("tlogs", document.tlogs, LogJson::read)?,
        })
    }

    /// Reads several documents, one on each line, as `gh attestation trusted-root` writes them.
    ///
    /// # Errors
    /// As [`TrustRoot::parse`]; and when there is none.
    pub fn parse_lines(text: &[u8]) -> Result<Vec<Self>, TrustedRootError> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let roots = lines.take(MAX_DOCUMENTS + 1).map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        match roots.len() {
            0 => Err(TrustedRootError::NoDocument),
            1..=MAX_DOCUMENTS => Ok(roots),
            _ => Err(TrustedRootError::TooMany { path: "lines", limit: MAX_DOCUMENTS }),
        }
    }
}

fn read_all<J, T>(
    path: &'static str,
    entries: Option<Vec<J>>,
    read: impl Fn(J) -> Result<T, EntryError>,
) -> Result<Vec<T>, TrustedRootError> {
    let entries = entries.unwrap_or_default();
    if entries.len() > MAX_ENTRIES {
        return Err(TrustedRootError::TooMany { path, limit: MAX_ENTRIES });
    }
    let read = |(index, entry)| read(entry).map_err(|source| TrustedRootError::Entry { path, index, source });
    entries.into_iter().enumerate().map(read).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    tlogs: Option<Vec<LogJson>>,
    certificate_authorities: Option<Vec<AuthorityJson>>,
    ctlogs: Option<Vec<LogJson>>,
    timestamp_authorities: Option<Vec<AuthorityJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogJson {
    #[serde(default)]
    base_url: String,
    hash_algorithm: Option<String>,
    public_key: KeyJson,
    log_id: IdJson,
    checkpoint_key_id: Option<IdJson>,
}

impl LogJson {
    fn read(self) -> Result<Log, EntryError> {
        if self.hash_algorithm.as_deref().is_some_and(|algorithm| algorithm != "SHA2_256") {
            return Err(EntryError::HashAlgorithm);
        }
        let key = self.public_key.read()?;
        let validity = self.public_key.valid_for.ok_or(EntryError::NoStart)?.read()?;
        let checkpoint_id = self.checkpoint_key_id.as_ref().map(|id| id.key_id.0.as_slice());
        Log::new(self.base_url, key, self.log_id.key_id.0, checkpoint_id, validity).map_err(EntryError::Log)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyJson {
    raw_bytes: Base64,
    #[serde(default)]
    key_details: String,
    valid_for: Option<ValidityJson>,
}

impl KeyJson {
    fn read(&self) -> Result<PublicKey, EntryError> {
        let read = if self.key_details.starts_with("PKCS1_") { PublicKey::from_pkcs1 } else { PublicKey::from_der };
        read(&self.raw_bytes.0).map_err(EntryError::Key)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdJson {
    key_id: Base64,
}

#[derive(Deserialize)]
struct ValidityJson {
    start: Option<String>,
    end: Option<String>,
}

impl ValidityJson {
    fn read(self) -> Result<Validity, EntryError> {
        let seconds = |text: String| text.parse().map(jiff::Timestamp::as_second).map_err(|_| EntryError::Time);
        let start = seconds(self.start.ok_or(EntryError::NoStart)?)?;
        Ok(Validity::new(start, self.end.map(seconds).transpose()?))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityJson {
    #[serde(default)]
    uri: String,
    cert_chain: ChainJson,
    valid_for: Option<ValidityJson>,
}

#[derive(Deserialize)]
struct ChainJson {
    #[serde(default)]
    certificates: Vec<CertificateJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateJson {
    raw_bytes: Base64,
}

impl AuthorityJson {
    fn read(self) -> Result<Authority, EntryError> {
        let chain =
            self.cert_chain.certificates.iter().map(|certificate| Certificate::from_der(&certificate.raw_bytes.0));
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(EntryError::Certificate)?;
        let validity = self.valid_for.ok_or(EntryError::NoStart)?.read()?;
        Authority::new(chain, self.uri, validity).map_err(EntryError::Authority)
    }
}

/// Media types of the document, both spellings of both versions.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];

/// Says why a document is not a trust root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedRootError {
    /// One entry is unusable.
    #[error("{path}[{index}] of the trusted root is unusable")]
    Entry {
        /// The list.
        path: &'static str,
        /// Which entry, from 0.
        index: usize,
        /// What is wrong.
        source: EntryError,
    },
    /// It is not the JSON of a trusted root.
    #[error("the trusted root is not JSON of its type")]
    Json(#[source] serde_json::Error),
    /// The media type is no known version's.
    #[error("`{found}` is no media type of a trusted root")]
    MediaType {
        /// The media type found, bounded and printable.
        found: String,
    },
    /// There is nothing in the file.
    #[error("there is no trusted root in the file")]
    NoDocument,
    /// It is larger than any trusted root.
    #[error("the trusted root has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// A list is longer than any.
    #[error("the trusted root has more than {limit} {path}")]
    TooMany {
        /// The list.
        path: &'static str,
        /// Most entries.
        limit: usize,
    },
}

/// Says why one entry of a trusted root is unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Its certificates are not an authority.
    #[error("its certificates are not an authority's")]
    Authority(#[source] AuthorityError),
    /// A certificate is malformed.
    #[error("one of its certificates is malformed")]
    Certificate(#[source] CertificateError),
    /// The log hashes with another algorithm than SHA-256.
    #[error("its hash algorithm is not SHA2_256")]
    HashAlgorithm,
    /// The key is unusable.
    #[error("its key is unusable")]
    Key(#[source] KeyError),
    /// The log is unusable.
    #[error("the log is unusable")]
    Log(#[source] LogError),
    /// It does not say since when it is valid; that is not "since ever".
    #[error("`validFor.start` is missing")]
    NoStart,
    /// A time is not RFC 3339.
    #[error("a time of `validFor` is not RFC 3339")]
    Time,
}
