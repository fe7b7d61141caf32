//! Private keys: generated, imported, opened, signed with.
//!
//! Never printed: no `Display`, and a `Debug` that shows the public half alone.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Decode as _, Reader as _, SliceReader};
use zeroize::Zeroizing;

use super::public_key::{EC_PUBLIC_KEY, ID_ED25519, RSA_ENCRYPTION, bit_length, curve_algorithm, rsa_algorithm};
use super::{KeyAlgorithm, KeyError, PemError, PublicKey, key_file, pem};

/// A private key in memory, with its public key.
pub struct PrivateKey {
    pair: KeyPair,
    public_key: PublicKey,
}

enum KeyPair {
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl PrivateKey {
    /// Generates a key from the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the library cannot.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        const FAILED: KeyError = KeyError::Unavailable { operation: "generate a key" };
        let pair = match algorithm {
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 | KeyAlgorithm::EcdsaP521 => {
                KeyPair::Ecdsa(Box::new(EcdsaKeyPair::generate(ecdsa_signing(algorithm)?).map_err(|_| FAILED)?))
            }
            KeyAlgorithm::Ed25519 => KeyPair::Ed25519(Box::new(Ed25519KeyPair::generate().map_err(|_| FAILED)?)),
            KeyAlgorithm::Rsa2048 => KeyPair::rsa(KeySize::Rsa2048).map_err(|_| FAILED)?,
            KeyAlgorithm::Rsa3072 => KeyPair::rsa(KeySize::Rsa3072).map_err(|_| FAILED)?,
            KeyAlgorithm::Rsa4096 => KeyPair::rsa(KeySize::Rsa4096).map_err(|_| FAILED)?,
        };
        Self::from_pair(pair)
    }

    /// Reads a key from one PEM block: cosign's encrypted key files, PKCS#8 (`PRIVATE KEY`), SEC1
    /// (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`). `passphrase` is called only when the key is encrypted.
    ///
    /// # Errors
    /// [`KeyError::WrongPassphrase`] when the passphrase does not open the file, [`KeyError::PublicNotPrivate`] for a
    /// public key, [`KeyError::Encryption`] for other encryption than cosign's, [`KeyError::Malformed`] for a
    /// truncated key; the closure's error as it is.
    pub fn from_pem(text: &[u8], passphrase: impl FnOnce() -> Result<Passphrase, KeyError>) -> Result<Self, KeyError> {
        let block = pem::read(text).map_err(|error| match error {
            PemError::Headers => KeyError::Encryption { scheme: "the old PEM encryption" },
            error => KeyError::Pem(error),
        })?;
        match block.label.as_str() {
            label if key_file::LABELS.contains(&label) => {
                let file = key_file::KeyFile::parse(&block.content)?;
                Self::from_pkcs8(&file.open(&passphrase()?)?)
            }
            "PRIVATE KEY" => Self::from_pkcs8(&block.content),
            "EC PRIVATE KEY" => Self::from_sec1(&block.content),
            "RSA PRIVATE KEY" => Self::from_pkcs1(&block.content),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encryption { scheme: "PKCS#8 PBES2" }),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicNotPrivate),
            label => Err(KeyError::Label { expected: "private key", found: crate::repository::foreign_text(label) }),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        const MALFORMED: KeyError = KeyError::Malformed { what: "PKCS#8 private key" };
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
        let pair = match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters_oid().map_err(|_| MALFORMED)?;
                KeyPair::ecdsa(curve_algorithm(curve)?, der).map_err(|_| MALFORMED)?
            }
            ID_ED25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(|pair| KeyPair::Ed25519(Box::new(pair)))
                .map_err(|_| MALFORMED)?,
            RSA_ENCRYPTION => {
                refuse_rsa_size(info.private_key.as_bytes())?;
                RsaKeyPair::from_pkcs8(der).map(|pair| KeyPair::Rsa(Box::new(pair))).map_err(|_| MALFORMED)?
            }
            oid => return Err(KeyError::UnsupportedAlgorithm { oid: oid.to_string() }),
        };
        Self::from_pair(pair)
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        const MALFORMED: KeyError = KeyError::Malformed { what: "SEC1 private key" };
        let key = sec1::EcPrivateKey::from_der(der).map_err(|_| MALFORMED)?;
        let curve = key.parameters.and_then(|parameters| parameters.named_curve()).ok_or(MALFORMED)?;
        Self::from_pair(KeyPair::ecdsa(curve_algorithm(curve)?, der).map_err(|_| MALFORMED)?)
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        refuse_rsa_size(der)?;
        let pair = RsaKeyPair::from_der(der).map_err(|_| KeyError::Malformed { what: "PKCS#1 private key" })?;
        Self::from_pair(KeyPair::Rsa(Box::new(pair)))
    }

    fn from_pair(pair: KeyPair) -> Result<Self, KeyError> {
        const MALFORMED: KeyError = KeyError::Malformed { what: "private key" };
        let info = match &pair {
            KeyPair::Ecdsa(pair) => pair.public_key().as_der(),
            KeyPair::Ed25519(pair) => pair.public_key().as_der(),
            KeyPair::Rsa(pair) => pair.public_key().as_der(),
        };
        // Also applies the rules for public keys, such as the sizes of RSA moduli.
        let public_key = PublicKey::from_der(info.map_err(|_| MALFORMED)?.as_ref())?;
        Ok(Self { pair, public_key })
    }

    /// Returns the key as a file of cosign's: PEM `ENCRYPTED SIGSTORE PRIVATE KEY`, scrypt with N=65536, r=8, p=1,
    /// and nacl/secretbox over PKCS#8. An empty passphrase is legal.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the library cannot.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase) -> Result<String, KeyError> {
        const FAILED: KeyError = KeyError::Unavailable { operation: "encode the key" };
        let pkcs8: Zeroizing<Vec<u8>> = Zeroizing::new(match &self.pair {
            KeyPair::Ecdsa(pair) => pair.to_pkcs8v1().map_err(|_| FAILED)?.as_ref().to_vec(),
            // Version 2 adds the public key, which Go refuses.
            KeyPair::Ed25519(pair) => pair.to_pkcs8v1().map_err(|_| FAILED)?.as_ref().to_vec(),
            KeyPair::Rsa(pair) => {
                let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(|_| FAILED)?;
                der.as_ref().to_vec()
            }
        });
        let file = key_file::KeyFile::seal(&pkcs8, passphrase)?;
        Ok(pem::write(key_file::LABEL, file.to_json()?.as_bytes()))
    }

    /// Returns the public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Signs `message`: ECDSA on any curve as DER with SHA-256, RSA as PKCS#1 v1.5 with SHA-256, Ed25519 as it is.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when the library cannot.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        const FAILED: KeyError = KeyError::Unavailable { operation: "sign" };
        let random = SystemRandom::new();
        match &self.pair {
            KeyPair::Ecdsa(pair) => {
                let digest = sha256_for(self.public_key.algorithm(), message).map_err(|_| FAILED)?;
                pair.sign_digest(&digest).map(|signature| signature.as_ref().to_vec()).map_err(|_| FAILED)
            }
            KeyPair::Ed25519(pair) => {
                pair.try_sign(message).map(|signature| signature.as_ref().to_vec()).map_err(|_| FAILED)
            }
            KeyPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| FAILED)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

impl KeyPair {
    fn rsa(size: KeySize) -> Result<Self, Unspecified> {
        RsaKeyPair::generate(size).map(|pair| Self::Rsa(Box::new(pair)))
    }

    /// Reads PKCS#8 or SEC1; neither needs to hold the public key.
    fn ecdsa(algorithm: KeyAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        EcdsaKeyPair::from_private_key_der(ecdsa_signing(algorithm)?, der)
            .map(|pair| Self::Ecdsa(Box::new(pair)))
            .map_err(|_| KeyError::Malformed { what: "private key" })
    }
}

/// Names the size of a key that the library would call malformed because it is small, or work on for seconds because it
/// is large. The modulus is the second field of an `RSAPrivateKey` (RFC 8017 appendix A.1.2).
fn refuse_rsa_size(pkcs1: &[u8]) -> Result<(), KeyError> {
    const MALFORMED: KeyError = KeyError::Malformed { what: "RSA private key" };
    let mut reader = SliceReader::new(pkcs1).map_err(|_| MALFORMED)?;
    let bits = reader
        .sequence(|fields: &mut SliceReader<'_>| {
            u8::decode(fields)?;
            let modulus = UintRef::decode(fields)?;
            fields.read_slice(fields.remaining_len())?;
            Ok::<_, pkcs8::der::Error>(bit_length(modulus.as_bytes()))
        })
        .map_err(|_| MALFORMED)?;
    rsa_algorithm(bits).map(|_| ())
}

fn ecdsa_signing(algorithm: KeyAlgorithm) -> Result<&'static EcdsaSigningAlgorithm, KeyError> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => Ok(&ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyAlgorithm::EcdsaP384 => Ok(&ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyAlgorithm::EcdsaP521 => Ok(&ECDSA_P521_SHA512_ASN1_SIGNING),
        _ => Err(KeyError::Malformed { what: "private key" }),
    }
}

/// Returns the SHA-256 of `message` in the form in which the library signs with this curve.
///
/// Cosign signs and verifies with SHA-256 whatever the curve of a managed key, and refuses the curve's own digest. The
/// library pairs each curve with its own digest; but ECDSA takes a digest no longer than the curve's order as a number
/// (FIPS 186-5 section 6.4.1), and zeros in front leave a number what it is.
fn sha256_for(algorithm: KeyAlgorithm, message: &[u8]) -> Result<digest::Digest, Unspecified> {
    let sha256 = digest::digest(&digest::SHA256, message);
    let paired = match algorithm {
        KeyAlgorithm::EcdsaP384 => &digest::SHA384,
        KeyAlgorithm::EcdsaP521 => &digest::SHA512,
        _ => return Ok(sha256),
    };
    let mut number = vec![0; paired.output_len() - sha256.as_ref().len()];
    number.extend_from_slice(sha256.as_ref());
    digest::Digest::import_less_safe(&number, paired)
}

/// A passphrase, wiped from memory when dropped. Empty is legal, as in cosign.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Returns the bytes a key is derived from.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA512_ASN1,
        UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn larger_curves_sign_with_sha256_and_verify_with_their_own_digest_too() {
        let raw = |key: &PrivateKey| match &key.pair {
            KeyPair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            _ => panic!("not ECDSA"),
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, raw(&key)).verify(b"message", &signature).is_ok());
        assert!(UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, raw(&key)).verify(b"message", &signature).is_err());

        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP521).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(UnparsedPublicKey::new(&ECDSA_P521_SHA256_ASN1, raw(&key)).verify(b"message", &signature).is_ok());
        assert!(UnparsedPublicKey::new(&ECDSA_P521_SHA512_ASN1, raw(&key)).verify(b"message", &signature).is_err());
        let KeyPair::Ecdsa(pair) = &key.pair else { panic!("not ECDSA") };
        let own = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(key.public_key.verify(b"message", own.as_ref()).is_ok());
    }
}
