//! The results of one command on several references.

use std::io::{self, Write};

use serde::Serialize;

use crate::error::{CliError, Failure};
use crate::exit::Exit;
use crate::output::{Report, json_line};

/// The results of one command on several references, in the order they were given; one failure stops no other.
#[derive(Debug)]
pub(crate) struct Batch<T>(pub(crate) Vec<(String, Result<T, CliError>)>);

impl<T: Report> Report for Batch<T> {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().filter_map(|(_, result)| result.as_ref().ok()).try_for_each(|report| report.write_text(out))
    }

    /// Writes a line for each reference: its result, or `{"error": .., "reference": ..}`.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: Failure,
            reference: &'a str,
        }
        self.0.iter().try_for_each(|(reference, result)| match result {
            Ok(report) => report.write_json(out),
            Err(error) => json_line(out, &Line { error: Failure::of(error), reference }),
        })
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().try_for_each(|(_, result)| match result {
            Ok(report) => report.write_talk(out),
            Err(error) => Failure::of(error).write_text(out),
        })
    }

    fn exit(&self) -> Exit {
        Exit::of_several(self.0.iter().map(|(_, result)| match result {
            Ok(report) => report.exit(),
            Err(error) => error.exit(),
        }))
    }
}
