//! `sealift man`.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::error::CliError;
use crate::output::model::Document;

/// Write manual pages, one for every command
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift man ~/.local/share/man/man1
  sealift man . && man ./sealift-sign.1")]
pub(crate) struct ManArgs {
    /// Directory to write them to; made when missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages and returns how to read them.
pub(crate) fn run(args: &ManArgs) -> Result<Document, CliError> {
    let failed = |source| CliError::Write { path: args.directory.clone(), source };
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().term_width(100), &args.directory).map_err(failed)?;
    Ok(Document::line(format_args!("wrote manual pages to {}", args.directory.display())))
}
