//! Results on standard output, talk on standard error.

pub(crate) mod cosign_json;
pub(crate) mod decision;
pub(crate) mod evidence;
pub(crate) mod junit;
pub(crate) mod model;
pub(crate) mod picture;
pub(crate) mod progress;
pub(crate) mod style;

use std::io::{self, Write};

use crate::args::output::Format;
use crate::error::{CliError, Failure};
use crate::exit::Exit;

/// A command's result, which can be written for people and for programs.
pub(crate) trait Report {
    /// Writes the result for people.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the result as JSON, one value per line.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what people should know besides, to standard error.
    fn write_talk(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Returns what the process says about it.
    fn exit(&self) -> Exit {
        Exit::Ok
    }
}

/// Writes `value` as one line of JSON.
pub(crate) fn json_line(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Whether notes are written to standard error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Talk {
    Normal,
    Quiet,
}

/// Writes everything that people and programs see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) talk: Talk,
}

impl Printer {
    /// Writes a result to standard output and returns its verdict.
    ///
    /// A reader that went away is no error: the verdict stands, so that `sealift verify .. | head` keeps its code.
    pub(crate) fn report(self, format: Format, report: &dyn Report) -> Result<Exit, CliError> {
        let mut out = io::BufWriter::new(anstream::stdout().lock());
        let written = match format {
            Format::Text => report.write_text(&mut out),
            Format::Json => report.write_json(&mut out),
        };
        let written = written.and_then(|()| out.flush());
        if format == Format::Text || self.talk == Talk::Normal {
            let _ = report.write_talk(&mut anstream::stderr().lock());
        }
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
            _ => Ok(report.exit()),
        }
    }

    /// Writes a failure: text to standard error, and in JSON mode an object to standard output as well.
    pub(crate) fn failure(self, format: Format, error: &CliError) {
        let failure = Failure::of(error);
        // Nothing is left to do when standard error is gone.
        let _ = failure.write_text(&mut anstream::stderr().lock());
        if format == Format::Json {
            let _ = failure.write_json(&mut io::stdout().lock());
        }
    }

    /// Writes a line of talk to standard error.
    pub(crate) fn note(self, text: impl std::fmt::Display) {
        if self.talk == Talk::Normal {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// Writes something the user should know to standard error, without stopping for it.
    pub(crate) fn warning(self, text: impl std::fmt::Display) {
        let warning = style::WARNING;
        self.note(format_args!("{warning}warning:{warning:#} {text}"));
    }
}
