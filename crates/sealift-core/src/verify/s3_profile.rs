//! Step 3: is the certificate that of an accepted identity?
//!
//! Purpose and usages of the key belong to the chain, step 1.

use super::VerifyError;
use crate::identity::{Identity, IdentityMatcher};
use crate::repository::foreign_text;
use crate::x509::{Certificate, FulcioExtensions};

pub(super) fn verify(leaf: &Certificate, identity: &IdentityMatcher) -> Result<Identity, VerifyError> {
    let names = leaf.subject_names().map_err(VerifyError::Certificate)?;
    let names: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
    let extensions = FulcioExtensions::of(leaf).map_err(VerifyError::Extensions)?;
    match identity.accepted_name(&names, &extensions) {
        Some(subject) => Ok(Identity::Certificate {
            subject: subject.to_owned(),
            issuer: extensions.issuer().map(str::to_owned),
            extensions,
        }),
        None => Err(VerifyError::WrongIdentity {
            subject: names.iter().map(|name| foreign_text(name)).collect(),
            issuer: extensions.issuer().map(foreign_text),
        }),
    }
}
