//! `sealift attest`.

use std::path::{Path, PathBuf};

use sealift_core::statement::predicate::{CUSTOM, CosignCustom, SPDX};
use sealift_core::statement::{MAX_STATEMENT_BYTES, Statement};
use serde_json::value::RawValue;

use crate::args::key::SigningKeyArgs;
use crate::args::output::SigningOutputArgs;
use crate::args::predicate::{PredicateType, TYPE_HELP};
use crate::args::reference::REFERENCE_HELP;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::output::model::{Batch, Signed};
use crate::signing::{Purpose, Replace, Signing};

/// Sign a statement about artifacts: an SBOM, provenance, a scan, or anything else
///
/// The predicate becomes part of an in-toto statement about the artifact's digest, signed and stored as `sealift sign`
/// does. JSON types must be JSON; a file of any other form is attested as `custom`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift attest --key sealift.key --type spdx --predicate sbom.spdx.json registry.example.com/app:1.0
  trivy image --format cosign-vuln $IMAGE | sealift attest --key sealift.key --type vuln --predicate - $IMAGE
  sealift attest --key sealift.key --type https://example.com/review/v1 --predicate review.json --replace $IMAGE
  sealift attest --key sealift.key --statement statement.json registry.example.com/app@sha256:...

{TYPE_HELP}

{REFERENCE_HELP}"))]
pub(crate) struct AttestArgs {
    /// Artifacts the statement is about
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,

    #[command(flatten)]
    key: SigningKeyArgs,

    /// Type of the predicate: a short name or a URI
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    predicate_type: PredicateType,

    /// File that holds the predicate, `-` for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "statement")]
    predicate: Option<PathBuf>,

    /// File that holds a whole in-toto statement, signed as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["predicate", "predicate_type", "replace"])]
    statement: Option<PathBuf>,

    /// Remove earlier attestations of this type by this key, once the new one is stored
    #[arg(long, conflicts_with = "no_upload")]
    replace: bool,

    #[command(flatten)]
    publish: PublishArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: SigningOutputArgs,
}

/// Attests every reference.
pub(crate) async fn run(args: &AttestArgs, context: &Context) -> Result<Batch<Signed>, CliError> {
    if args.replace && args.publish.format.has_legacy() {
        return Err(UsageError::ReplaceLegacy.into());
    }
    let purpose = match (&args.statement, &args.predicate) {
        (Some(path), _) => {
            let bytes = files::read(path, MAX_STATEMENT_BYTES as u64)?;
            Purpose::Statement(Statement::parse(&bytes).map_err(CliError::Statement)?)
        }
        (None, Some(path)) => Purpose::Attestation {
            predicate_type: args.predicate_type.uri.clone(),
            predicate: predicate(&args.predicate_type.uri, path, context)?,
            replace: if args.replace { Replace::Earlier } else { Replace::Nothing },
        },
        (None, None) => return Err(UsageError::NoPredicate.into()),
    };
    let signing = Signing::new(context, &args.registry, &args.key, &args.publish, &args.references)?;
    Ok(signing.run(&purpose).await)
}

/// Reads the predicate: JSON as it is, `custom` wrapped as cosign does, SPDX in its text form as a string.
fn predicate(predicate_type: &str, path: &Path, context: &Context) -> Result<Box<RawValue>, CliError> {
    let bytes = files::read(path, MAX_STATEMENT_BYTES as u64)?;
    let malformed = |source| CliError::Predicate { path: path.to_owned(), source };
    if predicate_type == CUSTOM {
        let wrapped = CosignCustom::new(&bytes, context.now()).map_err(CliError::CustomPredicate)?;
        return serde_json::value::to_raw_value(&wrapped).map_err(malformed);
    }
    let is_json = bytes.trim_ascii_start().first() == Some(&b'{');
    match std::str::from_utf8(&bytes) {
        Ok(text) if predicate_type == SPDX && !is_json => serde_json::value::to_raw_value(text).map_err(malformed),
        _ => serde_json::from_slice(&bytes).map_err(malformed),
    }
}
