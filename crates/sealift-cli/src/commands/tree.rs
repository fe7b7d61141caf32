//! `sealift tree`.

use clap::ValueEnum;
use sealift_core::attach::{Scope, attachments_of_all};
use sealift_core::chart::Chart;
use sealift_core::oci::Digest;

use crate::args::output::Format;
use crate::args::predicate::PredicateType;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::manifests;
use crate::output::model::Tree;
use crate::output::picture::Picture;
use crate::subject::Subject;

/// Show everything attached to an artifact, wherever it is stored
///
/// Reads the referrers API, the fallback tag and cosign's `.sig`, `.att` and `.sbom` tags, for the artifact, each of
/// its platforms, and what is attached in turn. Types are those of the opened manifests, not what a listing claims.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift tree registry.example.com/app:1.0
  sealift tree --type spdx registry.example.com/app:1.0
  sealift tree --output json registry.example.com/app:1.0
  sealift tree --output dot registry.example.com/app:1.0 | dot -Tsvg > app.svg

{REFERENCE_HELP}"))]
pub(crate) struct TreeArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Show only what has this artifact type, predicate type or short name, with what leads to it
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    #[command(flatten)]
    registry: RegistryArgs,

    /// Write the tree as text, JSON, or as a picture for Mermaid or Graphviz
    #[arg(
        short,
        long,
        visible_alias = "format",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output options"
    )]
    pub(crate) output: TreeFormat,
}

/// How a tree is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum TreeFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// A flowchart for Mermaid
    Mermaid,
    /// A graph for Graphviz
    Dot,
}

impl TreeFormat {
    /// Returns how failures are written.
    pub(crate) fn failure_format(self) -> Format {
        if self == Self::Json { Format::Json } else { Format::Text }
    }
}

/// Finds what is attached.
pub(crate) async fn run(args: &TreeArgs, context: &Context) -> Result<Tree, CliError> {
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let subject = Subject::open_read(&client, &reference, &selector).await?;
    let repository = &*subject.repository;
    let failed =
        |source| CliError::Repository { task: "read what is attached to", subject: reference.to_string(), source };
    let members = manifests::members(repository, &subject.descriptor).await.map_err(failed)?;
    let digests: Vec<Digest> = members.iter().map(|member| member.descriptor().digest.clone()).collect();
    let attached = attachments_of_all(repository, &digests, Scope::Nested).await.map_err(failed)?;
    let mut tree = Tree::new(&subject.by_digest(), &members, attached);
    if let Some(root) = members.first() {
        tree.describe(Chart::read(repository, &root.manifest).await);
    }
    if let Some(kind) = &args.kind {
        let uri = kind.parse::<PredicateType>().map_or_else(|_| kind.clone(), |kind| kind.uri);
        tree.keep_only(&|node| node.is_of(kind) || node.is_of(&uri));
    }
    Ok(tree)
}

/// Writes the tree as asked.
pub(crate) fn print(tree: &Tree, format: TreeFormat, context: &Context) -> Result<Exit, CliError> {
    match format {
        TreeFormat::Text => context.printer.report(Format::Text, tree),
        TreeFormat::Json => context.printer.report(Format::Json, tree),
        TreeFormat::Mermaid => context.printer.report(Format::Text, &Picture::Mermaid(tree)),
        TreeFormat::Dot => context.printer.report(Format::Text, &Picture::Dot(tree)),
    }
}
