//! Evidence for people: what was found, why it does or does not count, and what to do about it.

use std::io::{self, Write};

use sealift_core::attach::Unread;
use sealift_core::entity::EntityFormat;
use sealift_core::evidence::{Evidence, Proof, Rejection, RejectionReason, Verdict};
use sealift_core::oci::Reference;
use sealift_core::verify::{Claim, LogEvidence, VerifyError};

use super::style::{BAD, DIM, GOOD, WARNING};
use crate::error::{Failure, causes, exit_of_repository, undecided};
use crate::exit::Exit;
use crate::hint;

/// Returns what evidence means for the process.
pub(crate) fn exit(evidence: &Evidence) -> Exit {
    match evidence.verdict() {
        Verdict::Verified => Exit::Ok,
        Verdict::NoSignature => Exit::NoSignature,
        Verdict::NoMatchingSignature => Exit::NoMatchingSignature,
        Verdict::Undecided => {
            let unread = evidence.undecided().first();
            unread.map_or(Exit::Unavailable, |unread| undecided(exit_of_repository(&unread.error)))
        }
    }
}

/// Describes evidence that does not verify.
pub(crate) fn failure(reference: &Reference, platform: Option<&str>, evidence: &Evidence) -> Failure {
    let place = platform.map_or_else(String::new, |platform| format!(" ({platform})"));
    let causes = match evidence.verdict() {
        Verdict::Undecided => evidence.undecided().first().map(|unread| chain(&unread.error)),
        _ => closest(evidence).map(reasons),
    };
    let message = format!("{reference}{place}: {}", message(evidence));
    Failure::new(exit(evidence), message, advice(reference, evidence), causes.unwrap_or_default())
}

/// Writes a line for everything that was found.
pub(crate) fn write_text(out: &mut dyn Write, evidence: &Evidence) -> io::Result<()> {
    for proof in evidence.verified() {
        write_proof(out, proof)?;
    }
    for rejection in evidence.rejected().iter().filter(|rejection| rejection.is_for_claim()) {
        writeln!(out, "  {BAD}no{BAD:#}   {}: {}", rejection.place, reasons(rejection).join(": "))?;
    }
    let others = evidence.rejected().iter().filter(|rejection| !rejection.is_for_claim()).count();
    if others > 0 {
        writeln!(out, "  {DIM}-    {others} of other types, which are not asked for{DIM:#}")?;
    }
    for Unread { storage, digest, error, .. } in evidence.undecided() {
        let digest = digest.as_ref().map_or_else(|| "listing".to_owned(), ToString::to_string);
        let reason = chain(error).join(": ");
        writeln!(out, "  {WARNING}?{WARNING:#}    {digest} ({storage}) could not be read: {reason}")?;
    }
    for problem in evidence.problems() {
        let digest = problem.digest.as_ref().map_or_else(|| "listing".to_owned(), ToString::to_string);
        let reason = chain(&problem.reason).join(": ");
        writeln!(out, "  {DIM}-    {digest} ({}) is no attachment: {reason}{DIM:#}", problem.storage)?;
    }
    Ok(())
}

fn write_proof(out: &mut dyn Write, proof: &Proof) -> io::Result<()> {
    let verified = &proof.verified;
    let form = match verified.format() {
        EntityFormat::SigstoreBundle => "Sigstore bundle",
        EntityFormat::CosignSignature => "cosign signature",
        EntityFormat::CosignAttestation => "cosign attestation",
        _ => "signature",
    };
    writeln!(out, "  {GOOD}yes{GOOD:#}  {}: {form} by {}", proof.place, verified.signer())?;
    if let Some(predicate_type) = verified.predicate_type() {
        writeln!(out, "       {DIM}predicate {predicate_type}{DIM:#}")?;
    }
    for (key, value) in verified.annotations() {
        writeln!(out, "       {DIM}annotation {key}={value}{DIM:#}")?;
    }
    match verified.log() {
        LogEvidence::NotChecked { entries } => {
            writeln!(out, "       {DIM}transparency log: entries came along ({entries}), not checked{DIM:#}")
        }
        _ => Ok(()),
    }
}

fn message(evidence: &Evidence) -> String {
    let what = match evidence.claim() {
        Claim::Attestation { predicate_type: Some(predicate_type) } => format!("attestation `{predicate_type}`"),
        Claim::Attestation { .. } => "attestation".to_owned(),
        _ => "signature".to_owned(),
    };
    match evidence.verdict() {
        Verdict::NoMatchingSignature => format!("no {what} that counts"),
        Verdict::NoSignature => format!("no {what} found"),
        Verdict::Undecided => format!("could not read every {what}"),
        Verdict::Verified => format!("{what} verified"),
    }
}

/// Returns the rejected signature that came closest to counting.
fn closest(evidence: &Evidence) -> Option<&Rejection> {
    // Of equals the last wins, and the first listed is the likeliest.
    let for_claim = evidence.rejected().iter().rev().filter(|rejection| rejection.is_for_claim());
    for_claim.max_by_key(|rejection| match &rejection.reason {
        RejectionReason::Verify(error) => error.rank() + 1,
        _ => 0,
    })
}

fn advice(reference: &Reference, evidence: &Evidence) -> Option<String> {
    match evidence.verdict() {
        Verdict::NoMatchingSignature => match &closest(evidence)?.reason {
            RejectionReason::Verify(error) => advice_on(reference, error),
            _ => None,
        },
        Verdict::NoSignature if *evidence.claim() == Claim::ImageSignature => Some(format!(
            "`sealift tree {reference}` shows what is attached; sign it with `sealift sign --key KEY {}`",
            reference.with_digest(evidence.subject().clone())
        )),
        Verdict::NoSignature => Some(format!("`sealift tree {reference}` shows what is attached")),
        Verdict::Undecided => evidence.undecided().first().and_then(|unread| hint::of_repository(&unread.error)),
        Verdict::Verified => None,
    }
}

fn advice_on(reference: &Reference, error: &VerifyError) -> Option<String> {
    Some(match error {
        VerifyError::WrongKey { .. } => {
            format!("`sealift inspect {reference}` shows who signed; accept another key with one more `--key`")
        }
        VerifyError::WrongAnnotation { key, found: Some(found), .. } => format!("it is signed with `-a {key}={found}`"),
        VerifyError::WrongAnnotation { key, .. } => format!("it is signed without the annotation `{key}`"),
        VerifyError::CertificateUnsupported => {
            "it was signed keyless, which needs an identity and a trust root instead of a key".to_owned()
        }
        _ => return None,
    })
}

/// Says why a signature does not count; that it does not verify goes without saying.
fn reasons(rejection: &Rejection) -> Vec<String> {
    let all = chain(&rejection.reason);
    let skipped = usize::from(matches!(rejection.reason, RejectionReason::Verify(_)) && all.len() > 1);
    all.into_iter().skip(skipped).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    std::iter::once(error.to_string()).chain(causes(error)).collect()
}
