//! What was copied or promoted.

use std::io::{self, Write};

use sealift_core::copy::{CopyReport, Tally};
use sealift_promote::Skipped;
use serde::Serialize;

use crate::output::style::{DIM, GOOD};
use crate::output::{Report, json_line};

/// What was copied.
#[derive(Debug)]
pub(crate) struct Copied {
    /// By digest.
    pub(crate) source: String,
    /// By digest.
    pub(crate) destination: String,
    pub(crate) tag: Option<String>,
    pub(crate) report: CopyReport,
    /// Number of attachments among the objects.
    pub(crate) attached: usize,
    /// What is listed at the source and could not come along.
    pub(crate) left_behind: Vec<LeftBehind>,
}

/// Something listed at the source that is no attachment, so that it was not copied.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LeftBehind {
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    storage: String,
    reason: String,
}

impl LeftBehind {
    /// Describes what a plan skips.
    pub(crate) fn of(skipped: &Skipped) -> Self {
        Self {
            digest: skipped.digest.as_ref().map(ToString::to_string),
            storage: skipped.storage.map_or_else(|| "index".to_owned(), |storage| storage.to_string()),
            reason: skipped.reason.to_string(),
        }
    }
}

/// Objects by how they came to be at the destination.
#[derive(Debug, Serialize)]
pub(crate) struct Transfer {
    copied: Count,
    mounted: Count,
    present: Count,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    foreign: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Count {
    objects: u64,
    bytes: u64,
}

impl Transfer {
    /// Describes what a copy did.
    pub(crate) fn of(report: &CopyReport) -> Self {
        Self {
            copied: Count::of(report.copied),
            mounted: Count::of(report.mounted),
            present: Count::of(report.present),
            foreign: report.skipped.iter().map(|descriptor| descriptor.digest.to_string()).collect(),
        }
    }

    /// Writes one line for people.
    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { copied, mounted, present, foreign } = self;
        writeln!(
            out,
            "  {DIM}{} objects copied ({}), {} mounted, {} present already{DIM:#}",
            copied.objects,
            size(copied.bytes),
            mounted.objects,
            present.objects
        )?;
        foreign.iter().try_for_each(|digest| {
            writeln!(out, "  {DIM}skipped {digest}: a foreign layer that the source does not hold{DIM:#}")
        })
    }
}

impl Count {
    fn of(tally: Tally) -> Self {
        Self { objects: tally.objects, bytes: tally.bytes }
    }
}

impl Report for Copied {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(", tag {tag}"));
        writeln!(out, "{GOOD}copied{GOOD:#} {} to {}{tag}", self.source, self.destination)?;
        writeln!(out, "  {DIM}with {} attachments; nothing was verified{DIM:#}", self.attached)?;
        Transfer::of(&self.report).write_text(out)?;
        self.left_behind.iter().try_for_each(|LeftBehind { digest, storage, reason }| {
            let digest = digest.as_deref().unwrap_or("the listing");
            writeln!(out, "  {DIM}left behind {digest} ({storage}): {reason}{DIM:#}")
        })
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            source: &'a str,
            destination: &'a str,
            tag: Option<&'a str>,
            attachments: usize,
            objects: Transfer,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            left_behind: &'a [LeftBehind],
        }
        json_line(
            out,
            &Line {
                source: &self.source,
                destination: &self.destination,
                tag: self.tag.as_deref(),
                attachments: self.attached,
                objects: Transfer::of(&self.report),
                left_behind: &self.left_behind,
            },
        )
    }
}

/// Writes a size for people.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
