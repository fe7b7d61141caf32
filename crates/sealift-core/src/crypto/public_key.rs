//! Public keys: parsed once, verified with often.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spki::der::Decode as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::{KeyAlgorithm, KeyError, Message, SignatureError, pem};
use crate::oci::Digest;

/// A public key that is known to be well formed. Two keys are equal when their encodings are.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    der: Arc<[u8]>,
    verifiers: Arc<[Verifier]>,
}

/// The key made ready for one digest algorithm; Ed25519 takes the message itself.
struct Verifier {
    digest: Option<&'static digest::Algorithm>,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Reads one PEM block `PUBLIC KEY` (SubjectPublicKeyInfo) or `RSA PUBLIC KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`KeyError::Pem`] when there is not exactly one block and nothing after it; [`KeyError::PrivateNotPublic`] for
    /// a private key, [`KeyError::Label`] for any other block; else as [`PublicKey::from_der`].
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = pem::read(text)?;
        match block.label.as_str() {
            "PUBLIC KEY" => Self::from_der(&block.content),
            "RSA PUBLIC KEY" => Self::from_pkcs1(&block.content),
            label if label.ends_with("PRIVATE KEY") => Err(KeyError::PrivateNotPublic),
            label => Err(KeyError::Label { expected: "public key", found: crate::repository::foreign_text(label) }),
        }
    }

    /// Reads a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the encoding is not DER, has anything behind it, or the point is not on its
    /// curve; [`KeyError::UnsupportedAlgorithm`] and [`KeyError::RsaSize`] for keys outside [`KeyAlgorithm`].
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
        let raw = info.subject_public_key.as_bytes().ok_or(MALFORMED)?;
        let algorithm = match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters_oid().map_err(|_| MALFORMED)?;
                curve_algorithm(curve)?
            }
            ID_ED25519 => KeyAlgorithm::Ed25519,
            RSA_ENCRYPTION => {
                let key = rsa::PublicKey::from_der(raw).map_err(|_| MALFORMED)?;
                rsa_algorithm(bit_length(key.modulus().big_endian_without_leading_zero()))?
            }
            oid => return Err(KeyError::UnsupportedAlgorithm { oid: oid.to_string() }),
        };
        let verifiers = verifications(algorithm)
            .iter()
            .map(|(digest, verification)| {
                let key = ParsedPublicKey::new(*verification, raw).map_err(|_| MALFORMED)?;
                Ok(Verifier { digest: *digest, key })
            })
            .collect::<Result<Vec<_>, KeyError>>()?;
        Ok(Self { algorithm, der: der.into(), verifiers: verifiers.into() })
    }

    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let key = rsa::PublicKey::from_der(der).map_err(|_| MALFORMED)?;
        let info = key.as_der().map_err(|_| MALFORMED)?;
        Self::from_der(info.as_ref())
    }

    /// Returns the key as one PEM block `PUBLIC KEY`, as cosign writes it.
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.der)
    }

    /// Returns the DER SubjectPublicKeyInfo.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Returns what a bundle names the key by: the SHA-256 of its DER encoding in base64, cosign's hint.
    pub fn key_id(&self) -> String {
        STANDARD.encode(Digest::sha256(&self.der).as_bytes())
    }

    /// Returns the SHA-256 of its DER encoding in hexadecimal.
    pub fn fingerprint(&self) -> String {
        Digest::sha256(&self.der).hex()
    }

    /// Verifies a signature over `message`.
    ///
    /// ECDSA signatures are DER and over SHA-256, cosign's choice for managed keys, or over the curve's own digest,
    /// everybody else's. RSA is PKCS#1 v1.5 with SHA-256.
    ///
    /// # Errors
    /// [`SignatureError`], whatever the reason: a signature says nothing about why it is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.verify_message(&Message::new(&[message]), signature)
    }

    /// Verifies a signature over a message whose digests are shared between keys.
    pub(crate) fn verify_message(&self, message: &Message<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let is_valid = self.verifiers.iter().any(|verifier| match verifier.digest {
            Some(algorithm) => message
                .digest(algorithm)
                .is_some_and(|digest| verifier.key.verify_digest_sig(digest, signature).is_ok()),
            None => message.to_bytes().is_some_and(|bytes| verifier.key.verify_sig(&bytes, signature).is_ok()),
        });
        if is_valid { Ok(()) } else { Err(SignatureError { algorithm: self.algorithm }) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, sha256:{})", self.algorithm, self.fingerprint())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

type Verification = (Option<&'static digest::Algorithm>, &'static dyn VerificationAlgorithm);

fn verifications(algorithm: KeyAlgorithm) -> &'static [Verification] {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => &[(Some(&digest::SHA256), &ECDSA_P256_SHA256_ASN1)],
        KeyAlgorithm::EcdsaP384 => {
            &[(Some(&digest::SHA256), &ECDSA_P384_SHA256_ASN1), (Some(&digest::SHA384), &ECDSA_P384_SHA384_ASN1)]
        }
        KeyAlgorithm::EcdsaP521 => {
            &[(Some(&digest::SHA256), &ECDSA_P521_SHA256_ASN1), (Some(&digest::SHA512), &ECDSA_P521_SHA512_ASN1)]
        }
        KeyAlgorithm::Ed25519 => &[(None, &ED25519)],
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            &[(Some(&digest::SHA256), &RSA_PKCS1_2048_8192_SHA256)]
        }
    }
}

/// Returns the algorithm of keys on `curve`.
pub(super) fn curve_algorithm(curve: ObjectIdentifier) -> Result<KeyAlgorithm, KeyError> {
    match curve {
        SECP256R1 => Ok(KeyAlgorithm::EcdsaP256),
        SECP384R1 => Ok(KeyAlgorithm::EcdsaP384),
        SECP521R1 => Ok(KeyAlgorithm::EcdsaP521),
        oid => Err(KeyError::UnsupportedAlgorithm { oid: oid.to_string() }),
    }
}

/// Returns the algorithm of an RSA key by the size of its modulus.
pub(super) fn rsa_algorithm(bits: usize) -> Result<KeyAlgorithm, KeyError> {
    match bits {
        2048 => Ok(KeyAlgorithm::Rsa2048),
        3072 => Ok(KeyAlgorithm::Rsa3072),
        4096 => Ok(KeyAlgorithm::Rsa4096),
        bits => Err(KeyError::RsaSize { bits }),
    }
}

/// Returns the length of a big-endian number without leading zero bytes.
pub(super) fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |byte| number.len() * 8 - byte.leading_zeros() as usize)
}

/// `id-ecPublicKey`, RFC 5480 section 2.1.1.
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `id-Ed25519`, RFC 8410 section 3.
pub(super) const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// `rsaEncryption`, RFC 8017 appendix A.1.
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `secp256r1`, RFC 5480 section 2.1.1.1.
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `secp384r1`, RFC 5480 section 2.1.1.1.
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// `secp521r1`, RFC 5480 section 2.1.1.1.
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

const MALFORMED: KeyError = KeyError::Malformed { what: "public key" };
