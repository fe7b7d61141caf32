//! Inclusion proofs that signatures came without, as the logs give them that promised to include the entries.

use sealift_core::entity::SignedEntity;
use sealift_core::verify::Verifier;
use sealift_keyless::rekor::{RekorError, RekorWitness};
use sealift_keyless::signing_config::ApiVersion;
use sealift_keyless::{Transport, TransportError};
use url::Url;

use crate::exit::Exit;

/// Where proofs are asked for.
pub(crate) struct Logs<'a> {
    /// Knows the logs that count, and where they answer.
    pub(crate) verifier: &'a Verifier,
    /// Nothing where no service may be asked.
    pub(crate) transport: Option<&'a Transport>,
    /// Asked instead of the address that the trust root gives.
    pub(crate) url: Option<&'a Url>,
}

/// Returns the signature with a proof and its checkpoint in every log entry. Whether the log signed that checkpoint is
/// for the verifier to say afterwards.
pub(crate) async fn proven(entity: &SignedEntity, logs: &Logs<'_>) -> Result<SignedEntity, UnprovenError> {
    let mut proven = entity.clone();
    for entry in proven.material.log_entries.iter_mut().filter(|entry| !entry.has_proof()) {
        let log_index = entry.log_index;
        let transport = logs.transport.ok_or(UnprovenError::Offline { log_index })?;
        let known = logs.verifier.logs().find(|log| log.id() == entry.log_id);
        let known = known.ok_or(UnprovenError::UnknownLog { log_index })?;
        let url = logs.url.cloned().or_else(|| Url::parse(known.base_url()).ok());
        let url = url.ok_or(UnprovenError::NoAddress { log_index })?;
        // Only entries of version 1 come without a proof.
        let log = RekorWitness::new(url.clone(), ApiVersion::V1, transport.clone());
        let found = log.prove(entry).await;
        *entry = found.map_err(|source| UnprovenError::Log { log_index, url, source: Box::new(source) })?;
    }
    Ok(proven)
}

/// Says why there is no proof that a log holds a signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnprovenError {
    #[error("log entry {log_index} has no inclusion proof, and {url} did not give it")]
    Log { log_index: i64, url: Url, source: Box<RekorError> },
    #[error("log entry {log_index} has no inclusion proof, and the trust root has no usable address of its log")]
    NoAddress { log_index: i64 },
    #[error("log entry {log_index} has no inclusion proof, and `--offline` asks no log")]
    Offline { log_index: i64 },
    #[error(
        "log entry {log_index} has no inclusion proof, and its log is in no trust root here; \
         `--instance` or `--trusted-root` name one"
    )]
    UnknownLog { log_index: i64 },
}

impl UnprovenError {
    /// Returns what the process says about it: that the log does not hold the entry, or why that could not be told.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Log { source, .. } => exit_of_log(source),
            Self::Offline { .. } => Exit::Unavailable,
            Self::NoAddress { .. } | Self::UnknownLog { .. } => Exit::Configuration,
        }
    }
}

/// Returns what a log's answer means: only that it has another entry or none there is a no. What does not prove
/// anything is no answer.
fn exit_of_log(error: &RekorError) -> Exit {
    match error {
        RekorError::OtherEntry { .. } => Exit::NoMatchingSignature,
        RekorError::Refused(refusal) => match refusal.status {
            404 => Exit::NoMatchingSignature,
            401 | 403 => Exit::Unauthorized,
            _ => Exit::Unavailable,
        },
        RekorError::Transport(TransportError::TooLarge { .. }) => Exit::Unavailable,
        RekorError::Transport(source) if !source.may_pass() => Exit::Configuration,
        _ => Exit::Unavailable,
    }
}
