//! Who may have signed, and who did.

use std::collections::BTreeMap;
use std::fmt;

use crate::crypto::PublicKey;
use crate::pattern::Pattern;
use crate::x509::{FulcioExtension, FulcioExtensions, Validity};

/// Whose signature counts. Never empty: there is no default, and "anyone" must be spelled out.
#[derive(Clone, Debug)]
pub struct IdentityMatcher {
    anyone: bool,
    keys: Vec<PublicKey>,
    /// When the key with this fingerprint may have signed; without an entry, ever.
    key_validity: BTreeMap<String, Validity>,
    certificates: Vec<CertificateIdentity>,
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
        Ok(Self { anyone: false, keys, key_validity: BTreeMap::new(), certificates: Vec::new() })
    }

    /// Accepts signatures by a key, made at proven times within `validity` only.
    pub fn key_within(key: PublicKey, validity: Validity) -> Self {
        let key_validity = [(key.fingerprint(), validity)].into();
        Self { anyone: false, keys: vec![key], key_validity, certificates: Vec::new() }
    }

    /// Accepts signatures made with a certificate that any of `identities` describes.
    ///
    /// # Errors
    /// [`EmptyIdentity`] when there is none.
    pub fn certificates(identities: Vec<CertificateIdentity>) -> Result<Self, EmptyIdentity> {
        if identities.is_empty() {
            return Err(EmptyIdentity);
        }
        Ok(Self { anyone: false, keys: Vec::new(), key_validity: BTreeMap::new(), certificates: identities })
    }

    /// Accepts a signature whoever made it, as long as what came along says who: a certificate. A signature made with
    /// a bare key names nobody, so none verifies under this matcher.
    pub fn any_identity_unsafe() -> Self {
        Self { anyone: true, keys: Vec::new(), key_validity: BTreeMap::new(), certificates: Vec::new() }
    }

    /// Accepts what either accepts.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.anyone |= other.anyone;
        self.keys.extend(other.keys);
        self.key_validity.extend(other.key_validity);
        self.certificates.extend(other.certificates);
        self
    }

    /// Returns the keys accepted; none when identities are not keys.
    pub fn accepted_keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Returns when `key` may have signed; `None` when that does not matter.
    pub(crate) fn validity_of(&self, key: &PublicKey) -> Option<Validity> {
        self.key_validity.get(&key.fingerprint()).copied()
    }

    /// Says whether a certificate can be accepted at all.
    pub fn accepts_certificates(&self) -> bool {
        self.anyone || !self.certificates.is_empty()
    }

    /// Returns the signer that is named exactly, a key or a name with its issuer, where no other is accepted; its
    /// extensions are left open.
    pub fn only_signer(&self) -> Option<Identity> {
        match (self.anyone, self.keys.as_slice(), self.certificates.as_slice()) {
            (false, [key], []) => Some(Identity::of_key(key)),
            (false, [], [CertificateIdentity { subject, issuer, .. }]) => Some(Identity::Certificate {
                subject: subject.only_name()?.to_owned(),
                issuer: Some(issuer.only_name()?.to_owned()),
                extensions: FulcioExtensions::default(),
            }),
            _ => None,
        }
    }

    /// Says whether a verified signer is one of those accepted.
    pub fn accepts(&self, signer: &Identity) -> bool {
        match signer {
            Identity::Key { fingerprint, .. } => self.keys.iter().any(|key| key.fingerprint() == *fingerprint),
            Identity::Certificate { subject, extensions, .. } => {
                self.accepted_name(std::slice::from_ref(subject), extensions).is_some()
            }
        }
    }

    /// Says whether a certificate with these names, issuer and extensions is accepted; returns the name that was.
    pub(crate) fn accepted_name<'a>(&self, names: &'a [String], extensions: &FulcioExtensions) -> Option<&'a str> {
        if self.anyone {
            return Some(names.first().map_or("", String::as_str));
        }
        self.certificates.iter().find_map(|identity| identity.matching_name(names, extensions))
    }
}

/// A description of certificates: every part must fit.
#[derive(Clone, Debug)]
pub struct CertificateIdentity {
    subject: Pattern,
    issuer: Pattern,
    extensions: Vec<(FulcioExtension, Pattern)>,
}

impl CertificateIdentity {
    /// Describes certificates of `subject` (a mail address, a workflow's URI, a user name) whose identity `issuer`
    /// vouched for. One without the other is nobody: anyone can run an issuer that vouches for any name.
    pub fn new(subject: Pattern, issuer: Pattern) -> Self {
        Self { subject, issuer, extensions: Vec::new() }
    }

    /// Returns the description that also demands `extension` to fit `pattern`.
    #[must_use]
    pub fn with_extension(mut self, extension: FulcioExtension, pattern: Pattern) -> Self {
        self.extensions.push((extension, pattern));
        self
    }

    fn matching_name<'a>(&self, names: &'a [String], extensions: &FulcioExtensions) -> Option<&'a str> {
        let has_issuer = extensions.issuer().is_some_and(|issuer| self.issuer.matches(issuer));
        let has_extensions = self
            .extensions
            .iter()
            .all(|(extension, pattern)| extensions.value(*extension).is_some_and(|value| pattern.matches(value)));
        let name = names.iter().find(|name| self.subject.matches(name));
        name.filter(|_| has_issuer && has_extensions).map(String::as_str)
    }
}

/// A matcher without a single identity was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no identity is given whose signature counts")]
pub struct EmptyIdentity;

/// Who signed, as verified.
///
/// Two signatures may be by the same signer although not everything here is equal: see [`Identity::is_same_signer`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Identity {
    /// Whoever an issuer vouched for.
    Certificate {
        /// The name that was accepted; empty when any was and there is none.
        subject: String,
        /// The OIDC issuer, where the certificate names one.
        issuer: Option<String>,
        /// Everything that the authority wrote about the token.
        extensions: FulcioExtensions,
    },
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

    /// Says whether both are the same signer: one key, or one name by one issuer, whatever the run or commit.
    pub fn is_same_signer(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key { fingerprint: one, .. }, Self::Key { fingerprint: other, .. }) => one == other,
            (
                Self::Certificate { subject, issuer, .. },
                Self::Certificate { subject: other_subject, issuer: other_issuer, .. },
            ) => subject == other_subject && issuer == other_issuer,
            _ => false,
        }
    }

    /// Says whether both may be one person, or one machine, so that together they are no two who agree.
    ///
    /// One signer is one person. So is a mail address, in any case and whoever vouches for it, and a workflow of a
    /// repository, whatever branch or tag it ran on: who may push chooses that. A person's key and certificate cannot be
    /// known to be theirs.
    pub fn is_same_person(&self, other: &Self) -> bool {
        let (Self::Certificate { subject: one, .. }, Self::Certificate { subject: two, .. }) = (self, other) else {
            return self.is_same_signer(other);
        };
        let is_mail = |name: &str| name.contains('@') && !name.contains("://");
        match (workflow(one), workflow(two)) {
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
            _ if is_mail(one) => one.eq_ignore_ascii_case(two),
            _ => self.is_same_signer(other),
        }
    }
}

/// Returns a workflow's name without the reference that it ran on, as GitHub and GitLab write it:
/// `https://github.com/owner/name/.github/workflows/release.yml@refs/heads/main`, and
/// `https://gitlab.com/group/name//.gitlab-ci.yml@refs/heads/main`. `None` for any other name.
fn workflow(name: &str) -> Option<&str> {
    // GitHub names a workflow that others call by the reference they call it with, which may be a commit.
    let ends = [".yml@", ".yaml@", "@refs/"].iter().filter_map(|end| Some(name.find(end)? + end.find('@')?));
    ends.min().filter(|_| name.contains("://")).map(|end| &name[..end])
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { subject, issuer, .. } => {
                let subject = crate::repository::foreign_text(subject);
                let issuer = issuer.as_deref().map(crate::repository::foreign_text);
                write!(f, "{subject}")?;
                issuer.map_or(Ok(()), |issuer| write!(f, " (by {issuer})"))
            }
            Self::Key { fingerprint, .. } => write!(f, "key sha256:{fingerprint}"),
        }
    }
}
