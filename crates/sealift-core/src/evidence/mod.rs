//! What speaks for a claim about a subject: every signature found for it, wherever it is kept, and what became of it.
//!
//! Shared by verification and by both gates of a promotion. Never says "no" because something could not be read: that
//! is [`Verdict::Undecided`].

mod candidate;
mod gather;
mod likelihood;
mod signature;

use std::fmt;

pub use candidate::MAX_SIGNATURE_BYTES;
pub use gather::{MAX_CANDIDATES, gather};
pub use likelihood::Likelihood;
pub use signature::{ReadSignature, read_signatures};

use crate::attach::{AttachmentProblem, Storage, Unread};
use crate::entity::{BundleError, LayerError};
use crate::oci::{Digest, RepositoryName};
use crate::repository::RepositoryError;
use crate::verify::{Claim, Verified, VerifyError};

/// How much to look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effort {
    /// Everything, so that every signature is reported.
    All,
    /// No more than needed for one signature that verifies.
    FirstMatch,
}

/// What a repository holds for one claim about one subject. Only [`gather()`] makes it.
#[derive(Debug)]
pub struct Evidence {
    repository: RepositoryName,
    subject: Digest,
    claim: Claim,
    verified: Vec<Proof>,
    rejected: Vec<Rejection>,
    undecided: Vec<Unread>,
    problems: Vec<AttachmentProblem>,
}

impl Evidence {
    /// Returns the repository asked.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// Returns the manifest the claim is about.
    pub fn subject(&self) -> &Digest {
        &self.subject
    }

    /// Returns the claim.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns what verified.
    pub fn verified(&self) -> &[Proof] {
        &self.verified
    }

    /// Returns what was read and did not count, with the reason.
    pub fn rejected(&self) -> &[Rejection] {
        &self.rejected
    }

    /// Returns what could not be read.
    pub fn undecided(&self) -> &[Unread] {
        &self.undecided
    }

    /// Takes it apart: what did not count, what could not be read, and what was listed and is no attachment.
    pub fn into_doubts(self) -> (Vec<Rejection>, Vec<Unread>, Vec<AttachmentProblem>) {
        (self.rejected, self.undecided, self.problems)
    }

    /// Returns what was listed and is no attachment of the subject.
    pub fn problems(&self) -> &[AttachmentProblem] {
        &self.problems
    }

    /// Returns the answer.
    pub fn verdict(&self) -> Verdict {
        if !self.verified.is_empty() {
            return Verdict::Verified;
        }
        if !self.undecided.is_empty() {
            return Verdict::Undecided;
        }
        if self.rejected.iter().any(Rejection::is_for_claim) {
            return Verdict::NoMatchingSignature;
        }
        Verdict::NoSignature
    }
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Signatures for the claim exist, and none of them counts.
    NoMatchingSignature,
    /// Nothing signs the claim.
    NoSignature,
    /// Not all that may sign the claim could be read.
    Undecided,
    /// At least one signature verifies.
    Verified,
}

/// Where a signature is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The storage scheme.
    pub storage: Storage,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the signature's blob, where one is named.
    pub layer: Option<Digest>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.manifest, self.storage)
    }
}

/// A signature that verifies.
#[derive(Debug)]
pub struct Proof {
    /// Where it is kept.
    pub place: Place,
    /// What it proves.
    pub verified: Verified,
}

/// A signature that does not count.
#[derive(Debug)]
pub struct Rejection {
    /// Where it is kept.
    pub place: Place,
    /// Who it says made it, unchecked: a key hint.
    pub signer_hint: Option<String>,
    /// Why it does not count.
    pub reason: RejectionReason,
}

impl Rejection {
    /// Says whether it may have been made for the claim: an attestation is no attempt at an image signature.
    pub fn is_for_claim(&self) -> bool {
        !matches!(&self.reason, RejectionReason::Verify(error) if error.is_other_claim())
    }

    /// Says whether an accepted signer may have made it for the claim all the same: see
    /// [`VerifyError::is_certainly_other`]. What is damaged or missing says nothing about who made it.
    pub fn is_open(&self) -> bool {
        !matches!(&self.reason, RejectionReason::Verify(error) if error.is_certainly_other())
    }
}

/// Says why a signature that was read does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectionReason {
    /// It is no bundle.
    #[error("it is a malformed bundle")]
    Malformed(#[source] BundleError),
    /// It is no signature as cosign keeps them under its tags.
    #[error("it is a malformed layer")]
    MalformedLayer(#[source] LayerError),
    /// The manifest names its blob, but the repository does not hold it.
    #[error("its content is missing")]
    Missing(#[source] RepositoryError),
    /// It does not verify.
    #[error("it does not verify")]
    Verify(#[source] VerifyError),
}
