//! Verifying: the only way to a [`Verified`].
//!
//! Pure and synchronous; never reads a clock. Steps carry the numbers of the Sigstore client specification
//! (<https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>); those about certificates and logs
//! (0 to 3, 5, 6) do not apply to managed keys.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::entity::{EntityFormat, SignedEntity};
use crate::identity::{Identity, IdentityMatcher};
use crate::oci::{Digest, DigestAlgorithm};
use crate::statement::Statement;

mod claimed;
mod error;
mod s4_inclusion;
mod s7_signature;
mod s8_consistency;

pub use error::VerifyError;
pub use s4_inclusion::LogEvidence;

/// Verifies signed entities under fixed requirements.
#[derive(Clone, Debug)]
pub struct Verifier {
    requirements: Requirements,
}

impl Verifier {
    /// Makes a verifier.
    pub fn new(requirements: Requirements) -> Self {
        Self { requirements }
    }

    /// Returns the requirements.
    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Verifies that someone `identity` accepts claimed `claim` about `artifact`.
    ///
    /// # Errors
    /// [`VerifyError`]: one variant per way to fail. An entity that claims something else is
    /// [`VerifyError::WrongPredicate`] before its signature is looked at.
    pub fn verify(
        &self,
        entity: &SignedEntity,
        artifact: &Artifact<'_>,
        identity: &IdentityMatcher,
        claim: &Claim,
    ) -> Result<Verified, VerifyError> {
        let claimed = claimed::read(&entity.content, claim)?;
        let log = s4_inclusion::verify(&entity.material, self.requirements.transparency_log)?;
        let signer = s7_signature::verify(entity, artifact, identity)?;
        let binding = s8_consistency::verify(&claimed, artifact, &self.requirements.annotations)?;
        Ok(Verified {
            digest: binding.digest,
            annotations: binding.annotations,
            signer,
            log,
            format: entity.format,
            payload: claimed.payload,
            statement: claimed.statement,
        })
    }
}

/// What a signature must come with, whoever made it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Requirements {
    /// What is demanded of transparency logs.
    pub transparency_log: LogRequirement,
    /// Annotations that must all be there with these values.
    pub annotations: BTreeMap<String, String>,
}

impl Requirements {
    /// Returns the same requirements with another demand on logs.
    #[must_use]
    pub fn with_transparency_log(self, transparency_log: LogRequirement) -> Self {
        Self { transparency_log, ..self }
    }

    /// Returns the same requirements with these annotations demanded.
    #[must_use]
    pub fn with_annotations(self, annotations: BTreeMap<String, String>) -> Self {
        Self { annotations, ..self }
    }
}

/// What is demanded of transparency logs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogRequirement {
    /// Signatures made with a certificate need a verified entry; those made with a managed key do not.
    #[default]
    ForCertificates,
    /// Every signature needs a verified entry.
    Required,
    /// No signature needs an entry, and entries are not looked at.
    IgnoredUnsafe,
}

/// What a signature must be about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Artifact<'a> {
    /// Content at hand.
    Bytes(&'a [u8]),
    /// Content known by its digest.
    Digest(&'a Digest),
}

impl Artifact<'_> {
    /// Returns the digest, where it can be known.
    fn digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        match self {
            Self::Bytes(bytes) => Some(Digest::of(algorithm, bytes)),
            Self::Digest(digest) => (digest.algorithm() == algorithm).then(|| (*digest).clone()),
        }
    }
}

/// What a signature must say.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Claim {
    /// A statement with a predicate; of this type, or of any type but an image's signature.
    Attestation {
        /// The type demanded, compared exactly.
        predicate_type: Option<String>,
    },
    /// Nothing: the signature is over the artifact's own bytes.
    Blob,
    /// The image is signed: cosign's predicate for it, or a legacy payload. An SBOM does not say so.
    ImageSignature,
}

/// Proof that an accepted identity made the demanded claim about an artifact. Only [`Verifier::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    signer: Identity,
    annotations: BTreeMap<String, String>,
    log: LogEvidence,
    format: EntityFormat,
    payload: Option<Bytes>,
    statement: Option<Statement>,
}

impl Verified {
    /// Returns the digest of the artifact that was verified.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns who signed.
    pub fn signer(&self) -> &Identity {
        &self.signer
    }

    /// Returns the annotations the signer gave the artifact.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Returns what is known from transparency logs.
    pub fn log(&self) -> LogEvidence {
        self.log
    }

    /// Returns how the signature is stored.
    pub fn format(&self) -> EntityFormat {
        self.format
    }

    /// Returns the predicate's type, if the claim is a statement.
    pub fn predicate_type(&self) -> Option<&str> {
        self.statement.as_ref().map(Statement::predicate_type)
    }

    /// Returns the statement, if the claim is one.
    pub fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }

    /// Returns the payload that was signed, bytes as received; `None` when the artifact itself was signed.
    pub fn payload(&self) -> Option<&Bytes> {
        self.payload.as_ref()
    }
}
