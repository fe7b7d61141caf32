//! Certificates for keys that live as long as a batch, from the certificate authority of a Sigstore instance.

mod client;
mod error;
mod request;

use async_trait::async_trait;
use jiff::Timestamp;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::sign::{KeyMaterial, SignError, Signature, Signer, SigningCertificate};

use crate::oidc::IdentityToken;

pub use client::FulcioClient;
pub use error::FulcioError;

/// Signs with a key made for this run, under a certificate that says whose it is.
///
/// One certificate serves as many signatures as are made before [`FulcioSigner::not_after`]. The key is never stored
/// and is gone with the signer.
#[derive(Debug)]
pub struct FulcioSigner {
    key: PrivateKey,
    certificate: SigningCertificate,
}

impl FulcioSigner {
    /// Makes a P-256 key and has it certified for whom the token speaks of.
    ///
    /// # Errors
    /// [`FulcioError`] says whether trying again can help.
    pub async fn certify(client: &FulcioClient, token: &IdentityToken) -> Result<Self, FulcioError> {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).map_err(FulcioError::Key)?;
        let certificate = client.signing_certificate(token, &key).await?;
        Ok(Self { key, certificate })
    }

    /// Returns the certificate.
    pub fn certificate(&self) -> &SigningCertificate {
        &self.certificate
    }

    /// Returns when the certificate ends: what is signed later needs another.
    pub fn not_after(&self) -> Timestamp {
        let end = self.certificate.certificate().validity().end;
        end.and_then(|end| Timestamp::from_second(end).ok()).unwrap_or(Timestamp::MAX)
    }
}

#[async_trait]
impl Signer for FulcioSigner {
    fn key(&self) -> KeyMaterial {
        KeyMaterial::Certificate(self.certificate.clone())
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let bytes = self.key.sign(message).map_err(SignError::Key)?;
        Ok(Signature { bytes, key: self.key() })
    }
}
