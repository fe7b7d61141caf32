//! A policy's decision for people: rule by rule, what was demanded, what was found, and what to do about it.

use std::io::{self, Write};

use sealift_core::evidence::{Evidence, Verdict};
use sealift_core::oci::Reference;
use sealift_core::repository::RepositoryError;
use sealift_policy::check::Outcome;
use sealift_policy::lifecycle::Doubt;
use sealift_policy::{Decision, Finding, Ruling};

use super::evidence;
use super::style::{BAD, DIM, GOOD, WARNING};
use crate::error::{Failure, causes, exit_of_repository, undecided};
use crate::exit::Exit;
use crate::hint;

/// Returns what a decision means for the process. Of a policy made of flags, a "no" says what is wrong with the
/// signatures; of a document, that it denies.
pub(crate) fn exit(decision: &Decision) -> Exit {
    match decision.ruling() {
        Ruling::Allow => Exit::Ok,
        Ruling::Deny => insufficient(decision).map_or(Exit::PolicyDenied, evidence::exit),
        Ruling::Undecided => match first_uncertainty(decision) {
            Some(Uncertainty::Repository(error)) => undecided(exit_of_repository(error)),
            _ => Exit::Unavailable,
        },
    }
}

/// Describes a decision that does not allow; `None` for one that does.
pub(crate) fn failure(reference: &Reference, platform: Option<&str>, decision: &Decision) -> Option<Failure> {
    if decision.is_allowed() {
        return None;
    }
    if let Some(evidence) = insufficient(decision) {
        return Some(evidence::failure(reference, platform, evidence));
    }
    let place = platform.map_or_else(String::new, |platform| format!(" ({platform})"));
    let what = match decision.ruling() {
        Ruling::Undecided => "the policy cannot be decided",
        _ => "the policy denies it",
    };
    let findings = decision.findings().iter().filter(|finding| finding.outcome() != Outcome::Pass);
    let mut told: Vec<String> = findings.map(describe).collect();
    let mut hint = decision.source().map(|source| {
        format!("`sealift policy explain --policy {} {}` shows what is demanded", source.file, reference.repository())
    });
    match first_uncertainty(decision).filter(|_| decision.ruling() == Ruling::Undecided) {
        Some(Uncertainty::Repository(error)) => {
            told.push(error.to_string());
            told.extend(causes(error));
            hint = hint::of_repository(error).or(hint);
        }
        Some(Uncertainty::Marker(doubt)) => {
            told.push(doubt.to_string());
            told.extend(causes(doubt));
        }
        None => {}
    }
    Some(Failure::new(exit(decision), format!("{reference}{place}: {what}"), hint, told))
}

/// Returns the evidence that explains by itself why a policy made of flags does not allow: that of the decisive finding,
/// where it is not only that signatures which verify are not enough.
fn insufficient(decision: &Decision) -> Option<&Evidence> {
    let finding = decision.decisive().filter(|_| decision.source().is_none())?;
    finding.evidence().filter(|evidence| evidence.verdict() != Verdict::Verified)
}

/// What keeps a finding from being certain.
enum Uncertainty<'a> {
    Marker(&'a Doubt),
    Repository(&'a RepositoryError),
}

/// Returns the first of what keeps the decisive finding from being certain.
fn first_uncertainty(decision: &Decision) -> Option<Uncertainty<'_>> {
    let finding = decision.decisive()?;
    let of_evidence = finding.evidence().and_then(|evidence| evidence.undecided().first());
    let of_markers = || match finding.facts().markers()?.doubts().first()? {
        Doubt::Unread(error) => Some(Uncertainty::Repository(error)),
        doubt => Some(Uncertainty::Marker(doubt)),
    };
    of_evidence.map(|unread| Uncertainty::Repository(&unread.error)).or_else(of_markers)
}

/// Writes a line for every rule, and below it what was found.
pub(crate) fn write_text(out: &mut dyn Write, decision: &Decision) -> io::Result<()> {
    if let Some(source) = decision.source() {
        let scopes = if source.scopes.is_empty() { "no scope".to_owned() } else { source.scopes.join(", ") };
        writeln!(out, "  {DIM}policy {} ({}), {scopes}{DIM:#}", source.file, source.digest)?;
    }
    for finding in decision.findings() {
        // What flags demand of signatures, the signatures below say by themselves.
        if decision.source().is_some() || finding.evidence().is_none() {
            let (style, word) = match finding.outcome() {
                Outcome::Pass => (GOOD, "pass"),
                Outcome::Fail => (BAD, "fail"),
                Outcome::Inconclusive => (WARNING, "open"),
            };
            writeln!(out, "  {style}{word}{style:#} {}", describe(finding))?;
        }
        if let Some(found) = finding.evidence() {
            evidence::write_text(out, found)?;
        }
    }
    Ok(())
}

fn describe(finding: &Finding) -> String {
    let rule = finding.rule().map_or_else(String::new, |rule| format!("{rule}: "));
    format!("{rule}{}: {}", finding.demand(), finding.reason())
}
