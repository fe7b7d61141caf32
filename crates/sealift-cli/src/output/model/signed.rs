//! What was signed and where it was stored.

use std::io::{self, Write};
use std::path::PathBuf;

use sealift_core::oci::Digest;
use serde::Serialize;

use crate::output::style::{DIM, GOOD};
use crate::output::{Report, json_line};

/// What was signed for one reference.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signed {
    /// By digest.
    pub(crate) reference: String,
    pub(crate) manifests: Vec<SignedManifest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle_file: Option<PathBuf>,
}

/// One manifest: the artifact itself, or a platform of it.
#[derive(Debug, Serialize)]
pub(crate) struct SignedManifest {
    pub(crate) digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    pub(crate) state: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stored: Vec<Stored>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    AlreadySigned,
    Attested,
    Signed,
}

/// One stored signature.
#[derive(Debug, Serialize)]
pub(crate) struct Stored {
    /// `bundle` or `legacy`.
    pub(crate) format: &'static str,
    /// The tag it is under, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// Digest of the manifest that holds it.
    pub(crate) digest: Digest,
}

impl Report for Signed {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, manifest) in self.manifests.iter().enumerate() {
            let verb = match manifest.state {
                State::AlreadySigned => "already signed",
                State::Attested => "attested",
                State::Signed => "signed",
            };
            let platform = manifest.platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"));
            let name = if index == 0 { self.reference.clone() } else { manifest.digest.to_string() };
            writeln!(out, "{GOOD}{verb}{GOOD:#} {name}{platform}")?;
            for stored in &manifest.stored {
                let tag = stored.tag.as_ref().map_or_else(|| "referrer".to_owned(), |tag| format!("tag {tag}"));
                writeln!(out, "  {DIM}{} stored as {tag}, {}{DIM:#}", stored.format, stored.digest)?;
            }
        }
        match &self.bundle_file {
            Some(path) => writeln!(out, "  {DIM}bundle written to {}{DIM:#}", path.display()),
            None => Ok(()),
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
