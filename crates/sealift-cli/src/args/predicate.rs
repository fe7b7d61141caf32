//! Predicate types by their short names.

use std::str::FromStr;

use sealift_core::statement::predicate;

/// The short names, for help.
pub(crate) const TYPE_HELP: &str = "\
Types:
  slsaprovenance, slsaprovenance02   https://slsa.dev/provenance/v0.2
  slsaprovenance1                    https://slsa.dev/provenance/v1
  spdx, spdxjson                     https://spdx.dev/Document
  cyclonedx                          https://cyclonedx.org/bom
  vuln                               https://cosign.sigstore.dev/attestation/vuln/v1
  openvex                            https://openvex.dev/ns
  link                               https://in-toto.io/Link/v1
  custom                             https://cosign.sigstore.dev/attestation/v1
Any other type is given as its URI.";

/// A predicate type: a short name or a URI.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PredicateType {
    /// The URI.
    pub(crate) uri: String,
    /// The short name it was given by.
    pub(crate) short_name: Option<String>,
}

impl FromStr for PredicateType {
    type Err = PredicateTypeError;

    fn from_str(text: &str) -> Result<Self, PredicateTypeError> {
        if let Some(uri) = predicate::from_short_name(text) {
            return Ok(Self { uri: uri.to_owned(), short_name: Some(text.to_owned()) });
        }
        if !text.contains(':') && !text.contains('/') {
            return Err(PredicateTypeError);
        }
        Ok(Self { uri: text.to_owned(), short_name: None })
    }
}

/// Says that a text is no predicate type.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("neither a known short name nor a URI; `--help` lists the names")]
pub(crate) struct PredicateTypeError;
