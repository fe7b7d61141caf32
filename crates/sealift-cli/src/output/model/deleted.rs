//! What was deleted.

use std::io::{self, Write};

use sealift_core::attach::{Attachment, Unread};
use sealift_core::oci::{Digest, Reference};
use sealift_core::repository::RepositoryError;
use serde::Serialize;

use crate::error::with_causes;
use crate::output::style::{DIM, GOOD, WARNING};
use crate::output::{Report, json_line};

/// What was deleted, in order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deleted {
    /// The artifact, by digest.
    reference: String,
    /// Digests, or a tag.
    pub(crate) deleted: Vec<String>,
    /// What was attached to it, at any depth, and is still there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) orphans: Vec<Orphan>,
    /// What could not be read before, so that what is left behind of it is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) may_be_left: Vec<MayBeLeft>,
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

/// Something that is left behind if it exists, which could not be told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MayBeLeft {
    what: Left,
    /// What is attached, where that much is known; for an entry what it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// What it is attached to, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    /// Why it could not be read.
    reason: String,
}

/// What may be left behind.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Left {
    /// Something that was attached.
    Attachment,
    /// An entry in the list of what the artifact itself was attached to.
    ListEntry,
}

impl MayBeLeft {
    /// Returns that anything may be left that is attached to `subject`, of which nothing could be listed.
    pub(crate) fn attached_to(subject: &Digest, error: &RepositoryError) -> Self {
        let (what, subject) = (Left::Attachment, Some(subject.clone()));
        Self { what, digest: None, subject, storage: None, reason: with_causes(error) }
    }

    /// Returns that a list may still name `digest`, which does not say what it is attached to.
    pub(crate) fn entry_of(digest: &Digest, error: &RepositoryError) -> Self {
        let (what, digest) = (Left::ListEntry, Some(digest.clone()));
        Self { what, digest, subject: None, storage: None, reason: with_causes(error) }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{WARNING}may be left behind{WARNING:#} ")?;
        match (self.what, &self.digest, &self.subject) {
            (Left::ListEntry, Some(digest), _) => write!(out, "the entry of {digest} in the list of its subject")?,
            (_, Some(digest), _) => write!(out, "{digest}")?,
            (_, None, Some(subject)) => write!(out, "what else is attached to {subject}")?,
            (_, None, None) => write!(out, "what else is attached")?,
        }
        let storage = self.storage.as_ref().map_or_else(String::new, |storage| format!("{storage}, "));
        writeln!(out, " {DIM}{storage}not read: {}{DIM:#}", self.reason)
    }
}

impl From<Unread> for MayBeLeft {
    fn from(unread: Unread) -> Self {
        Self {
            what: Left::Attachment,
            digest: unread.digest,
            subject: Some(unread.subject),
            storage: Some(unread.storage.to_string()),
            reason: with_causes(&unread.error),
        }
    }
}

impl Deleted {
    /// Returns the report of the deletion of what `reference` names, of which nothing is done yet.
    pub(crate) fn new(reference: &Reference) -> Self {
        Self { reference: reference.to_string(), deleted: Vec::new(), orphans: Vec::new(), may_be_left: Vec::new() }
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
        })?;
        self.may_be_left.iter().try_for_each(|left| left.write_text(out))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
