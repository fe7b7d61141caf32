//! Identities of machines: environments as the systems make them, and their services on loopback.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Body;
use axum::http::Response;
use sealift_keyless::oidc::IdentityError;
use sealift_keyless::oidc::ambient::{Environment, Source, detect};
use sealift_sandbox::sigstore::{Identity, Sigstore, SigstoreOptions};
use serde_json::{Value, json};

use crate::support::{Seen, Service, sigstore_token, token, transport};

/// Returns an environment of these variables, on a machine of no cloud.
fn environment<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
    let variables: BTreeMap<_, _> = variables.into_iter().collect();
    let nowhere = Path::new("/nowhere");
    Environment::new(|name| variables.get(name).map(|&value| value.to_owned()))
        .with_token_file(nowhere)
        .with_product_name_file(nowhere)
}

async fn answering(body: &Value) -> Service {
    Service::answering([body.to_string()]).await
}

#[tokio::test]
async fn nothing_is_detected_where_nothing_is() {
    assert!(detect(&environment([]), &transport()).is_none());
    assert!(detect(&environment([("SIGSTORE_ID_TOKEN", ""), ("CIRCLECI", "")]), &transport()).is_none());
}

#[tokio::test]
async fn github_actions_of_the_sandbox() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let variables = sigstore.actions_environment();
    let environment = environment(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let provider = detect(&environment, &transport()).unwrap();
    assert_eq!(provider.name(), "GitHub Actions");
    let token = provider.token("sigstore").await.unwrap();
    assert_eq!(token.issuer(), sigstore.issuer(&Identity::workflow("acme/app")));
    assert_eq!(token.proof_subject().unwrap(), "repo:acme/app:ref:refs/heads/main");
    assert!(!format!("{provider:?} {environment:?}").contains(&variables[2].1), "the request token is secret");
}

#[tokio::test]
async fn github_actions_as_documented() {
    let service = answering(&json!({ "count": 1, "value": sigstore_token() })).await;
    let url = service.at("/idtoken/jobs/7?api-version=2.0").to_string();
    let environment =
        environment([("ACTIONS_ID_TOKEN_REQUEST_URL", &*url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-secret")]);
    let provider = Source::GitHub.provider(&environment, &transport()).unwrap();
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    let Seen { uri, .. } = &service.seen()[0];
    assert_eq!(uri.to_string(), "/idtoken/jobs/7?api-version=2.0&audience=sigstore");
    assert_eq!(service.seen()[0].header("authorization"), "Bearer request-secret");
}

#[tokio::test]
async fn buildkite_as_its_agent_asks() {
    let service = answering(&json!({ "token": sigstore_token() })).await;
    let endpoint = service.at("/v3").to_string();
    let environment = environment([
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "agent-secret"),
        ("BUILDKITE_AGENT_ENDPOINT", &*endpoint),
        ("BUILDKITE_JOB_ID", "01-7/.."),
    ]);
    let provider = detect(&environment, &transport()).unwrap();
    assert_eq!(provider.name(), "Buildkite");
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    let seen = &service.seen()[0];
    assert_eq!(seen.uri.path(), "/v3/jobs/01-7%2F../oidc/tokens");
    assert_eq!(seen.header("authorization"), "Token agent-secret");
    assert_eq!(seen.body, r#"{"audience":"sigstore"}"#);
}

/// Stands for the program of CircleCI's jobs: prints what it was asked for on demand.
#[tokio::test]
async fn circleci_through_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let (script, arguments) = (folder.path().join("circleci"), folder.path().join("arguments"));
    let text = format!("printf '%s ' \"$@\" > {}\nprintf '%s' {}\n", arguments.display(), sigstore_token());
    std::fs::write(&script, text).unwrap();
    let circleci = |script: &Path| environment([("CIRCLECI", "true")]).with_circleci(&["sh", script.to_str().unwrap()]);
    let provider = detect(&circleci(&script), &transport()).unwrap();
    assert_eq!(provider.name(), "CircleCI");
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    let asked = std::fs::read_to_string(&arguments).unwrap();
    assert_eq!(asked, r#"run oidc get --claims {"aud":"sigstore"} "#);

    std::fs::write(&script, "echo secret >&2\nexit 3\n").unwrap();
    let error = detect(&circleci(&script), &transport()).unwrap().token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Program { .. }) && !format!("{error:?}").contains("secret"), "{error:?}");
    let missing = environment([("CIRCLECI", "true")]).with_circleci(&["/nowhere/circleci"]);
    let error = detect(&missing, &transport()).unwrap().token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Program { .. }), "{error:?}");
}

/// A metadata server says that it is one.
async fn metadata(body: String) -> Service {
    Service::with(move |_, _| {
        Response::builder().header("metadata-flavor", "Google").body(Body::from(body.clone())).unwrap()
    })
    .await
}

#[tokio::test]
async fn google_from_the_metadata_server() {
    let service = metadata(sigstore_token()).await;
    let host = service.url.authority();
    let provider = detect(&environment([("GCE_METADATA_HOST", host)]), &transport()).unwrap();
    assert_eq!(provider.name(), "Google Cloud");
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    let seen = &service.seen()[0];
    let path = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=sigstore&format=full";
    assert_eq!((seen.uri.to_string().as_str(), seen.header("metadata-flavor")), (path, "Google"));

    let impostor = Service::answering([sigstore_token()]).await;
    let provider = detect(&environment([("GCE_METADATA_HOST", impostor.url.authority())]), &transport()).unwrap();
    let error = provider.token("sigstore").await.unwrap_err();
    assert!(matches!(error, IdentityError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn google_is_known_by_its_firmware() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("product_name");
    for (name, expected) in [("Google Compute Engine\n", true), ("Google\n", true), ("VirtualBox\n", false)] {
        std::fs::write(&file, name).unwrap();
        let environment = environment([]).with_product_name_file(&file);
        assert_eq!(detect(&environment, &transport()).is_some(), expected, "{name}");
    }
}

#[tokio::test]
async fn google_acts_as_another_account() {
    let machine = metadata(json!({ "access_token": "access-secret", "expires_in": 3599 }).to_string()).await;
    let credentials = answering(&json!({ "token": sigstore_token() })).await;
    let environment = environment([
        ("GCE_METADATA_HOST", machine.url.authority()),
        ("GOOGLE_IAM_CREDENTIALS_ENDPOINT", credentials.url.as_str()),
        ("GOOGLE_SERVICE_ACCOUNT_NAME", "signer@acme.iam.gserviceaccount.com"),
    ]);
    let provider = detect(&environment, &transport()).unwrap();
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), sigstore_token());
    assert!(machine.seen()[0].uri.path().ends_with("/default/token"));
    let seen = &credentials.seen()[0];
    let account = "/v1/projects/-/serviceAccounts/signer@acme.iam.gserviceaccount.com:generateIdToken";
    assert_eq!((seen.uri.path(), seen.header("authorization")), (account, "Bearer access-secret"));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({ "audience": "sigstore", "includeEmail": true }));
}

#[tokio::test]
async fn a_variable_comes_first_and_a_file_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("oidc-token");
    std::fs::write(&file, sigstore_token()).unwrap();
    let from_file = environment([]).with_token_file(&file);
    assert_eq!(detect(&from_file, &transport()).unwrap().name(), "token file");
    let text = sigstore_token();
    let all = environment([("SIGSTORE_ID_TOKEN", text.as_str()), ("CIRCLECI", "true"), ("GITLAB_CI", "true")]);
    let provider = detect(&all.with_token_file(&file), &transport()).unwrap();
    assert_eq!(provider.name(), "given token");
    assert_eq!(provider.token("sigstore").await.unwrap().expose(), text);
}

/// Signing as a person, or not at all, would be a surprise: the error names what the job's definition lacks.
#[tokio::test]
async fn jobs_without_the_permission_are_told_what_they_lack() {
    for (variable, expected) in [("GITHUB_ACTIONS", "id-token: write"), ("GITLAB_CI", "SIGSTORE_ID_TOKEN")] {
        let provider = detect(&environment([(variable, "true")]), &transport()).unwrap();
        match provider.token("sigstore").await.unwrap_err() {
            IdentityError::NotPermitted { lacks, .. } => assert!(lacks.contains(expected), "{lacks}"),
            error => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn wrong_answers_are_refused_without_repeating_them() {
    let other = token(&json!({ "iss": "i", "sub": "s", "aud": "npm", "exp": 1 }));
    for (body, expected) in [
        (json!({ "value": other }).to_string(), "Token(Audience"),
        (json!({ "value": "secret" }).to_string(), "Token(Form"),
        (json!({ "token": other }).to_string(), "Malformed"),
        ("secret".to_owned(), "Malformed"),
        // Parsers repeat a value of another type than wanted.
        (json!("secret").to_string(), "Malformed"),
        (json!({ "value": token(&json!({ "iss": "i", "sub": "s", "exp": "secret" })) }).to_string(), "Token(Claims"),
        ("a".repeat(1_000_000), "Transport(TooLarge"),
    ] {
        let service = Service::answering([body.clone()]).await;
        let environment = environment([
            ("ACTIONS_ID_TOKEN_REQUEST_URL", service.url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x"),
        ]);
        let error = detect(&environment, &transport()).unwrap().token("sigstore").await.unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.starts_with(expected), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("eyJ") && shown.len() < 300, "{shown}");
    }
}
