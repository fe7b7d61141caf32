//! What was attached.

use std::io::{self, Write};

use sealift_core::oci::Digest;
use serde::Serialize;

use crate::output::style::{DIM, GOOD};
use crate::output::{Report, json_line};

/// What was attached.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attached {
    /// What it was attached to, by digest.
    pub(crate) reference: String,
    /// Digest of the manifest that holds it.
    pub(crate) digest: Digest,
    pub(crate) artifact_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// Digest of the manifest that holds its signature, where it was signed at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<Digest>,
}

impl Report for Attached {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(", tag {tag}"));
        writeln!(out, "{GOOD}attached{GOOD:#} {} to {}", self.artifact_type, self.reference)?;
        writeln!(out, "  {DIM}{}{tag}{DIM:#}", self.digest)?;
        self.signature.iter().try_for_each(|signature| writeln!(out, "  {DIM}signed in {signature}{DIM:#}"))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
