//! Copying with evidence and without a verdict, for `copy`: `promote` is the command that verifies.

use std::collections::BTreeMap;

use sealift_core::attach::{Attachment, CosignMerge, CosignSuffix, Storage, merge_cosign_tag};
use sealift_core::copy::{CopyOptions, CopyReport, copy_graph};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag};
use sealift_core::repository::{Content, ReadRepository, Repository, RepositoryError};

use crate::error::CliError;

/// Copies an artifact, children before parents, then what is attached to it, then sets the tag.
pub(crate) struct Copying<'a> {
    pub(crate) source: &'a dyn ReadRepository,
    pub(crate) destination: &'a dyn Repository,
    pub(crate) options: CopyOptions,
    pub(crate) report: CopyReport,
}

impl Copying<'_> {
    /// Copies `root` and everything in `attached`.
    ///
    /// Attachments become visible at the destination only once they are whole.
    pub(crate) async fn run(&mut self, root: &Descriptor, attached: &[Attachment]) -> Result<(), CliError> {
        self.graph(root).await?;
        let mut listed: BTreeMap<&Digest, Vec<Descriptor>> = BTreeMap::new();
        for attachment in attached {
            if let Storage::CosignTag(suffix) = attachment.storage {
                self.cosign_tag(attachment, suffix).await?;
                continue;
            }
            self.graph(attachment.descriptor()).await?;
            let entry = attachment.manifest.to_referrer_entry().map_err(|source| {
                let (repository, digest) = (self.source.name().clone(), attachment.descriptor().digest.to_string());
                self.failed("list what is attached at", RepositoryError::Manifest { repository, digest, source })
            })?;
            listed.entry(&attachment.subject).or_default().push(entry);
        }
        for (subject, entries) in listed {
            let failed = |source| self.failed("list what is attached at", source);
            self.destination.link_referrers(subject, &entries).await.map_err(failed)?;
        }
        self.destination.settle().await.map_err(|source| self.failed("list what is attached at", source))
    }

    /// Points `tag` at the copy of `manifest`.
    pub(crate) async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), CliError> {
        self.destination.tag(manifest, tag).await.map_err(|source| self.failed("tag", source))
    }

    /// Makes a copy without a tag last.
    pub(crate) async fn flush(&self) -> Result<(), CliError> {
        self.destination.flush().await.map_err(|source| self.failed("write to", source))
    }

    async fn graph(&mut self, root: &Descriptor) -> Result<(), CliError> {
        let report = copy_graph(self.source, self.destination, root, &self.options).await.map_err(CliError::Copy)?;
        self.report.absorb(report);
        Ok(())
    }

    /// Copies what a tag of cosign's holds, keeping the layers that the destination has there already.
    async fn cosign_tag(&mut self, attachment: &Attachment, suffix: CosignSuffix) -> Result<(), CliError> {
        let tag = suffix.tag(&attachment.subject);
        self.graph(attachment.descriptor()).await?;
        let existing = match self.destination.manifest(&Selector::Tag(tag.clone())).await {
            Ok(existing) => existing,
            Err(error) if error.is_not_found() => return self.tag(&attachment.manifest, &tag).await,
            Err(error) => return Err(self.failed("read", error)),
        };
        let merge = merge_cosign_tag(self.destination, &tag, &existing, &attachment.manifest).await;
        match merge.map_err(CliError::Attach)? {
            CosignMerge::KeepDestination => Ok(()),
            CosignMerge::Merged { manifest, config } => {
                let content = Content::from(config.content.clone());
                let pushed = self.destination.push(&config.descriptor(), content).await;
                pushed.map_err(|source| self.failed("write to", source))?;
                self.tag(&manifest, &tag).await
            }
            _ => self.tag(&attachment.manifest, &tag).await,
        }
    }

    fn failed(&self, task: &'static str, source: RepositoryError) -> CliError {
        CliError::Repository { task, subject: self.destination.name().to_string(), source }
    }
}
