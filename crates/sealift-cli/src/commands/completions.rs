//! `sealift completions`.

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::output::model::Document;

/// Print a shell's completion script
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift completions bash > ~/.local/share/bash-completion/completions/sealift
  sealift completions zsh > \"${fpath[1]}/_sealift\"
  sealift completions fish > ~/.config/fish/completions/sealift.fish")]
pub(crate) struct CompletionsArgs {
    /// Shell to write for
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Returns the script.
pub(crate) fn run(args: &CompletionsArgs) -> Document {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sealift", &mut script);
    Document::new(script)
}
