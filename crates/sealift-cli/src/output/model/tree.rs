//! The evidence tree.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};

use sealift_core::attach::{Attachment, AttachmentKind, Attachments};
use sealift_core::chart::{Chart, Provenance};
use sealift_core::oci::{Digest, Manifest, Reference, annotation};
use sealift_core::repository::RepositoryError;
use sealift_core::statement::predicate;
use serde::Serialize;

use crate::error::{exit_of_repository, undecided, with_causes};
use crate::exit::Exit;
use crate::manifests::Member;
use crate::output::style::{DIM, STRONG, WARNING};
use crate::output::{Report, json_line};

/// An artifact with everything attached to it.
#[derive(Debug, Serialize)]
pub(crate) struct Tree {
    pub(crate) reference: String,
    pub(crate) root: Node,
    /// Listed things that are not attachments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Remark>,
    /// Things that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<Remark>,
    #[serde(skip)]
    exit: Exit,
}

/// Something about an attachment that is not in the tree.
#[derive(Debug, Serialize)]
struct Remark {
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    subject: Digest,
    storage: String,
    reason: String,
}

/// What is said to hold the parts of a chart, which are no attachments.
const CHART: &str = "the chart";

/// What a chart says of itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChartNode {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// `absent`, `matching` or `other`; nothing is said of who signed it.
    provenance: &'static str,
    /// Why the provenance file is not about the chart's package.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl ChartNode {
    fn of(chart: Chart) -> Self {
        let (provenance, problem) = match chart.provenance {
            Provenance::Absent => ("absent", None),
            Provenance::Matching => ("matching", None),
            Provenance::Other(error) => ("other", Some(with_causes(&error))),
            _ => ("unknown", None),
        };
        Self { name: chart.name, version: chart.version, provenance, problem }
    }
}

impl fmt::Display for ChartNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.provenance, &self.problem) {
            ("matching", _) => {
                f.write_str("provenance file: has the digest of the package; its PGP signature was not verified")
            }
            (_, Some(problem)) => write!(f, "provenance file: not about the package: {problem}"),
            (state, None) => write!(f, "provenance file: {state}"),
        }
    }
}

/// A manifest with what is below it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    pub(crate) digest: Digest,
    size: u64,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// What it is: `artifact`, `platform` or a kind of attachment.
    pub(crate) kind: &'static str,
    /// What it is, for people.
    #[serde(skip)]
    pub(crate) label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    predicate_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<ChartNode>,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Self>,
}

impl Tree {
    /// Builds the tree of the artifact that `members` begin with.
    pub(crate) fn new(reference: &Reference, members: &[Member], attached: Attachments) -> Self {
        let mut builder = Builder { members: HashMap::new(), attachments: HashMap::new() };
        for member in members {
            if let Some(parent) = &member.parent {
                builder.members.entry(parent).or_default().push(member);
            }
        }
        for attachment in &attached.found {
            builder.attachments.entry(&attachment.subject).or_default().push(attachment);
        }
        let root = members.first().map(|member| builder.member(member));
        // Something attached may be missing from the tree, so the answer is not complete.
        let exit = attached.unread.first().map_or(Exit::Ok, |unread| undecided(exit_of_repository(&unread.error)));
        Self {
            reference: reference.to_string(),
            root: root.unwrap_or_default(),
            problems: attached
                .problems
                .into_iter()
                .map(|problem| Remark::new(problem.digest, problem.subject, problem.storage, &problem.reason))
                .collect(),
            unread: attached
                .unread
                .into_iter()
                .map(|unread| Remark::new(unread.digest, unread.subject, unread.storage, &unread.error))
                .collect(),
            exit,
        }
    }

    /// Adds what the chart says of itself that the root is, or why that cannot be told.
    pub(crate) fn describe(&mut self, chart: Result<Option<Chart>, RepositoryError>) {
        match chart {
            Ok(None) => {}
            Ok(Some(chart)) => {
                let named = [&chart.name, &chart.version].into_iter().flatten();
                self.root.label = named.fold(self.root.label.clone(), |label, text| format!("{label} {text}"));
                self.root.chart = Some(ChartNode::of(chart));
            }
            Err(error) => {
                self.exit = undecided(exit_of_repository(&error));
                let digest = self.root.digest.clone();
                self.unread.push(Remark::new(None, digest, CHART, &error));
            }
        }
    }

    /// Leaves out every node that neither is `wanted` nor leads to one that is.
    pub(crate) fn keep_only(&mut self, wanted: &dyn Fn(&Node) -> bool) {
        self.root.keep_only(wanted);
    }
}

impl Remark {
    fn new(
        digest: Option<Digest>,
        subject: Digest,
        storage: impl ToString,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self { digest, subject, storage: storage.to_string(), reason: with_causes(error) }
    }
}

struct Builder<'a> {
    members: HashMap<&'a Digest, Vec<&'a Member>>,
    attachments: HashMap<&'a Digest, Vec<&'a Attachment>>,
}

impl Builder<'_> {
    fn member(&self, member: &Member) -> Node {
        let descriptor = member.descriptor();
        let manifest = member.manifest.parse().ok();
        let artifact_type = manifest.as_ref().and_then(|manifest| manifest.artifact_type()).map(str::to_owned);
        let platform = member.platforms.text();
        let what = match (&platform, descriptor.media_type.is_index()) {
            (_, true) => "index".to_owned(),
            (Some(platform), false) => platform.clone(),
            (None, false) => artifact_name(artifact_type.as_deref()),
        };
        let platforms = self.members.get(&descriptor.digest).into_iter().flatten().map(|member| self.member(member));
        Node {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            media_type: descriptor.media_type.to_string(),
            artifact_type,
            kind: if member.parent.is_some() { "platform" } else { "artifact" },
            label: what,
            platform,
            children: self.attached_to(&descriptor.digest).chain(platforms).collect(),
            ..Node::default()
        }
    }

    fn attached_to(&self, subject: &Digest) -> impl Iterator<Item = Node> {
        self.attachments.get(subject).into_iter().flatten().map(|attachment| self.attachment(attachment))
    }

    fn attachment(&self, attachment: &Attachment) -> Node {
        let descriptor = attachment.descriptor();
        let manifest = attachment.manifest.parse().ok();
        let predicate_types = manifest.as_ref().map(predicate_types).unwrap_or_default();
        Node {
            label: label(attachment, manifest.as_ref(), &predicate_types),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            media_type: descriptor.media_type.to_string(),
            artifact_type: attachment.artifact_type.clone(),
            kind: kind_name(attachment.kind),
            predicate_types,
            storage: Some(attachment.storage.to_string()),
            annotations: manifest.map(|manifest| manifest.annotations).unwrap_or_default(),
            children: self.attached_to(&descriptor.digest).collect(),
            ..Node::default()
        }
    }
}

impl Node {
    /// Says whether `kind` names its type: artifact type, media type, predicate type or kind.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.kind == kind
            || self.artifact_type.as_deref() == Some(kind)
            || self.predicate_types.iter().any(|predicate_type| predicate_type == kind)
    }

    fn keep_only(&mut self, wanted: &dyn Fn(&Self) -> bool) {
        self.children.retain_mut(|child| {
            let is_wanted = wanted(child);
            child.keep_only(wanted);
            is_wanted || !child.children.is_empty()
        });
    }

    fn write(&self, out: &mut dyn Write, prefix: &str) -> io::Result<()> {
        for (index, child) in self.children.iter().enumerate() {
            let is_last = index + 1 == self.children.len();
            let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            let storage =
                child.storage.as_ref().map_or_else(String::new, |storage| format!("  {DIM}[{storage}]{DIM:#}"));
            writeln!(out, "{prefix}{branch}{STRONG}{}{STRONG:#}{storage}", child.label)?;
            let bar = if child.children.is_empty() { "  " } else { "│ " };
            writeln!(out, "{prefix}{below}{bar}{DIM}{}{DIM:#}", child.digest)?;
            child.write(out, &format!("{prefix}{below}"))?;
        }
        Ok(())
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            digest: Digest::sha256(b""),
            size: 0,
            media_type: String::new(),
            artifact_type: None,
            kind: "artifact",
            label: String::new(),
            platform: None,
            predicate_types: Vec::new(),
            chart: None,
            storage: None,
            annotations: BTreeMap::new(),
            children: Vec::new(),
        }
    }
}

impl Report for Tree {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{STRONG}{}{STRONG:#}  {}", self.reference, self.root.label)?;
        if let Some(chart) = &self.root.chart {
            writeln!(out, "{DIM}{chart}{DIM:#}")?;
        }
        self.root.write(out, "")?;
        if self.root.children.is_empty() && self.unread.is_empty() {
            writeln!(out, "nothing is attached")?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        for (what, remarks) in [("is no attachment", &self.problems), ("could not be read", &self.unread)] {
            for remark in remarks {
                let digest = remark.digest.as_ref().map_or_else(|| "a listing".to_owned(), ToString::to_string);
                writeln!(out, "{WARNING}warning:{WARNING:#} {digest} ({}) {what}: {}", remark.storage, remark.reason)?;
            }
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        self.exit
    }
}

fn predicate_types(manifest: &Manifest) -> Vec<String> {
    let own = manifest.annotations.get(annotation::BUNDLE_PREDICATE_TYPE);
    let of_layers = manifest.layers.iter().filter_map(|layer| layer.annotations.get(annotation::COSIGN_PREDICATE_TYPE));
    let mut types: Vec<String> = own.into_iter().chain(of_layers).cloned().collect();
    types.dedup();
    types
}

fn kind_name(kind: AttachmentKind) -> &'static str {
    match kind {
        AttachmentKind::CosignAttestation => "cosign-attestation",
        AttachmentKind::CosignSbom => "cosign-sbom",
        AttachmentKind::CosignSignature => "cosign-signature",
        AttachmentKind::Lifecycle => "lifecycle",
        AttachmentKind::NotarySignature => "notary-signature",
        AttachmentKind::SigstoreBundle => "sigstore-bundle",
        _ => "other",
    }
}

/// Names an attachment for people; the words after the comma are the form it is stored in.
fn label(attachment: &Attachment, manifest: Option<&Manifest>, predicate_types: &[String]) -> String {
    let short = |uri: &String| predicate::short_name(uri).unwrap_or(uri).to_owned();
    let types = predicate_types.iter().map(short).collect::<Vec<_>>().join(", ");
    let layers = manifest.map_or(0, |manifest| manifest.layers.len());
    let artifact_type = attachment.artifact_type.as_deref();
    match attachment.kind {
        AttachmentKind::SigstoreBundle if predicate_types == [predicate::IMAGE_SIGNATURE] => {
            "signature, Sigstore bundle".to_owned()
        }
        AttachmentKind::SigstoreBundle if types.is_empty() => "Sigstore bundle".to_owned(),
        AttachmentKind::SigstoreBundle => format!("attestation {types}, Sigstore bundle"),
        AttachmentKind::CosignSignature if layers > 1 => format!("{layers} signatures, cosign"),
        AttachmentKind::CosignSignature => "signature, cosign".to_owned(),
        AttachmentKind::CosignAttestation if layers > 1 => format!("{layers} attestations {types}, cosign"),
        AttachmentKind::CosignAttestation => format!("attestation {types}, cosign"),
        AttachmentKind::CosignSbom => {
            let form = manifest.and_then(|manifest| manifest.layers.first()).map(|layer| layer.media_type.to_string());
            format!("SBOM {}, unsigned", form.unwrap_or_default())
        }
        AttachmentKind::NotarySignature => "signature, Notary Project".to_owned(),
        AttachmentKind::Lifecycle => "lifecycle marker".to_owned(),
        _ => artifact_name(artifact_type),
    }
}

/// Names an artifact type for people.
fn artifact_name(artifact_type: Option<&str>) -> String {
    use sealift_core::oci::media_type;
    match artifact_type {
        None | Some(media_type::IMAGE_CONFIG | media_type::DOCKER_CONFIG) => "image".to_owned(),
        Some(media_type::HELM_CONFIG) => "Helm chart".to_owned(),
        Some(other) => other.to_owned(),
    }
}
