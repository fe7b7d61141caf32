//! Where the bundles of signed files go.

use std::path::{Path, PathBuf};

use sealift_core::entity::Bundle;

use crate::args::NO_HEADING;
use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};

/// Where the bundles of signed files go
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct BlobOutputArgs {
    /// Write the bundle here, over what is there; for one file. Default: the file's name with `.sigstore.json`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    /// Overwrite bundles that exist beside the files
    #[arg(long)]
    overwrite: bool,
}

impl BlobOutputArgs {
    /// Refuses to write several files' results to one place.
    pub(crate) fn refuse_several(&self, files: &[String], other: Option<&PathBuf>) -> Result<(), UsageError> {
        match (files.len(), self.bundle.is_some(), other.is_some()) {
            (0 | 1, _, _) | (_, false, false) => Ok(()),
            (_, true, _) => Err(UsageError::OneFile { flag: "--bundle" }),
            (_, false, true) => Err(UsageError::OneFile { flag: "--output-signature" }),
        }
    }

    /// Returns where the bundle of `file` goes, unless it is there and may not be overwritten: better to know before
    /// anything is signed.
    pub(crate) fn bundle_path(&self, file: &str) -> Result<PathBuf, UsageError> {
        match &self.bundle {
            Some(path) => Ok(path.clone()),
            None if file == "-" => Err(UsageError::NoFileName { flag: "--bundle" }),
            None => {
                let path = PathBuf::from(format!("{file}.sigstore.json"));
                if path.exists() && !self.overwrite {
                    return Err(UsageError::BundleExists { path });
                }
                Ok(path)
            }
        }
    }

    /// Writes the bundle.
    pub(crate) fn write_bundle(&self, path: &Path, bundle: &Bundle) -> Result<(), CliError> {
        let json = bundle.to_json().map_err(CliError::Bundle)?;
        let may_overwrite = self.overwrite || self.bundle.is_some();
        let overwrite = if may_overwrite { Overwrite::Allowed } else { Overwrite::Refused };
        files::write(path, json.as_bytes(), Readers::Everyone, overwrite)
    }
}
