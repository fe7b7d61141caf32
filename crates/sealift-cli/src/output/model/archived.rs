//! What was saved in an archive, or loaded from one.

use std::io::{self, Write};
use std::path::PathBuf;

use sealift_core::oci::Tag;
use sealift_promote::{Completeness, Promoted};
use serde::Serialize;

use super::copied::Transfer;
use super::promoted::write_completeness;
use crate::output::style::{DIM, GOOD};
use crate::output::{Report, json_line};

/// What was saved or loaded.
#[derive(Debug, Serialize)]
pub(crate) struct Archived {
    /// `saved` or `loaded`.
    pub(crate) task: &'static str,
    pub(crate) archive: PathBuf,
    pub(crate) images: Vec<ArchivedImage>,
    /// Files that travel with the images: their names in the archive, or where they were written.
    #[serde(rename = "files", skip_serializing_if = "Vec::is_empty")]
    pub(crate) companions: Vec<PathBuf>,
}

/// One image with what is attached to it.
#[derive(Debug, Serialize)]
pub(crate) struct ArchivedImage {
    /// By digest: where it came from, or was once saved from.
    source: String,
    /// By digest, where it went; none for an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    tag: Option<String>,
    /// Always: what is not complete is an error.
    complete: bool,
    completeness: Completeness,
    objects: Transfer,
}

impl ArchivedImage {
    /// Describes what was moved.
    pub(crate) fn of(source: String, destination: Option<String>, tag: Option<&Tag>, moved: Promoted) -> Self {
        Self {
            source,
            destination,
            tag: tag.map(ToString::to_string),
            complete: true,
            objects: Transfer::of(&moved.report),
            completeness: moved.completeness,
        }
    }
}

impl Report for Archived {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for image in &self.images {
            let tag = image.tag.as_ref().map_or_else(String::new, |tag| format!(", tag {tag}"));
            let place = image.destination.clone().unwrap_or_else(|| self.archive.display().to_string());
            writeln!(out, "{GOOD}{}{GOOD:#} {} to {place}{tag}", self.task, image.source)?;
            write_completeness(out, &image.completeness)?;
            image.objects.write_text(out)?;
        }
        if !self.images.is_empty() {
            writeln!(out, "{DIM}nothing was verified{DIM:#}")?;
        }
        self.companions.iter().try_for_each(|file| writeln!(out, "{GOOD}{}{GOOD:#} {}", self.task, file.display()))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
