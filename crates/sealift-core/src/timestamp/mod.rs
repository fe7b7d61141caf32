//! RFC 3161 timestamps: an authority's word that it saw a signature at some time.
//!
//! Never believes the certificates that came along: which of them signed is said by the token's `SignerInfo`, and whom
//! to trust by the trust root. Choosing the first certificate of the bag is how planted ones passed (CVE-2026-39984).
//! Specification: <https://www.rfc-editor.org/rfc/rfc3161> and <https://www.rfc-editor.org/rfc/rfc5652>.

use x509_cert::der::asn1::ObjectIdentifier;

use crate::crypto::SignatureScheme;
use crate::oci::{Digest, DigestAlgorithm};
use crate::trust::Authority;
use crate::x509::{Certificate, ChainError, UnixTime, Usage, verify_chain};

mod token;

use token::{Input, SignerId, Token};

/// The largest response read; those with a full chain take 6 KiB. Stops megabytes of certificates.
pub const MAX_TIMESTAMP_BYTES: usize = 64 * 1024;

/// A parsed timestamp response; nothing about it is verified.
#[derive(Clone, Debug)]
pub struct TimestampResponse(Token);

impl TimestampResponse {
    /// Reads a DER `TimeStampResp` that grants a token.
    ///
    /// # Errors
    /// [`TimestampError::Malformed`], [`TimestampError::Refused`], or what is beyond this crate.
    pub fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        if der.len() > MAX_TIMESTAMP_BYTES {
            return Err(TimestampError::TooLarge { limit: MAX_TIMESTAMP_BYTES });
        }
        Token::parse_response(der).map(Self)
    }

    /// Returns the time it states, which means nothing before [`TimestampResponse::verify`].
    pub fn stated_time(&self) -> UnixTime {
        self.0.time
    }

    /// Returns the digest it is over.
    pub fn imprint(&self) -> &Digest {
        &self.0.imprint
    }

    /// Returns the nonce, big-endian: a requester that sent one must get it back.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.0.nonce.as_deref()
    }

    /// Verifies that `authority` signed the token over `message`, while it was trusted.
    ///
    /// If the authority's own certificate is the first of its chain, no other may have signed; and its window is its
    /// own: no other authority's lends it time.
    ///
    /// # Errors
    /// [`TimestampError::OtherAuthority`] when somebody else signed; the others are about this authority's token.
    pub fn verify(&self, message: &[u8], authority: &Authority) -> Result<VerifiedTimestamp, TimestampError> {
        let token = &self.0;
        let signer = self.signer(authority.chain())?;
        if Digest::of(token.imprint.algorithm(), message) != token.imprint {
            return Err(TimestampError::Imprint);
        }
        token.refuse_unbound(signer)?;
        let scheme = SignatureScheme::of_signer_info(token.signature_algorithm, token.digest_algorithm)
            .ok_or_else(|| TimestampError::Algorithm { oid: token.signature_algorithm.to_string() })?;
        let signer_key_info = signer.public_key_info();
        if !scheme.is_valid(&signer_key_info, &token.signed_attributes, &token.signature) {
            return Err(TimestampError::Signature);
        }
        let (root, issuers) = authority.root_and_issuers();
        let mut candidates: Vec<Certificate> = issuers.iter().filter(|issuer| issuer.is_authority()).cloned().collect();
        if authority.accepts_other_issuers() {
            candidates.extend(token.certificates.iter().filter(|found| found.is_authority()).cloned());
        }
        verify_chain(signer, &candidates, root, token.time, Usage::TimeStamping).map_err(TimestampError::Chain)?;
        if !authority.validity().contains(token.time) {
            return Err(TimestampError::OutsideWindow { time: token.time });
        }
        Ok(VerifiedTimestamp { time: token.time, signer_key_info })
    }

    /// Returns the certificate that the `SignerInfo` names.
    fn signer<'a>(&'a self, chain: &'a [Certificate]) -> Result<&'a Certificate, TimestampError> {
        let is_named = |certificate: &&Certificate| match &self.0.signer {
            SignerId::IssuerAndSerial { issuer, serial } => certificate.has_issuer_and_serial(issuer, serial),
            SignerId::KeyIdentifier(id) => certificate.has_key_identifier(id),
        };
        if let Some(own) = chain.first().filter(|first| !first.is_authority()) {
            let own = Some(own).filter(is_named).ok_or(TimestampError::OtherAuthority)?;
            // Nothing signs the bag: a certificate in it that the trust root does not know was planted.
            let is_clean = self.0.certificates.iter().all(|found| chain.contains(found));
            return if is_clean { Ok(own) } else { Err(TimestampError::ForeignCertificate) };
        }
        self.0.certificates.iter().find(is_named).ok_or(TimestampError::NoSignerCertificate)
    }
}

/// What a verified timestamp proves.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VerifiedTimestamp {
    /// Seconds since the epoch.
    pub time: UnixTime,
    /// DER SubjectPublicKeyInfo of the key that signed: two timestamps by one key are one authority's.
    pub signer_key_info: Vec<u8>,
}

impl Token {
    /// Checks the signed attributes: they must name this content and this signer (RFC 5652 section 11, RFC 5035).
    fn refuse_unbound(&self, signer: &Certificate) -> Result<(), TimestampError> {
        let content_type = self.attribute(CONTENT_TYPE)?;
        let is_token = Input::new(content_type).and_then(|mut input| input.object_identifier());
        if is_token.ok() != Some(token::TST_INFO) {
            return Err(TimestampError::Attribute { oid: CONTENT_TYPE });
        }
        let message_digest = self.attribute(MESSAGE_DIGEST)?;
        let stated = Input::new(message_digest).and_then(|mut input| input.octet_string());
        if stated.ok() != Some(Digest::of(self.digest_algorithm, &self.content).as_bytes()) {
            return Err(TimestampError::Attribute { oid: MESSAGE_DIGEST });
        }
        let is_named = match (self.attribute(SIGNING_CERTIFICATE_V2), self.attribute(SIGNING_CERTIFICATE)) {
            (Ok(value), _) => token::names_certificate_v2(value, signer),
            (_, Ok(value)) => token::names_certificate_v1(value, signer),
            (Err(error), _) => return Err(error),
        };
        if is_named { Ok(()) } else { Err(TimestampError::Attribute { oid: SIGNING_CERTIFICATE_V2 }) }
    }
}

/// `id-contentType`, RFC 5652 section 11.1.
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// `id-messageDigest`, RFC 5652 section 11.2.
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// `id-aa-signingCertificate`, RFC 2634 section 5.4: SHA-1 alone.
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// `id-aa-signingCertificateV2`, RFC 5035 section 3.
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

fn digest_algorithm(oid: ObjectIdentifier) -> Result<DigestAlgorithm, TimestampError> {
    match oid {
        SHA256 => Ok(DigestAlgorithm::Sha256),
        SHA384 => Ok(DigestAlgorithm::Sha384),
        SHA512 => Ok(DigestAlgorithm::Sha512),
        oid => Err(TimestampError::Algorithm { oid: oid.to_string() }),
    }
}

/// `id-sha256`, RFC 5754 section 2.2.
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `id-sha384`, the same section.
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
/// `id-sha512`, the same section.
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// Says why a timestamp proves nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// A digest or signature algorithm is unknown, or does not fit the other.
    #[error("the timestamp uses algorithm {oid}, which is not supported here")]
    Algorithm {
        /// Object identifier of the algorithm.
        oid: String,
    },
    /// A signed attribute is missing, there twice, or says something else.
    #[error("the timestamp's signed attribute {oid} is missing or wrong")]
    Attribute {
        /// Object identifier of the attribute.
        oid: ObjectIdentifier,
    },
    /// The certificate of the authority does not verify at that time.
    #[error("the timestamp authority's certificate does not verify")]
    Chain(#[source] ChainError),
    /// It brings a certificate along that is not of its authority.
    #[error("the timestamp brings along a certificate that is not of its authority")]
    ForeignCertificate,
    /// It is over something else.
    #[error("the timestamp is over another signature")]
    Imprint,
    /// It is not a DER timestamp response with one signer.
    #[error("the timestamp response is malformed")]
    Malformed,
    /// No certificate is that of the signer named.
    #[error("no certificate is that of the timestamp's signer")]
    NoSignerCertificate,
    /// Another authority signed it.
    #[error("the timestamp is of another authority")]
    OtherAuthority,
    /// The time lies outside of the window in which the trust root trusts the authority.
    #[error("the timestamp authority is not trusted for {}", crate::x509::display_time(*.time))]
    OutsideWindow {
        /// The time, in seconds since the epoch.
        time: UnixTime,
    },
    /// The authority granted nothing.
    #[error("the timestamp authority refused, with status {status}")]
    Refused {
        /// `PKIStatus`.
        status: u8,
    },
    /// The signature does not verify.
    #[error("the timestamp's signature does not verify")]
    Signature,
    /// It is larger than any timestamp.
    #[error("the timestamp has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// No authority of the trust root made it.
    #[error("no trusted timestamp authority made the timestamp")]
    UnknownAuthority,
}
