//! What a command works on: a reference whose tag was resolved, once.

use std::sync::Arc;

use sealift_core::attach::{Attachment, Scope, attachments};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Reference, Selector};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};
use sealift_oci::Client;

use crate::error::CliError;

/// An artifact in a repository that was opened for reading ([`ReadRepository`]) or for both ([`Repository`]).
#[derive(Clone, Debug)]
pub(crate) struct Subject<R: ?Sized> {
    /// As typed.
    pub(crate) reference: Reference,
    /// Where it is.
    pub(crate) repository: Arc<R>,
    /// What it is.
    pub(crate) descriptor: Descriptor,
}

impl<R: ?Sized> Subject<R> {
    /// Returns its digest.
    pub(crate) fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// Returns the reference by digest alone.
    pub(crate) fn by_digest(&self) -> Reference {
        self.reference.with_digest(self.descriptor.digest.clone())
    }
}

impl Subject<dyn Repository> {
    /// Opens the repository for writing what is attached to the artifact, which may be in another repository, and
    /// resolves the reference.
    pub(crate) async fn open(client: &Client, reference: &Reference, selector: &Selector) -> Result<Self, CliError> {
        let failed = |source| failed(reference, source);
        let name = reference.repository();
        if name.layout_path().is_some() {
            // Opening for writing creates a layout that is not there, and nothing can be found in that.
            client.open_read(&name).await.map_err(failed)?;
        }
        let repository = client.open_signatures(&name).await.map_err(failed)?;
        let descriptor = repository.resolve(selector).await.map_err(failed)?;
        Ok(Self { reference: reference.clone(), repository, descriptor })
    }
}

impl Subject<dyn ReadRepository> {
    /// Opens the repository for reading and resolves the reference.
    pub(crate) async fn open_read(
        client: &Client,
        reference: &Reference,
        selector: &Selector,
    ) -> Result<Self, CliError> {
        let failed = |source| failed(reference, source);
        let repository = client.open_signatures_read(&reference.repository()).await.map_err(failed)?;
        let descriptor = repository.resolve(selector).await.map_err(failed)?;
        Ok(Self { reference: reference.clone(), repository, descriptor })
    }

    /// Opens the repository for reading, and reads what the reference names: for commands that need its manifest anyway.
    pub(crate) async fn read(
        client: &Client,
        reference: &Reference,
        selector: &Selector,
    ) -> Result<(Self, RawManifest), CliError> {
        let failed = |source| failed(reference, source);
        let repository = client.open_signatures_read(&reference.repository()).await.map_err(failed)?;
        let manifest = repository.manifest(selector).await.map_err(failed)?;
        let descriptor = manifest.descriptor().clone();
        Ok((Self { reference: reference.clone(), repository, descriptor }, manifest))
    }
}

/// Reads what is attached to a manifest.
///
/// # Errors
/// Fails also where only some of it cannot be read: what is missing may be what matters.
pub(crate) async fn attached(
    repository: &dyn ReadRepository,
    subject: &Digest,
    scope: Scope,
) -> Result<Vec<Attachment>, RepositoryError> {
    let attached = attachments(repository, subject, scope).await?;
    match attached.unread.into_iter().next() {
        Some(unread) => Err(unread.error),
        None => Ok(attached.found),
    }
}

/// Opens the repository that something is copied or promoted to.
pub(crate) async fn open_destination(client: &Client, reference: &Reference) -> Result<Arc<dyn Repository>, CliError> {
    let opened = client.open(&reference.repository()).await;
    opened.map_err(|source| CliError::Repository { task: "open", subject: reference.to_string(), source })
}

fn failed(reference: &Reference, source: RepositoryError) -> CliError {
    CliError::Repository { task: "resolve", subject: reference.to_string(), source }
}
