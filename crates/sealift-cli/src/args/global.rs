//! Flags of every command.

use std::path::PathBuf;

/// Flags of every command
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Show what happens on standard error; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, visible_short_alias = 'd')]
    pub(crate) verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Read this configuration file instead of `.sealift.yaml` and the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Show no progress: no bars on a terminal, no lines elsewhere
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}
