//! OpenID Connect identity tokens.
//!
//! Reads claims and never verifies the token's signature: the certificate authority does, and it is the one that must.
//! Specification: <https://openid.net/specs/openid-connect-core-1_0.html#IDToken>, RFC 7519.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use zeroize::Zeroizing;

/// A token that proves an identity to a certificate authority. Whoever holds it is that identity, so it has no
/// `Display` and its `Debug` shows no part of it.
pub struct IdentityToken {
    raw: Zeroizing<String>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    email: Option<String>,
    email_verified: Option<bool>,
    nonce: Option<String>,
}

/// RFC 7519 section 4.1.3: one audience or several.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
    #[default]
    None,
}

impl IdentityToken {
    /// Reads a token in the JWS compact serialisation.
    ///
    /// # Errors
    /// [`TokenError::TooLong`], [`TokenError::Form`], [`TokenError::Claims`]: the token is not one.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong { limit: MAX_TOKEN_BYTES });
        }
        // `splitn` bounds the work on a text of nothing but dots (CVE-2025-66506).
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [_header, payload, _signature] = parts[..] else { return Err(TokenError::Form) };
        let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Form)?);
        let claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        Ok(Self { raw: Zeroizing::new(text.to_owned()), claims })
    }

    /// Checks that the token is for `audience` and in its time at `now`, with 30 seconds of clock skew allowed at its
    /// beginning only.
    ///
    /// # Errors
    /// [`TokenError::Audience`], [`TokenError::Expired`], [`TokenError::NotYetValid`]: ask the issuer for another.
    pub fn check(&self, audience: &str, now: Timestamp) -> Result<(), TokenError> {
        self.check_audience(audience)?;
        if self.claims.exp <= now.as_second() {
            return Err(TokenError::Expired { at: self.claims.exp });
        }
        let latest = now.saturating_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
        match self.claims.nbf {
            Some(nbf) if nbf > latest.as_second() => Err(TokenError::NotYetValid { at: nbf }),
            _ => Ok(()),
        }
    }

    /// Checks that the token is for `audience`.
    ///
    /// # Errors
    /// [`TokenError::Audience`].
    pub fn check_audience(&self, audience: &str) -> Result<(), TokenError> {
        if self.claims.aud.names(audience) {
            return Ok(());
        }
        Err(TokenError::Audience { expected: audience.to_owned() })
    }

    /// Checks that the token was made for the sign-in with this nonce, and not for one that somebody else began.
    ///
    /// # Errors
    /// [`TokenError::Nonce`].
    pub fn check_nonce(&self, nonce: &str) -> Result<(), TokenError> {
        if self.claims.nonce.as_deref() == Some(nonce) { Ok(()) } else { Err(TokenError::Nonce) }
    }

    /// Returns the issuer's URL.
    pub fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Returns what the proof of possession is made over: the e-mail address where there is one, else the subject.
    ///
    /// # Errors
    /// [`TokenError::UnverifiedEmail`] when the issuer says that it did not verify the address.
    pub fn proof_subject(&self) -> Result<&str, TokenError> {
        match (&self.claims.email, self.claims.email_verified) {
            (Some(_), Some(false)) => Err(TokenError::UnverifiedEmail),
            (Some(email), _) => Ok(email),
            (None, _) => Ok(&self.claims.sub),
        }
    }

    /// Returns the token itself, for the one request it is meant for.
    pub fn expose(&self) -> &str {
        &self.raw
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken").field("issuer", &self.claims.iss).finish_non_exhaustive()
    }
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
            Self::None => false,
        }
    }
}

/// Says why a text is no usable identity token. Never holds any part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is meant for somebody else.
    #[error("the identity token is not for audience `{expected}`")]
    Audience {
        /// Audience wanted.
        expected: String,
    },
    /// Its claims are not those of an identity token. What the parser says is left out: it repeats claims.
    #[error("the identity token lacks a claim or has one of another type")]
    Claims,
    /// Its time is over.
    #[error("the identity token has expired")]
    Expired {
        /// End of its time, in seconds since 1970.
        at: i64,
    },
    /// It is not three base64url parts.
    #[error("the identity token is not a signed JSON web token")]
    Form,
    /// It was made for another sign-in.
    #[error("the identity token does not have the nonce of this sign-in")]
    Nonce,
    /// Its time has not come.
    #[error("the identity token is not valid yet")]
    NotYetValid {
        /// Begin of its time, in seconds since 1970.
        at: i64,
    },
    /// It is longer than any token.
    #[error("the identity token is longer than {limit} bytes")]
    TooLong {
        /// Longest length, in bytes.
        limit: usize,
    },
    /// Its e-mail address was not verified by the issuer.
    #[error("the issuer did not verify the e-mail address in the identity token")]
    UnverifiedEmail,
}

/// The longest token read: real ones have 1 to 4 KiB; stops memory attacks through an issuer's reply.
pub(super) const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// How far this machine's clock may be behind the issuer's.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(30);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn proves_the_email_or_else_the_subject() {
        let email = token(r#"{"iss":"https://i","sub":"7","aud":"sigstore","exp":100,"email":"a@b"}"#);
        assert_eq!(IdentityToken::parse(&email).unwrap().proof_subject().unwrap(), "a@b");
        let workflow = token(r#"{"iss":"https://i","sub":"repo:o/r","aud":["x","sigstore"],"exp":100}"#);
        let workflow = IdentityToken::parse(&workflow).unwrap();
        assert_eq!(workflow.proof_subject().unwrap(), "repo:o/r");
        workflow.check("sigstore", at(99)).unwrap();
        let unverified = token(r#"{"iss":"i","sub":"7","exp":1,"email":"a@b","email_verified":false}"#);
        assert!(matches!(IdentityToken::parse(&unverified).unwrap().proof_subject(), Err(TokenError::UnverifiedEmail)));
    }

    #[test]
    fn refuses_other_audiences_and_times() {
        let text = token(r#"{"iss":"i","sub":"s","aud":"sigstore","exp":100,"nbf":50}"#);
        let token = IdentityToken::parse(&text).unwrap();
        assert!(matches!(token.check("other", at(60)), Err(TokenError::Audience { .. })));
        assert!(matches!(token.check("sigstore", at(100)), Err(TokenError::Expired { at: 100 })));
        assert!(matches!(token.check("sigstore", at(19)), Err(TokenError::NotYetValid { at: 50 })));
        token.check("sigstore", at(20)).unwrap();
    }

    #[test]
    fn no_audience_is_nobodys() {
        let text = token(r#"{"iss":"i","sub":"s","exp":100}"#);
        assert!(IdentityToken::parse(&text).unwrap().check("", at(1)).is_err());
    }

    #[test]
    fn shows_no_part_of_the_token() {
        let text = token(r#"{"iss":"https://i","sub":"secret-subject","exp":100}"#);
        let shown = format!("{:?}", IdentityToken::parse(&text).unwrap());
        assert_eq!(shown, r#"IdentityToken { issuer: "https://i", .. }"#);
        assert!(!format!("{:?}", IdentityToken::parse("a.secret.c").unwrap_err()).contains("secret"));
    }

    #[test]
    fn bounds_hostile_texts() {
        assert!(matches!(IdentityToken::parse(&".".repeat(60_000)), Err(TokenError::Form)));
        assert!(matches!(IdentityToken::parse(&"a".repeat(70_000)), Err(TokenError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "[\\PC.]{0,120}") {
            let _ = IdentityToken::parse(&text);
        }
    }
}
