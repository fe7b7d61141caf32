//! `sealift save`.

use std::path::{Path, PathBuf};

use sealift_core::copy::CopyOptions;
use sealift_core::oci::{Digest, Reference, Tag};
use sealift_core::repository::{ReadRepository, Snapshot};
use sealift_oci::layout::{LayoutRepository, Mode};
use sealift_promote::{Ends, Promotion, Selection, Target, plan, transfer};

use crate::archive::{self, Companion};
use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::model::{Archived, ArchivedImage};
use crate::output::progress::Live;
use crate::subject::Subject;

/// Save images with everything attached to them in one archive, to carry over an air gap
///
/// The archive is an OCI image layout in a tar file: image or index, every platform, every referrer at any depth and
/// cosign's tags, bytes unchanged. Nothing is verified here: `sealift verify oci-layout://FILE.tar:TAG` does that on the
/// archive, offline, and `sealift load` restores everything. Where two images would have one tag, their repository's
/// last part is put before it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift save --to app.tar registry.example.com/app:1.0
  sealift save --to release.tar registry.example.com/app:1.0 registry.example.com/web:1.0
  sealift save --to app.tar --trusted-root trusted_root.json --policy policy.yaml $IMAGE
  sealift verify --key sealift.pub oci-layout://app.tar:1.0

{REFERENCE_HELP}"))]
pub(crate) struct SaveArgs {
    /// Images to save
    #[arg(value_name = "REFERENCE", required = true)]
    references: Vec<String>,

    /// The archive to write
    #[arg(long, value_name = "FILE.tar")]
    to: PathBuf,

    /// Carry this trust root along; `sealift load --files` writes it out again
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,

    /// Carry this policy along; `sealift load --files` writes it out again
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Overwrite an archive that exists
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Saves the images.
pub(crate) async fn run(args: &SaveArgs, context: &Context) -> Result<Archived, CliError> {
    if args.to.exists() && !args.yes {
        return Err(UsageError::FileExists { path: args.to.clone() }.into());
    }
    let mut subjects = Vec::new();
    let parsed = args.references.iter().map(|text| reference::parse_selecting(text)).collect::<Result<Vec<_>, _>>()?;
    let client = context.client(&args.registry, &parsed.iter().map(|(reference, _)| reference).collect::<Vec<_>>())?;
    for (reference, selector) in &parsed {
        subjects.push(Subject::open_read(&client, reference, selector).await?);
    }
    let named: Vec<(&Reference, &Digest)> =
        subjects.iter().map(|subject| (&subject.reference, subject.digest())).collect();
    let tags = archive::tags(&named)?;
    // Written beside its place and renamed, so that an archive is there whole or not at all.
    let parent = args.to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = |source| CliError::Write { path: args.to.clone(), source };
    let folder = tempfile::Builder::new().prefix(".sealift-").tempdir_in(parent).map_err(unwritable)?;
    let path = folder.path().join("archive.tar");
    let archive = LayoutRepository::open(&path, Mode::WriteAtEnd).await;
    let archive = archive.map_err(|source| CliError::Repository {
        task: "write",
        subject: args.to.display().to_string(),
        source,
    })?;
    let options = CopyOptions::default().with_concurrency(usize::from(args.registry.concurrency));
    let live = context.progress.begin(subjects.len());
    let saving = Saving { archive: &archive, options, live: &live };
    let mut images = Vec::new();
    for (subject, tag) in subjects.iter().zip(tags) {
        images.push(saving.image(subject, tag.as_ref()).await?);
    }
    let mut companions = Vec::new();
    for (kind, file) in [(Companion::TrustedRoot, &args.trusted_root), (Companion::Policy, &args.policy)] {
        if let Some(file) = file {
            kind.pack(file, &archive).await?;
            companions.push(kind.file_name().into());
        }
    }
    archive.write_archive().await.map_err(|source| archive::failed("write", &archive, source))?;
    drop(archive);
    std::fs::rename(&path, &args.to).map_err(unwritable)?;
    Ok(Archived { task: "saved", archive: args.to.clone(), images, companions })
}

/// Where images are saved.
struct Saving<'a> {
    archive: &'a LayoutRepository,
    options: CopyOptions,
    live: &'a Live,
}

impl Saving<'_> {
    /// Copies an image with everything attached to it, and lists it.
    async fn image(&self, subject: &Subject<dyn ReadRepository>, tag: Option<&Tag>) -> Result<ArchivedImage, CliError> {
        let archive = self.archive;
        let snapshot = Snapshot::new(&*subject.repository);
        let promotion = Promotion { selection: Selection::everything(), ..Promotion::of(subject.descriptor.clone()) };
        let plan = plan(&snapshot, &promotion).await.map_err(CliError::Copy)?;
        let root = plan.objects().first().map(|object| object.manifest.clone());
        let progress = self.live.image(subject.reference.to_string());
        let options = self.options.clone().with_observer(progress.deliver(plan.bytes()));
        let admitted = plan.admit_unverified_unsafe();
        let ends = Ends { source: &snapshot, destination: archive };
        let moved = transfer(admitted, ends, Target::untagged(), &options).await;
        let saved = moved.map_err(CliError::Copy)?.publish_unverified_unsafe().await.map_err(CliError::Copy)?;
        let source = subject.by_digest().to_string();
        if let Some(root) = root {
            let name = subject.reference.tag().map(|_| subject.reference.to_string());
            let listed = archive.list_image(&root, tag, name.as_deref(), &source).await;
            listed.map_err(|source| archive::failed("write", archive, source))?;
        }
        self.live.end(&progress, &[]);
        Ok(ArchivedImage::of(source, None, tag, saved))
    }
}
