//! Older forms of a bundle, rewritten in version 0.3 without losing what verifies them.

use super::{Bundle, MaterialKey, SignedContent, SignedEntity};
use crate::oci::Digest;

/// A bundle of version 0.3, and what it no longer holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Upgraded {
    /// The bundle.
    pub bundle: Bundle,
    /// Certificates of issuers left out: version 0.3 holds the signer's only, and verifiers take the others from their
    /// trust root.
    pub left_out_certificates: usize,
}

impl SignedEntity {
    /// Rewrites it as a bundle of version 0.3. Promises and timestamps are kept: often they alone say when.
    ///
    /// Nothing is verified, and what verified before does after, as long as the trust root names the issuers.
    ///
    /// # Errors
    /// [`UpgradeError`] when something is missing that version 0.3 demands. `artifact` is the digest of what was signed;
    /// only the oldest forms do not have it.
    pub fn upgraded(self, artifact: Option<&Digest>) -> Result<Upgraded, UpgradeError> {
        let mut material = self.material;
        if let Some(position) = material.log_entries.iter().position(|entry| !entry.has_proof()) {
            return Err(UpgradeError::NoInclusionProof { position });
        }
        let mut left_out_certificates = 0;
        if let MaterialKey::Certificates(certificates) = &mut material.key
            && !material.log_entries.is_empty()
        {
            left_out_certificates = certificates.len().saturating_sub(1);
            certificates.truncate(1);
        }
        let bundle = match self.content {
            SignedContent::Envelope(envelope) => Bundle::of_envelope(envelope, material),
            SignedContent::MessageSignature { digest, signature } => {
                let digest = digest.or_else(|| artifact.cloned()).ok_or(UpgradeError::NoDigest)?;
                Bundle::of_message(digest, signature, material)
            }
            SignedContent::SimpleSigning { .. } => return Err(UpgradeError::SimpleSigning),
        };
        Ok(Upgraded { bundle, left_out_certificates })
    }
}

/// Says why there is no bundle of version 0.3 for a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// It does not say what was signed, and the caller did not either.
    #[error("the bundle does not name the digest of what was signed")]
    NoDigest,
    /// A log entry has only the log's promise.
    #[error("log entry {position} has no inclusion proof with a checkpoint, which version 0.3 demands")]
    NoInclusionProof {
        /// Which entry, from 0.
        position: usize,
    },
    /// The signature is over a legacy payload.
    #[error("the signature is over cosign's own payload, which has no place in a bundle")]
    SimpleSigning,
}
