//! What was found for a reference, and what counts.

use std::io::{self, Write};

use sealift_core::dsse::Envelope;
use sealift_core::evidence::{Evidence, Proof, Verdict};
use sealift_core::oci::{Digest, Reference, media_type};
use sealift_core::verify::Claim;
use serde::Serialize;

use super::Answer;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::cosign_json::SignatureLine;
use crate::output::style::{BAD, DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, evidence, json_line};

/// What was found for one reference.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) reference: Reference,
    pub(crate) digest: Digest,
    /// The artifact itself, then its platforms where they were asked for.
    pub(crate) judgements: Vec<Judgement>,
}

/// What was found for one manifest.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) platform: Option<String>,
    pub(crate) evidence: Evidence,
}

impl Judged {
    /// Says whether nothing at all speaks for the artifact, so that it may not even exist.
    pub(crate) fn is_nothing_found(&self) -> bool {
        let is_nothing = |judgement: &Judgement| judgement.evidence.verdict() == Verdict::NoSignature;
        self.judgements.first().is_some_and(is_nothing)
    }
}

impl Answer for Judged {
    fn failure(&self) -> Option<Failure> {
        let Judgement { platform, evidence } =
            Exit::decisive(&self.judgements, |judgement| evidence::exit(&judgement.evidence))?;
        Some(evidence::failure(&self.reference, platform.as_deref(), evidence).ending(self.exit()))
    }
}

impl Report for Judged {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let several = self.judgements.len() > 1;
        for (index, judgement) in self.judgements.iter().enumerate() {
            let (style, word) = match judgement.evidence.verdict() {
                Verdict::Verified => (GOOD, "verified"),
                Verdict::NoMatchingSignature | Verdict::NoSignature => (BAD, "refused"),
                Verdict::Undecided => (WARNING, "undecided"),
            };
            if index == 0 {
                writeln!(out, "{style}{word}{style:#} {STRONG}{}{STRONG:#}", self.reference)?;
                if self.reference.digest().is_none() {
                    writeln!(out, "  {DIM}digest {}{DIM:#}", self.digest)?;
                }
            } else if several {
                let platform = judgement.platform.as_deref().unwrap_or("manifest");
                writeln!(out, "{style}{word}{style:#} {platform} {}", judgement.evidence.subject())?;
            }
            evidence::write_text(out, &judgement.evidence)?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: Failure,
            reference: String,
            digest: &'a Digest,
        }
        if let Some(error) = self.failure() {
            return json_line(out, &Line { error, reference: self.reference.to_string(), digest: &self.digest });
        }
        let proofs: Vec<&Proof> = self.judgements.iter().flat_map(|judgement| judgement.evidence.verified()).collect();
        match self.judgements.first().map(|judgement| judgement.evidence.claim()) {
            Some(Claim::Attestation { .. }) => proofs.iter().try_for_each(|proof| write_envelope(out, proof)),
            _ => {
                let lines = proofs.iter().map(|proof| SignatureLine::of(&self.reference, &proof.verified));
                json_line(out, &lines.collect::<Vec<_>>())
            }
        }
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.failure().map_or(Ok(()), |failure| failure.write_text(out))
    }

    fn exit(&self) -> Exit {
        Exit::of_several(self.judgements.iter().map(|judgement| evidence::exit(&judgement.evidence)))
    }
}

/// Writes the envelope of an attestation as cosign does, so that `jq -r .payload | base64 -d` gives the statement.
fn write_envelope(out: &mut dyn Write, proof: &Proof) -> io::Result<()> {
    let verified = &proof.verified;
    let payload = verified.payload().cloned().unwrap_or_default();
    let envelope = Envelope::new(media_type::IN_TOTO, payload, verified.signature().to_vec());
    out.write_all(&envelope.to_json().map_err(io::Error::other)?)?;
    out.write_all(b"\n")
}
