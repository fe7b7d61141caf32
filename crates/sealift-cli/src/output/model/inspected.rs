//! Signatures taken apart.

use std::io::{self, Write};

use sealift_core::evidence::Place;
use sealift_core::oci::{Descriptor, Digest};
use serde::Serialize;

use super::Described;
use crate::output::style::{BAD, DIM, STRONG};
use crate::output::{Report, json_line};

/// The signatures of an artifact, taken apart.
#[derive(Debug, Serialize)]
pub(crate) struct Inspected {
    pub(crate) reference: String,
    pub(crate) signatures: Vec<InspectedSignature>,
}

/// One signature: what it says, unverified.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InspectedSignature {
    storage: String,
    manifest: Digest,
    layer: Digest,
    media_type: String,
    size: u64,
    pub(crate) predicate_type: Option<String>,
    /// Whether the payload speaks of the artifact's digest.
    pub(crate) digest_matches: bool,
    #[serde(flatten)]
    pub(crate) material: Described,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    pub(crate) payload: Option<serde_json::Value>,
}

impl InspectedSignature {
    /// Starts with what is known without reading the content.
    pub(crate) fn of(place: &Place, layer: &Descriptor) -> Self {
        Self {
            storage: place.storage.to_string(),
            manifest: place.manifest.clone(),
            layer: layer.digest.clone(),
            media_type: layer.media_type.to_string(),
            size: layer.size,
            predicate_type: None,
            digest_matches: false,
            material: Described::default(),
            problem: None,
            payload: None,
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{STRONG}{}{STRONG:#}  {DIM}[{}]{DIM:#}", self.media_type, self.storage)?;
        writeln!(out, "  manifest    {}", self.manifest)?;
        writeln!(out, "  content     {} ({} bytes)", self.layer, self.size)?;
        if let Some(problem) = &self.problem {
            return writeln!(out, "  {BAD}malformed{BAD:#}   {problem}");
        }
        if let Some(predicate_type) = &self.predicate_type {
            writeln!(out, "  predicate   {predicate_type}")?;
        }
        let matches = if self.digest_matches { "this artifact" } else { "another artifact" };
        writeln!(out, "  about       {matches}")?;
        self.material.write_text(out)?;
        match &self.payload {
            Some(payload) => write_payload(out, payload),
            None => Ok(()),
        }
    }
}

/// Writes the payload, the long ones only in their beginning.
pub(super) fn write_payload(out: &mut dyn Write, payload: &serde_json::Value) -> io::Result<()> {
    /// Lines of a payload that are shown; `--raw payload` shows all.
    const MAX_LINES: usize = 40;
    let text = serde_json::to_string_pretty(payload)?;
    writeln!(out, "  payload")?;
    for line in text.lines().take(MAX_LINES) {
        writeln!(out, "    {line}")?;
    }
    match text.lines().count().saturating_sub(MAX_LINES) {
        0 => Ok(()),
        more => writeln!(out, "    {DIM}... {more} more lines; `--raw payload` shows all{DIM:#}"),
    }
}

impl Report for Inspected {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{STRONG}{}{STRONG:#}: {} signatures and attestations", self.reference, self.signatures.len())?;
        self.signatures.iter().try_for_each(|signature| signature.write_text(out))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
