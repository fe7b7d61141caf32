//! Why a signature is not logged.

use sealift_core::crypto::KeyAlgorithm;
use sealift_core::dsse::EnvelopeError;
use sealift_core::entity::BundleError;
use sealift_core::tlog::checkpoint::CheckpointError;
use sealift_core::tlog::entry::EntryError;
use sealift_core::tlog::merkle::MerkleError;

use crate::transport::{Refusal, TransportError};

/// Says why a log did not testify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RekorError {
    /// The answer is not the JSON of an entry.
    #[error("the log's answer is not an entry")]
    Answer(#[source] serde_json::Error),
    /// The answer breaks a rule of its format.
    #[error("the log's answer is malformed: {what}")]
    AnswerForm {
        /// Which rule.
        what: &'static str,
    },
    /// The checkpoint is malformed.
    #[error("the log's checkpoint is malformed")]
    Checkpoint(#[source] CheckpointError),
    /// The body of the entry is malformed.
    #[error("the entry's body is unusable")]
    Entry(#[source] EntryError),
    /// The envelope could not be written.
    #[error("the envelope could not be written")]
    Envelope(#[source] EnvelopeError),
    /// The request could not be written.
    #[error("the proposed entry could not be written")]
    Json(#[source] serde_json::Error),
    /// The proof has a hash or number that is none.
    #[error("the log's inclusion proof is malformed")]
    MalformedProof,
    /// The entry of version 2 is malformed.
    #[error("the log's entry is unusable")]
    Malformed(#[source] BundleError),
    /// The entry comes without proof, or without the checkpoint that the proof leads to.
    #[error("the log's entry has no inclusion proof with a checkpoint")]
    NoProof,
    /// The checkpoint is that of another state of the log than the proof's.
    #[error("the log's checkpoint is of {checkpoint_size} entries, its proof of {proof_size}")]
    OtherCheckpoint {
        /// Entries that the proof is about.
        proof_size: u64,
        /// Entries that the checkpoint states.
        checkpoint_size: u64,
    },
    /// The log answers with the entry of something else.
    #[error("the log's entry is not of this signature: its {field} differs")]
    OtherEntry {
        /// What differs.
        field: &'static str,
    },
    /// The proof does not lead to its root.
    #[error("the log's inclusion proof does not hold")]
    Proof(#[source] MerkleError),
    /// The log refused the entry.
    #[error("the log refused the entry")]
    Refused(#[source] Refusal),
    /// The log did not answer.
    #[error("the log did not answer")]
    Transport(#[source] TransportError),
    /// The log does not take signatures of such keys over such digests.
    #[error("the log takes no signatures of {algorithm} keys over such a digest")]
    UnsupportedKey {
        /// Algorithm of the key.
        algorithm: KeyAlgorithm,
    },
}

impl RekorError {
    /// Says whether trying again later may go better.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Transport(source) if source.may_pass())
    }
}
