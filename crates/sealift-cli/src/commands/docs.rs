//! `sealift docs`, hidden: writes the documents that are generated from the code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::other_tools::words::{Equivalent, Meaning, WORDS};
use crate::output::model::Document;

/// Write the generated documents: `exit-codes.md`, `other-tools.md` and `cli/`
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DocsArgs {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the documents.
pub(crate) fn run(args: &DocsArgs) -> Result<Document, CliError> {
    let pages = args.directory.join("cli");
    std::fs::create_dir_all(&pages).map_err(|source| CliError::Write { path: pages.clone(), source })?;
    write(&args.directory.join("exit-codes.md"), &exit_codes())?;
    write(&args.directory.join("other-tools.md"), &other_tools())?;
    let mut command = Cli::command().term_width(100).styles(clap::builder::Styles::plain());
    command.build();
    for (name, page) in command_pages(&command) {
        write(&pages.join(format!("{name}.md")), &page)?;
    }
    Ok(Document::line(format_args!("wrote {}", args.directory.display())))
}

fn exit_codes() -> String {
    format!(
        "# Exit codes\n\nGenerated from `crates/sealift-cli/src/exit.rs`; do not edit.\n\n\
         `sealift verify` and `sealift promote` are safe in `if`: only 0 is yes. 10 to 19 say that the answer is no, 20 \
         to 29 that no answer was reached; in JSON output the name is `error.code`.\n\n{}",
        Exit::table()
    )
}

fn other_tools() -> String {
    let mut page = "# Words of other tools\n\nGenerated from `crates/sealift-cli/src/other_tools/words.rs`; do not edit.\n\n\
         What people know from cosign, oras, crane, skopeo, regctl, notation, gh and kpromo, and sealift does not take by \
         itself. A word is left out where what it asks for is done in any case, stands for what means the same, or is \
         refused with what to do instead. Besides, every switch takes `=true` and `=false`, and `-flag` stands for \
         `--flag`. Variables: [configuration.md](configuration.md#variables-and-flags-of-other-tools).\n\n\
         | word | at | |\n|---|---|---|\n"
        .to_owned();
    for word in WORDS {
        let typed = word.word;
        let said: Vec<String> = match word.meaning {
            Meaning::Verb(equivalent) | Meaning::Value(equivalent) => vec![said(equivalent)],
            Meaning::Switch(on, off) => match (said(on), said(off)) {
                (on, off) if on == off => vec![on],
                (on, _) if matches!(off, Equivalent::Done) => vec![on],
                (on, off) => vec![on, format!("`{typed}=false`: {off}")],
            },
            Meaning::Choice(known, other) => {
                let known = known.iter().map(|(value, equivalent)| format!("`{value}`: {}", said(*equivalent)));
                known.chain([format!("else {}", said(other))]).collect()
            }
        };
        let at: Vec<String> =
            word.at.iter().map(|path| format!("`{}`", format!("sealift {path}").trim_end())).collect();
        let at = if at.is_empty() { "anywhere".to_owned() } else { at.join(", ") };
        // A bar would end the cell.
        let _ = writeln!(page, "| `{typed}` | {at} | {} |", said.join("; ").replace('|', "\\|"));
    }
    page
}

fn said(equivalent: Equivalent) -> String {
    match equivalent {
        Equivalent::Done => "done in any case".to_owned(),
        Equivalent::No(why, instead) => format!("no: {why}; {instead}"),
        Equivalent::Ours(ours) => format!("as `{}`", ours.join(" ")),
    }
}

/// Returns the file name and the page of the root and every visible command below it.
fn command_pages(root: &clap::Command) -> Vec<(String, String)> {
    let mut pages = vec![("sealift".to_owned(), root_page(root))];
    for command in visible_subcommands(root) {
        let mut page = command_section(command, "#");
        for nested in visible_subcommands(command) {
            page += &command_section(nested, "##");
        }
        pages.push((command.get_name().to_owned(), page));
    }
    pages
}

fn root_page(root: &clap::Command) -> String {
    let mut page = format!("{GENERATED}\n# sealift\n\n```text\n{}\n```\n\n", help(root));
    page += "| Command | |\n|---|---|\n";
    for command in visible_subcommands(root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| [`{name}`]({name}.md) | {about} |", name = command.get_name());
    }
    page
}

fn command_section(command: &clap::Command, level: &str) -> String {
    let head = if level == "#" { format!("{GENERATED}\n") } else { "\n".to_owned() };
    format!("{head}{level} {}\n\n```text\n{}\n```\n", command.get_bin_name().unwrap_or_default(), help(command))
}

fn visible_subcommands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn help(command: &clap::Command) -> String {
    let help = command.clone().term_width(100).render_long_help().to_string();
    help.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(|source| CliError::Write { path: path.to_owned(), source })
}

const GENERATED: &str = "<!-- Generated by `sealift docs docs`; do not edit. -->";
