//! `sealift policy`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::output::{Format, OutputArgs};
use crate::error::CliError;
use crate::output::model::Explained;
use crate::rules;

/// Check and explain policy files
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PolicyCommandArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// What to do with policy files.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(CheckArgs),
    Explain(ExplainArgs),
}

/// Check that a policy file is valid, and print what it demands
///
/// Reads the file and the key files it names, as `verify` and `promote` do, and asks no registry. What is not valid is
/// named by file, line and path inside; the exit code is then 20.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift policy check policy.yaml
  sealift policy check --output json policy.yaml | jq .scopes")]
pub(crate) struct CheckArgs {
    /// Policy file, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    output: OutputArgs,
}

/// Print what a policy file demands of a repository, and by which of its scopes
///
/// Asks no registry; tag and digest are not looked at. A repository without a scope is denied: the exit code is then 14.
/// `sealift verify --policy` judges an artifact and prints what every rule found.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift policy explain --policy policy.yaml registry.example.com/prod/app
  sealift policy explain --policy policy.yaml alpine --output json")]
pub(crate) struct ExplainArgs {
    /// Repository to explain
    #[arg(value_name = "REPOSITORY")]
    repository: String,

    /// Policy file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    #[command(flatten)]
    output: OutputArgs,
}

impl PolicyCommand {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Check(args) => args.output.output,
            Self::Explain(args) => args.output.output,
        }
    }

    /// Does what it says.
    pub(crate) fn run(&self) -> Result<Explained, CliError> {
        match self {
            Self::Check(args) => Ok(Explained::whole(&rules::document(&args.file)?)),
            Self::Explain(args) => {
                let repository = rules::repository(&args.repository)?;
                Ok(Explained::of(&rules::document(&args.policy)?, &repository))
            }
        }
    }
}
