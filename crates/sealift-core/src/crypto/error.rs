//! Why a key could not be read or used.

use super::KeyAlgorithm;

/// Says why a key could not be read, written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A private key is encrypted in a way that is not read.
    #[error("the private key is encrypted with {scheme}, which is not supported")]
    Encryption {
        /// The scheme, such as `PKCS#8 PBES2`.
        scheme: &'static str,
    },
    /// The encrypted key file is malformed.
    #[error("the encrypted key file is malformed")]
    File(#[from] KeyFileError),
    /// The PEM block is of another kind.
    #[error("found a PEM block `{found}` where a {expected} is expected")]
    Label {
        /// What was wanted, such as `private key`.
        expected: &'static str,
        /// The label found, bounded and printable.
        found: String,
    },
    /// The key itself is malformed: truncated, of bad encoding, or not on its curve.
    #[error("the {what} is malformed or truncated")]
    Malformed {
        /// What was malformed, such as `PKCS#8 private key`.
        what: &'static str,
    },
    /// The text is not one PEM block.
    #[error("the key is not a PEM file")]
    Pem(#[from] PemError),
    /// A private key was given where a public key is wanted.
    #[error("this is a private key; a public key is expected")]
    PrivateNotPublic,
    /// A public key was given where a private key is wanted.
    #[error("this is a public key; a private key is expected")]
    PublicNotPrivate,
    /// The passphrase could not be obtained.
    #[error("the passphrase of the key could not be read")]
    PassphraseUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The RSA modulus has a size that is not used.
    #[error("RSA keys have 2048, 3072 or 4096 bits, not {bits}")]
    RsaSize {
        /// Bits of the modulus found.
        bits: usize,
    },
    /// The cryptographic library refused to generate, encrypt or sign.
    #[error("the cryptographic library could not {operation}")]
    Unavailable {
        /// What was attempted, such as `sign`.
        operation: &'static str,
    },
    /// The key is of an algorithm that is not used.
    #[error("keys of algorithm {oid} are not supported")]
    UnsupportedAlgorithm {
        /// Object identifier of the algorithm, or of its curve.
        oid: String,
    },
    /// The passphrase does not open the key file.
    #[error("the passphrase does not open the key")]
    WrongPassphrase,
}

/// Says why a text is not the one PEM block it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// The body is not base64.
    #[error("the body of the PEM block is not base64")]
    Base64,
    /// The block has headers.
    #[error("the PEM block has headers")]
    Headers,
    /// There is no `-----BEGIN `.
    #[error("there is no line `-----BEGIN ...-----`")]
    NoBlock,
    /// There are several blocks.
    #[error("there are several PEM blocks; exactly one is expected")]
    SeveralBlocks,
    /// The file is too large.
    #[error("the file has more than {limit} bytes")]
    TooLarge {
        /// Most bytes read.
        limit: usize,
    },
    /// Something follows the block.
    #[error("there is text after the PEM block")]
    TrailingText,
    /// The closing line is missing or of another label.
    #[error("the PEM block does not end")]
    Unfinished,
}

/// Says why an encrypted key file is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file names another cipher or derivation than cosign's.
    #[error("the file uses `{found}`; `{expected}` is supported")]
    Algorithm {
        /// The only name supported in this place.
        expected: &'static str,
        /// The name found, bounded and printable.
        found: String,
    },
    /// The body is not the JSON it should be.
    #[error("the body is not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// The derivation would take more memory or time than any key file needs.
    #[error("scrypt parameters N={n}, r={r}, p={p} are out of bounds")]
    Parameters {
        /// CPU and memory cost.
        n: u64,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// Salt, nonce or ciphertext have a size they cannot have.
    #[error("the {field} has a wrong size")]
    Size {
        /// The field.
        field: &'static str,
    },
}

/// A signature does not verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not verify under the {algorithm} key")]
pub struct SignatureError {
    /// Algorithm of the key it was verified under.
    pub algorithm: KeyAlgorithm,
}
