//! Bundles taken apart.

use std::io::{self, Write};

use serde::Serialize;

use super::Described;
use super::inspected::write_payload;
use crate::output::style::{DIM, STRONG};
use crate::output::{Report, json_line};

/// What a bundle holds, unverified.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InspectedBundle {
    pub(crate) file: String,
    /// Its media type; of cosign's older files, that they are one.
    pub(crate) media_type: String,
    /// `envelope` or `message signature`.
    pub(crate) content: &'static str,
    /// Digests of what was signed, as it says.
    pub(crate) digests: Vec<String>,
    pub(crate) predicate_type: Option<String>,
    #[serde(flatten)]
    pub(crate) material: Described,
    pub(crate) payload: Option<serde_json::Value>,
}

impl Report for InspectedBundle {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{STRONG}{}{STRONG:#}  {DIM}{}{DIM:#}", self.file, self.media_type)?;
        writeln!(out, "  content     {}", self.content)?;
        for digest in &self.digests {
            writeln!(out, "  about       {digest}")?;
        }
        if let Some(predicate_type) = &self.predicate_type {
            writeln!(out, "  predicate   {predicate_type}")?;
        }
        self.material.write_text(out)?;
        match &self.payload {
            Some(payload) => write_payload(out, payload),
            None => Ok(()),
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
