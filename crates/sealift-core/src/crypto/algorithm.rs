//! Key algorithms, by the names users type.

use std::fmt;
use std::str::FromStr;

/// An algorithm of a key, with its size.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: what cosign generates.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384, signing with SHA-256 as cosign does; SHA-384 is verified as well.
    EcdsaP384,
    /// ECDSA on P-521, signing with SHA-256 as cosign does; SHA-512 is verified as well.
    EcdsaP521,
    /// Ed25519 (RFC 8032, without pre-hashing).
    Ed25519,
    /// RSA with a modulus of 2048 bits, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA with a modulus of 3072 bits, PKCS#1 v1.5 with SHA-256.
    Rsa3072,
    /// RSA with a modulus of 4096 bits, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order they are listed to users.
    pub const ALL: [Self; 7] =
        [Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521, Self::Ed25519, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// Returns the name, such as `ecdsa-p256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownKeyAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownKeyAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(UnknownKeyAlgorithm)
    }
}

/// The text is no name of a key algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "unknown key algorithm; known are ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, rsa-2048, rsa-3072 and rsa-4096"
)]
pub struct UnknownKeyAlgorithm;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_are_all_in_the_error() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert!(UnknownKeyAlgorithm.to_string().contains(algorithm.as_str()));
        }
        assert_eq!("P256".parse::<KeyAlgorithm>(), Err(UnknownKeyAlgorithm));
    }
}
