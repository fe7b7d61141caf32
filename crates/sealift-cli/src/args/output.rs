//! How results are written.

use clap::ValueEnum;

/// Form of the result on standard output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How results are written
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Write the result as text or JSON
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// How results are written, where `--format` means something else
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct SigningOutputArgs {
    /// Write the result as text or JSON
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}
