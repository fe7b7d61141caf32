//! `ClientTrustConfig`: trusted root and signing configuration of an instance in one file.
//!
//! Specification: <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>.

use sealift_core::repository::foreign_text;
use sealift_core::trust::{MAX_TRUSTED_ROOT_BYTES, TrustRoot, TrustedRootError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::signing_config::{MAX_SIGNING_CONFIG_BYTES, SigningConfig, SigningConfigError};

/// Everything there is to know of an instance, given by hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrustConfig {
    /// Whom to trust.
    pub trust_root: TrustRoot,
    /// What to sign with.
    pub signing_config: SigningConfig,
}

impl TrustConfig {
    /// Reads the JSON document.
    ///
    /// # Errors
    /// [`TrustConfigError`] when it is malformed, or one of the documents within is.
    pub fn parse(json: &[u8]) -> Result<Self, TrustConfigError> {
        if json.len() > MAX_TRUST_CONFIG_BYTES {
            return Err(TrustConfigError::TooLarge { limit: MAX_TRUST_CONFIG_BYTES });
        }
        let document: Document<'_> = serde_json::from_slice(json).map_err(TrustConfigError::Json)?;
        if document.media_type != MEDIA_TYPE {
            return Err(TrustConfigError::MediaType { found: foreign_text(&document.media_type) });
        }
        let trust_root = TrustRoot::parse(document.trusted_root.get().as_bytes());
        let signing_config = SigningConfig::parse(document.signing_config.get().as_bytes());
        Ok(Self {
            trust_root: trust_root.map_err(TrustConfigError::TrustedRoot)?,
            signing_config: signing_config.map_err(TrustConfigError::SigningConfig)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document<'a> {
    media_type: String,
    #[serde(borrow)]
    trusted_root: &'a RawValue,
    #[serde(borrow)]
    signing_config: &'a RawValue,
}

/// Says why a file is no client trust configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustConfigError {
    /// It is not the JSON of one.
    #[error("the trust configuration is not JSON of its type")]
    Json(#[source] serde_json::Error),
    /// It is of another version, or something else.
    #[error("`{found}` is no media type of a trust configuration known here")]
    MediaType {
        /// The media type found, bounded and printable.
        found: String,
    },
    /// The signing configuration within is unusable.
    #[error("`signingConfig` is unusable")]
    SigningConfig(#[source] SigningConfigError),
    /// It is larger than any.
    #[error("the trust configuration has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// The trusted root within is unusable.
    #[error("`trustedRoot` is unusable")]
    TrustedRoot(#[source] TrustedRootError),
}

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";
/// The largest document read: the largest of both within.
pub const MAX_TRUST_CONFIG_BYTES: usize = MAX_TRUSTED_ROOT_BYTES + MAX_SIGNING_CONFIG_BYTES;
