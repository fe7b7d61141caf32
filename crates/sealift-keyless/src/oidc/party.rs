//! This program as an issuer knows it, and what every way of signing in shares.
//!
//! Specifications: OpenID Connect Discovery 1.0, OpenID Connect Core 1.0 section 3.1, RFC 7636 (PKCE).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealift_core::crypto::random_bytes;
use sealift_core::oci::Digest;
use sealift_core::repository::foreign_text;
use serde::Deserialize;
use url::Url;

use super::{IdentityError, IdentityToken, MAX_ANSWER_BYTES, SIGSTORE_AUDIENCE, read_json, token_for};
use crate::secret::Secret;
use crate::transport::{Answer, Repeat, Request, Transport, endpoint, is_loopback};

/// A client of an issuer: this program, under the name that the issuer has for it.
#[derive(Clone)]
pub struct RelyingParty {
    transport: Transport,
    issuer: String,
    client_id: String,
    client_secret: Option<Secret>,
}

impl RelyingParty {
    /// Returns the client `sigstore` of an issuer, which has no secret: what every Sigstore instance calls its users'
    /// programs.
    pub fn new(issuer: &str, transport: Transport) -> Self {
        let client_id = SIGSTORE_AUDIENCE.to_owned();
        Self { transport, issuer: issuer.to_owned(), client_id, client_secret: None }
    }

    /// Sets another name.
    #[must_use]
    pub fn with_client_id(self, client_id: &str) -> Self {
        Self { client_id: client_id.to_owned(), ..self }
    }

    /// Sets a secret, which some issuers give out even to programs that cannot keep one.
    #[must_use]
    pub fn with_client_secret(self, secret: &str) -> Self {
        Self { client_secret: Some(Secret::from(secret)), ..self }
    }

    /// Returns the issuer as it was named.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Asks the issuer where its services are, and compares who it says it is: a redirected or mixed-up document makes
    /// the person sign in somewhere else (CVE-2026-49478).
    pub(super) async fn discover(&self) -> Result<Issuer, IdentityError> {
        let invalid = |source| IdentityError::IssuerAddress { issuer: self.issuer.clone(), source };
        let url = Url::parse(&self.issuer).map_err(invalid)?;
        let request = Request::get(endpoint(&url, DISCOVERY_PATH)).limit(MAX_ANSWER_BYTES);
        let document: Document = read_json(&self.transport.send(&request).await?, ISSUER)?;
        if document.issuer.trim_end_matches('/') != self.issuer.trim_end_matches('/') {
            let found = foreign_text(&document.issuer);
            return Err(IdentityError::Issuer { expected: self.issuer.clone(), found });
        }
        Ok(Issuer {
            name: document.issuer,
            authorization_endpoint: safe(&document.authorization_endpoint, "authorization_endpoint")?,
            token_endpoint: safe(&document.token_endpoint, "token_endpoint")?,
            device_endpoint: document
                .device_authorization_endpoint
                .as_deref()
                .map(|url| safe(url, "device_authorization_endpoint"))
                .transpose()?,
        })
    }

    /// Posts a form with this client's name and secret.
    pub(super) async fn post(&self, url: &Url, fields: &[(&str, &str)]) -> Result<Answer, IdentityError> {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &self.client_id));
        if let Some(secret) = &self.client_secret {
            fields.push(("client_secret", secret.expose()));
        }
        let request = Request::post_form(url.clone(), &fields).repeat(Repeat::WhenUndone).limit(MAX_ANSWER_BYTES);
        let secrets = fields.iter().filter(|(name, _)| SECRETS.contains(name));
        let request = secrets.fold(request, |request, (_, value)| request.secret(value));
        Ok(self.transport.send(&request).await?)
    }

    /// Reads the token that the token endpoint gives.
    pub(super) fn read_token(
        &self,
        answer: &Answer,
        issuer: &Issuer,
        audience: &str,
    ) -> Result<IdentityToken, IdentityError> {
        let tokens: Tokens = read_json(answer, ISSUER)?;
        let token = token_for(audience, tokens.id_token.expose())?;
        if token.issuer() != issuer.name {
            let found = foreign_text(token.issuer());
            return Err(IdentityError::Issuer { expected: issuer.name.clone(), found });
        }
        Ok(token)
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RelyingParty");
        debug.field("issuer", &self.issuer).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Where an issuer's services are.
#[derive(Debug)]
pub(super) struct Issuer {
    /// As the issuer writes it, in its tokens too.
    pub(super) name: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) device_endpoint: Option<Url>,
}

/// One sign-in: what ties the person's answer to this program's question. Has no `Debug`: it is all secret.
pub(super) struct SignIn {
    /// Comes back with the code; whoever does not know it cannot answer (GHSA-hm8f-75xx-w2vr).
    pub(super) state: Secret,
    /// Comes back in the token.
    nonce: Secret,
    /// Whoever has the code but not this gets nothing for it (RFC 7636).
    verifier: Secret,
    redirect: String,
}

impl SignIn {
    /// Begins a sign-in that sends the code to `redirect`.
    pub(super) fn begin(redirect: &str) -> Result<Self, IdentityError> {
        Ok(Self { state: secret()?, nonce: secret()?, verifier: secret()?, redirect: redirect.to_owned() })
    }

    /// Returns where the person signs in.
    pub(super) fn url(&self, party: &RelyingParty, issuer: &Issuer) -> Url {
        let mut url = issuer.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &party.client_id)
            .append_pair("scope", SCOPE)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("state", self.state.expose())
            .append_pair("nonce", self.nonce.expose())
            .append_pair("code_challenge", &challenge(self.verifier.expose()))
            .append_pair("code_challenge_method", CHALLENGE_METHOD);
        url
    }

    /// Exchanges the code for a token, and checks that the token belongs to this sign-in.
    pub(super) async fn redeem(
        &self,
        code: &str,
        party: &RelyingParty,
        issuer: &Issuer,
        audience: &str,
    ) -> Result<IdentityToken, IdentityError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*self.redirect),
            ("code_verifier", self.verifier.expose()),
        ];
        let answer = party.post(&issuer.token_endpoint, &fields).await?;
        let token = party.read_token(&answer, issuer, audience)?;
        token.check_nonce(self.nonce.expose()).map_err(IdentityError::Token)?;
        Ok(token)
    }
}

/// Returns 256 bits that nobody can guess, in letters that a URL takes.
pub(super) fn secret() -> Result<Secret, IdentityError> {
    let bytes = random_bytes::<32>().map_err(IdentityError::Random)?;
    Ok(Secret::from(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Returns the challenge of a verifier by method `S256`.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Digest::sha256(verifier.as_bytes()).as_bytes())
}

/// An address is opened in a browser or sent a code only if nobody on the way can change or read it; and a browser
/// would open files and scripts too.
pub(super) fn safe(text: &str, endpoint: &'static str) -> Result<Url, IdentityError> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => Ok(url),
        _ => Err(IdentityError::Endpoint { endpoint, found: foreign_text(text) }),
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Secret,
}

/// The issuer, in errors.
pub(super) const ISSUER: &str = "the issuer";
/// Methods other than SHA-256 protect nothing.
pub(super) const CHALLENGE_METHOD: &str = "S256";
/// What signing needs to know of a person.
pub(super) const SCOPE: &str = "openid email";
/// Fields whose values must not be shown.
const SECRETS: [&str; 4] = ["client_secret", "code", "code_verifier", "device_code"];
const DISCOVERY_PATH: &str = ".well-known/openid-configuration";

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636 appendix B.
    #[test]
    fn challenges_as_the_specification_shows() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn browsers_are_sent_to_web_pages_of_this_machine_or_over_tls_only() {
        for (text, expected) in [
            ("https://idp.test/auth", true),
            ("http://127.0.0.1:8080/auth", true),
            ("http://[::1]/auth", true),
            ("http://idp.test/auth", false),
            ("file:///etc/passwd", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(safe(text, "token_endpoint").is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn no_two_sign_ins_share_a_secret() {
        let (one, two) = (SignIn::begin("x").unwrap(), SignIn::begin("x").unwrap());
        let mut all =
            [&one.state, &one.nonce, &one.verifier, &two.state, &two.nonce, &two.verifier].map(Secret::expose);
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
        // RFC 7636 section 4.1: 43 to 128 letters.
        assert!(all.iter().all(|secret| secret.len() == 43));
    }
}
