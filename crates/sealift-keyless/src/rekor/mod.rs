//! Transparency logs that testify to signatures: Rekor, versions 1 and 2.
//!
//! What a log answers is checked against the signature at hand: it is of this very signature, and its proof leads to
//! the root its checkpoint states. Never takes a log's key from the log: whether the log itself is trusted is decided
//! by the verifier, with a trust root. APIs: <https://github.com/sigstore/rekor> and
//! <https://github.com/sigstore/rekor-tiles>.

mod error;
mod v1;
mod v2;

use async_trait::async_trait;
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{InclusionProof, LogEntry, SignedContent};
use sealift_core::oci::{Digest, DigestAlgorithm};
use sealift_core::sign::KeyMaterial;
use sealift_core::tlog::ExpectedSignature;
use sealift_core::tlog::checkpoint::Checkpoint;
use sealift_core::tlog::entry::LoggedSignature;
use sealift_core::tlog::merkle::{Hash, leaf_hash, verify_inclusion};
use sealift_core::witness::{Retry, SignedMessage, Testimony, Witness, WitnessError};
use sealift_core::x509::Certificate;
use url::Url;

pub use error::RekorError;

use crate::signing_config::ApiVersion;
use crate::transport::{Transport, shown};

/// A log that is asked to take a signature.
#[derive(Clone, Debug)]
pub struct RekorWitness {
    url: Url,
    version: ApiVersion,
    transport: Transport,
}

impl RekorWitness {
    /// Asks the log at `url`, by the API of `version`.
    pub fn new(url: Url, version: ApiVersion, transport: Transport) -> Self {
        Self { url, version, transport }
    }

    /// Logs a signature, or finds the entry that is there already, and returns it.
    ///
    /// # Errors
    /// [`RekorError`] when the log did not answer, refused, or answered with something else than this signature's
    /// entry.
    pub async fn log(&self, signed: &SignedMessage<'_>) -> Result<LogEntry, RekorError> {
        let proposed = Proposed::of(signed);
        let entry = match self.version {
            ApiVersion::V1 => v1::log(&self.url, &self.transport, &proposed).await?,
            ApiVersion::V2 => v2::log(&self.url, &self.transport, &proposed).await?,
        };
        proposed.refuse_other(&entry)?;
        refuse_unproven(&entry)?;
        Ok(entry)
    }

    /// Returns an entry of a log of version 1 with the proof that the log includes it, instead of its promise alone.
    ///
    /// # Errors
    /// [`RekorError`] when the log did not answer, or answered with another entry or without a proof.
    pub async fn prove(&self, promised: &LogEntry) -> Result<LogEntry, RekorError> {
        let found = v1::fetch(&self.url, &self.transport, promised.log_index).await?;
        let is_same = [
            ("log", found.log_id == promised.log_id),
            ("body", found.canonicalized_body == promised.canonicalized_body),
            ("time", found.integrated_time == promised.integrated_time),
        ];
        if let Some((field, _)) = is_same.into_iter().find(|(_, is_same)| !is_same) {
            return Err(RekorError::OtherEntry { field });
        }
        refuse_unproven(&found)?;
        Ok(LogEntry { inclusion_proof: found.inclusion_proof, ..promised.clone() })
    }
}

#[async_trait]
impl Witness for RekorWitness {
    async fn testify(&self, signed: &SignedMessage<'_>) -> Result<Testimony, WitnessError> {
        match self.log(signed).await {
            Ok(entry) => Ok(Testimony::LogEntry(Box::new(entry))),
            Err(error) => Err(WitnessError {
                witness: shown(&self.url),
                retry: if error.may_pass() { Retry::CanHelp } else { Retry::Hopeless },
                source: Box::new(error),
            }),
        }
    }
}

/// A signature to be logged.
#[derive(Clone, Copy)]
struct Proposed<'a> {
    content: &'a SignedContent,
    key: &'a PublicKey,
    certificate: Option<&'a Certificate>,
}

impl<'a> Proposed<'a> {
    fn of(signed: &SignedMessage<'a>) -> Self {
        let certificate = match signed.key {
            KeyMaterial::Certificate(certificate) => Some(certificate.certificate()),
            _ => None,
        };
        Self { content: signed.content, key: signed.key.public_key(), certificate }
    }

    /// Returns the PEM by which version 1 names the signer.
    fn verifier_pem(&self) -> String {
        self.certificate.map_or_else(|| self.key.to_pem(), Certificate::to_pem)
    }

    /// Returns the digest of what was signed, where it is known by `algorithm`.
    fn digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        self.expected(&|algorithm| self.artifact_digest(algorithm)).message_digest(algorithm)
    }

    /// Refuses an entry of anything but this signature.
    fn refuse_other(&self, entry: &LogEntry) -> Result<(), RekorError> {
        let logged = LoggedSignature::parse(&entry.kind, &entry.version, &entry.canonicalized_body);
        let logged = logged.map_err(RekorError::Entry)?;
        let artifact_digest = |algorithm| self.artifact_digest(algorithm);
        match self.expected(&artifact_digest).differing_field(&logged) {
            None => Ok(()),
            Some(field) => Err(RekorError::OtherEntry { field }),
        }
    }

    fn artifact_digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        match self.content {
            SignedContent::MessageSignature { digest, .. } => {
                digest.clone().filter(|digest| digest.algorithm() == algorithm)
            }
            _ => None,
        }
    }

    fn expected<'b>(&'b self, artifact_digest: &'b dyn Fn(DigestAlgorithm) -> Option<Digest>) -> ExpectedSignature<'b> {
        ExpectedSignature {
            content: self.content,
            key: self.key,
            certificate: self.certificate,
            artifact_digest,
            stored_envelope: None,
        }
    }
}

/// Refuses an entry whose proof does not lead to the root that its checkpoint states.
fn refuse_unproven(entry: &LogEntry) -> Result<(), RekorError> {
    let proof = entry.inclusion_proof.as_ref().ok_or(RekorError::NoProof)?;
    let (index, size, path, root) = numbers(proof).ok_or(RekorError::MalformedProof)?;
    verify_inclusion(index, size, &leaf_hash(&entry.canonicalized_body), &path, &root).map_err(RekorError::Proof)?;
    let note = proof.checkpoint.as_deref().ok_or(RekorError::NoProof)?;
    let checkpoint = Checkpoint::parse(note).map_err(RekorError::Checkpoint)?;
    if checkpoint.size() != size || *checkpoint.root() != root {
        return Err(RekorError::OtherCheckpoint { proof_size: size, checkpoint_size: checkpoint.size() });
    }
    Ok(())
}

fn numbers(proof: &InclusionProof) -> Option<(u64, u64, Vec<Hash>, Hash)> {
    let path = proof.hashes.iter().map(|hash| hash.as_slice().try_into().ok()).collect::<Option<_>>()?;
    let root = proof.root_hash.as_slice().try_into().ok()?;
    Some((proof.log_index.try_into().ok()?, proof.tree_size.try_into().ok()?, path, root))
}

/// The largest answer read: an entry with its certificate and proof takes 10 KiB. Stops endless bodies.
const MAX_ANSWER_BYTES: usize = 512 * 1024;
