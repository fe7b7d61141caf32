//! Signs with a private key in memory.

use async_trait::async_trait;

use super::{KeyMaterial, SignError, Signature, Signer};
use crate::crypto::PrivateKey;

/// A signer that has its key.
#[derive(Debug)]
pub struct KeySigner {
    key: PrivateKey,
}

impl KeySigner {
    /// Signs with `key`.
    pub fn new(key: PrivateKey) -> Self {
        Self { key }
    }
}

#[async_trait]
impl Signer for KeySigner {
    fn key(&self) -> KeyMaterial {
        KeyMaterial::PublicKey(self.key.public_key().clone())
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let bytes = self.key.sign(message).map_err(SignError::Key)?;
        Ok(Signature { bytes, key: self.key() })
    }
}
