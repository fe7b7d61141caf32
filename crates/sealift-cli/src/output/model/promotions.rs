//! What became of one promotion or many.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use sealift_core::copy::{CopyReport, Tally};
use sealift_promote::Shard;
use serde::Serialize;

use super::copied::size;
use super::{Ending, Endings, PromotionResult};
use crate::error::{CliError, Failure};
use crate::exit::Exit;
use crate::output::junit::{Case, Outcome};
use crate::output::style::{BAD, DIM, GOOD, STRONG};
use crate::output::{Report, json_line};

/// What became of one promotion or many, in the order they were given; one failure stops no other.
#[derive(Debug)]
pub(crate) struct Promotions {
    pub(crate) lines: Vec<PromotionLine>,
    pub(crate) scale: Scale,
    pub(crate) elapsed: Duration,
}

/// How many promotions were asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scale {
    /// One image, named by itself.
    One,
    /// What a manifest or a pattern names: a summary is due, and nothing may be left for this shard.
    Many {
        shard: Option<Shard>,
        /// Images of other shards.
        elsewhere: usize,
    },
}

/// What became of an image at one destination, or everywhere.
#[derive(Debug)]
pub(crate) struct PromotionLine {
    /// As given.
    pub(crate) source: String,
    /// The destination; the source for what concerns all of them.
    pub(crate) place: String,
    pub(crate) result: Result<PromotionResult, CliError>,
    pub(crate) elapsed: Duration,
}

impl PromotionLine {
    fn exit(&self) -> Exit {
        match &self.result {
            Ok(report) => report.exit(),
            Err(error) => error.exit(),
        }
    }

    /// Returns how it ended.
    pub(crate) fn ending(&self) -> Ending {
        match &self.result {
            Ok(PromotionResult::Planned(_)) => Ending::Planned,
            Ok(PromotionResult::Promoted(to)) if to.is_unchanged() => Ending::Unchanged,
            Ok(PromotionResult::Promoted(_)) => Ending::Promoted,
            _ if self.exit().is_refusal() => Ending::Refused,
            _ => Ending::Failed,
        }
    }

    /// Returns how it ended as one line for people who watch: what registries say is for the report.
    pub(crate) fn headline(&self) -> String {
        let Self { source, place, result, elapsed } = self;
        let (ending, style) = (self.ending(), if self.ending().is_trouble() { BAD } else { GOOD });
        let mut line = format!("{style}{ending}{style:#} {source}");
        if place != source {
            let _ = write!(line, " to {place}");
        }
        if let Some((report, _)) = result.as_ref().ok().and_then(PromotionResult::moved) {
            let CopyReport { copied, mounted, present, .. } = report;
            let (copied, mounted, present) = (size(copied.bytes), mounted.objects, present.objects);
            let _ = write!(line, ": {copied} copied, {mounted} mounted, {present} present already");
        }
        if ending.is_trouble() {
            let _ = write!(line, ": {}", self.exit().name());
        }
        let _ = write!(line, ", {:.1} s", elapsed.as_secs_f64());
        line
    }

    /// Describes why it was not promoted; `None` if it was.
    fn failure(&self) -> Option<Failure> {
        match &self.result {
            Ok(report) => report.failure(),
            Err(error) => Some(Failure::of(error)),
        }
    }

    fn to_case(&self) -> Case {
        let outcome = self.failure().map_or(Outcome::Passed, |failure| Outcome::of(self.exit(), &failure));
        Case { class: self.source.clone(), name: self.place.clone(), elapsed: self.elapsed, outcome }
    }
}

impl Promotions {
    /// Returns a case for each promotion.
    pub(crate) fn cases(&self) -> Vec<Case> {
        self.lines.iter().map(PromotionLine::to_case).collect()
    }

    fn summary(&self) -> Option<Summary> {
        let Scale::Many { shard, elsewhere } = self.scale else { return None };
        let mut endings = Endings::default();
        self.lines.iter().for_each(|line| endings.count(line.ending()));
        let mut summary = Summary {
            shard: shard.map(|shard| shard.to_string()),
            elsewhere,
            promotions: self.lines.len(),
            endings,
            copied: Count::default(),
            mounted: Count::default(),
            present: Count::default(),
            left_behind: 0,
            seconds: self.elapsed.as_secs_f64(),
        };
        for (report, left_behind) in self.lines.iter().filter_map(|line| line.result.as_ref().ok()?.moved()) {
            summary.add(report, left_behind);
        }
        Some(summary)
    }
}

/// What many promotions came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    /// Images of other shards.
    elsewhere: usize,
    /// Images times destinations.
    promotions: usize,
    #[serde(flatten)]
    endings: Endings,
    copied: Count,
    mounted: Count,
    present: Count,
    left_behind: usize,
    seconds: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Count {
    objects: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, tally: Tally) {
        self.objects += tally.objects;
        self.bytes = self.bytes.saturating_add(tally.bytes);
    }
}

impl Summary {
    fn add(&mut self, report: &CopyReport, left_behind: usize) {
        self.copied.add(report.copied);
        self.mounted.add(report.mounted);
        self.present.add(report.present);
        self.left_behind += left_behind;
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(shard) = &self.shard {
            let elsewhere = self.elsewhere;
            match self.promotions {
                0 => writeln!(out, "nothing to do in shard {shard}: all {elsewhere} images are in others")?,
                _ => writeln!(out, "{DIM}shard {shard}; {elsewhere} images are in others{DIM:#}")?,
            }
        }
        if self.promotions == 0 {
            return Ok(());
        }
        let Self { promotions, endings, copied, mounted, present, left_behind, seconds, .. } = self;
        let style = if endings.has_trouble() { BAD } else { GOOD };
        let noun = if *promotions == 1 { "promotion" } else { "promotions" };
        writeln!(out, "{STRONG}{promotions} {noun}{STRONG:#}: {style}{endings}{style:#}")?;
        // What nobody looked for is not "0 present already".
        if endings.planned > 0 {
            return writeln!(out, "  {DIM}nothing was written, in {seconds:.1} s{DIM:#}");
        }
        if copied.objects + mounted.objects + present.objects == 0 {
            return writeln!(out, "  {DIM}in {seconds:.1} s{DIM:#}");
        }
        writeln!(
            out,
            "  {DIM}{} objects copied ({}), {} mounted ({}), {} present already, {left_behind} left behind, in {seconds:.1} s{DIM:#}",
            copied.objects,
            size(copied.bytes),
            mounted.objects,
            size(mounted.bytes),
            present.objects
        )
    }
}

impl Report for Promotions {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines.iter().filter_map(|line| line.result.as_ref().ok()).try_for_each(|report| report.write_text(out))?;
        self.summary().map_or(Ok(()), |summary| summary.write_text(out))
    }

    /// Writes a line for each destination: its result, or `{"error": .., "reference": .., "source": ..}`, with the
    /// decision where a gate stopped it; of many promotions, `{"summary": ..}` last.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: Failure,
            reference: &'a str,
            source: &'a str,
        }
        #[derive(Serialize)]
        struct Last {
            summary: Summary,
        }
        for PromotionLine { source, place, result, .. } in &self.lines {
            match result {
                Ok(report) => report.write_json(out)?,
                Err(error) => json_line(out, &Line { error: Failure::of(error), reference: place, source })?,
            }
        }
        self.summary().map_or(Ok(()), |summary| json_line(out, &Last { summary }))
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines.iter().try_for_each(|line| match &line.result {
            Ok(report) => report.write_talk(out),
            Err(error) => Failure::of(error).write_text(out),
        })
    }

    fn exit(&self) -> Exit {
        match self.scale {
            // That nothing is left for one of many shards is no failure.
            Scale::Many { shard: Some(_), elsewhere: 1.. } if self.lines.is_empty() => Exit::Ok,
            _ => Exit::of_several(self.lines.iter().map(PromotionLine::exit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_shard_may_have_done_nothing() {
        let nothing = |scale| Promotions { lines: Vec::new(), scale, elapsed: Duration::ZERO }.exit();
        let shard = "1/2".parse().ok();
        assert_eq!(nothing(Scale::Many { shard, elsewhere: 3 }), Exit::Ok);
        assert_eq!(nothing(Scale::Many { shard, elsewhere: 0 }), Exit::Internal);
        assert_eq!(nothing(Scale::Many { shard: None, elsewhere: 0 }), Exit::Internal);
        assert_eq!(nothing(Scale::One), Exit::Internal);
    }
}
