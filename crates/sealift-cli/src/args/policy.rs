//! What is demanded, as a document.

use std::path::PathBuf;

/// What is demanded, as a document
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Policy options")]
pub(crate) struct PolicyArgs {
    /// Judge by this policy file, `-` for standard input, instead of by keys and identities given as flags: every rule
    /// of the scope that covers the repository must hold, and a repository without a scope is denied
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Judge as if the artifact were in this repository: for a layout, an archive or a mirror of it
    #[arg(long, value_name = "REPOSITORY", requires = "policy")]
    pub(crate) policy_repository: Option<String>,
}
