//! `sealift copy`.

use sealift_core::copy::CopyOptions;
use sealift_core::oci::{Descriptor, Digest, Reference, Selector};
use sealift_core::repository::{ReadRepository, Snapshot};
use sealift_promote::{Ends, Promotion, Selection, TagRule, Target, plan, plan_alone, transfer};

use crate::args::endpoint::EndpointArgs;
use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::manifests;
use crate::output::model::{Copied, LeftBehind};
use crate::subject::{self, Subject};

/// Copy an artifact with everything attached to it, verifying nothing
///
/// Image or index, every platform, every referrer at any depth, fallback tags and cosign's tags are copied with their
/// bytes unchanged; the tag is set last. `sealift promote` verifies before and after.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift copy registry.example.com/app:1.0 backup.example.com/app:1.0
  sealift copy oci-layout://./out:1.0 registry.example.com/app:1.0
  sealift copy --platform linux/arm64 registry.example.com/app:1.0 oci-layout://./app.tar:1.0
  sealift copy --referrers=false --to-plain-http alpine:3.20 mirror.internal:5000/alpine:3.20

{REFERENCE_HELP}"))]
pub(crate) struct CopyArgs {
    /// Artifact to copy
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Where it goes; without a tag the source's tag is kept
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// Copy what is attached too, at any depth and in every storage scheme
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    referrers: bool,

    /// Copy this platform of an index alone, such as `linux/arm64`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    #[command(flatten)]
    endpoints: EndpointArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Copies the artifact.
pub(crate) async fn run(args: &CopyArgs, context: &Context) -> Result<Copied, CliError> {
    let (source, selector) = reference::parse_selecting(&args.source)?;
    let destination = reference::parse(&args.destination)?;
    let client = context.client_of_ends(&args.registry, &args.endpoints, &[&source], &[&destination])?;
    let (subject, manifest) = Subject::read(&client, &source, &selector).await?;
    let snapshot = Snapshot::new(&*subject.repository).knowing([&manifest]);
    let root = root(args, &snapshot, &subject).await?;
    refuse_other_digest(&destination, &root.digest)?;
    let plan = match args.referrers {
        true => plan(&snapshot, &Promotion { selection: Selection::everything(), ..Promotion::of(root.clone()) }).await,
        false => plan_alone(&snapshot, &root).await,
    };
    let plan = plan.map_err(CliError::Copy)?;
    let attached = plan.objects().iter().filter(|object| object.subject.is_some()).count();
    let left_behind = plan.skipped().iter().map(LeftBehind::of).collect();
    let target = subject::open_destination(&client, &destination).await?;
    let live = context.progress.begin(1);
    let delivery = live.image(&args.source).deliver(plan.bytes());
    let options =
        CopyOptions::default().with_concurrency(usize::from(args.registry.concurrency)).with_observer(delivery);
    // A destination without a tag and a digest keeps the source's tag.
    let tag = destination.tag().or_else(|| source.tag().filter(|_| destination.digest().is_none()));
    let tags = Target { tags: tag.cloned().into_iter().collect(), rule: TagRule::Move };
    let ends = Ends { source: &snapshot, destination: &*target };
    let moved = transfer(plan.admit_unverified_unsafe(), ends, tags, &options).await;
    let copied = moved.map_err(CliError::Copy)?.publish_unverified_unsafe().await.map_err(CliError::Copy)?;
    Ok(Copied {
        source: subject.by_digest().to_string(),
        destination: destination.with_digest(root.digest).to_string(),
        tag: tag.map(ToString::to_string),
        report: copied.report,
        attached,
        left_behind,
    })
}

/// Returns the manifest to copy: the artifact, or one platform of it.
async fn root(
    args: &CopyArgs,
    repository: &dyn ReadRepository,
    subject: &Subject<dyn ReadRepository>,
) -> Result<Descriptor, CliError> {
    let Some(platform) = &args.platform else { return Ok(subject.descriptor.clone()) };
    let failed = |source| CliError::Repository { task: "read", subject: subject.reference.to_string(), source };
    let members = manifests::members(repository, &subject.descriptor).await.map_err(failed)?;
    let found = members.iter().find(|member| member.platforms.contains(platform));
    found.map(|member| member.descriptor().clone()).ok_or_else(|| {
        let (platform, reference) = (platform.clone(), subject.reference.to_string());
        UsageError::Platform { platform, reference }.into()
    })
}

/// Refuses a destination that names another digest than what arrives there.
pub(crate) fn refuse_other_digest(destination: &Reference, digest: &Digest) -> Result<(), CliError> {
    match destination.selector() {
        Some(Selector::Digest(found)) if found != *digest => {
            Err(UsageError::OtherDigest { found, expected: digest.clone() }.into())
        }
        _ => Ok(()),
    }
}
