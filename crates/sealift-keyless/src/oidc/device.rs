//! Sign-in on another device, for machines without a browser.
//!
//! Specification: <https://www.rfc-editor.org/rfc/rfc8628>.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealift_core::repository::foreign_text;
use serde::Deserialize;
use tokio::time::Instant;

use super::party::{CHALLENGE_METHOD, ISSUER, SCOPE, challenge, safe, secret};
use super::{DeviceCode, IdentityError, IdentityProvider, IdentityToken, Person, RelyingParty, read_json};
use crate::secret::Secret;
use crate::transport::Answer;

/// Signs a person in who enters a code on a device of theirs.
#[derive(Debug)]
pub struct DeviceFlow {
    party: RelyingParty,
    person: Arc<dyn Person>,
}

impl DeviceFlow {
    /// Signs `person` in.
    pub fn new(party: RelyingParty, person: Arc<dyn Person>) -> Self {
        Self { party, person }
    }
}

#[async_trait]
impl IdentityProvider for DeviceFlow {
    fn name(&self) -> &'static str {
        "device"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let issuer = self.party.discover().await?;
        let unsupported = || IdentityError::Unsupported { issuer: self.party.issuer().to_owned(), flow: "device flow" };
        let url = issuer.device_endpoint.as_ref().ok_or_else(unsupported)?;
        let verifier = secret()?;
        let challenge = challenge(verifier.expose());
        let fields = [("scope", SCOPE), ("code_challenge", &*challenge), ("code_challenge_method", CHALLENGE_METHOD)];
        let begun: Begun = read_json(&self.party.post(url, &fields).await?, ISSUER)?;
        let mut polling = Polling::new(&begun);
        self.person.show_code(&begun.shown()?).await.map_err(IdentityError::Person)?;
        // Nothing comes back to this machine that somebody could have slipped in, so there is no state and no nonce.
        let fields = [
            ("grant_type", GRANT_TYPE),
            ("device_code", begun.device_code.expose()),
            ("code_verifier", verifier.expose()),
        ];
        loop {
            tokio::time::sleep(polling.next().ok_or(IdentityError::Expired)?).await;
            match self.party.post(&issuer.token_endpoint, &fields).await {
                Ok(answer) => match Step::of(&answer) {
                    Step::Denied => return Err(IdentityError::Denied),
                    Step::Done => return self.party.read_token(&answer, &issuer, audience),
                    Step::Expired => return Err(IdentityError::Expired),
                    Step::Pending => {}
                    Step::SlowDown => polling.slow_down(),
                },
                Err(error) if error.may_pass() => polling.slow_down(),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The answer that begins a sign-in.
#[derive(Deserialize)]
struct Begun {
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

impl Begun {
    fn shown(&self) -> Result<DeviceCode, IdentityError> {
        let complete = self.verification_uri_complete.as_deref();
        Ok(DeviceCode {
            user_code: foreign_text(&self.user_code),
            address: safe(&self.verification_uri, "verification_uri")?,
            complete_address: complete.map(|url| safe(url, "verification_uri_complete")).transpose()?,
        })
    }
}

/// When to ask again.
struct Polling {
    interval: Duration,
    until: Instant,
}

impl Polling {
    fn new(begun: &Begun) -> Self {
        let interval = Duration::from_secs(begun.interval.unwrap_or(USUAL_INTERVAL_SECONDS));
        let lifetime = Duration::from_secs(begun.expires_in).min(MAX_LIFETIME);
        Self { interval: interval.clamp(MIN_INTERVAL, MAX_INTERVAL), until: Instant::now() + lifetime }
    }

    /// Returns how long to wait before the next question; `None` when the codes are too old then.
    fn next(&self) -> Option<Duration> {
        (Instant::now() + self.interval <= self.until).then_some(self.interval)
    }

    /// RFC 8628 section 3.5: five seconds more, from now on.
    fn slow_down(&mut self) {
        self.interval = (self.interval + SLOW_DOWN).min(MAX_INTERVAL);
    }
}

/// What an answer to the device means.
#[derive(Debug, Eq, PartialEq)]
enum Step {
    Denied,
    /// A token, or a refusal for good.
    Done,
    Expired,
    Pending,
    SlowDown,
}

impl Step {
    fn of(answer: &Answer) -> Self {
        let error = answer.json::<Oauth>().ok().and_then(|body| body.error);
        error.as_deref().map_or(Self::Done, Self::named)
    }

    /// Reads an error code of RFC 8628 section 3.5.
    fn named(error: &str) -> Self {
        match error {
            "access_denied" => Self::Denied,
            "authorization_pending" => Self::Pending,
            "expired_token" => Self::Expired,
            "slow_down" => Self::SlowDown,
            _ => Self::Done,
        }
    }
}

#[derive(Deserialize)]
struct Oauth {
    error: Option<String>,
}

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const USUAL_INTERVAL_SECONDS: u64 = 5;
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// The shortest time between two questions, whatever the issuer says; keeps a hostile one from making this machine spin.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The longest time between two questions; keeps a hostile issuer from stalling the sign-in.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// The longest time a sign-in lasts, whatever the issuer says.
const MAX_LIFETIME: Duration = Duration::from_secs(1800);

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(expires_in: u64, interval: Option<u64>) -> Begun {
        Begun {
            device_code: Secret::from("secret"),
            user_code: "ABCD\u{7}".to_owned(),
            verification_uri: "https://idp.test/device".to_owned(),
            verification_uri_complete: None,
            expires_in,
            interval,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn asks_at_the_issuers_pace_within_bounds() {
        for (interval, expected) in [(None, 5), (Some(0), 1), (Some(7), 7), (Some(u64::MAX), 60)] {
            let polling = Polling::new(&begun(u64::MAX, interval));
            assert_eq!(polling.next(), Some(Duration::from_secs(expected)), "{interval:?}");
        }
        let mut polling = Polling::new(&begun(600, Some(2)));
        polling.slow_down();
        assert_eq!(polling.next(), Some(Duration::from_secs(7)));
        (0..20).for_each(|_| polling.slow_down());
        assert_eq!(polling.next(), Some(MAX_INTERVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn never_asks_after_the_codes_are_too_old() {
        let polling = Polling::new(&begun(9, Some(5)));
        assert!(polling.next().is_some());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(polling.next(), None);
        let endless = Polling::new(&begun(u64::MAX, Some(5)));
        tokio::time::advance(MAX_LIFETIME).await;
        assert_eq!(endless.next(), None);
    }

    #[test]
    fn knows_every_answer_of_the_specification() {
        for (error, step) in [
            ("authorization_pending", Step::Pending),
            ("slow_down", Step::SlowDown),
            ("access_denied", Step::Denied),
            ("expired_token", Step::Expired),
            ("invalid_grant", Step::Done),
        ] {
            assert_eq!(Step::named(error), step, "{error}");
        }
    }

    #[test]
    fn shows_printable_codes_and_safe_addresses_only() {
        let mut begun = begun(1, None);
        assert_eq!(begun.shown().unwrap().user_code, "ABCD");
        begun.verification_uri_complete = Some("javascript:alert(1)".to_owned());
        assert!(matches!(begun.shown(), Err(IdentityError::Endpoint { .. })));
    }
}
