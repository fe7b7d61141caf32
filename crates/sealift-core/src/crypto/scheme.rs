//! Signature schemes as certificates and timestamps name them: an algorithm together with its digest.
//!
//! Keys of users are verified by [`super::PublicKey`], which fixes the scheme; here the signed object names it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use spki::der::Decode as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::KeyAlgorithm;
use super::public_key::{EC_PUBLIC_KEY, ID_ED25519, RSA_ENCRYPTION, curve_algorithm};
use crate::oci::DigestAlgorithm;

/// A signature algorithm, without the kind of key where the key itself says it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// ECDSA with a DER signature, on the curve of the key.
    Ecdsa(DigestAlgorithm),
    /// Ed25519 over the message itself.
    Ed25519,
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(DigestAlgorithm),
    /// RSASSA-PSS, with MGF1 of the same digest and a salt as long as the digest.
    RsaPss(DigestAlgorithm),
}

impl SignatureScheme {
    /// Returns the scheme that a CMS `SignerInfo` names by `signature` and `digest`: some authorities name the scheme,
    /// others only the kind of key (RFC 5754).
    pub(crate) fn of_signer_info(signature: ObjectIdentifier, digest: DigestAlgorithm) -> Option<Self> {
        match signature {
            EC_PUBLIC_KEY => Some(Self::Ecdsa(digest)),
            RSA_ENCRYPTION => Some(Self::RsaPkcs1(digest)),
            ID_ED25519 => Some(Self::Ed25519),
            // Its parameters repeat digest and salt; a signature made with others does not verify.
            RSASSA_PSS => Some(Self::RsaPss(digest)),
            oid => {
                let (scheme, named) =
                    SCHEMES.iter().find(|(known, ..)| *known == oid).map(|(_, scheme, digest)| (*scheme, *digest))?;
                (named == digest).then_some(scheme)
            }
        }
    }

    /// Returns the scheme that a certificate names by `signature`; not RSASSA-PSS, whose digest is a parameter.
    pub(crate) fn of_certificate(signature: ObjectIdentifier) -> Option<Self> {
        if signature == ID_ED25519 {
            return Some(Self::Ed25519);
        }
        SCHEMES.iter().find(|(known, ..)| *known == signature).map(|(_, scheme, _)| *scheme)
    }

    /// Says whether `signature` over `message` verifies under the key of a DER SubjectPublicKeyInfo.
    ///
    /// RSA moduli have 2048 to 8192 bits. A key of another kind than the scheme's verifies nothing.
    pub fn is_valid(self, public_key_info: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Some((verification, key)) = self.verification(public_key_info) else {
            return false;
        };
        UnparsedPublicKey::new(verification, key).verify(message, signature).is_ok()
    }

    fn verification(self, public_key_info: &[u8]) -> Option<(&'static dyn VerificationAlgorithm, &[u8])> {
        let info = SubjectPublicKeyInfoRef::from_der(public_key_info).ok()?;
        let key = info.subject_public_key.as_bytes()?;
        let verification: &'static dyn VerificationAlgorithm = match (info.algorithm.oid, self) {
            (EC_PUBLIC_KEY, Self::Ecdsa(digest)) => {
                ecdsa(curve_algorithm(info.algorithm.parameters_oid().ok()?).ok()?, digest)?
            }
            (ID_ED25519, Self::Ed25519) => &ED25519,
            (RSA_ENCRYPTION, Self::RsaPkcs1(DigestAlgorithm::Sha256)) => &RSA_PKCS1_2048_8192_SHA256,
            (RSA_ENCRYPTION, Self::RsaPkcs1(DigestAlgorithm::Sha384)) => &RSA_PKCS1_2048_8192_SHA384,
            (RSA_ENCRYPTION, Self::RsaPkcs1(DigestAlgorithm::Sha512)) => &RSA_PKCS1_2048_8192_SHA512,
            (RSA_ENCRYPTION, Self::RsaPss(DigestAlgorithm::Sha256)) => &RSA_PSS_2048_8192_SHA256,
            (RSA_ENCRYPTION, Self::RsaPss(DigestAlgorithm::Sha384)) => &RSA_PSS_2048_8192_SHA384,
            (RSA_ENCRYPTION, Self::RsaPss(DigestAlgorithm::Sha512)) => &RSA_PSS_2048_8192_SHA512,
            _ => return None,
        };
        Some((verification, key))
    }
}

fn ecdsa(curve: KeyAlgorithm, digest: DigestAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (curve, digest) {
        (KeyAlgorithm::EcdsaP256, DigestAlgorithm::Sha256) => &ECDSA_P256_SHA256_ASN1,
        (KeyAlgorithm::EcdsaP256, DigestAlgorithm::Sha384) => &ECDSA_P256_SHA384_ASN1,
        (KeyAlgorithm::EcdsaP256, DigestAlgorithm::Sha512) => &ECDSA_P256_SHA512_ASN1,
        (KeyAlgorithm::EcdsaP384, DigestAlgorithm::Sha256) => &ECDSA_P384_SHA256_ASN1,
        (KeyAlgorithm::EcdsaP384, DigestAlgorithm::Sha384) => &ECDSA_P384_SHA384_ASN1,
        (KeyAlgorithm::EcdsaP384, DigestAlgorithm::Sha512) => &ECDSA_P384_SHA512_ASN1,
        (KeyAlgorithm::EcdsaP521, DigestAlgorithm::Sha256) => &ECDSA_P521_SHA256_ASN1,
        (KeyAlgorithm::EcdsaP521, DigestAlgorithm::Sha384) => &ECDSA_P521_SHA384_ASN1,
        (KeyAlgorithm::EcdsaP521, DigestAlgorithm::Sha512) => &ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

/// `id-RSASSA-PSS`, RFC 4055 section 3.1.
pub(crate) const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Identifiers that name scheme and digest: RFC 5758 section 3.2 and RFC 4055 section 5.
const SCHEMES: [(ObjectIdentifier, SignatureScheme, DigestAlgorithm); 6] = {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    use SignatureScheme::{Ecdsa, RsaPkcs1};
    [
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Ecdsa(Sha256), Sha256),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Ecdsa(Sha384), Sha384),
        (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"), Ecdsa(Sha512), Sha512),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), RsaPkcs1(Sha256), Sha256),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), RsaPkcs1(Sha384), Sha384),
        (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), RsaPkcs1(Sha512), Sha512),
    ]
};
