//! Keys: the services' own, made at the start and never written anywhere, and those of clients, which are checked.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::asn1;
use super::encoding::{from_pem, pem, sha256};

/// Kind of a service's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits, PKCS#1 v1.5 with SHA-256. Takes a moment to make.
    Rsa2048,
}

/// A key that a service signs with.
pub(super) struct SigningKey {
    kind: KeyKind,
    pair: Pair,
    spki: Vec<u8>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// Makes a key.
    pub(super) fn generate(kind: KeyKind) -> Result<Self, Unspecified> {
        let pair = match kind {
            KeyKind::EcdsaP256 => Pair::Ecdsa(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?),
            KeyKind::EcdsaP384 => Pair::Ecdsa(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)?),
            KeyKind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate()?),
            KeyKind::Rsa2048 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?),
        };
        let spki: PublicKeyX509Der<'_> = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der()?,
            Pair::Ed25519(pair) => pair.public_key().as_der()?,
            Pair::Rsa(pair) => pair.public_key().as_der()?,
        };
        let spki = spki.as_ref().to_vec();
        Ok(Self { kind, pair, spki })
    }

    /// Returns a signature: ASN.1 for ECDSA.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// Returns the kind of key.
    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the public key as PEM.
    pub(super) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// Returns the SHA-256 of SubjectPublicKeyInfo: the log identifier of RFC 6962.
    pub(super) fn spki_sha256(&self) -> [u8; 32] {
        sha256(&[&self.spki])
    }

    /// Returns the key without its algorithm: the point, the 32 bytes, the modulus and exponent.
    pub(super) fn raw_public(&self) -> &[u8] {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
    }

    /// Returns AlgorithmIdentifier of this key's signatures.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        match self.kind {
            KeyKind::EcdsaP256 => asn1::sequence(&[&asn1::oid(ECDSA_WITH_SHA256)]),
            KeyKind::EcdsaP384 => asn1::sequence(&[&asn1::oid(ECDSA_WITH_SHA384)]),
            KeyKind::Ed25519 => asn1::sequence(&[&asn1::oid(ED25519)]),
            KeyKind::Rsa2048 => asn1::sequence(&[&asn1::oid(SHA256_WITH_RSA), &asn1::null()]),
        }
    }

    /// Returns the protobuf name of the key's algorithm, as in trusted roots.
    pub(super) fn key_details(&self) -> &'static str {
        match self.kind {
            KeyKind::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
            KeyKind::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
            KeyKind::Ed25519 => "PKIX_ED25519",
            KeyKind::Rsa2048 => "PKIX_RSA_PKCS1V15_2048_SHA256",
        }
    }
}

/// A hash that clients sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Returns the hash with the given name, as in `sha256`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the bytes of a digest.
    pub(super) fn length(self) -> usize {
        self.algorithm().output_len()
    }

    /// Returns the protobuf name.
    pub(super) fn protobuf_name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A client's public key.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    spki: Vec<u8>,
    family: Family,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Rsa,
}

impl VerifyingKey {
    /// Reads SubjectPublicKeyInfo; `None` for a kind of key that Sigstore's services do not take.
    pub(super) fn from_spki(spki: &[u8]) -> Option<Self> {
        let parsed = SubjectPublicKeyInfoOwned::from_der(spki).ok()?;
        let curve = || parsed.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let family = match parsed.algorithm.oid {
            EC_PUBLIC_KEY => match curve()? {
                SECP256R1 => Family::EcdsaP256,
                SECP384R1 => Family::EcdsaP384,
                SECP521R1 => Family::EcdsaP521,
                _ => return None,
            },
            ED25519 => Family::Ed25519,
            RSA_ENCRYPTION => Family::Rsa,
            _ => return None,
        };
        Some(Self { spki: spki.to_vec(), family })
    }

    /// Reads the key of a certificate.
    pub(super) fn from_certificate(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        Self::from_spki(&certificate.tbs_certificate().subject_public_key_info().to_der().ok()?)
    }

    /// Reads PEM of a public key or of a certificate.
    pub(super) fn from_pem(bytes: &[u8]) -> Option<Self> {
        match from_pem(bytes)? {
            (label, der) if label == "PUBLIC KEY" => Self::from_spki(&der),
            (label, der) if label == "CERTIFICATE" => Self::from_certificate(&der),
            _ => None,
        }
    }

    /// Returns SubjectPublicKeyInfo.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Says whether `signature` is over `message`, with the key's own hash or, as older clients do, SHA-256.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let hashes: &[Hash] = match self.family {
            Family::EcdsaP256 | Family::Rsa => &[Hash::Sha256],
            Family::EcdsaP384 => &[Hash::Sha384, Hash::Sha256],
            Family::EcdsaP521 => &[Hash::Sha512, Hash::Sha256],
            Family::Ed25519 => {
                return UnparsedPublicKey::new(&signature::ED25519, &self.spki).verify(message, signature).is_ok();
            }
        };
        hashes.iter().any(|hash| {
            let digest = digest::digest(hash.algorithm(), message);
            self.accepts_digest(*hash, digest.as_ref(), signature)
        })
    }

    /// Says whether `signature` is over the message with this digest. Never true for Ed25519, which hashes itself.
    pub(super) fn accepts_digest(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        let Ok(digest) = digest::Digest::import_less_safe(digest, hash.algorithm()) else { return false };
        let algorithm: &'static dyn VerificationAlgorithm = match (self.family, hash) {
            (Family::EcdsaP256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
            (Family::EcdsaP256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
            (Family::EcdsaP256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
            (Family::EcdsaP384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
            (Family::EcdsaP384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
            (Family::EcdsaP384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
            (Family::EcdsaP521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
            (Family::EcdsaP521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
            (Family::EcdsaP521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
            (Family::Rsa, Hash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Family::Rsa, Hash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Family::Rsa, Hash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Family::Ed25519, _) => return false,
        };
        algorithm.verify_digest_sig(self.raw().as_ref(), &digest, signature).is_ok()
    }

    /// Returns the key as the digest interface wants it: without its algorithm for RSA, whole otherwise.
    fn raw(&self) -> std::borrow::Cow<'_, [u8]> {
        if self.family != Family::Rsa {
            return (&self.spki).into();
        }
        let parsed = SubjectPublicKeyInfoOwned::from_der(&self.spki).ok();
        parsed.map(|parsed| parsed.subject_public_key.raw_bytes().to_vec()).unwrap_or_default().into()
    }
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_signs_what_its_public_half_accepts() {
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::Ed25519, KeyKind::Rsa2048] {
            let key = SigningKey::generate(kind).unwrap();
            let signature = key.sign(b"message").unwrap();
            let public = VerifyingKey::from_pem(key.public_pem().as_bytes()).unwrap();
            assert!(public.accepts(b"message", &signature), "{kind:?}");
            assert!(!public.accepts(b"massage", &signature), "{kind:?}");
            let other = SigningKey::generate(kind).unwrap();
            assert!(!VerifyingKey::from_spki(other.spki()).unwrap().accepts(b"message", &signature), "{kind:?}");
        }
    }
}
