//! Predicates: their types by short names, and where their content is.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sealift_core::oci::Digest;
use sealift_core::statement::predicate::{self, CUSTOM, CosignCustom, SPDX};
use sealift_core::statement::{MAX_STATEMENT_BYTES, Statement};
use serde_json::value::RawValue;

use crate::args::NO_HEADING;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;

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
  promotion                          https://sealift.dev/promotion/v1
  custom                             https://cosign.sigstore.dev/attestation/v1
Any other type is given as its URI.";

/// What is stated about an artifact
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct PredicateArgs {
    /// Type of the predicate: a short name or a URI
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    predicate_type: PredicateType,

    /// File that holds the predicate, `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "statement")]
    predicate: Option<PathBuf>,

    /// File that holds a whole in-toto statement, signed as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["predicate", "predicate_type"])]
    statement: Option<PathBuf>,
}

/// What is stated about an artifact.
#[derive(Debug)]
pub(crate) enum Stated {
    /// A predicate, from which a statement about each artifact is made.
    Predicate {
        predicate_type: String,
        predicate: Box<RawValue>,
        /// Digest of the file it was made from: the predicate may hold the time.
        file: Digest,
    },
    /// A statement made elsewhere.
    Statement(Statement),
}

impl PredicateArgs {
    /// Reads it: JSON as it is, `custom` wrapped as cosign does, SPDX in its text form as a string.
    pub(crate) fn read(&self, context: &Context) -> Result<Stated, CliError> {
        match (&self.statement, &self.predicate) {
            (Some(path), _) => {
                let bytes = files::read(path, MAX_STATEMENT_BYTES as u64)?;
                Statement::parse(&bytes).map(Stated::Statement).map_err(CliError::Statement)
            }
            (None, Some(path)) => {
                let predicate_type = self.predicate_type.uri.clone();
                let bytes = files::read(path, MAX_STATEMENT_BYTES as u64)?;
                let file = Digest::sha256(&bytes);
                predicate_of(&predicate_type, path, &bytes, context).map(|predicate| Stated::Predicate {
                    predicate_type,
                    predicate,
                    file,
                })
            }
            (None, None) => Err(UsageError::NoPredicate.into()),
        }
    }
}

/// Returns the predicate that a file's content is.
fn predicate_of(predicate_type: &str, path: &Path, bytes: &[u8], context: &Context) -> Result<Box<RawValue>, CliError> {
    let malformed = |source| CliError::Predicate { path: path.to_owned(), source };
    if predicate_type == CUSTOM {
        let wrapped = CosignCustom::new(bytes, context.now()).map_err(CliError::CustomPredicate)?;
        return serde_json::value::to_raw_value(&wrapped).map_err(malformed);
    }
    let is_json = bytes.trim_ascii_start().first() == Some(&b'{');
    match std::str::from_utf8(bytes) {
        Ok(text) if predicate_type == SPDX && !is_json => serde_json::value::to_raw_value(text).map_err(malformed),
        _ => serde_json::from_slice(bytes).map_err(malformed),
    }
}

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
