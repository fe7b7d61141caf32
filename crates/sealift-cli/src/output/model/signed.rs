//! What was signed and where it was stored.

use std::io::{self, Write};
use std::path::PathBuf;

use sealift_core::entity::EntityFormat;
use sealift_core::evidence::Proof;
use sealift_core::oci::Digest;
use serde::{Deserialize, Serialize};

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
    /// By an earlier run of the same batch.
    DoneBefore,
    Signed,
}

/// One stored signature.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    pub(crate) format: StoredFormat,
    /// The tag it is under, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// Digest of the manifest that holds it.
    pub(crate) digest: Digest,
    /// Indexes of its entries in transparency logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) log_indexes: Vec<i64>,
}

impl Stored {
    /// Says whether this is the signature that verified. Later signers write the manifest of a tag anew.
    pub(crate) fn is_proven_by(&self, proof: &Proof) -> bool {
        match (self.format, proof.verified.format()) {
            (StoredFormat::Bundle, EntityFormat::SigstoreBundle) => proof.place.manifest == self.digest,
            (StoredFormat::Legacy, EntityFormat::CosignAttestation | EntityFormat::CosignSignature) => true,
            _ => false,
        }
    }
}

/// How a signature is stored.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoredFormat {
    Bundle,
    Legacy,
}

impl StoredFormat {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Legacy => "legacy",
        }
    }
}

impl Report for Signed {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, manifest) in self.manifests.iter().enumerate() {
            let verb = match manifest.state {
                State::AlreadySigned => "already signed",
                State::Attested => "attested",
                State::DoneBefore => "done before",
                State::Signed => "signed",
            };
            let platform = manifest.platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"));
            let name = if index == 0 { self.reference.clone() } else { manifest.digest.to_string() };
            writeln!(out, "{GOOD}{verb}{GOOD:#} {name}{platform}")?;
            for stored in &manifest.stored {
                let tag = stored.tag.as_ref().map_or_else(|| "referrer".to_owned(), |tag| format!("tag {tag}"));
                writeln!(out, "  {DIM}{} stored as {tag}, {}{DIM:#}", stored.format.as_str(), stored.digest)?;
                for index in &stored.log_indexes {
                    writeln!(out, "  {DIM}log entry {index}{DIM:#}")?;
                }
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
