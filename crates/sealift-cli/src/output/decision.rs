//! A policy's decision for people: rule by rule, what was demanded, what was found, and what to do about it.

use std::io::{self, Write};

use sealift_core::attach::Unread;
use sealift_core::evidence::Verdict;
use sealift_core::oci::Reference;
use sealift_policy::check::Outcome;
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
        Ruling::Deny if decision.source().is_some() => Exit::PolicyDenied,
        Ruling::Deny => match decision.verdict() {
            Some(Verdict::NoSignature) => Exit::NoSignature,
            Some(Verdict::NoMatchingSignature) => Exit::NoMatchingSignature,
            _ => Exit::PolicyDenied,
        },
        Ruling::Undecided => {
            unread(decision).map_or(Exit::Unavailable, |unread| undecided(exit_of_repository(&unread.error)))
        }
    }
}

/// Returns the first of what could not be read.
fn unread(decision: &Decision) -> Option<&Unread> {
    decision.findings().iter().flat_map(|finding| finding.facts().unread()).next()
}

/// Describes a decision that does not allow; `None` for one that does.
pub(crate) fn failure(reference: &Reference, platform: Option<&str>, decision: &Decision) -> Option<Failure> {
    if decision.is_allowed() {
        return None;
    }
    let place = platform.map_or_else(String::new, |platform| format!(" ({platform})"));
    let of_flags = match decision.source() {
        Some(_) => None,
        None => decision.findings().iter().find(|finding| finding.outcome() != Outcome::Pass),
    };
    if let Some(evidence) = of_flags.and_then(Finding::evidence) {
        return Some(evidence::failure(reference, platform, evidence));
    }
    let what = match decision.ruling() {
        Ruling::Undecided => "the policy cannot be decided",
        _ => "the policy denies it",
    };
    let decisive = decision.findings().iter().filter(|finding| finding.outcome() != Outcome::Pass);
    let mut told: Vec<String> = decisive.map(describe).collect();
    let mut hint = decision.source().map(|source| {
        format!("`sealift policy explain --policy {} {}` shows what is demanded", source.file, reference.repository())
    });
    if let Some(unread) = unread(decision).filter(|_| decision.ruling() == Ruling::Undecided) {
        told.push(unread.error.to_string());
        told.extend(causes(&unread.error));
        hint = hint::of_repository(&unread.error).or(hint);
    }
    Some(Failure::new(exit(decision), format!("{reference}{place}: {what}"), hint, told))
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
