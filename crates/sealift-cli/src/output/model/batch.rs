//! The results of one command on several references.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::error::{CliError, Failure};
use crate::exit::Exit;
use crate::output::junit::{Case, Outcome};
use crate::output::{Report, json_line};

/// The results of one command on several references, in the order they were given; one failure stops no other.
#[derive(Debug)]
pub(crate) struct Batch<T>(pub(crate) Vec<(String, Result<T, CliError>)>);

/// The answers about several references, in the order they were given, and how long each took.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    pub(crate) batch: Batch<T>,
    pub(crate) elapsed: Vec<Duration>,
}

/// An answer that may be no.
pub(crate) trait Answer: Report {
    /// Describes the first thing that is not a yes.
    fn failure(&self) -> Option<Failure>;
}

impl<T: Answer> Answers<T> {
    /// Returns a case for each reference.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let case = |((reference, result), elapsed): (&(String, Result<T, CliError>), &Duration)| {
            let (exit, failure) = match result {
                Ok(answer) => (answer.exit(), answer.failure()),
                Err(error) => (error.exit(), Some(Failure::of(error))),
            };
            // Only a yes passes, whatever is said besides.
            let outcome = match exit {
                Exit::Ok => Outcome::Passed,
                exit => {
                    let unsaid = || Failure::new(exit, reference.clone(), None, Vec::new());
                    Outcome::of(exit, &failure.unwrap_or_else(unsaid))
                }
            };
            Case { class: reference.clone(), name: reference.clone(), elapsed: *elapsed, outcome }
        };
        self.batch.0.iter().zip(&self.elapsed).map(case).collect()
    }
}

impl<T: Report> Report for Answers<T> {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.batch.write_text(out)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.batch.write_json(out)
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.batch.write_talk(out)
    }

    fn exit(&self) -> Exit {
        self.batch.exit()
    }
}

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
