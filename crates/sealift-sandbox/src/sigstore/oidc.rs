//! The identity provider: discovery, browser flow with PKCE, device flow, ambient tokens of a CI system.
//!
//! Approves everything for the configured identity. Specifications: OpenID Connect Core and Discovery 1.0, RFC 7636
//! (PKCE), RFC 8628 (device flow).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use axum::http::Method;
use sealift_core::locked;
use serde_json::{Map, Value, json};
use url::Url;

use super::encoding::{base64_url, from_base64_url, hex, sha256};
use super::identity::{ACTIONS_PATH, Identity, SPIFFE_PATH, USERNAME_PATH};
use super::service::{Call, Handler, Refusal, Reply, Shared, find};

/// What the token endpoint answers to a device that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceAnswer {
    /// The person refused.
    Denied,
    /// The codes are too old.
    Expired,
    /// The person has not answered yet.
    Pending,
    /// The device asks too often.
    SlowDown,
}

/// The identity provider.
pub(super) struct Oidc {
    url: String,
    key: EcdsaKeyPair,
    shared: Arc<Shared>,
    state: Mutex<State>,
    request_token: String,
}

struct State {
    identity: Identity,
    codes: HashMap<String, Authorization>,
    devices: HashMap<String, Authorization>,
    device_answers: VecDeque<DeviceAnswer>,
}

/// What a code was given for.
#[derive(Clone, Default)]
struct Authorization {
    client: String,
    redirect: Option<String>,
    nonce: Option<String>,
    challenge: Option<String>,
}

impl Oidc {
    pub(super) fn new(url: String, identity: Identity, shared: Arc<Shared>) -> Result<Self, Unspecified> {
        let state = State {
            identity,
            codes: HashMap::new(),
            devices: HashMap::new(),
            device_answers: VecDeque::from([DeviceAnswer::Pending]),
        };
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { url, key, shared, state: Mutex::new(state), request_token: random_text()? })
    }

    /// Changes whom everything is approved for.
    pub(super) fn set_identity(&self, identity: Identity) {
        locked(&self.state).identity = identity;
    }

    /// Returns whom everything is approved for.
    pub(super) fn identity(&self) -> Identity {
        locked(&self.state).identity.clone()
    }

    /// Changes what devices are answered before they get their token.
    pub(super) fn set_device_answers(&self, answers: impl IntoIterator<Item = DeviceAnswer>) {
        locked(&self.state).device_answers = answers.into_iter().collect();
    }

    /// Returns the bearer token that the ambient endpoint asks for.
    pub(super) fn request_token(&self) -> &str {
        &self.request_token
    }

    /// Returns the URL of the ambient endpoint, to which clients append `&audience=`.
    pub(super) fn request_url(&self) -> String {
        format!("{}{ACTIONS_PATH}/token?api-version=2.0", self.url)
    }

    /// Returns the issuer that vouches for a kind of identity.
    pub(super) fn issuer(&self, identity: &Identity) -> String {
        format!("{}{}", self.url, identity.issuer_path())
    }

    /// Returns a token about an identity.
    pub(super) fn mint(&self, identity: &Identity, audience: &str, nonce: Option<&str>) -> Result<String, Unspecified> {
        let mut claims = identity.claims();
        claims.insert("iss".to_owned(), self.issuer(identity).into());
        claims.insert("aud".to_owned(), audience.into());
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        self.mint_claims(claims)
    }

    /// Returns a token with these claims, and with times where they have none.
    pub(super) fn mint_claims(&self, mut claims: Map<String, Value>) -> Result<String, Unspecified> {
        let now = self.shared.clock.now().as_second();
        for (name, time) in [("iat", now), ("nbf", now), ("exp", now + TOKEN_SECONDS)] {
            claims.entry(name).or_insert_with(|| time.into());
        }
        let header = json!({ "alg": "ES256", "kid": self.key_id(), "typ": "JWT" });
        let signed = format!("{}.{}", base64_url(header.to_string()), base64_url(Value::from(claims).to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", base64_url(signature)))
    }

    /// Checks a token as a relying party does and returns its claims.
    pub(super) fn verify(&self, token: &str, audience: &str) -> Result<Value, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("the token is not a JSON web token")?;
        let signature = from_base64_url(signature).ok_or("the token's signature is not base64")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "the token is not signed by this sandbox")?;
        let claims = signed.split_once('.').and_then(|(_, claims)| from_base64_url(claims));
        let claims: Value =
            claims.and_then(|claims| serde_json::from_slice(&claims).ok()).ok_or("the token's claims are not JSON")?;
        let issuer = claims["iss"].as_str().unwrap_or_default();
        if !ISSUER_PATHS.iter().any(|path| issuer.strip_prefix(&self.url) == Some(path)) {
            return Err("the token is from another issuer");
        }
        if claims["aud"] != audience {
            return Err("the token is for another audience");
        }
        let now = self.shared.clock.now().as_second();
        if claims["exp"].as_i64().is_none_or(|expiry| expiry <= now) {
            return Err("the token has expired");
        }
        Ok(claims)
    }

    /// Returns the path of a token's issuer below the provider's URL.
    pub(super) fn issuer_path<'a>(&self, issuer: &'a str) -> Option<&'a str> {
        issuer.strip_prefix(&self.url)
    }

    fn key_id(&self) -> String {
        hex(&sha256(&[self.key.public_key().as_ref()])[..8])
    }

    fn keys(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.key.public_key().as_ref();
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id(),
            "x": base64_url(&point[1..33]), "y": base64_url(&point[33..]),
        }] })
    }

    fn discovery(&self, path: &str) -> Value {
        let url = &self.url;
        json!({
            "issuer": format!("{url}{path}"),
            "authorization_endpoint": format!("{url}/auth"),
            "token_endpoint": format!("{url}/token"),
            "device_authorization_endpoint": format!("{url}/device/code"),
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", DEVICE_GRANT],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email"],
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "email", "email_verified"],
        })
    }

    /// Authorization endpoint: approves at once and sends the browser back to the loopback address it came from.
    fn authorize(&self, call: &Call) -> Result<Reply, Refusal> {
        if call.parameter("response_type") != Some("code") {
            return Err(Refusal::bad("response_type must be code"));
        }
        if call.parameter("code_challenge_method").is_some_and(|method| method != "S256") {
            return Err(Refusal::bad("code_challenge_method must be S256"));
        }
        let redirect = call.parameter("redirect_uri").ok_or_else(|| Refusal::bad("redirect_uri is missing"))?;
        let authorization = Authorization {
            client: call.parameter("client_id").ok_or_else(|| Refusal::bad("client_id is missing"))?.to_owned(),
            redirect: Some(redirect.to_owned()),
            nonce: call.parameter("nonce").map(str::to_owned),
            challenge: call.parameter("code_challenge").map(str::to_owned),
        };
        let code = random_text()?;
        let reply = if redirect == OUT_OF_BAND {
            Reply::bytes(200, "text/plain; charset=utf-8", format!("{code}\n"))
        } else {
            let mut target = loopback(redirect).ok_or_else(|| Refusal::bad("redirect_uri must be on loopback"))?;
            target.query_pairs_mut().append_pair("code", &code);
            if let Some(state) = call.parameter("state") {
                target.query_pairs_mut().append_pair("state", state);
            }
            Reply::bytes(303, "text/plain", "approved\n").with_header("location", target.to_string())
        };
        locked(&self.state).codes.insert(code, authorization);
        Ok(reply)
    }

    fn device_code(&self, call: &Call) -> Result<Reply, Refusal> {
        let form = call.form();
        let device = random_text()?;
        let user = random_text()?[..8].to_uppercase();
        let authorization = Authorization {
            client: find(&form, "client_id").ok_or_else(|| Refusal::bad("client_id is missing"))?.to_owned(),
            nonce: find(&form, "nonce").map(str::to_owned),
            challenge: find(&form, "code_challenge").map(str::to_owned),
            redirect: None,
        };
        locked(&self.state).devices.insert(device.clone(), authorization);
        let page = format!("{}/device", self.url);
        Ok(Reply::json(
            200,
            &json!({
                "device_code": device,
                "user_code": user,
                "verification_uri": page,
                "verification_uri_complete": format!("{page}?user_code={user}"),
                "expires_in": 300,
                "interval": 1,
            }),
        ))
    }

    fn token(&self, call: &Call) -> Result<Reply, Refusal> {
        let form = call.form();
        let authorization = match find(&form, "grant_type") {
            Some("authorization_code") => self.redeem_code(&form),
            Some(DEVICE_GRANT) => self.redeem_device(&form),
            _ => Err("unsupported_grant_type"),
        };
        let authorization = match authorization {
            Ok(authorization) => authorization,
            Err(error) => return Ok(Reply::json(400, &json!({ "error": error }))),
        };
        let token = self.mint(&self.identity(), &authorization.client, authorization.nonce.as_deref())?;
        // Both are the same, as with Dex: sigstore-python uses the access token.
        Ok(Reply::json(
            200,
            &json!({ "access_token": token, "token_type": "bearer", "expires_in": TOKEN_SECONDS, "id_token": token }),
        )
        .with_header("cache-control", "no-store".to_owned()))
    }

    /// A code works once, for the client and address it was given to, with the verifier of its challenge.
    fn redeem_code(&self, form: &[(String, String)]) -> Result<Authorization, &'static str> {
        let code = find(form, "code").ok_or("invalid_request")?;
        let authorization = locked(&self.state).codes.remove(code).ok_or("invalid_grant")?;
        if find(form, "redirect_uri") != authorization.redirect.as_deref() {
            return Err("invalid_grant");
        }
        prove(&authorization, form)?;
        Ok(authorization)
    }

    fn redeem_device(&self, form: &[(String, String)]) -> Result<Authorization, &'static str> {
        let code = find(form, "device_code").ok_or("invalid_request")?;
        let mut state = locked(&self.state);
        let authorization = state.devices.get(code).cloned().ok_or("invalid_grant")?;
        match state.device_answers.pop_front() {
            Some(DeviceAnswer::Pending) => return Err("authorization_pending"),
            Some(DeviceAnswer::SlowDown) => return Err("slow_down"),
            Some(DeviceAnswer::Expired) => return Err("expired_token"),
            Some(DeviceAnswer::Denied) => return Err("access_denied"),
            None => {}
        }
        prove(&authorization, form)?;
        state.devices.remove(code);
        Ok(authorization)
    }

    /// The endpoint that GitHub's runners offer to the jobs they run.
    fn ambient(&self, call: &Call) -> Result<Reply, Refusal> {
        if call.bearer() != Some(&self.request_token) {
            return Err(Refusal::new(401, "the request token is missing or wrong"));
        }
        let identity = match self.identity() {
            identity @ Identity::Workflow(_) => identity,
            _ => Identity::workflow("acme/app"),
        };
        let audience = call.parameter("audience").unwrap_or("https://github.com/acme");
        let token = self.mint(&identity, audience, None)?;
        Ok(Reply::json(200, &json!({ "count": token.len(), "value": token })))
    }
}

impl Handler for Oidc {
    fn handle(&self, call: &Call) -> Result<Reply, Refusal> {
        if let Some(path) = call.path.strip_suffix("/.well-known/openid-configuration") {
            let known = ISSUER_PATHS.contains(&path);
            return if known { Ok(Reply::json(200, &self.discovery(path))) } else { Err(Refusal::not_found()) };
        }
        match (&call.method, call.path.as_str()) {
            (&Method::GET, "/keys") => Ok(Reply::json(200, &self.keys())),
            (&Method::GET, "/auth") => self.authorize(call),
            (&Method::GET, "/device") => Ok(Reply::bytes(200, "text/plain", "The sandbox approves every device.\n")),
            (&Method::POST, "/device/code") => self.device_code(call),
            (&Method::POST, "/token" | "/device/token") => self.token(call),
            (&Method::GET, "/actions/token") => self.ambient(call),
            _ => Err(Refusal::not_found()),
        }
    }
}

fn prove(authorization: &Authorization, form: &[(String, String)]) -> Result<(), &'static str> {
    if find(form, "client_id").is_some_and(|client| client != authorization.client) {
        return Err("invalid_client");
    }
    let Some(challenge) = &authorization.challenge else { return Ok(()) };
    let verifier = find(form, "code_verifier").ok_or("invalid_grant")?;
    if base64_url(sha256(&[verifier.as_bytes()])) == *challenge { Ok(()) } else { Err("invalid_grant") }
}

/// Reads an address that only this machine answers at.
fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    (url.scheme() == "http" && ["127.0.0.1", "localhost", "[::1]"].contains(&host)).then_some(url)
}

fn random_text() -> Result<String, Unspecified> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(hex(bytes))
}

const ISSUER_PATHS: [&str; 4] = ["", ACTIONS_PATH, SPIFFE_PATH, USERNAME_PATH];
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";
const TOKEN_SECONDS: i64 = 600;
