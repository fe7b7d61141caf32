//! What was promoted, is planned to be, or was refused.

use std::io::{self, Write};

use sealift_core::copy::CopyReport;
use sealift_core::oci::Reference;
use sealift_promote::{Plan, Skipped};
use serde::Serialize;

use super::copied::{Transfer, size};
use crate::output::style::{DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// A promotion that was carried out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promoted {
    /// By digest.
    source: String,
    /// By digest.
    destination: String,
    tag: Option<String>,
    /// Manifests that the plan named, every one of which is at the destination.
    manifests: usize,
    objects: Transfer,
    skipped: Vec<String>,
}

impl Promoted {
    /// Starts with what the plan says, before it is carried out.
    pub(crate) fn planned(source: &Reference, destination: &Reference, plan: &Plan) -> Self {
        let digest = &plan.root().digest;
        Self {
            source: source.with_digest(digest.clone()).to_string(),
            destination: destination.with_digest(digest.clone()).to_string(),
            tag: plan.destination_tag().map(ToString::to_string),
            manifests: plan.objects().len(),
            objects: Transfer::of(&CopyReport::default()),
            skipped: plan.skipped().iter().map(skipped).collect(),
        }
    }

    /// Adds what the transfer did.
    pub(crate) fn with_report(self, report: &CopyReport) -> Self {
        Self { objects: Transfer::of(report), ..self }
    }
}

impl Report for Promoted {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(", tag {tag}"));
        writeln!(out, "{GOOD}promoted{GOOD:#} {} to {}{tag}", self.source, self.destination)?;
        writeln!(out, "  {DIM}verified at the source and, from what arrived, at the destination{DIM:#}")?;
        writeln!(out, "  {DIM}complete: all {} manifests of the plan are there{DIM:#}", self.manifests)?;
        self.objects.write_text(out)?;
        self.skipped.iter().try_for_each(|skipped| writeln!(out, "  {WARNING}left behind{WARNING:#} {skipped}"))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}

/// A promotion that would be carried out.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) destination: Reference,
    pub(crate) plan: Plan,
}

impl Report for Planned {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let plan = &self.plan;
        let (source, root) = (plan.source(), &plan.root().digest);
        let tag = plan.destination_tag().map_or_else(String::new, |tag| format!(", tag {tag}"));
        writeln!(out, "{STRONG}would promote{STRONG:#} {source}@{root} to {}{tag}", self.destination.repository())?;
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
            plan: &'a Plan,
        }
        json_line(out, &Line { destination: self.destination.repository().to_string(), plan: &self.plan })
    }
}

fn skipped(skipped: &Skipped) -> String {
    let digest = skipped.digest.as_ref().map_or_else(|| "a listing".to_owned(), ToString::to_string);
    let kind = skipped.artifact_type.as_deref().unwrap_or("of unknown type");
    format!("{digest} ({}), {kind}: {}", skipped.storage, skipped.reason)
}
