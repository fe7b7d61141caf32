//! A promotion that a gate stopped.

use std::io::{self, Write};

use sealift_core::oci::Reference;
use sealift_policy::Decision;
use serde::Serialize;

use crate::error::Failure;
use crate::exit::Exit;
use crate::output::style::{BAD, DIM, STRONG};
use crate::output::{Report, decision, json_line};

/// A promotion that a gate stopped.
#[derive(Debug)]
pub(crate) struct Refused {
    /// As given.
    pub(crate) source: Reference,
    /// What was judged, and where.
    pub(crate) reference: Reference,
    pub(crate) decision: Decision,
}

impl Refused {
    pub(crate) fn failure(&self) -> Failure {
        decision::failure(&self.reference, None, &self.decision).unwrap_or_else(|| {
            Failure::new(Exit::PolicyDenied, format!("{}: the policy denies it", self.reference), None, vec![])
        })
    }
}

impl Report for Refused {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{BAD}not promoted{BAD:#} {STRONG}{}{STRONG:#}", self.reference)?;
        writeln!(out, "  {DIM}digest {}, judged at {}{DIM:#}", self.decision.digest(), self.decision.repository())?;
        decision::write_text(out, &self.decision)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: Failure,
            reference: String,
            source: String,
            decision: &'a Decision,
        }
        let (reference, source) = (self.reference.to_string(), self.source.to_string());
        json_line(out, &Line { error: self.failure(), reference, source, decision: &self.decision })
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.failure().write_text(out)
    }

    fn exit(&self) -> Exit {
        match decision::exit(&self.decision) {
            // Only what is not allowed is refused.
            Exit::Ok => Exit::PolicyDenied,
            exit => exit,
        }
    }
}
