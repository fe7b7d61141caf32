//! `sealift env`.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::output::OutputArgs;
use crate::config::environment::{shown, variables};
use crate::output::style::DIM;
use crate::output::{Report, json_line};

/// Show the environment variables that are read, what each is for and its value
///
/// Values that are secret are shown as `(set)`.
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
    name: &'static str,
    meaning: &'static str,
    value: Option<String>,
}

/// The variables.
#[derive(Clone, Debug)]
pub(crate) struct Variables(Vec<Variable>);

/// Returns every variable.
pub(crate) fn run() -> Variables {
    let variable = |(name, exposure, meaning)| Variable { name, meaning, value: shown(name, exposure) };
    Variables(variables().map(variable).collect())
}

impl Report for Variables {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for Variable { name, meaning, value } in &self.0 {
            writeln!(out, "{DIM}# {meaning}{DIM:#}")?;
            writeln!(out, "{name}={}", value.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, &self.0)
    }
}
