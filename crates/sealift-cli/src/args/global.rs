//! Flags of every command.

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

    /// Draw no progress bars, even on a terminal
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}
