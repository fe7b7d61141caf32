//! `sealift lifecycle`.

use std::collections::BTreeMap;

use clap::Subcommand;
use sealift_core::attach::attach;
use sealift_policy::lifecycle;

use crate::args::identity::IdentityArgs;
use crate::args::output::{Format, OutputArgs};
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::exit::Exit;
use crate::output::model::{Attached, Lifecycle};
use crate::subject::Subject;
use crate::verification::requirements;

/// Mark artifacts as past their end of life, and show such marks
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LifecycleArgs {
    #[command(subcommand)]
    pub(crate) command: LifecycleCommand,
}

/// What to do with marks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LifecycleCommand {
    Set(Box<SetArgs>),
    Show(Box<ShowArgs>),
}

/// Mark when an artifact's life ends
///
/// Attaches an artifact without content of the type `application/vnd.microsoft.artifact.lifecycle`, as `oras attach` and
/// Microsoft's images do. The artifact itself does not change. Of several markers the one created last decides. Sign the
/// marker, by the digest that is printed, for policies that demand to know who made it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift lifecycle set --eol 2026-12-31 registry.example.com/app:1.0
  sealift lifecycle set --eol 2026-12-31 --successor registry.example.com/app:1.1 registry.example.com/app:1.0")]
pub(crate) struct SetArgs {
    /// Artifact to mark
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// When its life ends: a date, or a time such as `2026-12-31T12:00:00Z`
    #[arg(long, value_name = "DATE")]
    eol: String,

    /// What replaces it: a reference or a digest
    #[arg(long, value_name = "REFERENCE")]
    successor: Option<String>,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show what markers say about an artifact's end of life
///
/// Prints every marker, the one that decides first. With a key or an identity, only markers that they signed; without,
/// anyone who can push may have made them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift lifecycle show registry.example.com/app:1.0
  sealift lifecycle show --key sealift.pub --output json registry.example.com/app:1.0")]
pub(crate) struct ShowArgs {
    /// Artifact whose markers are shown
    #[arg(value_name = "REFERENCE")]
    reference: String,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl LifecycleCommand {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Set(args) => args.output.output,
            Self::Show(args) => args.output.output,
        }
    }

    /// Does what it says.
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, CliError> {
        let format = self.format();
        match self {
            Self::Set(args) => context.printer.report(format, &set(args, context).await?),
            Self::Show(args) => context.printer.report(format, &show(args, context).await?),
        }
    }
}

async fn set(args: &SetArgs, context: &Context) -> Result<Attached, CliError> {
    if lifecycle::parse_date(&args.eol).is_none() {
        return Err(UsageError::NoDate { text: args.eol.clone() }.into());
    }
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let subject = Subject::open(&client, &reference, &selector).await?;
    let marker = lifecycle::marker(&args.eol, args.successor.as_deref(), context.now());
    let attached = attach(&*subject.repository, &subject.descriptor, &marker).await.map_err(CliError::Attach)?;
    Ok(Attached {
        reference: subject.by_digest().to_string(),
        digest: attached.digest,
        artifact_type: marker.artifact_type,
        tag: None,
    })
}

async fn show(args: &ShowArgs, context: &Context) -> Result<Lifecycle, CliError> {
    let signers = if args.identity.is_empty() {
        None
    } else {
        Some(requirements(context, &args.identity, BTreeMap::new()).await?)
    };
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let subject = Subject::open_read(&client, &reference, &selector).await?;
    let signers = signers.as_ref().map(|(verifier, identities)| (verifier, identities));
    let markers = lifecycle::read(&*subject.repository, subject.digest(), signers).await;
    Ok(Lifecycle { reference: subject.by_digest(), markers, now: Context::clock() })
}
