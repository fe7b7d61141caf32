//! Blobs from one repository to another: not moved at all where they are there, mounted, or streamed.

use sealift_core::oci::{Descriptor, Digest};
use sealift_core::repository::{Arrival, ReadRepository, RepositoryError};

use super::RegistryRepository;
use super::retry::Retries;
use super::upload::{Opened, Session, may_begin_anew};

/// Blobs of at most so many bytes are sent without asking whether they are there: the question takes as long.
const ASKED_ABOVE: u64 = 16 * 1024;

impl RegistryRepository {
    /// Stores a blob of `source` with the fewest bytes moved.
    pub(super) async fn transfer_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn ReadRepository,
    ) -> Result<Arrival, RepositoryError> {
        if self.memory.is_present(&descriptor.digest) {
            return Ok(Arrival::Present);
        }
        let name = source.name();
        let neighbour =
            name.path().filter(|path| name.host() == self.endpoint.name.host() && *path != self.endpoint.path);
        let opened = match neighbour {
            Some(path) => self.mount(&descriptor.digest, path).await?,
            None => None,
        };
        let session = match opened {
            Some(Opened::Done) => {
                self.memory.note_present(&descriptor.digest);
                return Ok(Arrival::Mounted);
            }
            Some(Opened::Session(session)) => Some(session),
            None => None,
        };
        let is_asked = descriptor.size > ASKED_ABOVE;
        if is_asked && self.exists(descriptor).await? {
            return Ok(Arrival::Present);
        }
        match self.stream(descriptor, source, session).await {
            Ok(()) => {
                self.memory.note_present(&descriptor.digest);
                Ok(Arrival::Copied)
            }
            // Who may write nothing, or nothing more, needs not where it is there.
            Err(error) if !is_asked && is_refusal(&error) && matches!(self.exists(descriptor).await, Ok(true)) => {
                tracing::debug!(%error, "refused, but it is there");
                Ok(Arrival::Present)
            }
            Err(error) => Err(error),
        }
    }

    /// Mounts a blob from another repository of the registry, or returns a session to continue in where there is one.
    async fn mount(&self, digest: &Digest, source: &str) -> Result<Option<Opened>, RepositoryError> {
        let unmountable = || self.memory.unmountable.lock().unwrap_or_else(PoisonError::into_inner);
        if unmountable().contains(source) {
            return Ok(None);
        }
        let opened = match self.endpoint.mount(digest, source).await {
            Ok(Opened::Done) => return Ok(Some(Opened::Done)),
            Ok(session) => Some(session),
            Err(error @ (RepositoryError::Unavailable { .. } | RepositoryError::Throttled { .. })) => {
                return Err(error);
            }
            // Whatever forbids mounting need not forbid copying.
            Err(error) => {
                tracing::debug!(%error, source, "mounting is refused");
                None
            }
        };
        unmountable().insert(source.to_owned());
        Ok(opened)
    }

    /// Streams a blob, reading it anew when the upload has to begin anew.
    async fn stream(
        &self,
        descriptor: &Descriptor,
        source: &dyn ReadRepository,
        mut session: Option<Session>,
    ) -> Result<(), RepositoryError> {
        let endpoint = &self.endpoint;
        let mut retries = Retries::new(endpoint.host.retry);
        loop {
            let content = source.fetch(descriptor).await.map_err(RepositoryError::at_source)?;
            let pushed = match session.take() {
                Some(session) => endpoint.push_stream(session, descriptor, content).await,
                None => endpoint.push_blob(descriptor, content).await,
            };
            let Err(error) = pushed else { return Ok(()) };
            // What the content's reader says is the source's, whoever was asked to push it.
            let error = match error {
                error @ RepositoryError::Content { .. } => error.at_source(),
                error => error,
            };
            let delay = retries.next_delay(None).filter(|_| may_begin_anew(&error));
            tokio::time::sleep(delay.ok_or(error)?).await;
        }
    }
}

/// Says whether a registry refused a push, whatever was pushed.
fn is_refusal(error: &RepositoryError) -> bool {
    matches!(
        error,
        RepositoryError::Denied { .. }
            | RepositoryError::Registry { .. }
            | RepositoryError::Unauthenticated { .. }
            | RepositoryError::Unsupported { .. }
    )
}
