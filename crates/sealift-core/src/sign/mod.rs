//! Signing: a statement, a signer and witnesses make a bundle.
//!
//! Where the key is, on this machine or in a vault, is the signer's affair; who vouches for the time, the witnesses'.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use std::fmt::Debug;

use crate::crypto::{KeyError, PublicKey};
use crate::dsse::{Envelope, EnvelopeError, PreAuthentication};
use crate::entity::{Bundle, LegacyFormError, MaterialKey, SignedContent, SimpleSigningError, VerificationMaterial};
use crate::oci::{Digest, media_type};
use crate::statement::Statement;
use crate::witness::{SignedMessage, Testimony, Witness, WitnessError};

mod certificate;
mod cosign_layer;
mod key_signer;

pub use certificate::SigningCertificate;
pub use cosign_layer::{CosignLayer, sign_envelope, sign_simple};
pub use key_signer::KeySigner;

/// Signs bytes.
#[async_trait]
pub trait Signer: Debug + Send + Sync {
    /// Returns the key signatures will verify under, without signing.
    fn key(&self) -> KeyMaterial;

    /// Signs `message`: an implementation hashes as the key's algorithm demands, returns ECDSA signatures as DER, and
    /// returns only what [`PublicKey::verify`] accepts under the key it names.
    ///
    /// # Errors
    /// [`SignError`] says whether trying again can help.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// A signature with what says whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// The signature: DER for ECDSA, raw for RSA and Ed25519.
    pub bytes: Vec<u8>,
    /// The key, or what vouches for it.
    pub key: KeyMaterial,
}

/// What says whose a signature is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyMaterial {
    /// A certificate over the key.
    Certificate(SigningCertificate),
    /// A key the verifier must have already.
    PublicKey(PublicKey),
}

impl KeyMaterial {
    /// Returns the public key.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Certificate(certificate) => certificate.public_key(),
            Self::PublicKey(key) => key,
        }
    }

    /// Returns what a bundle holds: of a chain the first certificate only, since verifiers must have the others.
    fn to_material(&self) -> MaterialKey {
        match self {
            Self::Certificate(certificate) => MaterialKey::Certificates(vec![certificate.as_der().to_vec()]),
            Self::PublicKey(key) => MaterialKey::PublicKey { hint: key.key_id() },
        }
    }
}

/// Signs a statement into a bundle, as cosign 3 stores it; the witnesses are asked side by side.
///
/// # Errors
/// Those of the signer and the witnesses; [`SignError::WrongSignature`] when what the signer returned does not verify.
pub async fn sign(statement: &Statement, signer: &dyn Signer, witnesses: &[&dyn Witness]) -> Result<Bundle, SignError> {
    let (envelope, key) = signed_envelope(statement, signer).await?;
    let material = witnessed(&SignedContent::Envelope(envelope.clone()), &key, witnesses).await?;
    Ok(Bundle::of_envelope(envelope, material))
}

/// Signs an artifact's own bytes into a bundle, as `sign-blob` stores it.
///
/// # Errors
/// As [`sign()`].
pub async fn sign_message(
    message: &[u8],
    signer: &dyn Signer,
    witnesses: &[&dyn Witness],
) -> Result<Bundle, SignError> {
    let digest = Digest::sha256(message);
    let Signature { bytes: signature, key } = checked_signature(message, signer).await?;
    let content = SignedContent::MessageSignature { digest: Some(digest.clone()), signature: signature.clone() };
    let material = witnessed(&content, &key, witnesses).await?;
    Ok(Bundle::of_message(digest, signature, material))
}

/// Returns the key and what every witness says; one that says nothing fails all, so that none is missed later.
async fn witnessed(
    content: &SignedContent,
    key: &KeyMaterial,
    witnesses: &[&dyn Witness],
) -> Result<VerificationMaterial, SignError> {
    let signed = SignedMessage { content, key };
    let testimonies = try_join_all(witnesses.iter().map(|witness| witness.testify(&signed))).await;
    let mut material = VerificationMaterial { key: key.to_material(), ..VerificationMaterial::default() };
    for testimony in testimonies.map_err(SignError::Witness)? {
        match testimony {
            Testimony::LogEntry(entry) => material.log_entries.push(*entry),
            Testimony::Timestamp(response) => material.timestamps.push(response),
        }
    }
    Ok(material)
}

async fn signed_envelope(statement: &Statement, signer: &dyn Signer) -> Result<(Envelope, KeyMaterial), SignError> {
    let payload = statement.to_bytes();
    let message = PreAuthentication::new(media_type::IN_TOTO, &payload).to_bytes();
    let signature = checked_signature(&message, signer).await?;
    Ok((Envelope::new(media_type::IN_TOTO, payload, signature.bytes), signature.key))
}

/// Signs and checks: a signer that hands out a broken signature is found before anything is stored.
async fn checked_signature(message: &[u8], signer: &dyn Signer) -> Result<Signature, SignError> {
    let signature = signer.sign(message).await?;
    signature
        .key
        .public_key()
        .verify(message, &signature.bytes)
        .map_err(|_| SignError::WrongSignature { key_id: signature.key.public_key().key_id() })?;
    Ok(signature)
}

/// Says why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The envelope could not be written.
    #[error("the envelope could not be written")]
    Envelope(#[source] EnvelopeError),
    /// The key could not be used.
    #[error("the key could not be used")]
    Key(#[source] KeyError),
    /// Cosign's layers have no room for what the witnesses gave.
    #[error("cosign's tags have no room for what logs and timestamp authorities gave")]
    LegacyForm(#[source] LegacyFormError),
    /// The payload could not be written.
    #[error("the payload could not be written")]
    Payload(#[source] SimpleSigningError),
    /// A witness did not testify.
    #[error("the signature has no witness")]
    Witness(#[source] WitnessError),
    /// The signer returned a signature that does not verify under the key it names.
    #[error("the signer returned a signature that its key {key_id} does not verify")]
    WrongSignature {
        /// [`PublicKey::key_id`] of the key.
        key_id: String,
    },
}
