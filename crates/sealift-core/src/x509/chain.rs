//! A certificate's chain up to a root, at one time.
//!
//! Paths are found and their signatures, validity, constraints and purposes checked by `webpki`, within its budgets
//! against endless paths; what it leaves out is checked here: key usages, and everything about the root itself, which
//! to `webpki` is a name and a key that never expire.

use std::cell::Cell;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath};

use super::{Certificate, UnixTime, Validity};

/// What the certificate at the chain's end was used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Usage {
    /// Nothing in particular: whether the path holds is all that is asked.
    Any,
    /// Signing artifacts, as Fulcio's certificates.
    CodeSigning,
    /// Time-stamping and nothing else.
    TimeStamping,
}

/// The DER SubjectPublicKeyInfo of whoever issued the certificate, as found on the verified path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerKey(Vec<u8>);

impl IssuerKey {
    /// Returns the encoding.
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

/// A path that was verified, from a certificate up to a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedChain {
    issuer: IssuerKey,
    validity: Validity,
}

impl VerifiedChain {
    /// Returns the key of the certificate's issuer.
    pub fn issuer(&self) -> &IssuerKey {
        &self.issuer
    }

    /// Returns the same, owned.
    pub fn into_issuer(self) -> IssuerKey {
        self.issuer
    }

    /// Says whether the same path holds at `time`: of all that makes it one, only the certificates' validity depends on
    /// the time.
    pub fn holds_at(&self, time: UnixTime) -> bool {
        self.validity.contains(time)
    }
}

/// Verifies `leaf` up to one of `roots`, as it stood at `time`.
///
/// Every certificate of the path, the root included, must have been valid at `time`, may issue, know all of its
/// critical extensions, and limit names only in ways that say which; `intermediates` are candidates and trusted for
/// nothing.
///
/// # Errors
/// [`ChainError`]: what is wrong with the leaf, or why no path leads to a root.
pub fn verify_chain(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    time: UnixTime,
    usage: Usage,
) -> Result<VerifiedChain, ChainError> {
    let seconds = u64::try_from(time).map_err(|_| ChainError::Expired { subject: leaf.subject(), time })?;
    if !leaf.validity().contains(time) {
        return Err(ChainError::Expired { subject: leaf.subject(), time });
    }
    let is_made_for = match usage {
        Usage::Any => true,
        Usage::CodeSigning => leaf.may_sign() && leaf.is_for_code_signing(),
        Usage::TimeStamping => leaf.may_sign() && leaf.is_for_time_stamping(),
    };
    if leaf.is_authority() {
        return Err(ChainError::AuthorityAsLeaf);
    }
    if leaf.is_irregular() {
        return Err(ChainError::Irregular { subject: leaf.subject() });
    }
    if !is_made_for {
        return Err(ChainError::Purpose { usage });
    }
    let leaf_der = CertificateDer::from(leaf.as_der());
    let root_ders: Vec<_> = roots.iter().map(|root| CertificateDer::from(root.as_der())).collect();
    let anchors: Vec<(TrustAnchor<'_>, &Certificate)> = root_ders
        .iter()
        .zip(roots)
        .map(|(der, root)| webpki::anchor_from_trusted_cert(der).map(|anchor| (anchor, root)).map_err(ChainError::Path))
        .collect::<Result<_, _>>()?;
    let trusted: Vec<_> = anchors.iter().map(|(anchor, _)| anchor.clone()).collect();
    let candidates: Vec<_> = intermediates.iter().map(|candidate| CertificateDer::from(candidate.as_der())).collect();
    let end_entity = EndEntityCert::try_from(&leaf_der).map_err(ChainError::Path)?;
    let validity = Cell::new(leaf.validity());
    let may_issue = |issuer: &Certificate| issuer.may_issue() && !issuer.has_void_name_constraints();
    let holds = |path: &VerifiedPath<'_>| {
        let root = anchors.iter().find(|(anchor, _)| anchor == path.anchor());
        // Roots as old as serial number 0 are in use; nothing is looked up by it.
        let is_root_good = |root: &Certificate| {
            may_issue(root) && root.validity().contains(time) && !root.has_unknown_critical_extension()
        };
        let (_, root) = root.filter(|(_, root)| is_root_good(root)).ok_or(webpki::Error::UnknownIssuer)?;
        let mut common = leaf.validity().overlap(root.validity());
        for found in path.intermediate_certificates() {
            let is_good = |candidate: &&Certificate| {
                *candidate.as_der() == *found.der() && may_issue(candidate) && !candidate.is_irregular()
            };
            let issuer = intermediates.iter().find(is_good).ok_or(webpki::Error::UnknownIssuer)?;
            common = common.overlap(issuer.validity());
        }
        // The last path looked at is the one that is returned.
        validity.set(common);
        Ok(())
    };
    let path = end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &trusted,
            &candidates,
            rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            Purpose(usage),
            None,
            Some(&holds),
        )
        .map_err(ChainError::Path)?;
    Ok(VerifiedChain { issuer: IssuerKey(path.issuer_spki().as_ref().to_vec()), validity: validity.get() })
}

/// Verifies a signer that calls itself an authority and may not issue, as model-signing's tool makes them.
///
/// `webpki` takes no authority for a signer, so the links are followed here, and more strictly: issuers may not
/// constrain names or purposes. For authorities of one's own only; no public one issues such certificates.
///
/// # Errors
/// As [`verify_chain`].
pub fn verify_authority_as_signer(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    time: UnixTime,
) -> Result<VerifiedChain, ChainError> {
    if !leaf.validity().contains(time) {
        return Err(ChainError::Expired { subject: leaf.subject(), time });
    }
    if leaf.may_issue() {
        return Err(ChainError::AuthorityAsLeaf);
    }
    if !leaf.may_sign() || !leaf.is_for_code_signing() {
        return Err(ChainError::Purpose { usage: Usage::CodeSigning });
    }
    let links = Links { intermediates, roots, time, budget: Cell::new(MAX_LINKS) };
    let issuer = links.issuer_to_root(leaf, 0).ok_or(ChainError::NoAuthority)?;
    // Which of several paths was followed is not kept, so it is followed anew for any other time.
    let validity = Validity::new(time, Some(time));
    Ok(VerifiedChain { issuer: IssuerKey(issuer.public_key_info()), validity })
}

/// What links are followed among.
struct Links<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    time: UnixTime,
    budget: Cell<usize>,
}

impl<'a> Links<'a> {
    /// Returns the issuer of `child` from which links lead to a root, with `below` authorities between it and the leaf.
    fn issuer_to_root(&self, child: &Certificate, below: usize) -> Option<&'a Certificate> {
        let is_issuer = |issuer: &&Certificate| self.is_issuer(issuer, child, below);
        self.roots.iter().find(is_issuer).or_else(|| {
            let mut issuers = self.intermediates.iter().filter(is_issuer);
            issuers.find(|issuer| self.issuer_to_root(issuer, below + 1).is_some())
        })
    }

    fn is_issuer(&self, issuer: &Certificate, child: &Certificate, below: usize) -> bool {
        let Some(budget) = self.budget.get().checked_sub(1) else { return false };
        self.budget.set(budget);
        issuer.may_issue()
            && issuer.validity().contains(self.time)
            && issuer.path_length().is_none_or(|length| below <= length)
            && !issuer.has_unknown_critical_extension()
            && !issuer.constrains_code_signing()
            && child.is_signed_by(issuer)
    }
}

/// The most links looked at; stops circles of authorities that sign each other (RUSTSEC-2023-0053).
const MAX_LINKS: usize = 100;

/// The leaf was asked already; issuers need no purpose, but must not have another one.
#[derive(Clone, Copy)]
struct Purpose(Usage);

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        match self.0 {
            Usage::Any => purposes.try_for_each(|purpose| purpose.map(drop)),
            Usage::CodeSigning => KeyUsage::required_if_present(CODE_SIGNING).validate(purposes),
            Usage::TimeStamping => KeyUsage::required_if_present(TIME_STAMPING).validate(purposes),
        }
    }
}

/// `id-kp-codeSigning` as DER content, RFC 5280 section 4.2.1.12.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// `id-kp-timeStamping`, the same.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// Says why a certificate's chain does not verify.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The certificate at the chain's end is an authority's.
    #[error("the certificate is an authority's, not a signer's")]
    AuthorityAsLeaf,
    /// The certificate was not valid at the time.
    #[error("the certificate of `{subject}` was not valid at {}", super::display_time(*.time))]
    Expired {
        /// Subject of the certificate.
        subject: String,
        /// The time, in seconds since the epoch.
        time: UnixTime,
    },
    /// The certificate has what no certificate may have.
    #[error("the certificate of `{subject}` has no serial number, or an authority's powers without being one")]
    Irregular {
        /// Subject of the certificate.
        subject: String,
    },
    /// No authority is trusted at that time.
    #[error("no authority that is trusted then issued the certificate")]
    NoAuthority,
    /// No path leads to a root.
    #[error("no path of valid certificates leads to a trusted root")]
    Path(#[source] webpki::Error),
    /// The certificate is made for something else.
    #[error("the certificate is not made for {}", match .usage { Usage::Any => "anything", Usage::CodeSigning => "code signing", Usage::TimeStamping => "time-stamping alone" })]
    Purpose {
        /// The use it was put to.
        usage: Usage,
    },
}
