//! `sealift env`.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::args::output::OutputArgs;
use crate::config::environment::{shown, unread, variables};
use crate::output::style::DIM;
use crate::output::{Report, json_line};

/// Show the environment variables that are read, what each is for and its value
///
/// Values that are secret are shown as `(set)`. Variables that cosign reads and sealift does not come last, with what says
/// the same here.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift env
  sealift env --output json")]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// One variable.
#[derive(Clone, Debug, Serialize)]
struct Variable {
    name: Cow<'static, str>,
    meaning: Cow<'static, str>,
    /// Whether it changes anything.
    read: bool,
    value: Option<String>,
}

/// The variables.
#[derive(Clone, Debug)]
pub(crate) struct Variables(Vec<Variable>);

/// Returns every variable.
pub(crate) fn run() -> Variables {
    let ours = variables().map(|(name, exposure, meaning)| Variable {
        name: name.into(),
        meaning: meaning.into(),
        read: true,
        value: shown(name, exposure),
    });
    let others = unread().map(|(name, exposure, instead)| {
        let value = shown(&name, exposure);
        Variable { name, meaning: instead, read: false, value }
    });
    Variables(ours.chain(others).collect())
}

impl Report for Variables {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for Variable { name, meaning, read, value } in &self.0 {
            let unread = if *read { "" } else { "not read; instead: " };
            writeln!(out, "{DIM}# {unread}{meaning}{DIM:#}")?;
            writeln!(out, "{name}={}", value.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, &self.0)
    }
}
