//! `sealift delete`.

use sealift_core::attach::{Scope, Storage, attachments};
use sealift_core::oci::{Digest, Selector};
use sealift_core::repository::Repository;

use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::model::Deleted;
use crate::subject::Subject;

/// Delete an artifact from a registry or a layout
///
/// Deletes the manifest itself, whatever tags point at it. With `--referrers` what is attached goes first, the deepest
/// first, so that nothing is left without what it refers to. Many registries delete nothing; they say so.
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
    let subject = Subject::open_artifact(&client, &reference, &selector).await?;
    let repository = &*subject.repository;
    let mut deleted = Deleted { reference: subject.by_digest().to_string(), deleted: Vec::new() };
    if args.tag_only {
        let tag = reference.tag().ok_or_else(|| UsageError::NoTag { reference: reference.to_string() })?;
        delete(repository, Selector::Tag(tag.clone()), &mut deleted).await?;
        return Ok(deleted);
    }
    if args.referrers {
        delete_attached(repository, subject.digest(), &mut deleted).await?;
    }
    delete(repository, Selector::Digest(subject.digest().clone()), &mut deleted).await?;
    Ok(deleted)
}

async fn delete_attached(repository: &dyn Repository, subject: &Digest, deleted: &mut Deleted) -> Result<(), CliError> {
    let failed =
        |source| CliError::Repository { task: "read what is attached to", subject: subject.to_string(), source };
    let attached = attachments(repository.as_read(), subject, Scope::Nested).await.map_err(failed)?;
    if let Some(unread) = attached.unread.into_iter().next() {
        return Err(failed(unread.error));
    }
    // Breadth first reversed: what is attached goes before what it is attached to.
    for attachment in attached.found.iter().rev() {
        let digest = attachment.descriptor().digest.clone();
        if attachment.storage == Storage::FallbackTag {
            let failed = |source| CliError::Repository { task: "unlist", subject: digest.to_string(), source };
            repository.unlink_referrers(&attachment.subject, std::slice::from_ref(&digest)).await.map_err(failed)?;
        }
        delete(repository, Selector::Digest(digest), deleted).await?;
    }
    Ok(())
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
