//! What was deleted.

use std::io::{self, Write};

use sealift_core::attach::Attachment;
use sealift_core::oci::{Digest, Reference};
use serde::Serialize;

use crate::output::style::{DIM, GOOD, WARNING};
use crate::output::{Report, json_line};

/// What was deleted, in order.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted {
    /// The artifact, by digest.
    reference: String,
    /// Digests, or a tag.
    pub(crate) deleted: Vec<String>,
    /// What was attached to it, at any depth, and is still there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) orphans: Vec<Orphan>,
}

/// Something attached whose subject is gone.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Orphan {
    digest: Digest,
    subject: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    storage: String,
}

impl Deleted {
    /// Returns the report of the deletion of what `reference` names, of which nothing is done yet.
    pub(crate) fn new(reference: &Reference) -> Self {
        Self { reference: reference.to_string(), deleted: Vec::new(), orphans: Vec::new() }
    }
}

impl From<&Attachment> for Orphan {
    fn from(attachment: &Attachment) -> Self {
        Self {
            digest: attachment.descriptor().digest.clone(),
            subject: attachment.subject.clone(),
            artifact_type: attachment.artifact_type.clone(),
            storage: attachment.storage.to_string(),
        }
    }
}

impl Report for Deleted {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.deleted.iter().try_for_each(|deleted| writeln!(out, "{GOOD}deleted{GOOD:#} {deleted}"))?;
        self.orphans.iter().try_for_each(|orphan| {
            let artifact_type = orphan.artifact_type.as_deref().unwrap_or("of no type");
            writeln!(
                out,
                "{WARNING}orphan{WARNING:#} {} {DIM}{artifact_type}, {}{DIM:#}",
                orphan.digest, orphan.storage
            )
        })
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
