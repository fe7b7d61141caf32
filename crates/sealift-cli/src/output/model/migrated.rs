//! What became of signatures that were to get another form.

use std::io::{self, Write};

use sealift_core::attach::AttachmentKind;
use sealift_core::oci::Digest;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::style::{DIM, GOOD, WARNING};
use crate::output::{Report, json_line};

/// What became of the signatures of an artifact.
#[derive(Debug, Serialize)]
pub(crate) struct Migrated {
    /// By digest.
    pub(crate) reference: String,
    pub(crate) signatures: Vec<MigratedSignature>,
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
    Impossible { reason: String },
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
                Migration::Impossible { reason } => {
                    writeln!(out, "{WARNING}not converted{WARNING:#} {from}: {reason}")?
                }
                Migration::Present => writeln!(out, "{GOOD}present{GOOD:#} {from} {DIM}has the other form{DIM:#}")?,
                Migration::Undecided { reason, .. } => writeln!(out, "{WARNING}undecided{WARNING:#} {from}: {reason}")?,
                Migration::Unverified { reason } => {
                    writeln!(out, "{WARNING}not verified{WARNING:#} {from}: {reason}")?;
                }
            }
        }
        writeln!(out, "{DIM}{} signatures; what was there stays{DIM:#}", self.signatures.len())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn exit(&self) -> Exit {
        match self.signatures.is_empty() {
            // Where there is nothing to convert, everything has the form that was asked for.
            true => Exit::Ok,
            false => Exit::of_several(self.signatures.iter().map(MigratedSignature::exit)),
        }
    }
}
