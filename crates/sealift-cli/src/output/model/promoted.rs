//! What was promoted, is planned to be, or was refused.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sealift_core::copy::CopyReport;
use sealift_core::oci::{Digest, Reference, Tag};
use sealift_promote::{Completeness, Endorsed, Plan, Presence, Promoted, SignatureForm, Skipped, TagChange};
use serde::{Serialize, Serializer};

use super::Refused;
use super::copied::{Transfer, size};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::style::{DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// What became of a promotion to one destination.
#[derive(Debug)]
pub(crate) enum PromotionResult {
    Planned(Planned),
    Promoted(PromotedTo),
    Refused(Refused),
}

impl PromotionResult {
    /// Describes why it was not promoted; `None` if it was, or would be.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Planned(_) | Self::Promoted(_) => None,
            Self::Refused(refused) => Some(refused.failure()),
        }
    }

    /// Returns what was moved, and how many pieces were left behind.
    pub(crate) fn moved(&self) -> Option<(&CopyReport, usize)> {
        match self {
            Self::Promoted(to) => Some((&to.promoted.report, to.promoted.completeness.excluded.len())),
            Self::Planned(_) | Self::Refused(_) => None,
        }
    }

    fn as_report(&self) -> &dyn Report {
        match self {
            Self::Planned(planned) => planned,
            Self::Promoted(promoted) => promoted,
            Self::Refused(refused) => refused,
        }
    }
}

impl Report for PromotionResult {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.as_report().write_text(out)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.as_report().write_json(out)
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.as_report().write_talk(out)
    }

    fn exit(&self) -> Exit {
        self.as_report().exit()
    }
}

/// A promotion that was carried out.
#[derive(Debug)]
pub(crate) struct PromotedTo {
    /// By digest.
    pub(crate) source: Reference,
    /// By digest.
    pub(crate) destination: Reference,
    pub(crate) promoted: Promoted,
}

impl PromotedTo {
    /// Says whether everything was there already, down to tags and signatures.
    pub(crate) fn is_unchanged(&self) -> bool {
        let Promoted { tags, report, record, resigned, .. } = &self.promoted;
        let moved = report.copied.objects + report.mounted.objects;
        let mut signed = record.iter().chain(resigned);
        moved == 0
            && tags.values().all(|change| *change == TagChange::Unchanged)
            && signed.all(|signed| signed.presence == Presence::Found)
    }
}

impl Report for PromotedTo {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Promoted { tags, completeness, report, record, resigned, .. } = &self.promoted;
        writeln!(out, "{GOOD}promoted{GOOD:#} {} to {}{}", self.source, self.destination, tag_list(tags.keys()))?;
        writeln!(out, "  {DIM}verified at the source and, from what arrived, at the destination{DIM:#}")?;
        for (tag, change) in tags {
            let change = match change {
                TagChange::Created => "new".to_owned(),
                TagChange::Moved { from } => format!("moved from {from}"),
                TagChange::Unchanged => "held it already".to_owned(),
            };
            writeln!(out, "  {DIM}tag {tag}: {change}{DIM:#}")?;
        }
        write_completeness(out, completeness)?;
        for signed in resigned {
            writeln!(out, "  {GOOD}signed{GOOD:#} {} {DIM}{}{DIM:#}", signed.subject, place(signed))?;
        }
        if let Some(record) = record {
            writeln!(out, "  {GOOD}recorded{GOOD:#} {DIM}{}{DIM:#}", place(record))?;
        }
        Transfer::of(report).write_text(out)
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            source: String,
            destination: String,
            #[serde(flatten)]
            promoted: Details<'a>,
            objects: Transfer,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Details<'a> {
            digest: &'a Digest,
            #[serde(serialize_with = "by_text")]
            tags: &'a BTreeMap<Tag, TagChange>,
            complete: bool,
            completeness: &'a Completeness,
            #[serde(skip_serializing_if = "Option::is_none")]
            record: &'a Option<Endorsed>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            resigned: &'a [Endorsed],
        }
        let Promoted { digest, tags, completeness, report, record, resigned, .. } = &self.promoted;
        // A promotion that is not complete is an error, and not reported here.
        let promoted = Details { digest, tags, complete: true, completeness, record, resigned };
        let (source, destination) = (self.source.to_string(), self.destination.to_string());
        json_line(out, &Line { source, destination, promoted, objects: Transfer::of(report) })
    }
}

/// Writes what the source had and what became of each piece.
pub(super) fn write_completeness(out: &mut dyn Write, proof: &Completeness) -> io::Result<()> {
    let (all, arrived, excluded) = (proof.at_source(), proof.arrived.len(), proof.excluded.len());
    writeln!(
        out,
        "  {GOOD}complete{GOOD:#}: the source had {all}, {arrived} arrived, {excluded} left behind, 0 missing"
    )?;
    for object in &proof.arrived {
        let kind = object.artifact_type.as_deref().unwrap_or(object.media_type.as_str());
        writeln!(out, "    {GOOD}{:<9}{GOOD:#} {} {DIM}{}, {kind}{DIM:#}", object.proof, object.digest, object.role)?;
    }
    for left in &proof.excluded {
        writeln!(out, "    {WARNING}left behind{WARNING:#} {}", skipped(left))?;
    }
    Ok(())
}

fn place(endorsed: &Endorsed) -> String {
    let since = match endorsed.presence {
        Presence::Found => "was there",
        Presence::Written => "new",
    };
    let form = match endorsed.form {
        SignatureForm::Bundle => "referrer",
        SignatureForm::CosignTag => "tag .sig",
    };
    format!("{form} {}, {since}", endorsed.manifest)
}

fn tag_list<'a>(tags: impl Iterator<Item = &'a Tag>) -> String {
    let tags: Vec<String> = tags.map(ToString::to_string).collect();
    match tags.len() {
        0 => String::new(),
        1 => format!(", tag {}", tags[0]),
        _ => format!(", tags {}", tags.join(", ")),
    }
}

/// A promotion that would be carried out.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) destination: Reference,
    pub(crate) tags: Vec<Tag>,
    pub(crate) plan: Plan,
}

impl Report for Planned {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let plan = &self.plan;
        let (source, root) = (plan.source(), &plan.root().digest);
        let (to, tags) = (self.destination.repository(), tag_list(self.tags.iter()));
        writeln!(out, "{STRONG}would promote{STRONG:#} {source}@{root} to {to}{tags}")?;
        for object in plan.objects() {
            let descriptor = object.manifest.descriptor();
            let kind = object.artifact_type.as_deref().unwrap_or(descriptor.media_type.as_str());
            let storage = object.storage.map_or_else(String::new, |storage| format!(" ({storage})"));
            writeln!(out, "  {GOOD}move{GOOD:#}  {} {DIM}{kind}{storage}{DIM:#}", descriptor.digest)?;
        }
        for left in plan.skipped() {
            writeln!(out, "  {WARNING}leave{WARNING:#} {}", skipped(left))?;
        }
        writeln!(out, "  {} manifests, {} at most; nothing was written", plan.objects().len(), size(plan.bytes()))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            destination: String,
            tags: Vec<String>,
            plan: &'a Plan,
        }
        let tags = self.tags.iter().map(ToString::to_string).collect();
        json_line(out, &Line { destination: self.destination.repository().to_string(), tags, plan: &self.plan })
    }
}

fn skipped(skipped: &Skipped) -> String {
    let digest = skipped.digest.as_ref().map_or_else(|| "a listing".to_owned(), ToString::to_string);
    let kind = skipped.artifact_type.as_deref().unwrap_or("of unknown type");
    let place = skipped.storage.map_or_else(|| "index".to_owned(), |storage| storage.to_string());
    format!("{digest} ({place}), {kind}: {}", skipped.reason)
}

fn by_text<S: Serializer>(tags: &BTreeMap<Tag, TagChange>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(tags.iter().map(|(tag, change)| (tag.to_string(), change)))
}
