//! Many promotions: from a manifest, or a pattern of tags, to the images of this shard; and side by side.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use sealift_core::document::MAX_DOCUMENT_BYTES;
use sealift_oci::Client;
use sealift_promote::{
    Clashes, Image, MAX_IMAGES, ManifestEntry, PromotionManifest, PromotionManifestError, Shard, Source,
};

use crate::args::reference;
use crate::error::CliError;
use crate::files;
use crate::output::model::PromotionLine;
use crate::output::progress::{ImageProgress, Progress};
use crate::promoter::{Delivered, Job, Promoter};

/// Tag lists asked for at once.
const LISTINGS: usize = 8;

/// Reads a manifest; the policies that it names are taken relative to itself.
pub(crate) fn read(path: &Path) -> Result<Vec<ManifestEntry>, CliError> {
    let bytes = files::read(path, MAX_DOCUMENT_BYTES as u64)?;
    let manifest = PromotionManifest::parse(&bytes, path.display().to_string()).map_err(CliError::Manifest)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut entries = manifest.into_entries();
    for policy in entries.iter_mut().filter_map(|entry| entry.policy.as_mut()) {
        *policy = directory.join(&*policy);
    }
    Ok(entries)
}

/// Reads a source as typed.
pub(crate) fn source(text: &str) -> Result<Source, CliError> {
    match text.parse::<Source>() {
        Ok(pattern @ Source::Tags { .. }) => Ok(pattern),
        _ => reference::parse_selecting(text).map(|(reference, selector)| Source::Content(reference, selector)),
    }
}

/// What is to be done by this process.
pub(crate) struct Prepared<'a> {
    /// In the order of the entries; an error stands for an entry whose images could not be told.
    images: Vec<(&'a ManifestEntry, Result<Image, CliError>)>,
    /// How many images are in other shards.
    pub(crate) elsewhere: usize,
}

/// Finds the images that the entries name, refuses those that would write one tag, and picks those of `shard`.
///
/// # Errors
/// [`CliError::Manifest`]; what concerns the source of one entry is kept for the report.
pub(crate) async fn prepare<'a>(
    client: &Client,
    entries: &'a [ManifestEntry],
    shard: Option<Shard>,
) -> Result<Prepared<'a>, CliError> {
    let mut prepared = Prepared { images: Vec::new(), elsewhere: 0 };
    let (mut clashes, mut count) = (Clashes::default(), 0);
    let found: Vec<_> = stream::iter(entries).map(|entry| images(client, entry)).buffered(LISTINGS).collect().await;
    for (index, (entry, images)) in entries.iter().zip(found).enumerate() {
        let images = match images {
            Ok(images) => images,
            // Whatever the shard: another may have been answered, and does not know that this one was not.
            Err(error) => {
                prepared.images.push((entry, Err(error)));
                continue;
            }
        };
        count += images.len();
        if count > MAX_IMAGES {
            return Err(CliError::Manifest(PromotionManifestError::TooMany { place: entry.place.clone() }));
        }
        // Whatever the shard: the others check it, too, and all of them refuse.
        for image in images {
            clashes.add(&image.source, entry).map_err(CliError::Manifest)?;
            match shard.is_none_or(|shard| shard.holds(index, image.found.as_ref())) {
                true => prepared.images.push((entry, Ok(image))),
                false => prepared.elsewhere += 1,
            }
        }
    }
    Ok(prepared)
}

/// Returns the images that an entry names; for a pattern, the source is asked for its tags.
async fn images(client: &Client, entry: &ManifestEntry) -> Result<Vec<Image>, CliError> {
    if entry.source.is_one() {
        return entry.images(&[]).map_err(CliError::Manifest);
    }
    let failed = |source| CliError::Repository { task: "list the tags of", subject: entry.source.to_string(), source };
    let repository = client.open_read(&entry.source.reference().repository()).await.map_err(failed)?;
    let listed = repository.tags().await.map_err(failed)?;
    entry.images(&listed).map_err(CliError::Manifest)
}

impl Prepared<'_> {
    /// Carries out what was prepared, `jobs` images at a time, and shows how far it is; one that fails stops no other.
    /// Returns what became of each, in the order of the entries.
    pub(crate) async fn carry_out(
        self,
        promoter: &Promoter,
        job: impl Fn(&Image, &ManifestEntry) -> Job,
        jobs: usize,
        progress: &Progress,
    ) -> Vec<PromotionLine> {
        let live = progress.begin(self.images.len());
        let done = stream::iter(self.images.into_iter().enumerate()).map(async |(index, (entry, image))| {
            let name = image.as_ref().map_or_else(|_| entry.source.to_string(), |image| image.source.to_string());
            let progress = live.image(&name);
            let lines = match image {
                Ok(image) => carry_out(promoter, &job(&image, entry), &progress).await,
                Err(error) => vec![failed(name, error, Duration::ZERO)],
            };
            live.end(&progress, &lines);
            (index, lines)
        });
        let mut done: Vec<_> = done.buffer_unordered(jobs).collect().await;
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter().flat_map(|(_, lines)| lines).collect()
    }
}

async fn carry_out(promoter: &Promoter, job: &Job, progress: &ImageProgress) -> Vec<PromotionLine> {
    let started = Instant::now();
    let source = job.source.to_string();
    let results = match promoter.run(job, progress).await {
        Ok(results) => results,
        Err(error) => return vec![failed(source, error, started.elapsed())],
    };
    let line = |Delivered { place, result, elapsed }| PromotionLine { source: source.clone(), place, result, elapsed };
    results.into_iter().map(line).collect()
}

/// Describes what concerns a source, and so every destination.
fn failed(source: String, error: CliError, elapsed: Duration) -> PromotionLine {
    PromotionLine { place: source.clone(), source, result: Err(error), elapsed }
}
