//! Step 1: does the certificate lead to a trusted authority, at every proven time?

use super::VerifyError;
use crate::trust::{Authority, TrustRoot};
use crate::x509::{
    Certificate, ChainError, IssuerKey, UnixTime, Usage, VerifiedChain, verify_authority_as_signer, verify_chain,
};

/// The signer's certificate, and those that came with it.
pub(super) struct Presented {
    pub(super) leaf: Certificate,
    pub(super) others: Vec<Certificate>,
}

/// The most certificates looked at beside the signer's.
const MAX_OTHERS: usize = 16;

pub(super) fn parse(certificates: &[Vec<u8>]) -> Result<Presented, VerifyError> {
    let mut parsed = certificates.iter().take(MAX_OTHERS + 1).map(|der| Certificate::from_der(der));
    let leaf = parsed.next().ok_or(VerifyError::NoCertificate)?.map_err(VerifyError::Certificate)?;
    let others = parsed.collect::<Result<_, _>>().map_err(VerifyError::Certificate)?;
    Ok(Presented { leaf, others })
}

/// Returns the key of the issuer on the verified path.
///
/// One authority must do for all times: it is trusted then, and every certificate of its path was valid then, the
/// intermediate ones included (CVE-2026-24122).
pub(super) fn verify(presented: &Presented, times: &[UnixTime], trust: &TrustRoot) -> Result<IssuerKey, VerifyError> {
    let first = *times.first().ok_or(VerifyError::NoProvenTime)?;
    if trust.certificate_authorities.is_empty() {
        return Err(VerifyError::NoTrustRoot);
    }
    let mut error = VerifyError::Chain { time: first, source: ChainError::NoAuthority };
    for authority in &trust.certificate_authorities {
        match verify_under(presented, times, authority) {
            Ok(issuer) => return Ok(issuer),
            Err((_, ChainError::NoAuthority)) => {}
            Err((time, source)) => error = VerifyError::Chain { time, source },
        }
    }
    Err(error)
}

fn verify_under(
    presented: &Presented,
    times: &[UnixTime],
    authority: &Authority,
) -> Result<IssuerKey, (i64, ChainError)> {
    let (root, issuers) = authority.root_and_issuers();
    let mut candidates = issuers.to_vec();
    if authority.accepts_other_issuers() {
        candidates.extend(presented.others.iter().cloned());
    }
    let mut chain: Option<VerifiedChain> = None;
    for time in times {
        if !authority.validity().contains(*time) {
            return Err((*time, ChainError::NoAuthority));
        }
        if chain.as_ref().is_some_and(|chain| chain.holds_at(*time)) {
            continue;
        }
        let leaf = &presented.leaf;
        let found = if authority.accepts_other_issuers() && leaf.is_authority() {
            verify_authority_as_signer(leaf, &candidates, root, *time)
        } else {
            verify_chain(leaf, &candidates, root, *time, Usage::CodeSigning)
        };
        let found = found.map_err(|error| (*time, error))?;
        if chain.as_ref().is_some_and(|chain| chain.issuer() != found.issuer()) {
            return Err((*time, ChainError::NoAuthority));
        }
        chain = Some(found);
    }
    chain.map(VerifiedChain::into_issuer).ok_or((0, ChainError::NoAuthority))
}
