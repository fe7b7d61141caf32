//! Blobs from one repository to another: not moved at all where they are there, mounted, or streamed.

use std::collections::HashSet;
use std::sync::MutexGuard;

use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest};
use sealift_core::repository::{Arrival, ReadRepository, RepositoryError};

use super::RegistryRepository;
use super::retry::Retries;
use super::shared_blob::{End, Mover, Outcome, Turn};
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
        let moved = self.transfer_in_turn(descriptor, source, turn.as_ref()).await;
        if let (Err(error), Some(turn)) = (&moved, &turn)
            && !matches!(error, RepositoryError::Source(_) | RepositoryError::Content { .. })
        {
            turn.refuse();
        }
        moved
    }

    async fn transfer_in_turn(
        &self,
        descriptor: &Descriptor,
        source: &dyn ReadRepository,
        turn: Option<&Turn>,
    ) -> Result<Arrival, RepositoryError> {
        if self.memory.is_present(&descriptor.digest) {
            return Ok(Arrival::Present);
        }
        let opened = self.mount_from_any(descriptor, source, turn).await?;
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
    /// What the registry has refused once it may refuse to all: those who waited for that do not wait once more, so that
    /// one after the other would fail, but go without a turn. Where only the other one's source has failed, one of them
    /// goes next: docker-registry does not like a blob to be written by several at the same time.
    pub(super) async fn turn(&self, digest: &Digest, on_wait: impl Fn()) -> Option<Turn> {
        let (blobs, path) = (&self.endpoint.host.blobs, &self.endpoint.path);
        let mut last = Outcome::Open;
        loop {
            let end = match blobs.begin(digest, path) {
                Mover::This(turn) => return Some(turn),
                Mover::Other(_) if last == Outcome::Refused => return None,
                Mover::Other(end) => end,
            };
            on_wait();
            last = end.reached().await;
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
        // Each holder is asked for once: one that refuses is unmountable from then on.
        while let Some(holder) = self.holder(digest, earlier).await {
            let Some(opened) = self.mount(digest, &holder).await? else { continue };
            // A session instead of the blob: that is how a registry answers which mounts nothing.
            let is_mounted = matches!(opened, Opened::Done);
            host.note(|habits| habits.mounts = Some(is_mounted || habits.mounts == Some(true)));
            return Ok(Some(opened));
        }
        Ok(None)
    }

    /// Returns another repository that has a blob, if need be at the end of the `earlier` move that brings it there.
    async fn holder(&self, digest: &Digest, earlier: impl FnOnce() -> Option<End>) -> Option<String> {
        let (host, path) = (&self.endpoint.host, &self.endpoint.path);
        if host.habits().mounts == Some(false) {
            return None;
        }
        let known = || host.blobs.holder(digest, |holder| holder != path && !self.unmountable().contains(holder));
        if let Some(known) = known() {
            return Some(known);
        }
        earlier()?.reached().await;
        known()
    }

    /// Mounts a blob from another repository of the registry, or returns a session to continue in where there is one.
    async fn mount(&self, digest: &Digest, source: &str) -> Result<Option<Opened>, RepositoryError> {
        if self.unmountable().contains(source) {
            return Ok(None);
        }
        let opened = match self.endpoint.mount(digest, source).await {
            Ok(Opened::Done) => return Ok(Some(Opened::Done)),
            Ok(session) => Some(session),
            Err(
                error @ (RepositoryError::Unavailable { .. }
                | RepositoryError::Throttled { .. }
                | RepositoryError::OutOfTime { .. }
                | RepositoryError::ClientCertificate { .. }),
            ) => return Err(error),
            // Whatever forbids mounting need not forbid copying.
            Err(error) => {
                tracing::debug!(%error, source, "mounting is refused");
                None
            }
        };
        self.unmountable().insert(source.to_owned());
        Ok(opened)
    }

    /// Returns repositories that nothing is mounted from here.
    fn unmountable(&self) -> MutexGuard<'_, HashSet<String>> {
        locked(&self.memory.unmountable)
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
