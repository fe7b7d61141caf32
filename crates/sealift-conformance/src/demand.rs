//! Whose signature is demanded, and on what terms.

use sealift_core::crypto::PublicKey;
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::pattern::Pattern;
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{LogRequirement, Requirements, Verifier};
use sealift_keyless::trust::{TrustMaterial, public_good};

use crate::arguments::{Arguments, read};
use crate::error::ClientError;

/// Options common to the verifying verbs.
pub(crate) const OPTIONS: [&str; 4] =
    ["--key", "--certificate-identity", "--certificate-oidc-issuer", "--trusted-root"];

/// Returns who may have signed: the holder of `--key`, or exactly the identity and issuer named.
pub(crate) fn identity(arguments: &Arguments) -> Result<IdentityMatcher, ClientError> {
    if let Some(path) = arguments.option("--key")? {
        return Ok(IdentityMatcher::keys(vec![PublicKey::from_pem(&read(path)?)?])?);
    }
    let subject = Pattern::exact(arguments.required("--certificate-identity")?);
    let issuer = Pattern::exact(arguments.required("--certificate-oidc-issuer")?);
    Ok(IdentityMatcher::certificates(vec![CertificateIdentity::new(subject, issuer)])?)
}

/// Returns the verifier: the suites demand a log entry of keys, too.
pub(crate) fn verifier(arguments: &Arguments, log: LogRequirement) -> Result<Verifier, ClientError> {
    let trust = trust_root(arguments)?;
    Ok(Verifier::new(Requirements::default().with_transparency_log(log)).with_trust_root(trust))
}

/// Returns the trust root given, or that of the public-good instance.
pub(crate) fn trust_root(arguments: &Arguments) -> Result<TrustRoot, ClientError> {
    match arguments.option("--trusted-root")? {
        Some(path) => Ok(TrustRoot::parse(&read(path)?)?),
        None => Ok(TrustMaterial::embedded(&public_good())?.trust_root),
    }
}
