//! Step 4: is the signature in a transparency log?

use std::collections::BTreeSet;

use super::{Demand, LogRequirement, ProofRequirement, Requirements, VerifiedTime, VerifyError, s5_promise};
use crate::entity::{InclusionProof, LogEntry};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::merkle::{Hash, MerkleError, leaf_hash, verify_inclusion};
use crate::trust::{Log, TrustRoot};
use crate::x509::UnixTime;

/// What is known from transparency logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogEvidence {
    /// The signature came with no entry.
    None,
    /// Entries came along and were not checked.
    NotChecked {
        /// How many.
        entries: usize,
    },
    /// The signature is in logs that are trusted.
    Verified {
        /// How many distinct logs.
        logs: usize,
    },
}

/// Where in a log a signature is, as verified.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Index in the log: as its promise says, else in the tree of its proof.
    pub index: i64,
    /// Where the log answers, as the trust root says; for messages.
    pub log_url: String,
    /// The identifier of the log in the trust root.
    pub log_id: Vec<u8>,
    /// The time of logging, where the log signed it.
    pub time: Option<UnixTime>,
}

/// Entries whose logs vouch for them; what they say is step 8.
pub(super) struct Logged<'a> {
    pub(super) entries: Vec<VerifiedEntry<'a>>,
    pub(super) evidence: LogEvidence,
}

impl Logged<'_> {
    /// Returns what can be told of the entries.
    pub(super) fn records(&self) -> Vec<LogRecord> {
        let record = |found: &VerifiedEntry<'_>| LogRecord {
            index: found.index(),
            log_url: found.logs.first().map(|log| log.base_url().to_owned()).unwrap_or_default(),
            log_id: found.entry.log_id.clone(),
            time: found.time.map(|time| time.time),
        };
        self.entries.iter().map(record).collect()
    }
}

/// One entry, and what its log said about it.
pub(super) struct VerifiedEntry<'a> {
    pub(super) position: usize,
    pub(super) entry: &'a LogEntry,
    /// Logs of the trust root with this key; several when its windows are listed apart.
    pub(super) logs: Vec<&'a Log>,
    /// The time of logging, where the log signed it.
    pub(super) time: Option<VerifiedTime>,
}

impl VerifiedEntry<'_> {
    /// Returns the index that is proven: a promise is over that of the entry, a proof over its place in the tree alone.
    fn index(&self) -> i64 {
        match (self.time, &self.entry.inclusion_proof) {
            (None, Some(proof)) => proof.log_index,
            _ => self.entry.log_index,
        }
    }
}

pub(super) fn verify<'a>(
    entries: &'a [LogEntry],
    trust: &'a TrustRoot,
    requirements: &Requirements,
    demand: Demand,
) -> Result<Logged<'a>, VerifyError> {
    if matches!(requirements.transparency_log, LogRequirement::IgnoredUnsafe | LogRequirement::NotUsed) {
        return Ok(Logged { entries: Vec::new(), evidence: not_checked(entries.len()) });
    }
    let is_required = requirements.transparency_log == LogRequirement::Required || demand == Demand::Required;
    if is_required && entries.is_empty() {
        return Err(VerifyError::NoLogEntry);
    }
    if is_required && trust.tlogs.is_empty() {
        return Err(VerifyError::LogNotChecked { entries: entries.len() });
    }
    let mut verified = Vec::new();
    let mut distinct = BTreeSet::new();
    for (position, entry) in entries.iter().enumerate() {
        match verify_entry(position, entry, trust, requirements) {
            Ok(found) => {
                distinct.extend(found.logs.first().map(|log| log.key().fingerprint()));
                verified.push(found);
            }
            Err(VerifyError::UnknownLog { .. }) if !is_required => {}
            Err(error) => return Err(error),
        }
    }
    // One log counts once, however many entries it holds (CVE-2026-49834).
    let (required, found) = (requirements.logs, distinct.len());
    if is_required && found < required {
        return Err(VerifyError::LogThreshold { required, found });
    }
    let evidence = if found == 0 { not_checked(entries.len()) } else { LogEvidence::Verified { logs: found } };
    Ok(Logged { entries: verified, evidence })
}

fn not_checked(entries: usize) -> LogEvidence {
    if entries == 0 { LogEvidence::None } else { LogEvidence::NotChecked { entries } }
}

fn verify_entry<'a>(
    position: usize,
    entry: &'a LogEntry,
    trust: &'a TrustRoot,
    requirements: &Requirements,
) -> Result<VerifiedEntry<'a>, VerifyError> {
    let logs: Vec<&Log> = trust.tlogs.iter().filter(|log| log.id() == entry.log_id).collect();
    if logs.is_empty() {
        return Err(VerifyError::UnknownLog { position });
    }
    let is_proven = match &entry.inclusion_proof {
        Some(proof) => verify_proof(position, entry, proof, &logs)?,
        None => false,
    };
    if !is_proven && requirements.proof == ProofRequirement::Inclusion {
        return Err(VerifyError::NoInclusionProof { position });
    }
    let time = s5_promise::verify(position, entry, &logs)?;
    if !is_proven && time.is_none() {
        return Err(VerifyError::LogEntryUnproven { position });
    }
    Ok(VerifiedEntry { position, entry, logs, time })
}

/// Verifies the path and the checkpoint, and says whether there is one: without, the path proves nothing, but must
/// still hold.
fn verify_proof(position: usize, entry: &LogEntry, proof: &InclusionProof, logs: &[&Log]) -> Result<bool, VerifyError> {
    let failed = |source| VerifyError::InclusionProof { position, source };
    let index = u64::try_from(proof.log_index).map_err(|_| failed(MerkleError::Root))?;
    let size = u64::try_from(proof.tree_size).map_err(|_| failed(MerkleError::Root))?;
    let hash = |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice()).map_err(|_| failed(MerkleError::Root));
    let root = hash(&proof.root_hash)?;
    let path = proof.hashes.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
    verify_inclusion(index, size, &leaf_hash(&entry.canonicalized_body), &path, &root).map_err(failed)?;
    let Some(note) = &proof.checkpoint else {
        return Ok(false);
    };
    let checkpoint = Checkpoint::parse(note).map_err(|source| VerifyError::Checkpoint { position, source })?;
    let is_signed = checkpoint.signatures().iter().filter(|line| is_origin(&line.name, &checkpoint)).any(|signature| {
        let mut own = logs.iter().filter(|log| log.signs_as(&signature.name, signature.key_hint));
        own.any(|log| log.key().verify(checkpoint.text().as_bytes(), &signature.bytes).is_ok())
    });
    if !is_signed {
        return Err(VerifyError::CheckpointSignature { position });
    }
    if *checkpoint.root() != root || checkpoint.size() != size {
        return Err(VerifyError::CheckpointMismatch { position });
    }
    Ok(true)
}

/// Says whether a signature line is by whom the signed text names: the origin itself, to which Rekor 1 adds the number
/// of its tree.
fn is_origin(name: &str, checkpoint: &Checkpoint) -> bool {
    let rest = checkpoint.origin().strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" - "))
}
