//! A certificate to sign under.

use crate::crypto::{KeyError, PublicKey};
use crate::x509::Certificate;

/// A certificate over the signing key, with those that lead to its root. Not verified: whoever signs asked for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningCertificate {
    certificate: Certificate,
    issuers: Vec<Certificate>,
    public_key: PublicKey,
}

impl SigningCertificate {
    /// Takes the signer's certificate and its issuers, nearest first.
    ///
    /// # Errors
    /// [`KeyError`] when the certificate's key is of no known algorithm.
    pub fn new(certificate: Certificate, issuers: Vec<Certificate>) -> Result<Self, KeyError> {
        let public_key = certificate.public_key()?;
        Ok(Self { certificate, issuers, public_key })
    }

    /// Returns the signer's certificate in DER.
    pub fn as_der(&self) -> &[u8] {
        self.certificate.as_der()
    }

    /// Returns the signer's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns the issuers, nearest first.
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }

    /// Returns the certificate's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}
