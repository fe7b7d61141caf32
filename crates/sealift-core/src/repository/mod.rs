//! Where content lives: the one contract that registries, layouts and memory share.
//!
//! The contract is tested by one suite, `sealift_sandbox::conformance::repository`, which every kind passes.

mod content;
pub mod fallback;
pub mod graph;
mod memory;
mod revision;
mod snapshot;
mod turns;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use content::{Content, ContentError};
pub use memory::{MemoryRepository, ReferrersSupport};
pub use revision::{Revised, Revision};
pub use snapshot::Snapshot;
pub use turns::{Turn, Turns};

use crate::oci::{Descriptor, Digest, ManifestError, RawManifest, RepositoryName, Selector, Tag};

/// A place to read content from. A copy's source is one of these, so it cannot be written by mistake.
#[async_trait]
pub trait ReadRepository: Debug + Send + Sync {
    /// Returns the place's name.
    fn name(&self) -> &RepositoryName;

    /// Returns the descriptor of a manifest, without its bytes where the store can.
    ///
    /// The answer to a digest has that digest, or the call fails.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] when the repository answers that it has no such manifest; anything else means
    /// that it could not tell.
    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError>;

    /// Returns a manifest, bytes as stored, digest checked, at most [`crate::oci::MAX_MANIFEST_BYTES`].
    ///
    /// # Errors
    /// As [`ReadRepository::resolve`].
    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError>;

    /// Says whether the content is here.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError>;

    /// Returns a blob or a manifest as a checked stream; no more than `descriptor.size` bytes are ever read.
    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError>;

    /// Returns what one listing says refers to `subject`, in the listing's order, or `None` where the listing does
    /// not exist: no referrers API, no fallback tag.
    ///
    /// Entries are claims: their digests are not checked here, and their `artifact_type` and `annotations` may be
    /// wrong or missing. A tag that is not an index, or is the subject itself, is [`RepositoryError::Squatted`].
    ///
    /// # Errors
    /// Any error means that the listing could not be read whole; it is never an empty listing.
    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError>;

    /// Returns the tags, in no particular order.
    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError>;

    /// Takes note of blobs that a copy is about to fetch or to find at its destination; by default, does nothing.
    ///
    /// A source that several copies read at the same time may wait for all of them before it reads a blob. What wraps
    /// such a source hands this on, and [`ReadRepository::excuse`] too.
    fn expect(&self, _blobs: &[&Descriptor]) {}

    /// Takes note that the copy does not fetch one of those blobs now: it is there, or comes another way.
    fn excuse(&self, _blob: &Descriptor) {}
}

/// One of the two places where a repository lists what refers to a subject.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReferrersListing {
    /// The referrers API, or what a layout knows by itself.
    Api,
    /// The index under the tag `sha256-<hex>`.
    FallbackTag,
}

/// A place to read content from and write content to.
#[async_trait]
pub trait Repository: ReadRepository {
    /// Returns the same place as a source.
    fn as_read(&self) -> &dyn ReadRepository;

    /// Stores a blob, or a manifest under its digest; does nothing when it is already there.
    ///
    /// The store checks size and digest as the content arrives; content that does not match leaves nothing behind.
    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError>;

    /// Stores a blob of `source` with the fewest bytes moved: not at all when present, by mounting within one
    /// registry, else by streaming.
    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        if self.exists(descriptor).await? {
            return Ok(Arrival::Present);
        }
        let content = source.fetch(descriptor).await.map_err(|error| error.at_source())?;
        self.push(descriptor, content).await.map(|_| Arrival::Copied)
    }

    /// Says whether the repository lists referrers by itself, `None` where it has not shown that.
    ///
    /// Where it is known, a referrer may be stored before its subject without being linked in the wrong place.
    fn lists_referrers(&self) -> Option<bool> {
        None
    }

    /// Makes the fallback tag of `subject` list `entries` besides what it lists already.
    ///
    /// Does nothing where the repository lists referrers by itself. Entries already there stay, bytes unchanged. As with
    /// [`Repository::revise_tag`], nothing is lost to other writers once [`Repository::settle`] has returned.
    ///
    /// # Errors
    /// [`RepositoryError::Squatted`] when the tag holds something else, which is left alone.
    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError>;

    /// Removes `entries` from the fallback tag of `subject`, and the tag when nothing is left.
    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError>;

    /// Points `tag` at a manifest, pushing the manifest in the same step.
    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError>;

    /// Points `tag` at a manifest if it holds `previous` now, `None` standing for a tag that does not exist.
    ///
    /// Of several that move one tag from what it held, one does and the others are told what it holds: nobody who shares
    /// this repository comes between the look and the write, and no other process where the store has locks or
    /// conditions for that. Elsewhere the look comes right before the write, and a writer of another process in the
    /// moment between is overwritten.
    ///
    /// # Errors
    /// As [`Repository::tag`]; a tag that holds something else is no error, and is left alone.
    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError>;

    /// Changes what `tag` holds as `revision` says, and returns what it holds then.
    ///
    /// The store writes conditionally where it can. Where it cannot, a writer that read the tag before may still write
    /// over it: [`Repository::settle`] waits for such writers and applies the revision again.
    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError>;

    /// Returns once no other writer of this kind can undo what was linked and revised through this value before, and what
    /// was then read of the tags that had to be waited for; does nothing where tags are written conditionally.
    async fn settle(&self) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        Ok(Vec::new())
    }

    /// Makes what was pushed without a tag last, where that is not so at once: an archive is written as a whole.
    ///
    /// # Errors
    /// As [`Repository::push`].
    async fn flush(&self) -> Result<(), RepositoryError> {
        Ok(())
    }

    /// Deletes a manifest by digest, or a tag alone.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] where the registry deletes nothing.
    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError>;
}

/// What a push did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pushed {
    /// Stored, and nothing more is needed.
    Stored,
    /// Stored, but the repository does not list the manifest under its subject: call
    /// [`Repository::link_referrers`].
    Unlisted,
}

/// What became of a tag that was to be moved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TagMove {
    /// It holds the manifest now.
    Done,
    /// It holds this, which is not what was expected; nothing was written.
    Holds(Option<Digest>),
}

/// How a blob came to be at its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// Its bytes were moved.
    Copied,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// It was there already.
    Present,
}

/// Says why a repository did not do what was asked.
///
/// "No" and "could not tell" are different variants: only [`RepositoryError::NotFound`] means that something is not
/// there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The registry speaks only with clients whose certificate it knows, and there is none, or another one.
    #[error("{repository} refuses the {operation} without a client certificate that it knows")]
    ClientCertificate {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Content does not match its descriptor.
    #[error("content of {repository} is not what its descriptor says")]
    Content {
        /// The repository.
        repository: RepositoryName,
        /// What does not match.
        #[source]
        source: ContentError,
    },
    /// The credentials are good but do not allow this (HTTP 403).
    #[error("{repository} denies the {operation}: {message}")]
    Denied {
        /// The repository.
        repository: RepositoryName,
        /// What was asked, such as `push`.
        operation: &'static str,
        /// The registry's words, bounded and without control characters.
        message: String,
    },
    /// Reading or writing this machine's files failed.
    #[error("{repository}: {operation} failed")]
    File {
        /// The repository.
        repository: RepositoryName,
        /// What was attempted, such as `write blob`.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// What was received is not what the protocol says.
    #[error("{repository} gave a malformed {what}: {problem}")]
    Malformed {
        /// The repository.
        repository: RepositoryName,
        /// What was malformed, such as `referrers listing`.
        what: &'static str,
        /// How, bounded and without control characters.
        problem: String,
    },
    /// A manifest is not usable.
    #[error("{repository} holds an unusable manifest {digest}")]
    Manifest {
        /// The repository.
        repository: RepositoryName,
        /// Digest or tag asked for.
        digest: String,
        /// Why it is not usable.
        #[source]
        source: ManifestError,
    },
    /// The repository answers that it has no such thing.
    #[error("{repository} has no {what}")]
    NotFound {
        /// The repository.
        repository: RepositoryName,
        /// What is missing, such as `tag v1`.
        what: String,
    },
    /// The time for everything that was to be read is over; what is missing may still be there.
    #[error("the time for everything, {time:?}, is over, and {repository} still owes the {awaited} `{operation}`")]
    OutOfTime {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
        /// What did not come, such as `answer to`.
        awaited: &'static str,
        /// How much time there was.
        time: Duration,
    },
    /// The registry keeps a manifest back until somebody passes it: it is there, and may not be read.
    #[error("{repository} keeps {digest} in quarantine (state `{state}`)")]
    Quarantined {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
        /// Its state in the registry's words, bounded and without control characters.
        state: String,
    },
    /// The registry refused the request otherwise.
    #[error("{repository} refused the {operation} (HTTP {status}, {code}): {message}")]
    Registry {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// The registry's error code, such as `MANIFEST_BLOB_UNKNOWN`, or `-`.
        code: String,
        /// The registry's words, bounded and without control characters.
        message: String,
    },
    /// Reading failed at the source of a transfer.
    #[error("reading the source failed")]
    Source(#[source] Box<Self>),
    /// The fallback tag holds something that is no referrers index, such as the image itself, as `cosign copy` leaves.
    #[error("{repository}: tag {tag} is no referrers index ({found})")]
    Squatted {
        /// The repository.
        repository: RepositoryName,
        /// The fallback tag.
        tag: Tag,
        /// What it holds instead.
        found: String,
    },
    /// The registry asks to wait longer than the time budget allows (HTTP 429).
    #[error("{repository} throttles requests{}", after(.retry_after))]
    Throttled {
        /// The repository.
        repository: RepositoryName,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// A bound was exceeded.
    #[error("{repository}: the {what} exceeds {limit}")]
    TooLarge {
        /// The repository.
        repository: RepositoryName,
        /// What is too large, such as `referrers listing`.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// Credentials are missing or refused (HTTP 401).
    #[error("{repository} refuses the credentials for {operation}: {message}")]
    Unauthenticated {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
        /// What was tried and what was answered, without secrets.
        message: String,
    },
    /// No usable answer came: connection, TLS, time-out, 5xx.
    #[error("{repository} does not answer the {operation}")]
    Unavailable {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The repository cannot do this at all.
    #[error("{repository} does not support {operation}")]
    Unsupported {
        /// The repository.
        repository: RepositoryName,
        /// What was asked.
        operation: &'static str,
    },
}

impl RepositoryError {
    /// Returns the answer that `repository` has no `what`.
    pub fn not_found(repository: &RepositoryName, what: impl std::fmt::Display) -> Self {
        Self::NotFound { repository: repository.clone(), what: what.to_string() }
    }

    /// Says whether content that was read for several at once has to be read anew, for one alone.
    pub fn is_detached(&self) -> bool {
        match self {
            Self::Source(error) => error.is_detached(),
            Self::Content { source: ContentError::Detached, .. } => true,
            _ => false,
        }
    }

    /// Says whether the repository answered that the thing is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Returns an answer in which a thing that is not there is no error.
    ///
    /// # Errors
    /// Every other error: it does not say that the thing is not there.
    pub fn absent_as_none<T>(answer: Result<T, Self>) -> Result<Option<T>, Self> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the error of reading content of `repository`.
    ///
    /// A read that broke for a reason of the repository's own, such as a time-out, is that reason: it says "could not
    /// tell", where [`RepositoryError::Content`] says "not what was described".
    pub fn of_content(repository: &RepositoryName, error: ContentError) -> Self {
        match error {
            ContentError::Read(cause) => match cause.downcast::<Self>() {
                Ok(error) => *error,
                Err(cause) => Self::Unavailable { repository: repository.clone(), operation: "read", source: cause },
            },
            source => Self::Content { repository: repository.clone(), source },
        }
    }

    /// Marks the error as the source's, in a call on the destination.
    #[must_use]
    pub fn at_source(self) -> Self {
        match self {
            Self::Source(_) => self,
            error => Self::Source(Box::new(error)),
        }
    }
}

fn after(delay: &Option<Duration>) -> String {
    delay.map_or_else(String::new, |delay| format!("; it asks to wait {} s", delay.as_secs()))
}

/// Reads a registry's text for people: bounded, without control characters.
pub fn foreign_text(text: &str) -> String {
    /// The longest text of a server that is shown; stops log floods.
    const MAX_SHOWN_CHARS: usize = 300;
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect()
}
