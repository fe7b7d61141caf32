//! Whether a registry keeps an image in quarantine.

use std::io::{self, Write};

use sealift_core::oci::RepositoryName;
use sealift_oci::Quarantine;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::style::{GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// One image's state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quarantined {
    reference: String,
    state: Option<String>,
    kept_back: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

impl Quarantined {
    /// Returns what a registry said about an image of `repository`.
    pub(crate) fn new(repository: &RepositoryName, found: Quarantine) -> Self {
        Self {
            reference: format!("{repository}@{}", found.digest),
            state: found.state,
            kept_back: found.is_kept_back,
            details: found.details,
        }
    }
}

impl Report for Quarantined {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let style = if self.kept_back { WARNING } else { GOOD };
        let state = self.state.as_deref().unwrap_or("not in quarantine");
        writeln!(out, "{STRONG}{}{STRONG:#}  {style}{state}{style:#}", self.reference)?;
        self.details.as_ref().map_or(Ok(()), |details| writeln!(out, "details: {details}"))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn exit(&self) -> Exit {
        if self.kept_back { Exit::Quarantined } else { Exit::Ok }
    }
}
