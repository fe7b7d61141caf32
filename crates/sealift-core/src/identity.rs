//! Who may have signed, and who did.

use std::fmt;

use crate::crypto::PublicKey;

/// Whose signature counts. Never empty: there is no default, and "anyone" must be spelled out.
#[derive(Clone, Debug)]
pub struct IdentityMatcher {
    accepted: Accepted,
}

#[derive(Clone, Debug)]
enum Accepted {
    Any,
    Keys(Vec<PublicKey>),
}

impl IdentityMatcher {
    /// Accepts signatures by any of `keys`.
    ///
    /// # Errors
    /// [`EmptyIdentity`] when there is no key: nobody is not anybody.
    pub fn keys(keys: Vec<PublicKey>) -> Result<Self, EmptyIdentity> {
        if keys.is_empty() {
            return Err(EmptyIdentity);
        }
        Ok(Self { accepted: Accepted::Keys(keys) })
    }

    /// Accepts a signature whoever made it, as long as what came along says who: a certificate. A signature made with
    /// a bare key names nobody, so none verifies under this matcher.
    pub fn any_identity_unsafe() -> Self {
        Self { accepted: Accepted::Any }
    }

    /// Returns the keys accepted; none when identities are not keys.
    pub fn accepted_keys(&self) -> &[PublicKey] {
        match &self.accepted {
            Accepted::Any => &[],
            Accepted::Keys(keys) => keys,
        }
    }
}

/// A matcher without a single identity was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no identity is given whose signature counts")]
pub struct EmptyIdentity;

/// Who signed, as verified.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Identity {
    /// Whoever holds a key.
    Key {
        /// SHA-256 of the public key in base64: what a bundle's hint says.
        key_id: String,
        /// The same in hexadecimal.
        fingerprint: String,
    },
}

impl Identity {
    /// Returns the identity of a key's holder.
    pub fn of_key(key: &PublicKey) -> Self {
        Self::Key { key_id: key.key_id(), fingerprint: key.fingerprint() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { fingerprint, .. } => write!(f, "key sha256:{fingerprint}"),
        }
    }
}
