//! What a real registry on loopback needs: TLS with a private authority, and the tokens that CNCF distribution checks
//! itself.
//!
//! Specification of the tokens: <https://distribution.github.io/distribution/spec/auth/jwt/>.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use x509_cert::der::asn1::ObjectIdentifier;

use super::asn1;
use super::certificate::{Authority, Body, CODE_SIGNING, Criticality, Lifetime, SUBJECT_ALT_NAME, extension, name};
use super::encoding::{base64, base64_url, pem};
use super::key::{KeyKind, SigningKey};

/// A private authority for servers on loopback and their clients.
pub struct LoopbackAuthority {
    authority: Authority,
    lifetime: Lifetime,
}

/// What one end of a connection shows, and what it keeps, as PEM.
pub struct CertificateFiles {
    /// Its certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl LoopbackAuthority {
    /// Makes an authority that is valid for a day.
    ///
    /// # Errors
    /// Fails when the system has no randomness.
    pub fn new() -> Result<Self, LoopbackError> {
        let lifetime = a_day();
        let key = SigningKey::generate(KeyKind::EcdsaP256)?;
        Ok(Self { authority: Authority::root("loopback", key, lifetime)?, lifetime })
    }

    /// Returns the authority's certificate as PEM.
    pub fn pem(&self) -> String {
        self.authority.pem()
    }

    /// Makes a certificate for a server on `127.0.0.1` and `localhost` that goes by `host`, too, and its key.
    ///
    /// # Errors
    /// Fails when the system has no randomness.
    pub fn server(&self, host: &str) -> Result<CertificateFiles, LoopbackError> {
        let names = asn1::sequence(&[
            &asn1::context_primitive(DNS_NAME, b"localhost"),
            &asn1::context_primitive(DNS_NAME, host.as_bytes()),
            &asn1::context_primitive(IP_ADDRESS, &[127, 0, 0, 1]),
        ]);
        self.issue("127.0.0.1", SERVER_AUTH, &names)
    }

    /// Makes a certificate for a client called `name`, and its key.
    ///
    /// # Errors
    /// Fails when the system has no randomness.
    pub fn client(&self, name: &str) -> Result<CertificateFiles, LoopbackError> {
        let names = asn1::sequence(&[&asn1::context_primitive(DNS_NAME, name.as_bytes())]);
        self.issue(name, CLIENT_AUTH, &names)
    }

    fn issue(&self, subject: &str, purpose: ObjectIdentifier, names: &[u8]) -> Result<CertificateFiles, LoopbackError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let mut body =
            Body::new(&name(Some(subject)), &spki(&pair)?, self.lifetime)?.signs(purpose, Criticality::Ordinary);
        body.extensions.push(extension(SUBJECT_ALT_NAME, Criticality::Ordinary, names));
        let certificate = pem("CERTIFICATE", &self.authority.issue(&body)?);
        Ok(CertificateFiles { certificate, key: pem("PRIVATE KEY", pair.to_pkcs8v1()?.as_ref()) })
    }
}

impl std::fmt::Debug for LoopbackAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoopbackAuthority").finish_non_exhaustive()
    }
}

/// Makes tokens that a registry checks by the certificate of their key.
pub struct RegistryTokens {
    pair: EcdsaKeyPair,
    certificate: Vec<u8>,
    authority: String,
}

impl RegistryTokens {
    /// The issuer of every token.
    pub const ISSUER: &'static str = "sealift-sandbox";

    /// Makes a key and its certificate, valid for a day.
    ///
    /// # Errors
    /// Fails when the system has no randomness.
    pub fn new() -> Result<Self, LoopbackError> {
        let lifetime = a_day();
        let authority = Authority::root("tokens", SigningKey::generate(KeyKind::EcdsaP256)?, lifetime)?;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let body =
            Body::new(&name(Some("tokens")), &spki(&pair)?, lifetime)?.signs(CODE_SIGNING, Criticality::Ordinary);
        Ok(Self { pair, certificate: authority.issue(&body)?, authority: authority.pem() })
    }

    /// Returns what the registry trusts, as PEM: its `rootcertbundle`.
    pub fn pem(&self) -> &str {
        &self.authority
    }

    /// Returns a token that allows `actions`, each as a resource and an action.
    pub(crate) fn mint<'a>(
        &self,
        service: &str,
        subject: &str,
        actions: impl IntoIterator<Item = &'a (String, String)>,
    ) -> Result<String, LoopbackError> {
        let mut access: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (resource, action) in actions {
            access.entry(resource).or_default().insert(action);
        }
        let access: Vec<_> = access
            .into_iter()
            .filter_map(|(resource, actions)| Some((resource.split_once(':')?, actions)))
            .map(|((kind, name), actions)| json!({ "type": kind, "name": name, "actions": actions }))
            .collect();
        let now = now().as_second();
        let header = json!({ "alg": "ES256", "typ": "JWT", "x5c": [base64(&self.certificate)] });
        let claims = json!({
            "iss": Self::ISSUER, "sub": subject, "aud": service, "access": access,
            "iat": now, "nbf": now - 1, "exp": now + TOKEN_SECONDS, "jti": format!("{:032x}", fastrand::u128(..)),
        });
        let signed = format!("{}.{}", base64_url(header.to_string()), base64_url(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", base64_url(signature)))
    }
}

impl std::fmt::Debug for RegistryTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryTokens").finish_non_exhaustive()
    }
}

/// Says that the system has no randomness, or a key is none.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a key or a certificate could not be made")]
pub struct LoopbackError(#[from] Unspecified);

fn spki(pair: &EcdsaKeyPair) -> Result<Vec<u8>, Unspecified> {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
    Ok(der.as_ref().to_vec())
}

fn a_day() -> Lifetime {
    // From an hour ago, for clocks that differ.
    let start = now().checked_sub(SignedDuration::from_hours(1)).unwrap_or_else(|_| now());
    Lifetime::starting(start, SignedDuration::from_hours(25))
}

#[expect(clippy::disallowed_methods, reason = "the sandbox is the world: its clock is the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// How long a token lives.
const TOKEN_SECONDS: i64 = 300;
/// Purpose of certificates of servers.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// Purpose of certificates of clients.
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// Tag of a host name among alternative names.
const DNS_NAME: u8 = 2;
/// Tag of an address among alternative names.
const IP_ADDRESS: u8 = 7;
