//! Verifying: the only way to a [`Verified`].
//!
//! Pure and synchronous; never reads a clock: times come from the evidence, or from the caller. Steps carry the numbers
//! of the Sigstore client specification (<https://github.com/sigstore/architecture-docs/blob/main/client-spec.md>);
//! steps 1 to 3 are about certificates and do not apply to managed keys.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::crypto::PublicKey;
use crate::entity::{EntityFormat, MaterialKey, SignedEntity};
use crate::identity::{Identity, IdentityMatcher};
use crate::oci::{Digest, DigestAlgorithm};
use crate::sign::SigningCertificate;
use crate::statement::Statement;
use crate::trust::{Log, TrustRoot};
use crate::x509::{CertificateError, UnixTime};

mod claimed;
mod error;
mod requirements;
mod s0_time;
mod s1_chain;
mod s2_sct;
mod s3_profile;
mod s4_inclusion;
mod s5_promise;
mod s6_window;
mod s7_signature;
mod s8_consistency;
mod s8_log_entry;

pub use error::VerifyError;
pub use requirements::{LogRequirement, ProofRequirement, Requirements};
pub use s4_inclusion::{LogEvidence, LogRecord};

/// Verifies signed entities under fixed requirements.
#[derive(Clone, Debug)]
pub struct Verifier {
    trust: TrustRoot,
    requirements: Requirements,
    alternatives: Vec<(TrustRoot, Requirements)>,
}

impl Verifier {
    /// Makes a verifier that trusts nobody: it verifies managed keys, which need no trust root.
    pub fn new(requirements: Requirements) -> Self {
        Self { trust: TrustRoot::default(), requirements, alternatives: Vec::new() }
    }

    /// Returns the same verifier, trusting `trust`.
    #[must_use]
    pub fn with_trust_root(self, trust: TrustRoot) -> Self {
        Self { trust, ..self }
    }

    /// Returns the same verifier, also accepting what meets the requirements of another instance with its trust root.
    ///
    /// Nothing is mixed: a signature meets one instance's requirements by that instance's authorities and logs alone.
    #[must_use]
    pub fn or_instance(mut self, trust: TrustRoot, requirements: Requirements) -> Self {
        let requirements = requirements.with_annotations(self.requirements.annotations.clone());
        self.alternatives.push((trust, requirements));
        self
    }

    /// Returns the same verifier without a demand for annotations: for signatures over something else than what the
    /// annotations are demanded of.
    #[must_use]
    pub fn without_annotations(mut self) -> Self {
        self.requirements.annotations.clear();
        for (_, requirements) in &mut self.alternatives {
            requirements.annotations.clear();
        }
        self
    }

    /// Returns the requirements.
    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Returns the transparency logs that any instance trusts.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        let others = self.alternatives.iter().map(|(trust, _)| trust);
        std::iter::once(&self.trust).chain(others).flat_map(|trust| &trust.tlogs)
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
        let signed =
            self.in_one_instance(|trust, requirements| verify_signed(entity, artifact, identity, trust, requirements))?;
        let binding = s8_consistency::verify(&claimed, artifact, &self.requirements.annotations)?;
        Ok(Verified {
            digest: binding.digest,
            annotations: binding.annotations,
            signer: signed.signer,
            log: signed.log,
            log_records: signed.log_records,
            times: signed.times,
            assumed_time: signed.assumed_time,
            format: entity.format,
            signature: entity.content.signature().to_vec(),
            payload: claimed.payload,
            statement: claimed.statement,
        })
    }

    /// Verifies a certificate that is about to be signed under, by steps 1 to 3 at `now`, and returns whose it is.
    ///
    /// Asked before signing, it keeps signatures that nobody would accept out of logs that keep them for ever. Proves
    /// nothing about any signature.
    ///
    /// # Errors
    /// [`VerifyError`] of these steps.
    pub fn verify_certificate(
        &self,
        certificate: &SigningCertificate,
        identity: &IdentityMatcher,
        now: UnixTime,
    ) -> Result<Identity, VerifyError> {
        let (leaf, others) = (certificate.certificate().clone(), certificate.issuers().to_vec());
        let presented = s1_chain::Presented { leaf, others };
        self.in_one_instance(|trust, requirements| {
            let issuer = s1_chain::verify(&presented, &[now], trust)?;
            s2_sct::verify(&presented.leaf, &issuer, trust, requirements)?;
            s3_profile::verify(&presented.leaf, identity)
        })
    }

    /// Returns what `verify` finds in the first instance that accepts, else the most telling error.
    fn in_one_instance<T>(
        &self,
        verify: impl Fn(&TrustRoot, &Requirements) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        // The instance whose authority made the certificate knows whose it is; that others do not know it is nothing new.
        let rank = |error: &VerifyError| match error {
            VerifyError::WrongIdentity { .. } => u8::MAX,
            other => other.rank(),
        };
        let mut found = verify(&self.trust, &self.requirements);
        for (trust, requirements) in &self.alternatives {
            let Err(error) = &found else { break };
            let other = verify(trust, requirements);
            if other.as_ref().err().is_none_or(|other| rank(other) > rank(error)) {
                found = other;
            }
        }
        found
    }
}

/// Who signed and when, whatever it says.
struct Signed {
    signer: Identity,
    log: LogEvidence,
    log_records: Vec<LogRecord>,
    times: Vec<VerifiedTime>,
    assumed_time: Option<UnixTime>,
}

/// Whether evidence is needed to know the signer, or comes on top of a key known already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Demand {
    Optional,
    Required,
}

/// Steps 0 to 8, but for what the signed bytes say about the artifact.
fn verify_signed(
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    identity: &IdentityMatcher,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Signed, VerifyError> {
    match s7_signature::accepted_key(entity, artifact, identity)? {
        Some(key) => verify_with_key(entity, artifact, key, identity, trust, requirements),
        None => verify_with_certificate(entity, artifact, identity, trust, requirements),
    }
}

fn verify_with_key(
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    key: &PublicKey,
    identity: &IdentityMatcher,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Signed, VerifyError> {
    let material = &entity.material;
    let mut times =
        s0_time::verify(&material.timestamps, entity.content.signature(), trust, requirements, Demand::Optional)?;
    let logged = s4_inclusion::verify(&material.log_entries, trust, requirements, Demand::Optional)?;
    times.extend(logged.entries.iter().filter_map(|entry| entry.time));
    let moments = moments(&times);
    s6_window::verify(&logged.entries, &moments, None)?;
    s6_window::verify_key(identity.validity_of(key), &moments)?;
    let presented = match &material.key {
        MaterialKey::Certificates(certificates) => s1_chain::parse(certificates).ok(),
        _ => None,
    };
    // A key may have been certified too; then its certificate may be what was logged.
    let certificate =
        presented.map(|presented| presented.leaf).filter(|leaf| leaf.public_key().is_ok_and(|found| found == *key));
    let signer = s8_log_entry::Signer { key, certificate: certificate.as_ref() };
    s8_log_entry::verify(&logged.entries, entity, artifact, &signer)?;
    let (signer, log_records) = (Identity::of_key(key), logged.records());
    Ok(Signed { signer, log: logged.evidence, log_records, times, assumed_time: None })
}

fn verify_with_certificate(
    entity: &SignedEntity,
    artifact: &Artifact<'_>,
    identity: &IdentityMatcher,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<Signed, VerifyError> {
    let material = &entity.material;
    let MaterialKey::Certificates(certificates) = &material.key else {
        return Err(VerifyError::NoCertificate);
    };
    let presented = s1_chain::parse(certificates)?;
    let leaf = &presented.leaf;
    let mut times =
        s0_time::verify(&material.timestamps, entity.content.signature(), trust, requirements, Demand::Required)?;
    let logged = s4_inclusion::verify(&material.log_entries, trust, requirements, Demand::Required)?;
    times.extend(logged.entries.iter().filter_map(|entry| entry.time));
    // Nothing proves the caller's time, so that it is never among the times of the signature: it would make any fresh.
    let assumed_time = requirements.time.filter(|_| times.is_empty());
    let moments: Vec<UnixTime> = moments(&times).into_iter().chain(assumed_time).collect();
    s6_window::verify(&logged.entries, &moments, Some(leaf.validity()))?;
    let issuer = s1_chain::verify(&presented, &moments, trust)?;
    s2_sct::verify(leaf, &issuer, trust, requirements)?;
    let signer = s3_profile::verify(leaf, identity)?;
    let key = leaf.public_key().map_err(|_| VerifyError::Certificate(CertificateError::Key))?;
    s7_signature::verify(entity, artifact, &key)?;
    let logged_signer = s8_log_entry::Signer { key: &key, certificate: Some(leaf) };
    s8_log_entry::verify(&logged.entries, entity, artifact, &logged_signer)?;
    Ok(Signed { signer, log: logged.evidence, log_records: logged.records(), times, assumed_time })
}

fn moments(times: &[VerifiedTime]) -> Vec<UnixTime> {
    times.iter().map(|proven| proven.time).collect()
}

/// A time at which the signature is known to have existed, and by whose word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VerifiedTime {
    /// Seconds since the epoch.
    pub time: UnixTime,
    /// By whose word.
    pub source: TimeSource,
}

/// Who says when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TimeSource {
    /// An RFC 3161 timestamp authority.
    TimestampAuthority,
    /// A transparency log, in its signed entry timestamp.
    TransparencyLog,
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
        /// The type demanded, compared exactly; [`crate::statement::predicate::CUSTOM`] also without its scheme.
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
    log_records: Vec<LogRecord>,
    times: Vec<VerifiedTime>,
    assumed_time: Option<UnixTime>,
    format: EntityFormat,
    signature: Vec<u8>,
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

    /// Returns where in trusted logs the signature is; empty when logs were not looked at.
    pub fn log_records(&self) -> &[LogRecord] {
        &self.log_records
    }

    /// Returns when the signature is known to have existed; empty when nothing proves it.
    pub fn times(&self) -> &[VerifiedTime] {
        &self.times
    }

    /// Returns the time at which the certificate was held to be used, by [`Requirements::time`], because nothing proves
    /// one: it says nothing about when the signature was made.
    pub fn assumed_time(&self) -> Option<UnixTime> {
        self.assumed_time
    }

    /// Returns how the signature is stored.
    pub fn format(&self) -> EntityFormat {
        self.format
    }

    /// Returns the signature that was verified.
    pub fn signature(&self) -> &[u8] {
        &self.signature
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
