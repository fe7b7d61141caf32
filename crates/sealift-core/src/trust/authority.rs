//! An authority: a chain of certificates, and when it is trusted.

use crate::x509::{Certificate, Validity};

/// The most certificates of one chain.
const MAX_CHAIN: usize = 16;

/// A certificate or timestamp authority.
#[derive(Clone, Debug)]
pub struct Authority {
    chain: Vec<Certificate>,
    uri: String,
    validity: Validity,
    other_issuers: bool,
}

impl Authority {
    /// Makes an authority of its certificates, the root last; a timestamp authority's own may come first.
    ///
    /// # Errors
    /// When the chain is empty, too long, or does not end in a root: an authority without certificates would lend its
    /// window to others.
    pub fn new(chain: Vec<Certificate>, uri: impl Into<String>, validity: Validity) -> Result<Self, AuthorityError> {
        let root = chain.last().ok_or(AuthorityError::Empty)?;
        if chain.len() > MAX_CHAIN {
            return Err(AuthorityError::TooLong { limit: MAX_CHAIN });
        }
        if !root.is_self_issued() || !root.is_authority() {
            return Err(AuthorityError::NoRoot { subject: root.subject() });
        }
        Ok(Self { chain, uri: uri.into(), validity, other_issuers: false })
    }

    /// Returns the same authority, also accepting issuers under its root that a signature brings along.
    ///
    /// Not for trust roots that list their issuers: there, one taken out of the list must be out.
    #[must_use]
    pub fn accepting_other_issuers(self) -> Self {
        Self { other_issuers: true, ..self }
    }

    /// Says whether issuers that a signature brings along may be part of the path.
    pub fn accepts_other_issuers(&self) -> bool {
        self.other_issuers
    }

    /// Returns the certificates, the root last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Returns the root, and the certificates in front of it.
    pub fn root_and_issuers(&self) -> (&[Certificate], &[Certificate]) {
        let (issuers, root) = self.chain.split_at(self.chain.len() - 1);
        (root, issuers)
    }

    /// Returns where the authority answers, as the trust root says; for messages.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns when it is trusted.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// Says why certificates are not an authority.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is no certificate.
    #[error("the authority has no certificates")]
    Empty,
    /// The last certificate is not a root.
    #[error("the last certificate of the authority, `{subject}`, is not a root")]
    NoRoot {
        /// Subject of the last certificate.
        subject: String,
    },
    /// There are too many.
    #[error("the authority has more than {limit} certificates")]
    TooLong {
        /// Most certificates.
        limit: usize,
    },
}
