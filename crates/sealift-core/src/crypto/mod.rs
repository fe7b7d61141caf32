//! Keys: generated, imported, kept encrypted, used.
//!
//! The only place that names a cryptographic library. Never opens a file and never asks for a passphrase: both come in
//! as arguments.

mod algorithm;
mod error;
mod key_file;
mod message;
mod pem;
mod private_key;
mod public_key;
mod scheme;

pub use algorithm::{KeyAlgorithm, UnknownKeyAlgorithm};
pub use error::{KeyError, KeyFileError, PemError, SignatureError};
pub use private_key::{Passphrase, PrivateKey};
pub use public_key::PublicKey;
pub(crate) use scheme::RSASSA_PSS;
pub use scheme::SignatureScheme;

pub(crate) use message::Message;
pub(crate) use pem::write as to_pem;

/// Returns bytes from the system's randomness that nobody can guess: a nonce, a state, a salt.
///
/// # Errors
/// [`KeyError::Unavailable`] when the library cannot.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Unavailable { operation: "get random bytes" })?;
    Ok(bytes)
}

/// Returns the SHA-1 of `bytes`, which old timestamps name their certificate by; never a proof.
pub(crate) fn sha1(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}
