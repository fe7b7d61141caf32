//! `sealift copy`.

use sealift_core::attach::{Attachments, Scope, attachments_of_all};
use sealift_core::copy::{CopyOptions, CopyReport};
use sealift_core::oci::{Descriptor, Digest, Reference, Selector};
use sealift_core::repository::{ReadRepository, RepositoryError};

use crate::args::endpoint::EndpointArgs;
use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::copying::Copying;
use crate::error::{CliError, UsageError};
use crate::manifests::{self, Member};
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
    let client = context.client_of_ends(&args.registry, &args.endpoints, &source, &destination)?;
    let subject = Subject::open_read(&client, &source, &selector).await?;
    let failed = |source| CliError::Repository { task: "read", subject: subject.reference.to_string(), source };
    let members = manifests::members(&*subject.repository, &subject.descriptor).await.map_err(failed)?;
    let root = root(&members, args.platform.as_deref(), &source)?;
    refuse_other_digest(&destination, &root.descriptor().digest)?;
    let attached = attached(args, &*subject.repository, &members, root.descriptor()).await.map_err(failed)?;
    let target = subject::open_destination(&client, &destination).await?;
    let mut options = CopyOptions::default().with_concurrency(usize::from(args.registry.concurrency));
    if let Some(observer) = context.progress.observer() {
        options = options.with_observer(observer);
    }
    let mut copying =
        Copying { source: &*subject.repository, destination: &*target, options, report: CopyReport::default() };
    copying.run(root.descriptor(), &attached.found).await?;
    // A destination without a tag and a digest keeps the source's tag.
    let tag = destination.tag().or_else(|| source.tag().filter(|_| destination.digest().is_none()));
    match tag {
        Some(tag) => copying.tag(&root.manifest, tag).await?,
        None => copying.flush().await?,
    }
    Ok(Copied {
        source: subject.by_digest().to_string(),
        destination: destination.with_digest(root.descriptor().digest.clone()).to_string(),
        tag: tag.map(ToString::to_string),
        report: copying.report,
        attached: attached.found.len(),
        left_behind: attached.problems.iter().map(LeftBehind::of).collect(),
    })
}

/// Returns the manifest to copy: the artifact, or one platform of it.
fn root<'a>(members: &'a [Member], platform: Option<&str>, source: &Reference) -> Result<&'a Member, CliError> {
    let found = match platform {
        None => members.first(),
        Some(platform) => members.iter().find(|member| member.platform.as_deref() == Some(platform)),
    };
    found.ok_or_else(|| {
        let platform = platform.unwrap_or_default().to_owned();
        UsageError::Platform { platform, reference: source.to_string() }.into()
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

async fn attached(
    args: &CopyArgs,
    repository: &dyn ReadRepository,
    members: &[Member],
    root: &Descriptor,
) -> Result<Attachments, RepositoryError> {
    if !args.referrers {
        return Ok(Attachments::default());
    }
    let all = members.iter().map(|member| member.descriptor().digest.clone());
    let subjects: Vec<Digest> = match args.platform {
        Some(_) => vec![root.digest.clone()],
        None => all.collect(),
    };
    let mut attached = attachments_of_all(repository, &subjects, Scope::Nested).await?;
    match attached.unread.pop() {
        // A copy that leaves evidence behind must not look complete.
        Some(unread) => Err(unread.error),
        None => Ok(attached),
    }
}
