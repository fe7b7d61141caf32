//! What is wrong with listings of referrers, and what became of it.

use std::io::{self, Write};

use sealift_core::attach::{Audit, Finding};
use serde::Serialize;

use crate::error::{exit_of_repository, undecided, with_causes};
use crate::exit::Exit;
use crate::output::style::{BAD, DIM, GOOD, WARNING};
use crate::output::{Report, json_line};

/// What was done about what is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mending {
    /// Only told what would be mended.
    DryRun,
    /// Nothing: it was a check.
    No,
    /// It was mended.
    Yes,
}

/// The listings of an artifact and of what belongs to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrers {
    pub(crate) reference: String,
    pub(crate) mending: Mending,
    pub(crate) subjects: Vec<AuditedSubject>,
}

/// The listings of one subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditedSubject {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    referrers_api: bool,
    fallback_tag: bool,
    /// How many manifests refer to it.
    referrers: usize,
    findings: Vec<Fault>,
    /// What is still wrong after mending.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<Fault>>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<Fault>,
    #[serde(skip)]
    unread_exit: Option<Exit>,
}

/// Something wrong.
#[derive(Debug, Serialize)]
struct Fault {
    listing: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    fault: &'static str,
    reason: String,
}

impl Fault {
    fn of(finding: &Finding) -> Self {
        Self {
            listing: finding.storage.to_string(),
            digest: finding.digest.as_ref().map(ToString::to_string),
            fault: finding.fault.name(),
            reason: with_causes(&finding.fault),
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let digest = self.digest.as_deref().unwrap_or("the whole list");
        writeln!(out, "  {WARNING}{}{WARNING:#} {digest} ({}): {}", self.fault, self.listing, self.reason)
    }
}

impl AuditedSubject {
    /// Describes an audit, and the one after mending.
    pub(crate) fn of(found: &Audit, left: Option<&Audit>, platform: Option<String>) -> Self {
        let unread = left.unwrap_or(found).unread.iter();
        Self {
            digest: found.subject.to_string(),
            platform,
            referrers_api: found.has_api,
            fallback_tag: left.unwrap_or(found).has_tag,
            referrers: found.referrers.len(),
            findings: found.findings.iter().map(Fault::of).collect(),
            left: left.map(|left| left.findings.iter().map(Fault::of).collect()),
            unread_exit: unread.clone().next().map(|unread| undecided(exit_of_repository(&unread.error))),
            unread: unread
                .map(|unread| Fault {
                    listing: unread.storage.to_string(),
                    digest: unread.digest.as_ref().map(ToString::to_string),
                    fault: "unread",
                    reason: unread.error.to_string(),
                })
                .collect(),
        }
    }

    fn wrong(&self) -> &[Fault] {
        self.left.as_deref().unwrap_or(&self.findings)
    }

    fn exit(&self) -> Exit {
        match self.wrong().is_empty() {
            false => Exit::ReferrersWrong,
            true => self.unread_exit.unwrap_or(Exit::Ok),
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let platform = self.platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"));
        let place = match (self.referrers_api, self.fallback_tag) {
            (true, true) => "API and tag",
            (true, false) => "API",
            (false, true) => "tag",
            (false, false) => "not listed anywhere",
        };
        let mended = self.left.as_ref().map_or(0, |left| self.findings.len().saturating_sub(left.len()));
        let verdict = match (self.exit(), mended) {
            (Exit::Ok, 0) => format!("{GOOD}right{GOOD:#}"),
            (Exit::Ok, _) => format!("{GOOD}mended{GOOD:#}"),
            (Exit::ReferrersWrong, _) => format!("{BAD}wrong{BAD:#}"),
            _ => format!("{WARNING}unread{WARNING:#}"),
        };
        writeln!(out, "{verdict} {}{platform} {DIM}{} referrers, {place}{DIM:#}", self.digest, self.referrers)?;
        if self.left.is_some() {
            writeln!(out, "  {DIM}{mended} mended, {} left{DIM:#}", self.wrong().len())?;
        }
        self.wrong().iter().chain(&self.unread).try_for_each(|fault| fault.write_text(out))
    }
}

impl Report for Referrers {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.subjects.iter().try_for_each(|subject| subject.write_text(out))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn exit(&self) -> Exit {
        Exit::of_several(self.subjects.iter().map(AuditedSubject::exit))
    }
}
