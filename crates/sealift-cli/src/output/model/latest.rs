//! What replaces an artifact.

use std::io::{self, Write};

use jiff::Timestamp;
use sealift_core::oci::{Reference, Tag};
use sealift_policy::edition::Edition;
use sealift_policy::lifecycle::Markers;
use serde::Serialize;

use super::lifecycle::unclear;
use crate::error::with_causes;
use crate::exit::Exit;
use crate::output::style::{BAD, DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// What a tag that follows a version holds now, beside what was asked about.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) asked: Dated,
    pub(crate) tag: Tag,
    /// What the tag holds.
    pub(crate) newest: Dated,
    pub(crate) now: Timestamp,
}

/// An artifact by digest, with what it says of its version and what markers say of its end.
#[derive(Debug)]
pub(crate) struct Dated {
    pub(crate) reference: Reference,
    pub(crate) edition: Edition,
    pub(crate) markers: Markers,
}

impl Dated {
    fn end_of_life(&self) -> Option<Timestamp> {
        self.markers.effective().and_then(|marker| marker.end_of_life.clone().ok())
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.end_of_life().is_some_and(|end| end <= now)
    }

    /// Says why it is unclear when the life ends, if it is.
    fn doubts(&self) -> Vec<String> {
        let undated = self.markers.effective().and_then(|marker| marker.end_of_life.as_ref().err());
        let undated = undated.map(|found| format!("the marker that decides says `{found}`, which is no date"));
        undated.into_iter().chain(self.markers.doubts().iter().map(|doubt| with_causes(doubt))).collect()
    }

    fn successor(&self) -> Option<&str> {
        self.markers.effective().and_then(|marker| marker.successor.as_deref())
    }
}

impl Latest {
    fn is_newest(&self) -> bool {
        self.asked.reference.digest() == self.newest.reference.digest()
    }

    /// Returns both artifacts, or the one that both are.
    fn distinct(&self) -> impl Iterator<Item = &Dated> {
        [&self.asked, &self.newest].into_iter().take(if self.is_newest() { 1 } else { 2 })
    }
}

impl Report for Latest {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let word = if self.is_newest() { "still the newest" } else { "newest" };
        let (style, life) = match unclear(&self.newest.markers) {
            Some(_) => (WARNING, ", its end of life is unclear"),
            None if self.newest.has_ended(self.now) => (BAD, ", and past its end of life"),
            None => (GOOD, ""),
        };
        writeln!(out, "{style}{word}{life}{style:#} {STRONG}{}{STRONG:#}", self.newest.reference)?;
        let edition = &self.newest.edition;
        let revision = edition.revision.as_ref().map_or_else(String::new, |revision| format!(", revision {revision}"));
        let created = edition.created.map_or_else(String::new, |created| format!(", created {created}"));
        writeln!(out, "  {DIM}tag {}{revision}{created}{DIM:#}", self.tag)?;
        for dated in self.distinct() {
            let Some(end) = dated.end_of_life() else { continue };
            let successor = dated.successor().map_or_else(String::new, |next| format!(", replaced by {next}"));
            writeln!(out, "  end of life of {} {end}{successor}", dated.reference)?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            tag: &'a str,
            is_newest: bool,
            asked: DatedLine<'a>,
            newest: DatedLine<'a>,
        }
        let line = |dated| DatedLine::of(dated, self.now);
        let (asked, newest) = (line(&self.asked), line(&self.newest));
        json_line(out, &Line { tag: self.tag.as_str(), is_newest: self.is_newest(), asked, newest })
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        for dated in self.distinct() {
            for doubt in dated.doubts() {
                writeln!(
                    out,
                    "{WARNING}warning:{WARNING:#} the end of life of {} is unclear: {doubt}",
                    dated.reference
                )?;
            }
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        match unclear(&self.newest.markers) {
            Some(exit) => exit,
            None if self.newest.has_ended(self.now) => Exit::NotFound,
            None => Exit::Ok,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DatedLine<'a> {
    reference: String,
    version: Option<&'a str>,
    revision: Option<&'a str>,
    created: Option<String>,
    end_of_life: Option<String>,
    /// Nothing where it is unclear: neither is an answer then.
    has_ended: Option<bool>,
    is_unclear: bool,
    successor: Option<&'a str>,
    unread: usize,
}

impl<'a> DatedLine<'a> {
    fn of(dated: &'a Dated, now: Timestamp) -> Self {
        let Dated { reference, edition, markers } = dated;
        let is_unclear = unclear(markers).is_some();
        Self {
            reference: reference.to_string(),
            version: edition.version.as_deref(),
            revision: edition.revision.as_deref(),
            created: edition.created.map(|time| time.to_string()),
            end_of_life: dated.end_of_life().map(|end| end.to_string()),
            has_ended: Some(dated.has_ended(now)).filter(|_| !is_unclear),
            is_unclear,
            successor: dated.successor(),
            unread: markers.doubts().len(),
        }
    }
}
