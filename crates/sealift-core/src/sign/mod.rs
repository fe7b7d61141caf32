//! Signing: a statement and a signer make a bundle.
//!
//! Where the key is, on this machine or in a vault, is the signer's affair.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::crypto::{KeyError, PublicKey};
use crate::dsse::{Envelope, PreAuthentication};
use crate::entity::{Bundle, MaterialKey, SimpleSigning, SimpleSigningError, VerificationMaterial};
use crate::oci::{annotation, media_type};
use crate::statement::Statement;

mod key_signer;

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
    /// A key the verifier must have already.
    PublicKey(PublicKey),
}

impl KeyMaterial {
    /// Returns the public key.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::PublicKey(key) => key,
        }
    }

    fn to_material(&self) -> VerificationMaterial {
        match self {
            Self::PublicKey(key) => VerificationMaterial {
                key: MaterialKey::PublicKey { hint: key.key_id() },
                ..VerificationMaterial::default()
            },
        }
    }
}

/// Signs a statement into a bundle, as cosign 3 stores it.
///
/// # Errors
/// Those of the signer; [`SignError::WrongSignature`] when what it returned does not verify.
pub async fn sign(statement: &Statement, signer: &dyn Signer) -> Result<Bundle, SignError> {
    let (envelope, key) = signed_envelope(statement, signer).await?;
    Ok(Bundle::of_envelope(envelope, key.to_material()))
}

/// Signs a statement into a bare envelope, as cosign's `.att` tags hold it.
///
/// # Errors
/// As [`sign()`].
pub async fn sign_envelope(statement: &Statement, signer: &dyn Signer) -> Result<Envelope, SignError> {
    signed_envelope(statement, signer).await.map(|(envelope, _)| envelope)
}

async fn signed_envelope(statement: &Statement, signer: &dyn Signer) -> Result<(Envelope, KeyMaterial), SignError> {
    let payload = statement.to_bytes();
    let message = PreAuthentication::new(media_type::IN_TOTO, &payload).to_bytes();
    let signature = checked_signature(&message, signer).await?;
    Ok((Envelope::new(media_type::IN_TOTO, payload, signature.bytes), signature.key))
}

/// Signs a payload as cosign's `.sig` tags hold it.
///
/// # Errors
/// As [`sign()`].
pub async fn sign_simple(payload: &SimpleSigning, signer: &dyn Signer) -> Result<SimpleSignature, SignError> {
    let payload = payload.to_bytes().map_err(SignError::Payload)?;
    let signature = checked_signature(&payload, signer).await?;
    let annotations = BTreeMap::from([(annotation::COSIGN_SIGNATURE.to_owned(), STANDARD.encode(signature.bytes))]);
    Ok(SimpleSignature { payload: payload.into(), annotations })
}

/// A layer of a `.sig` tag.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SimpleSignature {
    /// The layer's bytes, of media type [`media_type::SIMPLE_SIGNING`].
    pub payload: Bytes,
    /// The layer's annotations, the signature among them.
    pub annotations: BTreeMap<String, String>,
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
    /// The key could not be used.
    #[error("the key could not be used")]
    Key(#[source] KeyError),
    /// The payload could not be written.
    #[error("the payload could not be written")]
    Payload(#[source] SimpleSigningError),
    /// The signer returned a signature that does not verify under the key it names.
    #[error("the signer returned a signature that its key {key_id} does not verify")]
    WrongSignature {
        /// [`PublicKey::key_id`] of the key.
        key_id: String,
    },
}
