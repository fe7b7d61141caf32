//! Why a promotion did not happen.

use sealift_core::attach::AttachError;
use sealift_core::copy::{CopyError, Side};
use sealift_core::oci::{Digest, RepositoryName, Tag};
use sealift_core::repository::RepositoryError;

use crate::endorse::EndorseError;

/// Says why a promotion did not happen. In every case the destination tag is as it was; of several tags, which are moved
/// one after the other, those before the one that failed may have moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// Attaching at the destination failed.
    #[error("attaching at the destination failed")]
    Attach(#[from] AttachError),
    /// Copying failed.
    #[error("copying to the destination failed")]
    Copy(#[from] CopyError),
    /// The policy does not allow the digest.
    #[error("the policy denies {digest} at {repository}")]
    Denied {
        /// Where it was judged.
        repository: RepositoryName,
        /// What was judged.
        digest: Digest,
    },
    /// What was to be signed at the destination was not, or is not attached.
    #[error("signing at the destination failed")]
    Endorse(#[from] EndorseError),
    /// The destination does not hold, or does not list, everything that was planned.
    #[error("{repository} lacks {} of the planned objects, such as {}", .missing.len(), first(.missing))]
    Missing {
        /// The destination.
        repository: RepositoryName,
        /// What is missing: digests.
        missing: Vec<Digest>,
    },
    /// An index travels with what it lists, and the source does not hold all of that.
    #[error("{repository} lacks {} of the manifests below the index {index}, such as {}", .missing.len(), first(.missing))]
    Incomplete {
        /// The source.
        repository: RepositoryName,
        /// The index: the root, or one that is attached.
        index: Digest,
        /// What is missing: digests.
        missing: Vec<Digest>,
    },
    /// The index has no image for a platform that was chosen.
    #[error("{repository} has no image for the platform {platform}")]
    NoPlatform {
        /// The source.
        repository: RepositoryName,
        /// The platform.
        platform: String,
    },
    /// One side did not answer or refused.
    #[error("the {side} failed")]
    Repository {
        /// Which side.
        side: Side,
        /// Why.
        #[source]
        source: RepositoryError,
    },
    /// The destination refuses an index of which some platforms stay behind.
    #[error("{repository} takes no index of which some platforms are missing")]
    SparseRefused {
        /// The destination.
        repository: RepositoryName,
        /// Its refusal.
        #[source]
        source: RepositoryError,
    },
    /// The registry does not let the tag be moved.
    #[error("{repository} refuses to move tag {tag}")]
    TagImmutable {
        /// The destination.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// Its refusal.
        #[source]
        source: RepositoryError,
    },
    /// Somebody moved the destination tag while the promotion was going on.
    #[error("tag {tag} of {repository} was moved meanwhile, from {} to {}", held(.before), held(.now))]
    TagMoved {
        /// The destination.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it held when the promotion began.
        before: Option<Digest>,
        /// What it holds.
        now: Option<Digest>,
    },
    /// The destination tag holds another digest, and overwriting it was not allowed.
    #[error("tag {tag} of {repository} already holds {existing}")]
    TagTaken {
        /// The destination.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it holds.
        existing: Digest,
    },
    /// The destination tag does not hold what it was said to hold.
    #[error("tag {tag} of {repository} holds {}, not {}", held(.existing), held(.expected))]
    TagUnexpected {
        /// The destination.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it was said to hold.
        expected: Option<Digest>,
        /// What it holds.
        existing: Option<Digest>,
    },
    /// The policy could not tell whether the digest is allowed.
    #[error("whether the policy allows {digest} at {repository} could not be told")]
    Undecided {
        /// Where it was judged.
        repository: RepositoryName,
        /// What was judged.
        digest: Digest,
    },
    /// Something attached at the source could not be read, so that the plan would not be whole.
    #[error("{count} of the things attached at the source could not be read, such as one attached to {subject}")]
    Unread {
        /// How many.
        count: usize,
        /// What one of them is attached to.
        subject: Digest,
        /// Why that one could not be read.
        #[source]
        source: RepositoryError,
    },
    /// The decision is about another digest or another place.
    #[error("the decision is about {found_digest} at {found_repository}, not about {digest} at {repository}")]
    WrongDecision {
        /// Where it should be about.
        repository: RepositoryName,
        /// What it should be about.
        digest: Digest,
        /// Where it is about.
        found_repository: RepositoryName,
        /// What it is about.
        found_digest: Digest,
    },
}

fn held(digest: &Option<Digest>) -> String {
    digest.as_ref().map_or_else(|| "nothing".to_owned(), Digest::to_string)
}

fn first(missing: &[Digest]) -> String {
    missing.first().map(Digest::to_string).unwrap_or_default()
}
