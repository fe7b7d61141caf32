//! Blobs from one repository to another: not moved at all where they are there, mounted, or streamed.

use std::sync::PoisonError;

use sealift_core::oci::{Descriptor, Digest};
use sealift_core::repository::{Arrival, ReadRepository, RepositoryError};

use super::RegistryRepository;
use super::retry::Retries;
use super::shared_blob::{End, Mover, Turn};
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
        let turn = self.turn(&descriptor.digest, || source.excuse(descriptor)).await;
        if self.memory.is_present(&descriptor.digest) {
            return Ok(Arrival::Present);
        }
        let opened = self.mount_from_any(descriptor, source, turn.as_ref()).await?;
        let session = match opened {
            Some(Opened::Done) => {
                self.note_present(&descriptor.digest);
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
                self.note_present(&descriptor.digest);
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

    /// Takes the turn to move a blob here, after whoever has it; calls `on_wait` first where there is somebody.
    ///
    /// Those who waited in vain do not wait once more, so that one after the other would fail: they go without a turn.
    pub(super) async fn turn(&self, digest: &Digest, on_wait: impl FnOnce()) -> Option<Turn> {
        let (blobs, path) = (&self.endpoint.host.blobs, &self.endpoint.path);
        let end = match blobs.begin(digest, path) {
            Mover::This(turn) => return Some(turn),
            Mover::Other(end) => end,
        };
        on_wait();
        end.reached().await;
        match blobs.begin(digest, path) {
            Mover::This(turn) => Some(turn),
            Mover::Other(_) => None,
        }
    }

    /// Mounts a blob from the source where that is in the same registry, else from where this process has brought it.
    async fn mount_from_any(
        &self,
        descriptor: &Descriptor,
        source: &dyn ReadRepository,
        turn: Option<&Turn>,
    ) -> Result<Option<Opened>, RepositoryError> {
        let digest = &descriptor.digest;
        let (host, path) = (&self.endpoint.host, &self.endpoint.path);
        let is_neighbour = source.name().host() == self.endpoint.name.host();
        let neighbour = source.name().path().filter(|source| is_neighbour && *source != path);
        if let Some(neighbour) = neighbour
            && let Some(opened) = self.mount(digest, neighbour).await?
        {
            return Ok(Some(opened));
        }
        let earlier = || turn.and_then(Turn::earlier).inspect(|_| source.excuse(descriptor));
        let Some(holder) = self.holder(digest, earlier).await else { return Ok(None) };
        let opened = self.mount(digest, &holder).await?;
        let is_mounted = matches!(opened, Some(Opened::Done));
        host.note(|habits| habits.mounts = Some(is_mounted || habits.mounts == Some(true)));
        Ok(opened)
    }

    /// Returns another repository that has a blob, if need be at the end of the `earlier` move that brings it there.
    async fn holder(&self, digest: &Digest, earlier: impl FnOnce() -> Option<End>) -> Option<String> {
        let (host, path) = (&self.endpoint.host, &self.endpoint.path);
        if host.habits().mounts == Some(false) {
            return None;
        }
        let known = host.blobs.holder(digest, path);
        if known.is_some() {
            return known;
        }
        earlier()?.reached().await;
        host.blobs.holder(digest, path)
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
