//! `sealift load`.

use std::path::PathBuf;

use sealift_core::copy::CopyOptions;
use sealift_core::oci::Reference;
use sealift_core::repository::Snapshot;
use sealift_oci::Client;
use sealift_oci::layout::{LayoutImage, LayoutRepository, Mode};
use sealift_promote::{Ends, Promotion, Selection, TagRule, Target, plan, transfer};

use crate::archive::Companion;
use crate::args::output::OutputArgs;
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::commands::copy::refuse_other_digest;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::model::{Archived, ArchivedImage};
use crate::output::progress::Live;
use crate::subject;

/// Load images with everything attached to them from an archive into a registry
///
/// Restores what `sealift save` wrote, and what other tools write as OCI layouts, directory or tar file: every image
/// that the layout names, its platforms, referrers and cosign's tags, in the way the registry stores them. Each object is
/// proven to be there before the tag is set. Nothing is verified: `sealift promote` from `oci-layout://FILE.tar:TAG`
/// verifies at both ends.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift load app.tar registry.internal/app
  sealift load app.tar registry.internal/app:approved
  sealift load release.tar registry.internal/app registry.internal/web
  sealift load --files trust/ app.tar")]
pub(crate) struct LoadArgs {
    /// The archive, or a directory that holds an OCI layout
    #[arg(value_name = "FILE.tar")]
    archive: PathBuf,

    /// Where the images go: one repository for all, or one for each in the archive's order. Each keeps the tag it has
    /// in the archive, unless a tag is given for it; a tag that is there already is moved
    #[arg(value_name = "REPOSITORY", required_unless_present = "files")]
    repositories: Vec<String>,

    /// Write the trust root and the policy that the archive carries into this directory; they are used only when given
    /// to a command
    #[arg(long, value_name = "DIRECTORY")]
    files: Option<PathBuf>,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Loads the images.
pub(crate) async fn run(args: &LoadArgs, context: &Context) -> Result<Archived, CliError> {
    let failed = |source| CliError::Repository { task: "read", subject: args.archive.display().to_string(), source };
    let archive = LayoutRepository::open(&args.archive, Mode::Read).await.map_err(failed)?;
    let listed = archive.images().await.map_err(failed)?;
    let (companions, images): (Vec<_>, Vec<_>) = listed.into_iter().partition(|image| Companion::of(image).is_some());
    let mut loaded =
        Archived { task: "loaded", archive: args.archive.clone(), images: Vec::new(), companions: Vec::new() };
    if let Some(directory) = &args.files {
        for image in &companions {
            if let Some(kind) = Companion::of(image) {
                loaded.companions.push(kind.unpack(image, &archive, directory).await?);
            }
        }
    }
    let destinations = destinations(args, &images)?;
    let references: Vec<&Reference> = destinations.iter().map(|(_, reference)| reference).collect();
    let client = context.client(&args.registry, &references)?;
    let options = CopyOptions::default().with_concurrency(usize::from(args.registry.concurrency));
    let live = context.progress.begin(destinations.len());
    let loading = Loading { client, source: Snapshot::new(&archive), options, live };
    for (image, destination) in &destinations {
        loaded.images.push(loading.image(image, destination).await?);
    }
    Ok(loaded)
}

/// Where images are loaded from, and how.
struct Loading<'a> {
    client: Client,
    source: Snapshot<'a>,
    options: CopyOptions,
    live: Live,
}

impl Loading<'_> {
    /// Copies an image with everything attached to it.
    async fn image(&self, image: &LayoutImage, destination: &Reference) -> Result<ArchivedImage, CliError> {
        refuse_other_digest(destination, &image.descriptor.digest)?;
        let promotion = Promotion { selection: Selection::everything(), ..Promotion::of(image.descriptor.clone()) };
        let plan = plan(&self.source, &promotion).await.map_err(CliError::Copy)?;
        let progress = self.live.image(destination.to_string());
        let options = self.options.clone().with_observer(progress.deliver(plan.bytes()));
        let target = subject::open_destination(&self.client, destination).await?;
        let tag = destination.tag().or(image.tag.as_ref());
        let tags = Target { tags: tag.cloned().into_iter().collect(), rule: TagRule::Move };
        let ends = Ends { source: &self.source, destination: &*target };
        let moved = transfer(plan.admit_unverified_unsafe(), ends, tags, &options).await;
        let moved = moved.map_err(CliError::Copy)?.publish_unverified_unsafe().await.map_err(CliError::Copy)?;
        let by_digest = destination.with_digest(image.descriptor.digest.clone()).to_string();
        let source = image.origin.clone().unwrap_or_else(|| image.descriptor.digest.to_string());
        self.live.end(&progress, &[]);
        Ok(ArchivedImage::of(source, Some(by_digest), tag, moved))
    }
}

/// Says where each image goes.
fn destinations<'a>(args: &LoadArgs, images: &'a [LayoutImage]) -> Result<Vec<(&'a LayoutImage, Reference)>, CliError> {
    let repositories =
        args.repositories.iter().map(|text| reference::parse(text)).collect::<Result<Vec<Reference>, _>>()?;
    let has_tag = repositories.iter().any(|repository| repository.tag().is_some());
    match repositories.len() {
        0 => Ok(Vec::new()),
        1 if images.len() == 1 || (!images.is_empty() && !has_tag) => {
            Ok(images.iter().map(|image| (image, repositories[0].clone())).collect())
        }
        count if count == images.len() => Ok(images.iter().zip(repositories).collect()),
        count => Err(UsageError::OneRepositoryEach { images: images.len(), repositories: count }.into()),
    }
}
