//! One certificate.

use std::fmt;
use std::sync::Arc;

use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints, SubjectAltName};

use super::{UnixTime, Validity};
use crate::crypto::{KeyError, PublicKey, SignatureScheme};

/// The largest certificate read; Fulcio's take 2 KiB. Stops gigabytes of names.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// The most certificates in one PEM file.
const MAX_PEM_CERTIFICATES: usize = 64;
/// The most names of one certificate that are looked at.
const MAX_NAMES: usize = 64;

/// A certificate that could be parsed; nothing about it is verified. Two are equal when their bytes are.
#[derive(Clone)]
pub struct Certificate {
    der: Arc<[u8]>,
    inner: Arc<x509_cert::Certificate>,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// When it is too large, not DER, or has anything behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLarge { limit: MAX_CERTIFICATE_BYTES });
        }
        let inner = x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        // What is verified must be what was received: a second encoding of the same content is refused.
        if inner.to_der().ok().as_deref() != Some(der) {
            return Err(CertificateError::Malformed);
        }
        Ok(Self { der: der.into(), inner: Arc::new(inner) })
    }

    /// Reads one or more PEM blocks `CERTIFICATE`, in their order.
    ///
    /// # Errors
    /// When there is none, too many, or one is malformed.
    pub fn chain_from_pem(text: &str) -> Result<Vec<Self>, CertificateError> {
        let begun = text.matches(BEGIN).take(MAX_PEM_CERTIFICATES + 1).count();
        if begun > MAX_PEM_CERTIFICATES {
            return Err(CertificateError::TooMany { limit: MAX_PEM_CERTIFICATES });
        }
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::Pem)?;
        // The parser passes over what it cannot read: a chain that lost a certificate is another chain.
        let is_read_whole = begun > 0
            && blocks.len() == begun
            && text.trim_end().ends_with(END)
            && blocks.iter().all(|block| block.tag() == LABEL && block.headers().iter().next().is_none());
        if !is_read_whole {
            return Err(CertificateError::Pem);
        }
        blocks.iter().map(|block| Self::from_der(block.contents())).collect()
    }

    /// Returns the encoding as received.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the certificate as one PEM block `CERTIFICATE`.
    pub fn to_pem(&self) -> String {
        crate::crypto::to_pem("CERTIFICATE", &self.der)
    }

    /// Returns the key it certifies.
    ///
    /// # Errors
    /// When the key is of an unknown algorithm or malformed.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_der(&self.public_key_info())
    }

    /// Returns the DER SubjectPublicKeyInfo.
    pub fn public_key_info(&self) -> Vec<u8> {
        self.inner.tbs_certificate().subject_public_key_info().to_der().unwrap_or_default()
    }

    /// Returns when it may be used, by its own word.
    pub fn validity(&self) -> Validity {
        let validity = self.inner.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| {
            UnixTime::try_from(time.to_unix_duration().as_secs()).unwrap_or(UnixTime::MAX)
        };
        Validity::new(seconds(validity.not_before), Some(seconds(validity.not_after)))
    }

    /// Says whether issuer and subject have the same name.
    pub fn is_self_issued(&self) -> bool {
        let tbs = self.inner.tbs_certificate();
        tbs.issuer() == tbs.subject()
    }

    /// Says whether it calls itself an authority.
    pub fn is_authority(&self) -> bool {
        self.extension_value::<BasicConstraints>().is_some_and(|(_, constraints)| constraints.ca)
    }

    /// Says whether it may issue certificates: a name, critical basic constraints, and the key usage for it (RFC 5280
    /// sections 4.1.2.6, 4.2.1.3 and 4.2.1.9).
    pub fn may_issue(&self) -> bool {
        let is_critical_authority = self
            .extension_value::<BasicConstraints>()
            .is_some_and(|(critical, constraints)| critical && constraints.ca);
        let has_name = !self.inner.tbs_certificate().subject().is_empty();
        is_critical_authority && has_name && self.has_key_usage(KeyUsages::KeyCertSign)
    }

    /// Says whether it has what RFC 5280 forbids to everyone: no serial number, or an authority's powers without being
    /// one.
    pub(super) fn is_irregular(&self) -> bool {
        let tbs = self.inner.tbs_certificate();
        let has_no_serial = tbs.serial_number().as_bytes().iter().all(|byte| *byte == 0);
        let has_powers = self.has_key_usage(KeyUsages::KeyCertSign) || self.extension(NAME_CONSTRAINTS).is_some();
        has_no_serial || has_powers && !self.is_authority()
    }

    /// Says whether it limits the names of those it issues for, and says none, or not understandably: what it means to
    /// keep out would get in (RFC 5280 section 4.2.1.10 forbids it).
    pub(super) fn has_void_name_constraints(&self) -> bool {
        let Some((_, value)) = self.extension(NAME_CONSTRAINTS) else { return false };
        let Ok(constraints) = NameConstraints::from_der(value) else { return true };
        let subtrees = [constraints.permitted_subtrees, constraints.excluded_subtrees];
        subtrees.into_iter().flatten().all(|subtrees| subtrees.is_empty())
    }

    /// Says whether it marks an extension as critical that is not understood here; asked of roots, of which a path
    /// takes name and key alone.
    pub(super) fn has_unknown_critical_extension(&self) -> bool {
        let extensions = self.inner.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice);
        extensions.iter().any(|extension| extension.critical && !UNDERSTOOD.contains(&extension.extn_id))
    }

    /// Says whether its key may sign messages.
    pub fn may_sign(&self) -> bool {
        self.has_key_usage(KeyUsages::DigitalSignature)
    }

    /// Says whether it is made for code signing and nothing that contradicts it.
    pub fn is_for_code_signing(&self) -> bool {
        self.extended_key_usage().is_some_and(|(_, purposes)| purposes.contains(&CODE_SIGNING))
    }

    /// Says whether it is made for time-stamping alone, as RFC 3161 section 2.3 demands.
    pub fn is_for_time_stamping(&self) -> bool {
        self.extended_key_usage().is_some_and(|(critical, purposes)| critical && purposes == [TIME_STAMPING])
    }

    fn extended_key_usage(&self) -> Option<(bool, Vec<ObjectIdentifier>)> {
        self.extension_value::<ExtendedKeyUsage>().map(|(critical, usage)| (critical, usage.0))
    }

    fn has_key_usage(&self, usage: KeyUsages) -> bool {
        self.extension_value::<KeyUsage>().is_some_and(|(_, usages)| usages.0.contains(usage))
    }

    fn extension_value<'a, T>(&'a self) -> Option<(bool, T)>
    where
        T: Decode<'a> + x509_cert::der::oid::AssociatedOid,
    {
        self.inner.tbs_certificate().get_extension::<T>().ok().flatten()
    }

    /// Returns whether an extension is critical, and its value.
    pub fn extension(&self, id: ObjectIdentifier) -> Option<(bool, &[u8])> {
        let extensions = self.inner.tbs_certificate().extensions()?;
        let mut found = extensions.iter().filter(|extension| extension.extn_id == id);
        let extension = found.next()?;
        // Twice is never (RFC 5280 section 4.2), and two readers could take different ones.
        found.next().is_none().then(|| (extension.critical, extension.extn_value.as_bytes()))
    }

    /// Returns the alternative names of its subject that name somebody who signs.
    ///
    /// # Errors
    /// [`CertificateError::Names`] when the extension is malformed or names are beyond counting.
    pub fn subject_names(&self) -> Result<Vec<SubjectName>, CertificateError> {
        let tbs = self.inner.tbs_certificate();
        let names = tbs.get_extension::<SubjectAltName>().map_err(|_| CertificateError::Names)?;
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        if names.len() > MAX_NAMES {
            return Err(CertificateError::Names);
        }
        names.iter().filter_map(|name| SubjectName::of(name).transpose()).collect()
    }

    /// Says whether `issuer` has its issuer's name and signed it; nothing else about either.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> bool {
        let tbs = self.inner.tbs_certificate();
        let scheme = SignatureScheme::of_certificate(self.inner.signature_algorithm().oid);
        let (Some(scheme), Ok(signed), Some(signature)) = (scheme, tbs.to_der(), self.inner.signature().as_bytes())
        else {
            return false;
        };
        tbs.issuer() == issuer.inner.tbs_certificate().subject()
            && tbs.signature() == self.inner.signature_algorithm()
            && scheme.is_valid(&issuer.public_key_info(), &signed, signature)
    }

    /// Returns how many authorities may follow it on a path; `None` when any number may.
    pub(super) fn path_length(&self) -> Option<usize> {
        let (_, constraints) = self.extension_value::<BasicConstraints>()?;
        constraints.path_len_constraint.map(usize::from)
    }

    /// Says whether it limits the names, or the purposes, of what it issues in a way that code signing is outside of.
    pub(super) fn constrains_code_signing(&self) -> bool {
        let has_other_purpose =
            self.extended_key_usage().is_some_and(|(_, purposes)| !purposes.contains(&CODE_SIGNING));
        has_other_purpose || self.extension(NAME_CONSTRAINTS).is_some()
    }

    /// Returns the encoding that certificate transparency signs: the certificate without `extension` (RFC 6962
    /// section 3.2).
    pub(crate) fn tbs_without(&self, extension: ObjectIdentifier) -> Option<Vec<u8>> {
        super::sct::without_extension(&self.inner.tbs_certificate().to_der().ok()?, extension)
    }

    /// Says whether a CMS `IssuerAndSerialNumber` names it.
    pub(crate) fn has_issuer_and_serial(&self, issuer: &[u8], serial: &[u8]) -> bool {
        let tbs = self.inner.tbs_certificate();
        tbs.issuer().to_der().is_ok_and(|found| found == issuer)
            && tbs.serial_number().to_der().is_ok_and(|found| found == serial)
    }

    /// Says whether its key identifier is `id`.
    pub(crate) fn has_key_identifier(&self, id: &[u8]) -> bool {
        self.extension_value::<x509_cert::ext::pkix::SubjectKeyIdentifier>()
            .is_some_and(|(_, found)| found.0.as_bytes() == id)
    }

    /// Returns the subject as text, such as `CN=sigstore,O=sigstore.dev`; for messages, never compared.
    pub fn subject(&self) -> String {
        crate::repository::foreign_text(&self.inner.tbs_certificate().subject().to_string())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject())
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// A name of a certificate's subject.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum SubjectName {
    /// A host.
    Dns(String),
    /// A mail address.
    Email(String),
    /// A user name in the form Fulcio writes it, `name!domain`.
    OtherName(String),
    /// A URI, such as that of a workflow.
    Uri(String),
}

impl SubjectName {
    fn of(name: &GeneralName) -> Result<Option<Self>, CertificateError> {
        Ok(Some(match name {
            GeneralName::DnsName(name) => Self::Dns(name.as_str().to_owned()),
            GeneralName::Rfc822Name(name) => Self::Email(name.as_str().to_owned()),
            GeneralName::UniformResourceIdentifier(name) => Self::Uri(name.as_str().to_owned()),
            GeneralName::OtherName(name) if name.type_id == FULCIO_USER_NAME => {
                let text: Utf8StringRef<'_> = name.value.decode_as().map_err(|_| CertificateError::Names)?;
                Self::OtherName(text.as_str().to_owned())
            }
            _ => return Ok(None),
        }))
    }

    /// Returns the name alone.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(text) | Self::Email(text) | Self::OtherName(text) | Self::Uri(text) => text,
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repository::foreign_text(self.as_str()))
    }
}

/// Decodes the lines between the markers: whole lines of base64, one line's end between them and nothing else.
const LABEL: &str = "CERTIFICATE";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END CERTIFICATE-----";

/// `id-ce-nameConstraints`, RFC 5280 section 4.2.1.10.
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
/// Key usage, alternative names, basic constraints, name constraints, extended key usage: RFC 5280 section 4.2.1.
const UNDERSTOOD: [ObjectIdentifier; 5] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    NAME_CONSTRAINTS,
    ObjectIdentifier::new_unwrap("2.5.29.37"),
];
/// `id-kp-codeSigning`, RFC 5280 section 4.2.1.12.
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// `id-kp-timeStamping`, the same section.
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Fulcio's user names: <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>.
const FULCIO_USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// Says why bytes are not a certificate this crate takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The key is of an unknown algorithm, or malformed.
    #[error("the certificate's key is unusable")]
    Key,
    /// The encoding is not DER, or something follows it.
    #[error("the certificate is malformed")]
    Malformed,
    /// The names are malformed or too many.
    #[error("the names of the certificate's subject are malformed")]
    Names,
    /// The text is not PEM certificates.
    #[error("the text is not a series of PEM blocks `CERTIFICATE`")]
    Pem,
    /// It is larger than any certificate.
    #[error("the certificate has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// There are too many.
    #[error("there are more than {limit} certificates")]
    TooMany {
        /// Most certificates.
        limit: usize,
    },
}
