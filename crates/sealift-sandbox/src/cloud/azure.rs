//! Azure: Entra's token endpoint, managed identities, and the exchange at an ACR registry.

use axum::http::Method;
use serde_json::json;

use super::{Call, Machine, Reply, field};

/// The tenant.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// The service principal, and the managed identity that may be asked for by name.
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";
/// The secret of [`CLIENT`].
pub const CLIENT_SECRET: &str = "sp-secret";
/// The federated token of [`CLIENT`].
pub const FEDERATED_TOKEN: &str = "federated.jwt.token";

/// The registry where none of these identities may do anything.
pub const FOREIGN_REGISTRY: &str = "foreign.azurecr.io";

const AUDIENCE: &str = "https://containerregistry.azure.net";

/// Answers `/entra/<tenant>/oauth2/v2.0/token`.
pub(super) fn token(call: &Call) -> Reply {
    let form = call.form();
    let has = |name: &str, value: &str| field(&form, name) == Some(value);
    let refuse = |error: &str, words: &str| Reply::json(401, &json!({ "error": error, "error_description": words }));
    if call.path != format!("/entra/{TENANT}/oauth2/v2.0/token") || call.method != Method::POST {
        return refuse("invalid_request", "AADSTS90002: Tenant not found.");
    }
    if !has("grant_type", "client_credentials") || !has("scope", &format!("{AUDIENCE}/.default")) {
        return refuse(
            "invalid_scope",
            "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
        );
    }
    let has_assertion = has("client_assertion", FEDERATED_TOKEN)
        && has("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    if !has("client_id", CLIENT) || !(has("client_secret", CLIENT_SECRET) || has_assertion) {
        return refuse("invalid_client", "AADSTS7000215: Invalid client secret provided.");
    }
    Reply::json(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "entra-principal" }))
}

/// Answers as the identity endpoint of App Service.
pub(super) fn app_identity(call: &Call) -> Reply {
    let has = |name: &str, value: &str| field(&call.query, name) == Some(value);
    if call.header("x-identity-header") != Some("app-header") {
        return Reply::json(403, &json!({ "message": "the header is missing" }));
    }
    if !has("api-version", "2019-08-01") || !has("resource", AUDIENCE) {
        return Reply::json(400, &json!({ "message": "unknown version or resource" }));
    }
    Reply::json(200, &json!({ "access_token": "entra-app", "expires_on": "4102444800" }))
}

/// Answers as the machine's metadata.
pub(super) fn machine_identity(call: &Call, machine: Machine) -> Reply {
    let has = |name: &str, value: &str| field(&call.query, name) == Some(value);
    let refuse = |words: &str| Reply::json(400, &json!({ "error": "invalid_request", "error_description": words }));
    if call.header("metadata") != Some("true") {
        return refuse("Required metadata header not specified");
    }
    if !has("api-version", "2018-02-01") || !has("resource", AUDIENCE) {
        return refuse("unknown version or resource");
    }
    if machine == Machine::Nobody || field(&call.query, "client_id").is_some_and(|client| client != CLIENT) {
        return refuse("Identity not found");
    }
    // Azure's numbers are strings here.
    Reply::json(200, &json!({ "access_token": "entra-machine", "expires_in": "86399", "token_type": "Bearer" }))
}

/// Exchanges an Entra token for a refresh token of the registry.
pub(super) fn exchange(call: &Call) -> Reply {
    let form = call.form();
    let refuse = |words: &str| Reply::json(401, &json!({ "errors": [{ "code": "UNAUTHORIZED", "message": words }] }));
    if call.path != "/oauth2/exchange" || field(&form, "grant_type") != Some("access_token") {
        return refuse("unsupported grant");
    }
    let service = field(&form, "service").unwrap_or_default();
    if service == FOREIGN_REGISTRY {
        return refuse("authentication required");
    }
    match field(&form, "access_token").and_then(|token| token.strip_prefix("entra-")) {
        Some(who) => Reply::json(200, &json!({ "refresh_token": format!("refresh-of-{who}-at-{service}") })),
        None => refuse("authentication required"),
    }
}
