//! Signers: keys, and descriptions of certificates.

use std::collections::BTreeMap;
use std::path::Path;

use sealift_core::crypto::PublicKey;
use sealift_core::document::{DocumentError, Entry};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::pattern::Pattern;
use sealift_core::x509::FulcioExtension;

use super::{KeyFileError, MAX_SIGNERS, bounded, fields};
use crate::quorum::Signer;

/// Reads the key files that a document names.
pub(super) type KeyReader<'a> = dyn FnMut(&Path) -> Result<Vec<u8>, KeyFileError> + 'a;

/// Reads the signers that have a name.
pub(super) fn read_named(
    entry: &Entry<'_>,
    read_key: &mut KeyReader<'_>,
) -> Result<BTreeMap<String, Signer>, DocumentError> {
    let mut signers = BTreeMap::new();
    for (name, entry) in entry.named(MAX_SIGNERS)? {
        signers.insert(name.to_owned(), Signer { name: name.to_owned(), identities: read(&entry, read_key)?.1 });
    }
    Ok(signers)
}

/// Reads a signer: a name, or a description on the spot.
pub(super) fn read_reference(
    entry: &Entry<'_>,
    named: &BTreeMap<String, Signer>,
    read_key: &mut KeyReader<'_>,
) -> Result<Signer, DocumentError> {
    if entry.is_mapping() {
        let (name, identities) = read(entry, read_key)?;
        return Ok(Signer { name, identities });
    }
    let expected = || match named.keys().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => "a signer: a mapping with `key` or `identity`, as the document names no signers".to_owned(),
        names => format!("a signer: one of {}, or a mapping with `key` or `identity`", names.join(", ")),
    };
    let name = entry.text(&expected())?;
    named.get(name).cloned().ok_or_else(|| entry.expected(expected()))
}

/// Reads a description of a signer, and returns it with a name for findings.
fn read(entry: &Entry<'_>, read_key: &mut KeyReader<'_>) -> Result<(String, IdentityMatcher), DocumentError> {
    let one = entry.fields(fields::SIGNER)?.one(fields::SIGNER)?;
    match one {
        ("key", entry) => {
            let key = read_public_key(&entry, read_key)?;
            let name = format!("key sha256:{}", key.fingerprint());
            let identities = IdentityMatcher::keys(vec![key]);
            Ok((name, identities.map_err(|error| entry.refused("the key is not usable", error))?))
        }
        (_, entry) => read_identity(&entry),
    }
}

fn read_public_key(entry: &Entry<'_>, read_key: &mut KeyReader<'_>) -> Result<PublicKey, DocumentError> {
    let text = entry.text("a public key: PEM text, or the path of a PEM file")?;
    let pem = if text.trim_start().starts_with("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        read_key(Path::new(text)).map_err(|error| entry.refused("the key file cannot be read", error))?
    };
    PublicKey::from_pem(&pem).map_err(|error| entry.refused("the key is not usable", error))
}

fn read_identity(entry: &Entry<'_>) -> Result<(String, IdentityMatcher), DocumentError> {
    let identity = entry.fields(fields::IDENTITY)?;
    let subject = read_pattern(&identity.required("subject")?, "a subject, such as a mail address")?;
    let issuer = read_pattern(&identity.required("issuer")?, "an issuer, as a URL")?;
    let name = format!("{subject} (by {issuer})");
    let mut certificate = CertificateIdentity::new(subject, issuer);
    let claims = identity.optional("claims").map(|claims| claims.named(MAX_CLAIMS)).transpose()?;
    for (name, entry) in claims.unwrap_or_default() {
        let extension: FulcioExtension =
            name.parse().map_err(|error| entry.refused("not a certificate's claim", error))?;
        certificate = certificate.with_extension(extension, read_pattern(&entry, "a claim's value")?);
    }
    let identities = IdentityMatcher::certificates(vec![certificate]);
    Ok((name, identities.map_err(|error| entry.refused("the identity is not usable", error))?))
}

/// Reads a pattern over whole names: text is compared exactly, and `glob` or `regexp` say that it is more.
fn read_pattern(entry: &Entry<'_>, expected: &str) -> Result<Pattern, DocumentError> {
    if !entry.is_mapping() {
        return bounded(entry, expected).map(Pattern::exact);
    }
    match entry.fields(fields::PATTERN)?.one(fields::PATTERN)? {
        ("glob", entry) => bounded(&entry, "a pattern with `*`, `**` and `?`").map(Pattern::glob),
        (_, entry) => Pattern::regex(bounded(&entry, "a regular expression")?)
            .map_err(|error| entry.refused("the expression is not usable", error)),
    }
}

/// The most claims demanded of one certificate; there are about twenty.
const MAX_CLAIMS: usize = 32;
