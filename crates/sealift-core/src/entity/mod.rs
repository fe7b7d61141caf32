//! The one shape the verifier knows, which every stored format turns into.
//!
//! Says nothing about truth: everything in here is as received.

use bytes::Bytes;

use crate::dsse::{Envelope, EnvelopeError};
use crate::oci::Digest;

mod bundle;
mod cosign_bundle;
mod cosign_layer;
mod material;
mod migrate;
mod simple_signing;
mod upgrade;

pub use bundle::{Bundle, BundleError, BundleVersion, MAX_BUNDLE_BYTES};
pub use cosign_bundle::BundleFileError;
pub use cosign_layer::LayerError;
pub(crate) use cosign_layer::layer_annotations;
pub use material::{InclusionProof, LogEntry, MAX_LOG_ENTRIES, MAX_TIMESTAMPS, MaterialKey, VerificationMaterial};
pub use migrate::LegacyFormError;
pub use simple_signing::{MAX_SIMPLE_SIGNING_BYTES, SIMPLE_SIGNING_TYPE, SimpleSigning, SimpleSigningError};
pub use upgrade::{UpgradeError, Upgraded};

/// Something signed, with everything that came along to verify it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SignedEntity {
    /// What was signed, and the signature.
    pub content: SignedContent,
    /// Key or certificate, log entries, timestamps.
    pub material: VerificationMaterial,
    /// How it was stored.
    pub format: EntityFormat,
    /// SHA-256 of an envelope's JSON as stored under a tag: the only thing that the oldest log entries name it by.
    pub stored_envelope: Option<Digest>,
}

impl From<Bundle> for SignedEntity {
    fn from(bundle: Bundle) -> Self {
        let (content, material) = bundle.into_parts();
        Self { content, material, format: EntityFormat::SigstoreBundle, stored_envelope: None }
    }
}

/// What was signed, by form.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignedContent {
    /// A DSSE envelope, whose payload is a statement.
    Envelope(Envelope),
    /// A signature over the artifact's own bytes.
    MessageSignature {
        /// Digest of the artifact as the signer says; compared, never trusted.
        digest: Option<Digest>,
        /// The signature.
        signature: Vec<u8>,
    },
    /// Cosign's legacy payload, bytes as received.
    SimpleSigning {
        /// The payload.
        payload: Bytes,
        /// The signature over it.
        signature: Vec<u8>,
    },
}

impl SignedContent {
    /// Returns the signature.
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::Envelope(envelope) => envelope.signature(),
            Self::MessageSignature { signature, .. } | Self::SimpleSigning { signature, .. } => signature,
        }
    }
}

/// How a signed entity is stored.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EntityFormat {
    /// A layer under `sha256-<hex>.att`.
    CosignAttestation,
    /// A file that `cosign sign-blob` or `attest-blob` wrote before bundles were standardized, or files of their own.
    CosignBundle,
    /// A layer under `sha256-<hex>.sig`.
    CosignSignature,
    /// A Sigstore bundle.
    SigstoreBundle,
}

impl EntityFormat {
    /// Returns a name for people and JSON: `cosign-attestation`, `cosign-bundle`, `cosign-signature` or `sigstore-bundle`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CosignAttestation => "cosign-attestation",
            Self::CosignBundle => "cosign-bundle",
            Self::CosignSignature => "cosign-signature",
            Self::SigstoreBundle => "sigstore-bundle",
        }
    }
}

impl std::fmt::Display for EntityFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<EnvelopeError> for LayerError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}
