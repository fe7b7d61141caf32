//! Cosign's encrypted key files: scrypt and nacl/secretbox over PKCS#8, as JSON inside PEM.
//!
//! Format: `encrypted` of <https://github.com/secure-systems-lab/go-securesystemslib>, labels of
//! <https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go>.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, KeyFileError, Passphrase, random_bytes};
use crate::protojson::Base64;

/// The label written.
pub(super) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// The labels read; the second is what cosign 1 wrote.
pub(super) const LABELS: [&str; 2] = [LABEL, "ENCRYPTED COSIGN PRIVATE KEY"];

/// The content of a key file.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct KeyFile {
    kdf: Derivation,
    cipher: Cipher,
    ciphertext: Base64,
}

#[derive(Debug, Deserialize, Serialize)]
struct Derivation {
    name: String,
    params: Parameters,
    salt: Base64,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Parameters {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Cipher {
    name: String,
    nonce: Base64,
}

impl KeyFile {
    /// Reads the JSON and refuses, before any derivation, what no key file has.
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeyFileError> {
        let file: Self = serde_json::from_slice(json).map_err(KeyFileError::Json)?;
        for (found, expected) in [(&file.kdf.name, SCRYPT), (&file.cipher.name, SECRETBOX)] {
            if found != expected {
                let found = crate::repository::foreign_text(found);
                return Err(KeyFileError::Algorithm { expected, found });
            }
        }
        file.kdf.params.to_scrypt()?;
        for (field, is_right) in [
            ("nonce", file.cipher.nonce.0.len() == NONCE_BYTES),
            ("salt", (1..=MAX_SALT_BYTES).contains(&file.kdf.salt.0.len())),
            ("ciphertext", file.ciphertext.0.len() > TAG_BYTES),
        ] {
            if !is_right {
                return Err(KeyFileError::Size { field });
            }
        }
        Ok(file)
    }

    /// Decrypts the PKCS#8 key. Takes about 0.1 s and 64 MiB, by design of scrypt.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = self.kdf.derive(passphrase)?;
        let (tag, ciphertext) =
            self.ciphertext.0.split_at_checked(TAG_BYTES).ok_or(KeyFileError::Size { field: "ciphertext" })?;
        let mut secretbox = Secretbox::new(&key, &self.cipher.nonce.0)?;
        verify_slices_are_equal(&secretbox.tag(ciphertext), tag).map_err(|_| KeyError::WrongPassphrase)?;
        let mut content = Zeroizing::new(ciphertext.to_vec());
        secretbox.apply(&mut content);
        Ok(content)
    }

    /// Encrypts a PKCS#8 key under a fresh salt and nonce.
    pub(super) fn seal(pkcs8: &[u8], passphrase: &Passphrase) -> Result<Self, KeyError> {
        let kdf = Derivation {
            name: SCRYPT.to_owned(),
            params: WRITTEN,
            salt: Base64(random_bytes::<SALT_BYTES>()?.to_vec()),
        };
        let nonce = random_bytes::<NONCE_BYTES>()?.to_vec();
        let key = kdf.derive(passphrase)?;
        let mut secretbox = Secretbox::new(&key, &nonce)?;
        let mut content = pkcs8.to_vec();
        secretbox.apply(&mut content);
        let mut ciphertext = secretbox.tag(&content).to_vec();
        ciphertext.append(&mut content);
        let cipher = Cipher { name: SECRETBOX.to_owned(), nonce: Base64(nonce) };
        Ok(Self { kdf, cipher, ciphertext: Base64(ciphertext) })
    }

    /// Returns the JSON, fields in cosign's order.
    pub(super) fn to_json(&self) -> Result<String, KeyError> {
        serde_json::to_string(self).map_err(|error| KeyError::File(KeyFileError::Json(error)))
    }
}

impl Derivation {
    fn derive(&self, passphrase: &Passphrase) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.as_bytes(), &self.salt.0, &self.params.to_scrypt()?, key.as_mut_slice())
            .map_err(|_| KeyError::Unavailable { operation: "derive the key" })?;
        Ok(key)
    }
}

impl Parameters {
    fn to_scrypt(self) -> Result<scrypt::Params, KeyFileError> {
        let Self { n, r, p } = self;
        let refused = KeyFileError::Parameters { n, r, p };
        let memory = n.checked_mul(128).and_then(|bytes| bytes.checked_mul(u64::from(r)));
        let is_bounded = memory.is_some_and(|bytes| bytes <= MAX_SCRYPT_BYTES) && (1..=MAX_PARALLELISM).contains(&p);
        if !is_bounded || !n.is_power_of_two() || n < 2 {
            return Err(refused);
        }
        // Below 2^20 by the bound above.
        let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
        scrypt::Params::new(log_n, r, p).map_err(|_| refused)
    }
}

/// nacl/secretbox: XSalsa20 whose first 32 bytes of key stream are the Poly1305 key.
///
/// Construction: <https://nacl.cr.yp.to/secretbox.html>.
struct Secretbox {
    stream: XSalsa20,
    tag_key: Zeroizing<[u8; 32]>,
}

impl Secretbox {
    fn new(key: &[u8; 32], nonce: &[u8]) -> Result<Self, KeyFileError> {
        let mut stream = XSalsa20::new_from_slices(key, nonce).map_err(|_| KeyFileError::Size { field: "nonce" })?;
        let mut tag_key = Zeroizing::new([0; 32]);
        stream.apply_keystream(tag_key.as_mut_slice());
        Ok(Self { stream, tag_key })
    }

    fn tag(&self, ciphertext: &[u8]) -> [u8; TAG_BYTES] {
        Poly1305::new((&*self.tag_key).into()).compute_unpadded(ciphertext).into()
    }

    fn apply(&mut self, content: &mut [u8]) {
        self.stream.apply_keystream(content);
    }
}

const SCRYPT: &str = "scrypt";
const SECRETBOX: &str = "nacl/secretbox";
const NONCE_BYTES: usize = 24;
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// What is written: cosign's parameters since 2.0. Before, N was 32768.
const WRITTEN: Parameters = Parameters { n: 65536, r: 8, p: 1 };

/// The most memory a derivation may take; a key file that asks for more is a memory bomb.
const MAX_SCRYPT_BYTES: u64 = 64 * 1024 * 1024;
/// The most passes a derivation may take; stops a key file that computes for hours.
const MAX_PARALLELISM: u32 = 4;
/// The longest salt read.
const MAX_SALT_BYTES: usize = 1024;
