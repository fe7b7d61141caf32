//! Step 2: do certificate transparency logs know the certificate?

use std::collections::BTreeSet;

use super::{Requirements, VerifyError};
use crate::trust::TrustRoot;
use crate::x509::{Certificate, IssuerKey, SignedCertificateTimestamp};

/// Verifies every embedded timestamp of a known log; those of unknown logs count for nothing.
pub(super) fn verify(
    leaf: &Certificate,
    issuer: &IssuerKey,
    trust: &TrustRoot,
    requirements: &Requirements,
) -> Result<(), VerifyError> {
    if requirements.certificate_logs == 0 {
        return Ok(());
    }
    let mut logs = BTreeSet::new();
    for sct in SignedCertificateTimestamp::embedded_in(leaf).map_err(VerifyError::Sct)? {
        let known = trust.ctlogs.iter().filter(|log| log.id() == sct.log_id);
        let Some(log) = known.clone().find(|log| log.validity().contains(sct.time())) else {
            continue;
        };
        let data = sct.signed_data(leaf, issuer.as_der()).ok_or(VerifyError::SctSignature)?;
        log.key().verify(&data, &sct.signature).map_err(|_| VerifyError::SctSignature)?;
        logs.insert(sct.log_id);
    }
    let (required, found) = (requirements.certificate_logs, logs.len());
    if found < required { Err(VerifyError::SctThreshold { required, found }) } else { Ok(()) }
}
