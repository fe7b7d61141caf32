//! `sealift delete`.

use std::future::ready;

use futures_util::stream::{self, StreamExt};
use sealift_core::attach::{Attachment, Scope, attachments};
use sealift_core::oci::{Digest, Selector};
use sealift_core::repository::{Repository, RepositoryError};

use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::model::{Deleted, MayBeLeft, Orphan};
use crate::subject::attached;

/// Delete an artifact from a registry or a layout
///
/// Deletes the manifest itself, whatever tags point at it. With `--referrers` what is attached goes first, the deepest
/// first, so that nothing is left without what it refers to, and nothing is deleted while any of it cannot be read;
/// without it, what is left behind is named, and what may be. What was itself attached to something is taken off that
/// one's list. Many registries delete nothing; they say so.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift delete --yes registry.example.com/app@sha256:...
  sealift delete --yes --referrers registry.example.com/app:1.0-rc1
  sealift delete --yes --tag-only registry.example.com/app:old

{REFERENCE_HELP}"))]
pub(crate) struct DeleteArgs {
    /// The artifact
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Delete everything attached to it too, at any depth and in every storage scheme
    #[arg(long)]
    referrers: bool,

    /// Delete the tag and leave what it points at
    #[arg(long, conflicts_with = "referrers")]
    tag_only: bool,

    /// Confirm
    #[arg(short, long, visible_alias = "force")]
    yes: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Deletes what was named.
pub(crate) async fn run(args: &DeleteArgs, context: &Context) -> Result<Deleted, CliError> {
    let (reference, selector) = reference::parse_selecting(&args.reference)?;
    if !args.yes {
        return Err(UsageError::Unconfirmed { reference: reference.to_string() }.into());
    }
    let client = context.client(&args.registry, &[&reference])?;
    let failed = |source| CliError::Repository { task: "resolve", subject: reference.to_string(), source };
    let repository = client.open(&reference.repository()).await.map_err(failed)?;
    let repository = &*repository;
    let digest = digest(repository, &selector).await.map_err(failed)?;
    let mut deleted = Deleted::new(&reference.with_digest(digest.clone()));
    if args.tag_only {
        let tag = reference.tag().ok_or_else(|| UsageError::NoTag { reference: reference.to_string() })?;
        delete(repository, Selector::Tag(tag.clone()), &mut deleted).await?;
        return Ok(deleted);
    }
    // Once it is deleted, nothing says what it was attached to, and registries differ in what they still list for it.
    let selector = Selector::Digest(digest.clone());
    let referred = match repository.manifest(&selector).await {
        Ok(manifest) => manifest.subject_digest(),
        Err(error) if !args.referrers || is_damage(&error) => {
            deleted.may_be_left.push(MayBeLeft::entry_of(&digest, &error));
            None
        }
        Err(source) => return Err(CliError::Repository { task: "read", subject: digest.to_string(), source }),
    };
    let attached = match args.referrers {
        true => attached(repository.as_read(), &digest, Scope::Nested).await.map_err(|source| {
            CliError::Repository { task: "read what is attached to", subject: digest.to_string(), source }
        })?,
        false => readable_attached(repository, &digest, &mut deleted).await,
    };
    if args.referrers {
        delete_attached(repository, &attached, &mut deleted).await?;
    }
    delete(repository, selector, &mut deleted).await?;
    if let Some(referred) = referred {
        unlink(repository, &referred, std::slice::from_ref(&digest)).await?;
    }
    if !args.referrers {
        deleted.orphans = orphans(repository, &attached).await;
    }
    Ok(deleted)
}

/// Returns the digest of what is deleted, also of what is damaged: that goes by its digest.
async fn digest(repository: &dyn Repository, selector: &Selector) -> Result<Digest, RepositoryError> {
    match (repository.resolve(selector).await, selector) {
        (Ok(found), _) => Ok(found.digest),
        (Err(error), Selector::Digest(digest)) if is_damage(&error) => Ok(digest.clone()),
        (Err(error), _) => Err(error),
    }
}

/// Says whether the manifest is there and cannot be read, however often it is asked for.
fn is_damage(error: &RepositoryError) -> bool {
    matches!(error, RepositoryError::Content { .. } | RepositoryError::Manifest { .. })
}

/// Returns what can be read of what is attached, and notes what cannot. Whoever may attach could otherwise keep what is
/// taken down, by attaching more than is read.
async fn readable_attached(repository: &dyn Repository, subject: &Digest, deleted: &mut Deleted) -> Vec<Attachment> {
    match attachments(repository.as_read(), subject, Scope::Nested).await {
        Ok(attached) => {
            deleted.may_be_left.extend(attached.unread.into_iter().map(MayBeLeft::from));
            attached.found
        }
        Err(error) => {
            deleted.may_be_left.push(MayBeLeft::attached_to(subject, &error));
            // The listing that failed may be that of something attached.
            let direct = attachments(repository.as_read(), subject, Scope::Direct).await;
            direct.map(|attached| attached.found).unwrap_or_default()
        }
    }
}

async fn delete_attached(
    repository: &dyn Repository,
    attached: &[Attachment],
    deleted: &mut Deleted,
) -> Result<(), CliError> {
    let of_subjects: Vec<&[Attachment]> = attached.chunk_by(|one, next| one.subject == next.subject).collect();
    // Breadth first reversed: what is attached goes before what it is attached to.
    for of_subject in of_subjects.into_iter().rev() {
        let mut gone = Vec::new();
        let mut outcome = Ok(());
        for attachment in of_subject {
            let digest = attachment.descriptor().digest.clone();
            outcome = delete(repository, Selector::Digest(digest.clone()), deleted).await;
            if outcome.is_err() {
                break;
            }
            gone.extend(attachment.manifest.subject_digest().map(|_| digest));
        }
        // One write for all of a subject: where the registry knows no conditions, each waits for other writers.
        if let (Some(attachment), false) = (of_subject.first(), gone.is_empty()) {
            unlink(repository, &attachment.subject, &gone).await?;
        }
        outcome?;
    }
    Ok(())
}

/// Removes what was deleted from the list of its subject, which a registry without the referrers API does not do.
async fn unlink(repository: &dyn Repository, subject: &Digest, gone: &[Digest]) -> Result<(), CliError> {
    repository.unlink_referrers(subject, gone).await.map_err(|source| CliError::Repository {
        task: "remove what was deleted from the list of",
        subject: subject.to_string(),
        source,
    })
}

/// Returns what is still there of what was attached: some registries, such as ACR, delete it along with its subject.
async fn orphans(repository: &dyn Repository, attached: &[Attachment]) -> Vec<Orphan> {
    let orphans = stream::iter(attached).map(|attachment| async move {
        // What cannot be told is named rather than forgotten.
        repository.exists(attachment.descriptor()).await.unwrap_or(true).then(|| Orphan::from(attachment))
    });
    orphans.buffered(CONCURRENCY).filter_map(ready).collect().await
}

async fn delete(repository: &dyn Repository, selector: Selector, deleted: &mut Deleted) -> Result<(), CliError> {
    repository.delete(&selector).await.map_err(|source| CliError::Repository {
        task: "delete",
        subject: selector.to_string(),
        source,
    })?;
    deleted.deleted.push(selector.to_string());
    Ok(())
}

/// Questions about orphans in flight at once; the repository may bound them further.
const CONCURRENCY: usize = 16;
