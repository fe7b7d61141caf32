//! `sealift lifecycle`.

use std::collections::BTreeMap;

use clap::Subcommand;
use sealift_core::attach::attach;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, Reference, Selector, Tag};
use sealift_core::repository::ReadRepository;
use sealift_core::verify::Verifier;
use sealift_oci::Client;
use sealift_policy::edition::Edition;
use sealift_policy::lifecycle::{self, MarkerKind, Markers};

use crate::args::identity::IdentityArgs;
use crate::args::keyless::SignerArgs;
use crate::args::marker::MarkerArgs;
use crate::args::output::{Format, OutputArgs};
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::args::signing::PublishArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::exit::Exit;
use crate::output::model::{Attached, Dated, Latest, Lifecycle};
use crate::signing::{Existing, Purpose, Signing};
use crate::subject::Subject;
use crate::verifiers::requirements;

/// Mark artifacts as past their end of life, show such marks, and find what replaces an artifact
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LifecycleArgs {
    #[command(subcommand)]
    pub(crate) command: LifecycleCommand,
}

/// What to do with marks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LifecycleCommand {
    Latest(Box<LatestArgs>),
    Set(Box<SetArgs>),
    Show(Box<ShowArgs>),
}

/// Mark when an artifact's life ends
///
/// Attaches an artifact without content of the type `application/vnd.microsoft.artifact.lifecycle`, as `oras attach` and
/// Microsoft's images do; `--type` and `--date-annotation` make another kind of markers. The artifact itself does not
/// change. Of several markers the one created last decides. Sign the marker with `--sign` for policies that demand to know
/// who made it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift lifecycle set --eol 2026-12-31 registry.example.com/app:1.0
  sealift lifecycle set --eol 2026-12-31 --successor registry.example.com/app:1.1 registry.example.com/app:1.0
  sealift lifecycle set --eol 2026-12-31 --sign --key sealift.key registry.example.com/app:1.0
  sealift lifecycle set --eol 2026-12-31 --type application/vnd.example.lifecycle --date-annotation org.example.end \\
    registry.example.com/app:1.0")]
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
    marker: MarkerArgs,

    /// Sign the marker too: with `--key`, which implies it, or as whoever an identity provider vouches for
    #[arg(long)]
    sign: bool,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show what markers say about an artifact's end of life
///
/// Prints every marker, the one that decides first, and the artifact's annotations as they are with those of its markers:
/// of several values the last one created. With a key or an identity, only markers that they signed; without, anyone who
/// can push may have made them. Exits with 22 when the end is unclear: a marker could not be read, or the one
/// that decides has no date.
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
    marker: MarkerArgs,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Find the newest edition of an artifact's version
///
/// Reads the version that the artifact names in its annotation or label `org.opencontainers.image.version`, and looks up
/// the tag of that name, which publishers move to every new edition. Prints the digest that the tag holds now. Exits with
/// 11 when that one is past its end of life too, and with 22 when that is unclear: a marker could not be read, or the one
/// that decides has no date. Neither the version nor the tag is signed: verify what is found.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift lifecycle latest registry.example.com/app@sha256:...
  sealift lifecycle latest --tag 1.0 --output json registry.example.com/app@sha256:...")]
pub(crate) struct LatestArgs {
    /// Artifact whose newest edition is looked for
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Tag that follows the version, where that is not the version itself
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,

    #[command(flatten)]
    marker: MarkerArgs,

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
            Self::Latest(args) => args.output.output,
            Self::Set(args) => args.output.output,
            Self::Show(args) => args.output.output,
        }
    }

    /// Does what it says.
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, CliError> {
        let format = self.format();
        match self {
            Self::Latest(args) => context.printer.report(format, &latest(args, context).await?),
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
    let kind = args.marker.kind().unwrap_or_else(MarkerKind::microsoft);
    let marker = lifecycle::marker(&kind, &args.eol, args.successor.as_deref(), context.now());
    let manifest = marker.to_manifest(&subject.descriptor);
    let references = [reference.with_digest(manifest.descriptor().digest.clone()).to_string()];
    let publish = PublishArgs::default();
    // Whoever cannot sign is told before anything is attached.
    let signing = match args.sign || args.signer.key.is_some() {
        true => {
            let (annotations, identity, existing) = (BTreeMap::new(), None, Existing::SignAgain);
            let purpose = Purpose::ImageSignature { annotations, identity, existing };
            Some(Signing::open(context, &args.registry, &args.signer, &publish, &references, purpose).await?)
        }
        false => None,
    };
    let attached = attach(&*subject.repository, &subject.descriptor, &marker).await.map_err(CliError::Attach)?;
    let (reference, artifact_type) = (subject.by_digest().to_string(), marker.artifact_type);
    // An archive is written by one at a time.
    drop(subject);
    let signature = match signing {
        Some(signing) => {
            let (_, signed) = signing.run().await.0.into_iter().next().unzip();
            let manifests = signed.transpose()?.map(|signed| signed.manifests).unwrap_or_default();
            manifests.into_iter().flat_map(|manifest| manifest.stored).next().map(|stored| stored.digest)
        }
        None => None,
    };
    Ok(Attached { reference, digest: attached.digest, artifact_type, tag: None, signature })
}

async fn show(args: &ShowArgs, context: &Context) -> Result<Lifecycle, CliError> {
    let signers = Signers::of(&args.identity, &args.marker, context).await?;
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let (subject, manifest) = Subject::read(&client, &reference, &selector).await?;
    let markers = signers.markers(&*subject.repository, subject.digest()).await;
    // What cannot be read as a manifest has no annotations that anybody could read.
    let own = manifest.parse().map(|manifest| manifest.annotations).unwrap_or_default();
    Ok(Lifecycle { reference: subject.by_digest(), own, markers, now: Context::clock() })
}

async fn latest(args: &LatestArgs, context: &Context) -> Result<Latest, CliError> {
    let signers = Signers::of(&args.identity, &args.marker, context).await?;
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let asked = signers.dated(&client, &reference, &selector).await?;
    let tag = match &args.tag {
        Some(tag) => tag.clone(),
        None => {
            followed_tag(&asked.edition).ok_or_else(|| UsageError::NoVersion { reference: reference.to_string() })?
        }
    };
    let newest = signers.dated(&client, &reference.with_tag(tag.clone()), &Selector::Tag(tag.clone())).await?;
    Ok(Latest { asked, tag, newest, now: Context::clock() })
}

/// Returns the tag that is named like the version; `+`, which no tag has, is `_` in the tags of charts.
fn followed_tag(edition: &Edition) -> Option<Tag> {
    edition.version.as_ref()?.replace('+', "_").parse().ok()
}

/// Whose markers count, and which artifacts are markers.
struct Signers {
    /// Without anybody, everyone's count.
    who: Option<(Verifier, IdentityMatcher)>,
    kinds: Vec<MarkerKind>,
}

impl Signers {
    async fn of(identity: &IdentityArgs, marker: &MarkerArgs, context: &Context) -> Result<Self, CliError> {
        let who = match identity.is_empty() {
            true => None,
            false => Some(requirements(context, identity, BTreeMap::new()).await?),
        };
        Ok(Self { who, kinds: MarkerKind::all(marker.kind()) })
    }

    async fn markers(&self, repository: &dyn ReadRepository, digest: &Digest) -> Markers {
        let signers = self.who.as_ref().map(|(verifier, identities)| (verifier, identities));
        lifecycle::read(repository, digest, signers, &self.kinds).await
    }

    async fn dated(&self, client: &Client, reference: &Reference, selector: &Selector) -> Result<Dated, CliError> {
        let (subject, manifest) = Subject::read(client, reference, selector).await?;
        let edition = Edition::read(&*subject.repository, &manifest).await;
        let failed =
            |source| CliError::Repository { task: "read the version of", subject: reference.to_string(), source };
        let markers = self.markers(&*subject.repository, subject.digest()).await;
        Ok(Dated { reference: subject.by_digest(), edition: edition.map_err(failed)?, markers })
    }
}
