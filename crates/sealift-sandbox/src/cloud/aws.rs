//! AWS: `GetAuthorizationToken` with verified signatures, `AssumeRoleWithWebIdentity`, container and instance roles.

use std::fmt::Write as _;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Call, Machine, Reply, field};

/// Access key of long-lived keys.
pub const ACCESS_KEY: &str = "AKIDSANDBOX";
/// Every secret key of the sandbox.
pub const SECRET_KEY: &str = "sandbox/secret+key";
/// Access key of the instance's role.
pub const INSTANCE_KEY: &str = "ASIAINSTANCE";
/// The instance's role.
pub const INSTANCE_ROLE: &str = "node-role";
/// The role that [`WEB_IDENTITY_TOKEN`] may assume.
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/puller";
/// The token that may assume [`ROLE_ARN`].
pub const WEB_IDENTITY_TOKEN: &str = "web.identity.token";
/// What the container's role is asked for with.
pub const CONTAINER_TOKEN: &str = "container-token";

/// Access keys of temporary keys, and the session tokens they need.
const TEMPORARY: [(&str, &str); 3] =
    [("ASIAWEB", "session-web"), ("ASIACONTAINER", "session-container"), (INSTANCE_KEY, "session-instance")];
const SESSION: &str = "imds-session";
/// A time that is later than every test.
const EXPIRES_AT: f64 = 4_102_444_800.5;

/// Answers a signed `GetAuthorizationToken`.
pub(super) fn password(call: &Call, service: &str) -> Reply {
    let refuse = |kind: &str, message: &str| Reply::json(400, &json!({ "__type": kind, "message": message }));
    let target = match service {
        "ecr" => "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
        _ => "SpencerFrontendService.GetAuthorizationToken",
    };
    if call.header("x-amz-target") != Some(target) {
        return refuse("UnknownOperationException", "no such operation");
    }
    let Some(signature) = Signature::parse(call) else {
        return refuse("MissingAuthenticationTokenException", "Missing Authentication Token");
    };
    let temporary = TEMPORARY.iter().find(|(key, _)| *key == signature.access_key);
    let session = call.header("x-amz-security-token");
    if signature.access_key != ACCESS_KEY && temporary.is_none_or(|(_, token)| session != Some(*token)) {
        let message = "The security token included in the request is invalid.";
        return refuse("UnrecognizedClientException", message);
    }
    if signature.service != service || signature.expected(call) != signature.signature {
        let message = "The request signature we calculated does not match the signature you provided.";
        return refuse("InvalidSignatureException", message);
    }
    let password = format!("AWS:password-of-{}", signature.access_key);
    let data = json!({ "authorizationToken": STANDARD.encode(password), "expiresAt": EXPIRES_AT });
    match service {
        "ecr" => Reply::json(200, &json!({ "authorizationData": [data] })),
        _ => Reply::json(200, &json!({ "authorizationData": data })),
    }
}

/// An `Authorization` header of signature version 4.
struct Signature<'a> {
    access_key: &'a str,
    /// Date, region, service, `aws4_request`.
    scope: &'a str,
    service: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Signature<'a> {
    fn parse(call: &'a Call) -> Option<Self> {
        let rest = call.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (signed, signature) = rest.split_once(", Signature=")?;
        let (access_key, scope) = credential.split_once('/')?;
        let service = scope.split('/').nth(2)?;
        Some(Self { access_key, scope, service, signed, signature })
    }

    /// Computes the signature that the request should have, from what arrived.
    fn expected(&self, call: &Call) -> String {
        let mut request = format!("{}\n{}\n\n", call.method, call.path);
        for name in self.signed.split(';') {
            let _ = writeln!(request, "{name}:{}", call.header(name).unwrap_or_default());
        }
        let _ = write!(request, "\n{}\n{}", self.signed, hex::encode(&Sha256::digest(&call.body)));
        let date = call.header("x-amz-date").unwrap_or_default();
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", self.scope, hex::encode(&Sha256::digest(request)));
        let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
        for part in self.scope.split('/').chain([text.as_str()]) {
            key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        hex::encode(&key)
    }
}

/// Answers `AssumeRoleWithWebIdentity`, which needs no signature.
pub(super) fn assume_role(call: &Call) -> Reply {
    let form = call.form();
    let has = |name: &str, value: &str| field(&form, name) == Some(value);
    if call.method != Method::POST || !has("Action", "AssumeRoleWithWebIdentity") || !has("Version", "2011-06-15") {
        return error_xml("InvalidAction", "Could not find operation");
    }
    if !has("WebIdentityToken", WEB_IDENTITY_TOKEN) {
        return error_xml("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider");
    }
    if !has("RoleArn", ROLE_ARN) || field(&form, "RoleSessionName").is_none() {
        return error_xml("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    }
    let (key, token) = TEMPORARY[0];
    let keys = format!(
        "<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
    );
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
         <AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials></AssumeRoleWithWebIdentityResult>\n\
         </AssumeRoleWithWebIdentityResponse>"
    );
    Reply::text(200, "text/xml", body)
}

fn error_xml(code: &str, message: &str) -> Reply {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    Reply::text(400, "text/xml", format!("<ErrorResponse>{error}</ErrorResponse>"))
}

/// Answers with the container's role.
pub(super) fn container(call: &Call) -> Reply {
    if call.header("authorization") != Some(CONTAINER_TOKEN) {
        return Reply::json(401, &json!({ "message": "the token is missing or wrong" }));
    }
    Reply::json(200, &role_keys(TEMPORARY[1]))
}

/// Answers as the instance's metadata, version 2.
pub(super) fn instance(call: &Call, machine: Machine) -> Reply {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    if call.path == "/latest/api/token" {
        let has_lifetime = call.header("x-aws-ec2-metadata-token-ttl-seconds").is_some();
        return match (call.method == Method::PUT, has_lifetime) {
            (true, true) => Reply::text(200, "text/plain", SESSION),
            (true, false) => Reply::text(400, "text/html", "<html>"),
            _ => Reply::text(405, "text/html", "<html>"),
        };
    }
    if call.header("x-aws-ec2-metadata-token") != Some(SESSION) {
        return Reply::text(401, "text/html", "<html>");
    }
    match call.path.strip_prefix(ROLES) {
        Some("") if machine == Machine::Known => Reply::text(200, "text/plain", INSTANCE_ROLE),
        Some(INSTANCE_ROLE) if machine == Machine::Known => Reply::json(200, &role_keys(TEMPORARY[2])),
        _ => Reply::text(404, "text/html", "<html>"),
    }
}

fn role_keys((key, token): (&str, &str)) -> Value {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": SECRET_KEY, "Token": token,
        "Expiration": "2099-01-01T00:00:00Z",
    })
}
