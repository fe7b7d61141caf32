//! What markers say about an artifact's end of life.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use sealift_core::oci::{Digest, Reference};
use sealift_core::repository::foreign_text;
use sealift_policy::lifecycle::{Doubt, Marker, Markers};
use serde::Serialize;

use crate::error::{exit_of_repository, undecided, with_causes};
use crate::exit::Exit;
use crate::output::style::{BAD, DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// What markers say about an artifact's end of life.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) reference: Reference,
    /// The artifact's own annotations.
    pub(crate) own: BTreeMap<String, String>,
    pub(crate) markers: Markers,
    pub(crate) now: Timestamp,
}

impl Lifecycle {
    /// Returns the markers, the one that decides first.
    fn ordered(&self) -> Vec<&Marker> {
        let effective = self.markers.effective();
        let others = self.markers.found().iter().filter(|marker| Some(*marker) != effective);
        effective.into_iter().chain(others).collect()
    }

    /// Returns the artifact's annotations as they are with those of its markers: of several values the last one created.
    fn annotations(&self) -> BTreeMap<&str, Annotation<'_>> {
        let own =
            self.own.iter().map(|(key, value)| (key.as_str(), Annotation { value: foreign_text(value), from: None }));
        let mut merged: BTreeMap<_, _> = own.collect();
        let mut markers = self.ordered();
        // The first one decides, which of several that were created at one time is not a question of time.
        markers.sort_by_key(|marker| Reverse(marker.created));
        for marker in markers.into_iter().rev() {
            for (key, value) in &marker.annotations {
                merged.insert(key, Annotation { value: foreign_text(value), from: Some(&marker.digest) });
            }
        }
        merged
    }

    /// Says whether the marker that decides says that life has ended.
    fn has_ended(&self) -> bool {
        self.markers.effective().is_some_and(|marker| marker.end_of_life.as_ref().is_ok_and(|end| *end <= self.now))
    }
}

impl Report for Lifecycle {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (style, word) = match self.markers.effective() {
            _ if unclear(&self.markers).is_some() => (WARNING, "unclear"),
            None => (GOOD, "not marked"),
            Some(_) if self.has_ended() => (BAD, "past its end of life"),
            Some(_) => (GOOD, "alive"),
        };
        writeln!(out, "{style}{word}{style:#} {STRONG}{}{STRONG:#}", self.reference)?;
        for marker in self.ordered() {
            let end = match &marker.end_of_life {
                Ok(end) => end.to_string(),
                Err(found) => format!("`{found}`, which is no date"),
            };
            let successor = marker.successor.as_ref().map_or_else(String::new, |next| format!(", replaced by {next}"));
            writeln!(out, "  end of life {end}{successor}")?;
            let created = marker.created.map_or_else(String::new, |created| format!(", created {created}"));
            let unknown = || ", signature not verified".to_owned();
            let signer = marker.signer.as_ref().map_or_else(unknown, |signer| format!(", signed by {signer}"));
            writeln!(out, "    {DIM}{}{created}{signer}{DIM:#}", marker.digest)?;
        }
        for doubt in self.markers.doubts() {
            writeln!(out, "  {WARNING}?{WARNING:#} {}", with_causes(doubt))?;
        }
        for (key, Annotation { value, from }) in self.annotations() {
            let from = from.map_or_else(|| "its own".to_owned(), |marker| format!("of {marker}"));
            writeln!(out, "  {}={value} {DIM}{from}{DIM:#}", foreign_text(key))?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            reference: String,
            end_of_life: Option<String>,
            /// Nothing where it is unclear: neither is an answer then.
            has_ended: Option<bool>,
            is_unclear: bool,
            successor: Option<&'a str>,
            annotations: BTreeMap<&'a str, Annotation<'a>>,
            markers: Vec<MarkerLine<'a>>,
            unread: usize,
        }
        let effective = self.markers.effective();
        let is_unclear = unclear(&self.markers).is_some();
        json_line(
            out,
            &Line {
                reference: self.reference.to_string(),
                end_of_life: effective.and_then(end_of),
                has_ended: Some(self.has_ended()).filter(|_| !is_unclear),
                is_unclear,
                successor: effective.and_then(|marker| marker.successor.as_deref()),
                annotations: self.annotations(),
                markers: self.ordered().into_iter().map(MarkerLine::of).collect(),
                unread: self.markers.doubts().len(),
            },
        )
    }

    fn exit(&self) -> Exit {
        unclear(&self.markers).unwrap_or(Exit::Ok)
    }
}

/// Returns what the process says where markers do not tell when a life ends; `None` where they do, or there is none.
///
/// A marker that could not be read might be the one that decides, and the one that decides may have no date.
pub(super) fn unclear(markers: &Markers) -> Option<Exit> {
    match (markers.doubts().first(), markers.effective()) {
        (Some(Doubt::Unread(error)), _) => Some(undecided(exit_of_repository(error))),
        (Some(_), _) => Some(Exit::Unavailable),
        (None, Some(marker)) if marker.end_of_life.is_err() => Some(Exit::Unavailable),
        (None, _) => None,
    }
}

/// A value, and the marker that it comes from; none for the artifact's own.
#[derive(Serialize)]
struct Annotation<'a> {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a Digest>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MarkerLine<'a> {
    digest: String,
    end_of_life: Option<String>,
    successor: Option<&'a str>,
    created: Option<String>,
    signer: Option<String>,
}

impl<'a> MarkerLine<'a> {
    fn of(marker: &'a Marker) -> Self {
        Self {
            digest: marker.digest.to_string(),
            end_of_life: end_of(marker),
            successor: marker.successor.as_deref(),
            created: marker.created.map(|time| time.to_string()),
            signer: marker.signer.as_ref().map(ToString::to_string),
        }
    }
}

fn end_of(marker: &Marker) -> Option<String> {
    marker.end_of_life.as_ref().ok().map(ToString::to_string)
}
