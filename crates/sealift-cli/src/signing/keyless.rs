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
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::Printer;
use crate::output::progress::Progress;

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
    progress: Progress,
    clock: fn() -> Timestamp,
    current: Mutex<Option<(Arc<Hand>, Timestamp)>>,
}

impl Keyless {
    pub(super) fn new(
        context: &Context,
        provider: Box<dyn IdentityProvider>,
        fulcio: FulcioClient,
        verifier: Verifier,
    ) -> Self {
        let (printer, progress) = (context.printer, context.progress.clone());
        Self { provider, fulcio, verifier, printer, progress, clock: Context::clock, current: Mutex::new(None) }
    }

    /// Returns a signer whose certificate lasts; those who ask meanwhile wait for the same one.
    pub(super) async fn hand(&self) -> Result<Arc<Hand>, CliError> {
        let mut current = self.current.lock().await;
        if let Some((hand, end)) = &*current
            && (self.clock)().saturating_add(MARGIN).is_ok_and(|soon| soon < *end)
        {
            return Ok(Arc::clone(hand));
        }
        // Somebody may have to sign in, and is told who signs.
        let _pause = self.progress.pause();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use sealift_core::verify::Requirements;
    use sealift_keyless::oidc::{IdentityError, IdentityToken};
    use sealift_keyless::{Transport, TransportOptions};

    use super::*;
    use crate::output::Talk;
    use crate::output::progress::screen::Screen;

    /// Takes long enough for progress to be drawn several times.
    const THINKING: Duration = Duration::from_secs(1);
    const SAID: &str = "Sign in on any device with the code ABCD-EFGH";

    /// Somebody who is told how to sign in, and does not want to.
    #[derive(Debug)]
    struct Unwilling(Screen);

    #[async_trait]
    impl IdentityProvider for Unwilling {
        fn name(&self) -> &'static str {
            "unwilling"
        }

        async fn token(&self, _audience: &str) -> Result<IdentityToken, IdentityError> {
            self.0.say(&format!("{SAID}\n"));
            tokio::time::sleep(THINKING).await;
            assert_eq!(self.0.lines(), [SAID], "nothing is drawn before the answer");
            Err(IdentityError::Denied)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn how_to_sign_in_stays_on_the_screen() {
        let screen = Screen::default();
        let (progress, live) = Progress::on(&screen, 2);
        tokio::time::sleep(THINKING).await;
        let drawn = screen.lines();
        assert!(drawn[0].starts_with("0 of 2 images "), "{drawn:?}");
        let keyless = Keyless {
            provider: Box::new(Unwilling(screen.clone())),
            fulcio: FulcioClient::new(
                "https://fulcio.test".parse().unwrap(),
                Transport::new(TransportOptions::default()).unwrap(),
            ),
            verifier: Verifier::new(Requirements::default()),
            printer: Printer { talk: Talk::Quiet },
            progress,
            clock: Context::clock,
            current: Mutex::new(None),
        };
        keyless.hand().await.unwrap_err();
        tokio::time::sleep(THINKING).await;
        let lines = screen.lines();
        assert!(lines[0] == SAID && lines[1].starts_with("0 of 2 images "), "it goes on below: {lines:?}");
        drop(live);
        assert_eq!(screen.lines(), [SAID]);
    }
}
