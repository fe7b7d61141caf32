//! Bytes that are written as they are.

use std::fmt;
use std::io::{self, Write};

use crate::output::Report;

/// Bytes that are written as they are, in every format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Document(Vec<u8>);

impl Document {
    /// Wraps bytes.
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns one line of text.
    pub(crate) fn line(text: impl fmt::Display) -> Self {
        Self(format!("{text}\n").into_bytes())
    }
}

impl Report for Document {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.0)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.0)
    }
}
