//! A report for CI systems in a file, beside the result on standard output.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::args::output::Format;
use crate::error::{CliError, Failure};
use crate::exit::Exit;
use crate::files::{self, Overwrite, Readers};
use crate::output::junit::{Case, Outcome, Suite, Trouble};
use crate::output::{Printer, Report};

/// The file of a run, if one is wanted.
#[derive(Debug)]
pub(crate) struct ReportFile<'a> {
    path: Option<&'a Path>,
    /// What is run.
    suite: &'static str,
    /// What it is run on, as a whole.
    subject: String,
    started: Instant,
}

impl<'a> ReportFile<'a> {
    /// Begins a run.
    pub(crate) fn begin(path: Option<&'a Path>, suite: &'static str, subject: String) -> Self {
        let file = Self { path, suite, subject, started: Instant::now() };
        let message = "the run has not ended, or it was killed".to_owned();
        let unfinished = Outcome::Broken(Trouble { code: "UNFINISHED", message, details: String::new() });
        // A report that is left from another run would pass for one of this run, should this one be killed. Where none
        // can be written, the end says so.
        let _ = file.write(Duration::ZERO, || vec![file.whole(unfinished, Duration::ZERO)]);
        file
    }

    /// Ends it: writes `cases` of the outcome to the file, and the outcome itself, and returns what the process says.
    pub(crate) fn end<T: Report>(
        &self,
        printer: Printer,
        format: Format,
        outcome: Result<T, CliError>,
        cases: impl FnOnce(&T) -> Vec<Case>,
    ) -> Result<Exit, CliError> {
        let elapsed = self.started.elapsed();
        let written = self.write(elapsed, || match &outcome {
            Ok(report) => cases(report),
            Err(error) => vec![self.whole(Outcome::of(error.exit(), &Failure::of(error)), elapsed)],
        });
        if let Err(error) = &written {
            // Before the result, whose last line is the summary.
            printer.failure(format, error);
        }
        let exit = printer.report(format, &outcome?)?;
        // What the result says outweighs what became of the report.
        Ok(written.err().filter(|_| exit == Exit::Ok).map_or(exit, |error| error.exit()))
    }

    /// Returns the case that stands for everything.
    fn whole(&self, outcome: Outcome, elapsed: Duration) -> Case {
        Case { class: self.subject.clone(), name: self.subject.clone(), elapsed, outcome }
    }

    fn write(&self, elapsed: Duration, cases: impl FnOnce() -> Vec<Case>) -> Result<(), CliError> {
        let Some(path) = self.path else { return Ok(()) };
        let suite = Suite { name: self.suite.to_owned(), elapsed, cases: cases() };
        files::write(path, suite.to_xml().as_bytes(), Readers::Everyone, Overwrite::Allowed)
    }
}
