//! Google: the metadata server, the token endpoint, the security token service and impersonation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealift_core::crypto::PublicKey;
use serde_json::{Value, json};

use super::{Call, Machine, Reply, field};

/// The service account whose key may ask for tokens.
pub const SERVICE_ACCOUNT: &str = "puller@sandbox.iam.gserviceaccount.com";
/// The refresh token of a person.
pub const REFRESH_TOKEN: &str = "person-refresh-token";
/// The token of another identity provider that may be exchanged.
pub const SUBJECT_TOKEN: &str = "subject.jwt.token";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Answers as the metadata server, with its mark.
pub(super) fn metadata(call: &Call, machine: Machine) -> Reply {
    let mark = ("metadata-flavor", "Google");
    let answer = |status, body: String| Reply { status, header: mark, body };
    if call.header(mark.0) != Some(mark.1) {
        return Reply::text(403, "text/html", "Missing Metadata-Flavor:Google header.");
    }
    match (machine, call.path.as_str()) {
        (Machine::Known, "/computeMetadata/v1/instance/service-accounts/default/token") => {
            answer(200, access_token("machine").to_string())
        }
        _ => answer(404, String::new()),
    }
}

/// Answers everything below `/google`.
pub(super) fn token(call: &Call, public_key: &str) -> Reply {
    let form = call.form();
    let has = |name: &str, value: &str| field(&form, name) == Some(value);
    let refuse = |words: &str| Reply::json(400, &json!({ "error": "invalid_grant", "error_description": words }));
    match call.path.as_str() {
        "/google/token" if has("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            let audience = format!("http://{}{}", call.header("host").unwrap_or_default(), call.path);
            match is_valid(field(&form, "assertion").unwrap_or_default(), public_key, &audience) {
                Some(true) => Reply::json(200, &access_token("service-account")),
                _ => refuse("Invalid JWT Signature."),
            }
        }
        "/google/token" if has("grant_type", "refresh_token") && has("refresh_token", REFRESH_TOKEN) => {
            Reply::json(200, &access_token("person"))
        }
        "/google/sts" if has("subject_token", SUBJECT_TOKEN) && field(&form, "audience").is_some() => {
            Reply::json(200, &access_token("federated"))
        }
        "/google/impersonate" if call.header("authorization") == Some("Bearer google-token-of-federated") => {
            Reply::json(
                200,
                &json!({ "accessToken": "google-token-of-impersonated", "expireTime": "2099-01-01T00:00:00Z" }),
            )
        }
        "/google/subject" if call.header("x-ci") == Some("yes") => Reply::json(200, &json!({ "value": SUBJECT_TOKEN })),
        _ => refuse("Bad Request"),
    }
}

fn access_token(who: &str) -> Value {
    json!({ "access_token": format!("google-token-of-{who}"), "expires_in": 3599, "token_type": "Bearer" })
}

/// Verifies a signed request for a token: its signature, who, for what, to whom.
fn is_valid(assertion: &str, public_key: &str, audience: &str) -> Option<bool> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let key = PublicKey::from_pem(public_key.as_bytes()).ok()?;
    key.verify(signed.as_bytes(), &decode(signature)?).ok()?;
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
    let lifetime = claims["exp"].as_i64()? - claims["iat"].as_i64()?;
    let is_for = claims["iss"] == SERVICE_ACCOUNT && claims["scope"] == SCOPE && claims["aud"] == audience;
    Some(header["alg"] == "RS256" && is_for && (1..=3600).contains(&lifetime))
}
