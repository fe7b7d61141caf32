//! What was deleted.

use std::io::{self, Write};

use serde::Serialize;

use crate::output::style::GOOD;
use crate::output::{Report, json_line};

/// What was deleted, in order.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted {
    /// The artifact, by digest.
    pub(crate) reference: String,
    /// Digests, or a tag.
    pub(crate) deleted: Vec<String>,
}

impl Report for Deleted {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.deleted.iter().try_for_each(|deleted| writeln!(out, "{GOOD}deleted{GOOD:#} {deleted}"))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
