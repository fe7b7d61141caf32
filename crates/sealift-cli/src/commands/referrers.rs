//! `sealift referrers`.

use std::collections::HashSet;

use clap::Subcommand;
use sealift_core::attach::{KnownFrom, KnownReferrer, MAX_ATTACHMENTS, Squatter, audit, repair, tagged_referrers};
use sealift_core::oci::{Digest, Selector};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};

use crate::args::output::{Format, OutputArgs};
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::manifests;
use crate::output::model::{AuditedSubject, Mending, Referrers};
use crate::subject::Subject;

/// Check the lists of what is attached to an artifact, and mend them
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift referrers check --recursive registry.example.com/app:1.0
  sealift referrers repair --dry-run registry.example.com/app:1.0
  sealift referrers repair registry.example.com/app:1.0")]
pub(crate) struct ReferrersArgs {
    #[command(subcommand)]
    command: ReferrersCommand,
}

/// What to do with lists of referrers.
#[derive(Clone, Debug, Subcommand)]
enum ReferrersCommand {
    Check(CheckArgs),
    Repair(RepairArgs),
}

/// Tell what is wrong with the lists of referrers: the referrers API, and the index under the tag `sha256-<hex>`
///
/// Finds wrong and missing artifact types and annotations, entries that lead nowhere or to something else, referrers
/// that are not listed, images that `cosign copy` left under the tag, and differences between the API and the tag. What
/// no listing and no tag names cannot be found, unless `--referrer` names it. Exits with 16 when anything is wrong.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift referrers check registry.example.com/app:1.0
  sealift referrers check --recursive --output json registry.example.com/app:1.0 | jq .subjects

{REFERENCE_HELP}"))]
struct CheckArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// Mend the lists of referrers, and check them again
///
/// Entries get the types and annotations of their manifests, what leads nowhere goes, and what is not listed is listed.
/// The fallback tag is written once, and other writers lose nothing. Exits with 16 when anything is left.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift referrers repair --recursive registry.example.com/app:1.0
  sealift referrers repair --referrer sha256:... registry.example.com/app:1.0
  sealift referrers repair --replace-squatted registry.example.com/app:1.0

{REFERENCE_HELP}"))]
struct RepairArgs {
    /// Tell what is wrong, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Put a list where `cosign copy` left an image; the image stays, without this tag
    #[arg(long)]
    replace_squatted: bool,

    #[command(flatten)]
    common: CommonArgs,
}

/// What both take
#[derive(Clone, Debug, clap::Args)]
struct CommonArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Every platform of an index too, and everything attached, at any depth
    #[arg(short, long)]
    recursive: bool,

    /// A manifest that should be listed, as `attach` and `sign` print it; repeat for several
    #[arg(long = "referrer", value_name = "DIGEST")]
    referrers: Vec<Digest>,

    /// Look through the repository's tags for referrers that no list names; a request for each tag
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    scan_tags: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl ReferrersArgs {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        match &self.command {
            ReferrersCommand::Check(args) => args.common.output.output,
            ReferrersCommand::Repair(args) => args.common.output.output,
        }
    }
}

/// Checks or mends.
pub(crate) async fn run(args: &ReferrersArgs, context: &Context) -> Result<Referrers, CliError> {
    let (common, mending, squatter) = match &args.command {
        ReferrersCommand::Check(args) => (&args.common, Mending::No, Squatter::Leave),
        ReferrersCommand::Repair(args) => {
            let squatter = if args.replace_squatted { Squatter::Replace } else { Squatter::Leave };
            (&args.common, if args.dry_run { Mending::DryRun } else { Mending::Yes }, squatter)
        }
    };
    let (reference, selector) = reference::parse_selecting(&common.reference)?;
    let client = context.client(&common.registry, &[&reference])?;
    let failed =
        |source| CliError::Repository { task: "check the referrers of", subject: reference.to_string(), source };
    if mending == Mending::Yes {
        let subject = Subject::open(&client, &reference, &selector).await?;
        let repository = &*subject.repository;
        let known = known(repository.as_read(), common, &failed).await?;
        let walk = Auditing { repository: repository.as_read(), mender: Some((repository, squatter)), common, known };
        let subjects = walk.run(subject.digest()).await.map_err(failed)?;
        return Ok(Referrers { reference: subject.by_digest().to_string(), mending, subjects });
    }
    let subject = Subject::open_read(&client, &reference, &selector).await?;
    let known = known(&*subject.repository, common, &failed).await?;
    let walk = Auditing { repository: &*subject.repository, mender: None, common, known };
    let subjects = walk.run(subject.digest()).await.map_err(failed)?;
    Ok(Referrers { reference: subject.by_digest().to_string(), mending, subjects })
}

/// A walk over everything whose listings are looked at.
struct Auditing<'a> {
    repository: &'a dyn ReadRepository,
    /// Who mends, where that is wanted.
    mender: Option<(&'a dyn Repository, Squatter)>,
    common: &'a CommonArgs,
    /// What is known to refer to something, whatever the listings say.
    known: Vec<KnownReferrer>,
}

impl Auditing<'_> {
    async fn run(&self, root: &Digest) -> Result<Vec<AuditedSubject>, RepositoryError> {
        let mut next = vec![(root.clone(), None)];
        if self.common.recursive {
            let root = self.repository.resolve(&Selector::Digest(root.clone())).await?;
            let members = manifests::members(self.repository, &root).await?;
            next = members
                .into_iter()
                .map(|member| (member.descriptor().digest.clone(), member.platforms.text()))
                .collect();
        }
        let mut seen: HashSet<Digest> = next.iter().map(|(digest, _)| digest.clone()).collect();
        let mut audited = Vec::new();
        while let Some((digest, platform)) = next.pop() {
            let found = audit(self.repository, &digest, &self.known).await?;
            if self.common.recursive {
                let new = found.referrers.keys().filter(|digest| seen.insert((*digest).clone()));
                next.extend(new.map(|digest| (digest.clone(), None)));
                if seen.len() > MAX_ATTACHMENTS {
                    let (what, limit) = ("number of attachments", MAX_ATTACHMENTS as u64);
                    return Err(RepositoryError::TooLarge { repository: self.repository.name().clone(), what, limit });
                }
            }
            let left = match self.mender {
                Some((repository, squatter)) if !found.findings.is_empty() => {
                    repair(repository, &found, squatter).await?;
                    Some(audit(self.repository, &digest, &self.known).await?)
                }
                _ => None,
            };
            audited.push(AuditedSubject::of(&found, left.as_ref(), platform));
        }
        Ok(audited)
    }
}

/// Returns what is known to refer to something, whatever the listings say.
async fn known(
    repository: &dyn ReadRepository,
    common: &CommonArgs,
    failed: &impl Fn(RepositoryError) -> CliError,
) -> Result<Vec<KnownReferrer>, CliError> {
    let mut known = match common.scan_tags {
        true => tagged_referrers(repository).await.map_err(failed)?,
        false => Vec::new(),
    };
    for digest in &common.referrers {
        let manifest = repository.manifest(&Selector::Digest(digest.clone())).await.map_err(failed)?;
        let given = KnownReferrer::of(manifest, KnownFrom::Given);
        known.push(given.ok_or_else(|| UsageError::NoReferrer { digest: digest.clone() })?);
    }
    Ok(known)
}
