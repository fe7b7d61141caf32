//! What became of signatures that were to get another form.

use std::io::{self, Write};

use sealift_core::attach::AttachmentKind;
use sealift_core::oci::{Digest, Reference};
use serde::Serialize;

use crate::error::{CliError, with_causes};
use crate::exit::Exit;
use crate::output::style::{DIM, GOOD, HINT, WARNING};
use crate::output::{Report, json_line};

/// What became of the signatures of an artifact.
#[derive(Debug, Serialize)]
pub(crate) struct Migrated {
    /// By digest.
    reference: String,
    pub(crate) signatures: Vec<MigratedSignature>,
    /// Manifests whose signatures are not all looked after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unfinished: Vec<Unfinished>,
}

/// A manifest, and why the conversion of what is attached to it ended.
#[derive(Debug, Serialize)]
pub(crate) struct Unfinished {
    subject: Digest,
    reason: String,
    #[serde(skip)]
    exit: Exit,
}

/// One signature, as it was and as it is.
#[derive(Debug, Serialize)]
pub(crate) struct MigratedSignature {
    subject: Digest,
    /// The manifest it was in, and still is.
    from: Digest,
    kind: AttachmentKind,
    #[serde(flatten)]
    outcome: Migration,
}

/// What became of one signature.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub(crate) enum Migration {
    /// It has the other form now, in this manifest.
    Converted { manifest: Digest },
    /// It has no other form.
    Impossible {
        reason: String,
        /// The command that makes a new signature in that form.
        #[serde(skip_serializing_if = "Option::is_none")]
        instead: Option<String>,
    },
    /// It had the other form already.
    Present,
    /// What the other form needs could not be had.
    Undecided {
        reason: String,
        #[serde(skip)]
        exit: Exit,
    },
    /// Nobody whose signatures count made it.
    Unverified { reason: String },
}

impl Migrated {
    /// Returns the report on the artifact that `reference` names, of which nothing is looked after yet.
    pub(crate) fn new(reference: &Reference) -> Self {
        Self { reference: reference.to_string(), signatures: Vec::new(), unfinished: Vec::new() }
    }
}

impl Unfinished {
    /// Describes why the conversion of what is attached to `subject` ended.
    pub(crate) fn of(subject: &Digest, error: &CliError) -> Self {
        Self { subject: subject.clone(), reason: with_causes(error), exit: error.exit() }
    }
}

impl Migration {
    /// Says that a signature has no other form.
    pub(crate) fn impossible(reason: String) -> Self {
        Self::Impossible { reason, instead: None }
    }
}

impl MigratedSignature {
    /// Describes what became of a signature of `subject`.
    pub(crate) fn of(subject: &Digest, from: &Digest, kind: AttachmentKind, outcome: Migration) -> Self {
        Self { subject: subject.clone(), from: from.clone(), kind, outcome }
    }

    fn exit(&self) -> Exit {
        match self.outcome {
            Migration::Converted { .. } | Migration::Present => Exit::Ok,
            Migration::Impossible { .. } | Migration::Unverified { .. } => Exit::Failure,
            Migration::Undecided { exit, .. } => exit,
        }
    }
}

impl Report for Migrated {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for MigratedSignature { from, outcome, .. } in &self.signatures {
            match outcome {
                Migration::Converted { manifest } => writeln!(out, "{GOOD}converted{GOOD:#} {from} to {manifest}")?,
                Migration::Impossible { reason, instead } => {
                    writeln!(out, "{WARNING}not converted{WARNING:#} {from}: {reason}")?;
                    if let Some(command) = instead {
                        writeln!(out, "  {HINT}sign anew:{HINT:#} {command}")?;
                    }
                }
                Migration::Present => writeln!(out, "{GOOD}present{GOOD:#} {from} {DIM}has the other form{DIM:#}")?,
                Migration::Undecided { reason, .. } => writeln!(out, "{WARNING}undecided{WARNING:#} {from}: {reason}")?,
                Migration::Unverified { reason } => {
                    writeln!(out, "{WARNING}not verified{WARNING:#} {from}: {reason}")?;
                }
            }
        }
        for Unfinished { subject, reason, .. } in &self.unfinished {
            writeln!(out, "{WARNING}unfinished{WARNING:#} {subject}: {reason}")?;
        }
        writeln!(out, "{DIM}{} signatures; what was there stays{DIM:#}", self.signatures.len())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn exit(&self) -> Exit {
        if self.signatures.is_empty() && self.unfinished.is_empty() {
            // Where there is nothing to convert, everything has the form that was asked for.
            return Exit::Ok;
        }
        let unfinished = self.unfinished.iter().map(|unfinished| unfinished.exit);
        Exit::of_several(self.signatures.iter().map(MigratedSignature::exit).chain(unfinished))
    }
}
