//! What a policy decided about one reference.

use std::io::{self, Write};

use sealift_core::oci::{Digest, Reference};
use sealift_policy::{Decision, Ruling};
use serde::Serialize;

use super::Answer;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::style::{BAD, DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, decision, json_line};

/// What a policy decided about one reference.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) reference: Reference,
    pub(crate) digest: Digest,
    /// The artifact itself, then its platforms where they were asked for.
    pub(crate) manifests: Vec<DecidedManifest>,
}

/// What a policy decided about one manifest.
#[derive(Debug, Serialize)]
pub(crate) struct DecidedManifest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<String>,
    #[serde(flatten)]
    pub(crate) decision: Decision,
}

impl Answer for Decided {
    fn failure(&self) -> Option<Failure> {
        let DecidedManifest { platform, decision } =
            Exit::decisive(&self.manifests, |manifest| decision::exit(&manifest.decision))?;
        let failure = decision::failure(&self.reference, platform.as_deref(), decision)?;
        Some(failure.ending(self.exit()))
    }
}

impl Report for Decided {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, manifest) in self.manifests.iter().enumerate() {
            let decision = &manifest.decision;
            let (style, word) = match decision.ruling() {
                Ruling::Allow => (GOOD, "allowed"),
                Ruling::Deny => (BAD, "denied"),
                Ruling::Undecided => (WARNING, "undecided"),
            };
            if index == 0 {
                writeln!(out, "{style}{word}{style:#} {STRONG}{}{STRONG:#}", self.reference)?;
                if self.reference.digest().is_none() {
                    writeln!(out, "  {DIM}digest {}{DIM:#}", self.digest)?;
                }
            } else {
                let platform = manifest.platform.as_deref().unwrap_or("manifest");
                writeln!(out, "{style}{word}{style:#} {platform} {}", decision.digest())?;
            }
            decision::write_text(out, decision)?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<Failure>,
            reference: String,
            digest: &'a Digest,
            manifests: &'a [DecidedManifest],
        }
        let (reference, digest, manifests) = (self.reference.to_string(), &self.digest, &*self.manifests);
        json_line(out, &Line { error: self.failure(), reference, digest, manifests })
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.failure().map_or(Ok(()), |failure| failure.write_text(out))
    }

    fn exit(&self) -> Exit {
        Exit::of_several(self.manifests.iter().map(|manifest| decision::exit(&manifest.decision)))
    }
}
