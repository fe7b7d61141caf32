//! `sealift version`.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::output::OutputArgs;
use crate::output::{Report, json_line};

/// Show the version
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift version
  sealift version --output json")]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is running.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Version {
    version: &'static str,
    os: &'static str,
    architecture: &'static str,
}

/// Returns the version.
pub(crate) fn run() -> Version {
    Version { version: env!("CARGO_PKG_VERSION"), os: std::env::consts::OS, architecture: std::env::consts::ARCH }
}

impl Report for Version {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "sealift {} ({}/{})", self.version, self.os, self.architecture)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
