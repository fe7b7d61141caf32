//! Signing without a key of one's own: one token, one key and one certificate for as many signatures as they last.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::pattern::Pattern;
use sealift_core::repository::foreign_text;
use sealift_core::sign::SigningCertificate;
use sealift_core::verify::Verifier;
use sealift_core::x509::FulcioExtensions;
use sealift_keyless::oidc::{IdentityProvider, SIGSTORE_AUDIENCE};
use sealift_keyless::{FulcioClient, FulcioSigner};
use tokio::sync::Mutex;

use super::signatory::Hand;
use crate::error::{CliError, UsageError};
use crate::output::Printer;

/// How long before its end a certificate is not used any more: logging takes seconds, and is what must be in time.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// Gets a certificate when the first is needed or the last one ends.
#[derive(Debug)]
pub(super) struct Keyless {
    provider: Box<dyn IdentityProvider>,
    fulcio: FulcioClient,
    /// Must accept the certificate before anything is signed under it: a log keeps what it is shown.
    verifier: Verifier,
    printer: Printer,
    clock: fn() -> Timestamp,
    current: Mutex<Option<(Arc<Hand>, Timestamp)>>,
}

impl Keyless {
    pub(super) fn new(
        provider: Box<dyn IdentityProvider>,
        fulcio: FulcioClient,
        verifier: Verifier,
        printer: Printer,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self { provider, fulcio, verifier, printer, clock, current: Mutex::new(None) }
    }

    /// Returns a signer whose certificate lasts; those who ask meanwhile wait for the same one.
    pub(super) async fn hand(&self) -> Result<Arc<Hand>, CliError> {
        let mut current = self.current.lock().await;
        if let Some((hand, end)) = &*current
            && (self.clock)().saturating_add(MARGIN).is_ok_and(|soon| soon < *end)
        {
            return Ok(Arc::clone(hand));
        }
        let token = self.provider.token(SIGSTORE_AUDIENCE).await;
        let token = token.map_err(|source| CliError::Token { provider: self.provider.name(), source })?;
        let signer = FulcioSigner::certify(&self.fulcio, &token).await.map_err(CliError::Fulcio)?;
        let end = signer.not_after();
        let identity = self.own(signer.certificate())?;
        // At its first second: this machine's clock may be behind the authority's.
        let start = signer.certificate().certificate().validity().start;
        let accepted = self.verifier.verify_certificate(signer.certificate(), &identity, start);
        accepted.map_err(CliError::OwnCertificateRefused)?;
        let hand = Arc::new(Hand { signer: Box::new(signer), identity });
        *current = Some((Arc::clone(&hand), end));
        Ok(hand)
    }

    /// Returns exactly the identity that was certified, and tells it.
    fn own(&self, certificate: &SigningCertificate) -> Result<IdentityMatcher, CliError> {
        let certificate = certificate.certificate();
        let names = certificate.subject_names().map_err(CliError::OwnCertificate)?;
        let extensions = FulcioExtensions::of(certificate).map_err(CliError::OwnClaims)?;
        let (name, issuer) = names.first().zip(extensions.issuer()).ok_or(UsageError::NamelessCertificate)?;
        self.printer.note(format_args!("signing as {} (by {})", foreign_text(name.as_str()), foreign_text(issuer)));
        let identity = CertificateIdentity::new(Pattern::exact(name.as_str()), Pattern::exact(issuer));
        IdentityMatcher::certificates(vec![identity]).map_err(CliError::Identity)
    }
}
