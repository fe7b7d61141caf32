//! Credentials from clouds, against emulations of their services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;
use sealift_core::crypto::PrivateKey;
use sealift_core::oci::Selector;
use sealift_oci::Access;
use sealift_oci::keychain::{
    Anonymous, CloudKeychain, CloudSources, Credential, Keychain, KeychainChain, KeychainError, Resolved, Resource,
};
use sealift_sandbox::cloud::{self, CloudOptions, CloudServices, Machine};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Emulation, Endpoint, RegistryOptions, TokenAuth};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{access_with, open};

const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const ACR: &str = "team.azurecr.io";
const GAR: &str = "europe-docker.pkg.dev";

fn start(options: CloudOptions) -> CloudServices {
    CloudServices::start(options).unwrap()
}

/// Returns the variables that lead to the emulated services, as on a machine of every cloud at once.
fn machine(services: &CloudServices) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("AWS_ENDPOINT_URL_ECR", services.url("ecr")),
        ("AWS_ENDPOINT_URL_ECR_PUBLIC", services.url("ecr-public")),
        ("AWS_ENDPOINT_URL_STS", services.url("sts")),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.origin()),
        ("AZURE_AUTHORITY_HOST", services.url("entra")),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", services.origin()),
        ("GCE_METADATA_HOST", services.host()),
    ])
}

/// Returns the same with more variables.
fn with(services: &CloudServices, more: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    let mut variables = machine(services);
    variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    variables
}

fn keychain(services: &CloudServices, variables: &BTreeMap<&'static str, String>) -> CloudKeychain {
    let mut sources = CloudSources::new(|name| variables.get(name).cloned(), noon);
    sources.acr_origin = Some(services.origin().parse().unwrap());
    CloudKeychain::new(sources)
}

fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

async fn ask(keychain: &CloudKeychain, host: &str) -> Result<Resolved, KeychainError> {
    keychain.resolve(&Resource { host: host.parse().unwrap(), path: Some("team/app".to_owned()) }).await
}

/// Returns `user:password`, or the token, and where it came from.
fn shown(found: &Resolved) -> (String, String) {
    let credential = match found.credential() {
        Credential::Anonymous => "(anonymous)".to_owned(),
        Credential::Basic { username, password } => format!("{username}:{}", password.expose()),
        Credential::IdentityToken(token) => token.expose().to_owned(),
        other => format!("{other:?}"),
    };
    (credential, found.origin().to_owned())
}

#[tokio::test]
async fn aws_identities_are_found_in_the_order_of_aws() {
    let services = start(CloudOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{}\n", cloud::WEB_IDENTITY_TOKEN)).unwrap();
    let (file, container) = (file.to_str().unwrap(), services.url("container"));
    let keys = [("AWS_ACCESS_KEY_ID", cloud::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", cloud::SECRET_KEY)];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", file), ("AWS_ROLE_ARN", cloud::ROLE_ARN)];
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", cloud::CONTAINER_TOKEN),
    ];
    for (variables, who, origin) in [
        ([&keys[..], &web, &container].concat(), cloud::ACCESS_KEY, "AWS keys in the environment"),
        ([&web[..], &container].concat(), "ASIAWEB", "AWS role by web identity"),
        (container.to_vec(), "ASIACONTAINER", "AWS role of the container"),
        (Vec::new(), cloud::INSTANCE_KEY, "AWS role of the instance"),
    ] {
        let keychain = keychain(&services, &with(&services, &variables));
        let expected = (format!("AWS:password-of-{who}"), origin.to_owned());
        assert_eq!(shown(&ask(&keychain, ECR).await.unwrap()), expected);
        assert_eq!(shown(&ask(&keychain, "public.ecr.aws").await.unwrap()), expected);
    }
    let off = keychain(&services, &with(&services, &[("AWS_EC2_METADATA_DISABLED", "true")]));
    assert!(ask(&off, ECR).await.unwrap().is_anonymous());
}

#[tokio::test]
async fn azure_identities_are_exchanged_at_the_registry() {
    let services = start(CloudOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, cloud::FEDERATED_TOKEN).unwrap();
    let principal = [("AZURE_TENANT_ID", cloud::TENANT), ("AZURE_CLIENT_ID", cloud::CLIENT)];
    let secret = [("AZURE_CLIENT_SECRET", cloud::CLIENT_SECRET)];
    let federated = [("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
    let app_url = services.url("app");
    let app = [("IDENTITY_ENDPOINT", app_url.as_str()), ("IDENTITY_HEADER", "app-header")];
    for (variables, who, origin) in [
        ([&principal[..], &secret, &federated, &app].concat(), "principal", "Azure service principal"),
        ([&principal[..], &federated, &app].concat(), "principal", "Azure federated token"),
        (app.to_vec(), "app", "Azure managed identity of the app"),
        (Vec::new(), "machine", "Azure managed identity of the machine"),
        (principal[1..].to_vec(), "machine", "Azure managed identity of the machine"),
    ] {
        let keychain = keychain(&services, &with(&services, &variables));
        let expected = (format!("refresh-of-{who}-at-{ACR}"), origin.to_owned());
        assert_eq!(shown(&ask(&keychain, ACR).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn google_identities_are_found_in_files_and_at_the_metadata_server() {
    let pem = include_str!("../../../../testdata/keys/openssl/rsa-2048.pkcs8.pem");
    let key = PrivateKey::from_pem(pem.as_bytes(), || unreachable!()).unwrap();
    let options = CloudOptions { service_account_key: key.public_key().to_pem(), ..CloudOptions::default() };
    let services = start(options);
    let directory = tempfile::tempdir().unwrap();
    let token_uri = services.url("google/token");
    let account = json!({
        "type": "service_account", "client_email": cloud::SERVICE_ACCOUNT, "private_key": pem, "private_key_id": "k1",
        "token_uri": token_uri,
    });
    let person = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": cloud::REFRESH_TOKEN,
        "token_uri": token_uri,
    });
    let subject = directory.path().join("subject");
    std::fs::write(&subject, cloud::SUBJECT_TOKEN).unwrap();
    let external = |source: serde_json::Value| {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": services.url("google/sts"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source,
        })
    };
    let from_file = external(json!({ "file": subject }));
    let mut from_url = external(json!({
        "url": services.url("google/subject"), "headers": { "x-ci": "yes" },
        "format": { "type": "json", "subject_token_field_name": "value" },
    }));
    from_url["service_account_impersonation_url"] = services.url("google/impersonate").into();
    for (name, file, who) in [
        ("account", account, "service-account"),
        ("person", person, "person"),
        ("file", from_file, "federated"),
        ("url", from_url, "impersonated"),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, file.to_string()).unwrap();
        let variables = with(&services, &[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())]);
        let found = ask(&keychain(&services, &variables), GAR).await.unwrap();
        assert_eq!(shown(&found).0, format!("oauth2accesstoken:google-token-of-{who}"), "{name}");
    }
    let gcloud = directory.path().join("application_default_credentials.json");
    std::fs::rename(directory.path().join("person"), gcloud).unwrap();
    let variables = with(&services, &[("CLOUDSDK_CONFIG", directory.path().to_str().unwrap())]);
    let found = ask(&keychain(&services, &variables), "gcr.io").await.unwrap();
    assert_eq!(shown(&found).1, "application default credentials of gcloud");
    let found = ask(&keychain(&services, &machine(&services)), "eu.gcr.io").await.unwrap();
    let expected = ("oauth2accesstoken:google-token-of-machine".to_owned(), "Google metadata server".to_owned());
    assert_eq!(shown(&found), expected);
}

#[tokio::test]
async fn the_token_of_a_github_job_is_for_ghcr_alone() {
    let services = start(CloudOptions { machine: Machine::Nobody, ..CloudOptions::default() });
    let token = ("GITHUB_TOKEN", "ghs_job");
    for (variables, expected) in [
        (vec![token], "(anonymous)"),
        (vec![token, ("GITHUB_ACTIONS", "true")], "x-access-token:ghs_job"),
        (vec![token, ("GITHUB_ACTOR", "octocat")], "octocat:ghs_job"),
        (vec![("GITHUB_ACTIONS", "true")], "(anonymous)"),
    ] {
        let keychain = keychain(&services, &with(&services, &variables));
        assert_eq!(shown(&ask(&keychain, "ghcr.io").await.unwrap()).0, expected);
        for host in ["docker.io", "ghcr.io.evil.test", ACR, GAR, ECR] {
            assert!(ask(&keychain, host).await.unwrap().is_anonymous(), "{host}");
        }
    }
}

#[tokio::test]
async fn other_hosts_ask_no_cloud() {
    let services = start(CloudOptions::default());
    let keys = [("AWS_ACCESS_KEY_ID", cloud::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", cloud::SECRET_KEY)];
    let keychain = keychain(&services, &with(&services, &keys));
    for host in ["docker.io", "reg.test", "127.0.0.1:5000", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test"] {
        assert!(ask(&keychain, host).await.unwrap().is_anonymous(), "{host}");
    }
    assert_eq!(services.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_without_identity_is_anonymous() {
    let services = start(CloudOptions { machine: Machine::Nobody, ..CloudOptions::default() });
    let here = keychain(&services, &machine(&services));
    // A port that nobody listens on, as on a machine of no cloud.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nowhere}");
    let host = nowhere.to_string();
    let outside = with(
        &services,
        &[
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url),
            ("GCE_METADATA_HOST", &host),
        ],
    );
    let outside = keychain(&services, &outside);
    for host in [ECR, ACR, GAR, "public.ecr.aws"] {
        assert!(ask(&here, host).await.unwrap().is_anonymous(), "{host}");
        assert!(ask(&outside, host).await.unwrap().is_anonymous(), "{host}");
    }
}

#[tokio::test]
async fn the_metadata_of_another_cloud_is_no_obstacle() {
    // 401 is what EC2 says without a session, 400 what Azure says without its header.
    for status in [400, 401, 403, 404, 405] {
        let services = start(CloudOptions { machine: Machine::Other(status), ..CloudOptions::default() });
        let keychain = keychain(&services, &machine(&services));
        for host in [ECR, ACR, GAR, "public.ecr.aws"] {
            assert!(ask(&keychain, host).await.unwrap().is_anonymous(), "{host} {status}");
        }
    }
    // What none of them says is no absence.
    let services = start(CloudOptions { machine: Machine::Other(418), ..CloudOptions::default() });
    for host in [ECR, ACR, "public.ecr.aws"] {
        let error = ask(&keychain(&services, &machine(&services)), host).await.unwrap_err();
        assert!(error.to_string().contains("HTTP 418"), "{error}");
    }
    // Who is named must be there.
    let services = start(CloudOptions { machine: Machine::Other(401), ..CloudOptions::default() });
    let named = keychain(&services, &with(&services, &[("AZURE_CLIENT_ID", cloud::CLIENT)]));
    assert!(ask(&named, ACR).await.unwrap_err().to_string().contains("managed identity of the machine"));
}

#[tokio::test]
async fn a_registry_that_does_not_know_this_machine_is_read_anonymously() {
    let services = start(CloudOptions::default());
    let here = keychain(&services, &machine(&services));
    assert!(ask(&here, cloud::FOREIGN_REGISTRY).await.unwrap().is_anonymous());
    assert!(!ask(&here, ACR).await.unwrap().is_anonymous());
    // Who chose an identity is told that it does not do.
    let principal = [
        ("AZURE_TENANT_ID", cloud::TENANT),
        ("AZURE_CLIENT_ID", cloud::CLIENT),
        ("AZURE_CLIENT_SECRET", cloud::CLIENT_SECRET),
    ];
    for chosen in [&principal[..], &principal[1..2]] {
        let refused = ask(&keychain(&services, &with(&services, chosen)), cloud::FOREIGN_REGISTRY).await;
        assert!(refused.unwrap_err().to_string().contains("authentication required"), "{chosen:?}");
    }
}

/// Starts a service that answers the first line of a request with what `answer` says, and returns its address.
async fn service(answer: impl Fn(&str) -> (u16, &'static str) + Send + 'static) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let read = stream.read(&mut request).await.unwrap();
            let (status, body) = answer(String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default());
            let length = body.len();
            let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    origin
}

#[tokio::test]
async fn an_instance_that_gives_a_session_and_no_role_is_told_from_one_that_refuses() {
    for (status, expected) in [(404, None), (400, Some("HTTP 400")), (401, Some("HTTP 401")), (403, Some("HTTP 403"))] {
        let instance = service(move |line| match line.starts_with("PUT /latest/api/token ") {
            true => (200, "session"),
            false => (status, ""),
        });
        let variables = BTreeMap::from([("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.await)]);
        let keychain = CloudKeychain::new(CloudSources::new(|name| variables.get(name).cloned(), noon));
        match (ask(&keychain, ECR).await, expected) {
            (Ok(found), None) => assert!(found.is_anonymous(), "{status}"),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, _) => panic!("{status}: {found:?}"),
        }
    }
}

/// Anonymous readers may be shown less, and would take it for all there is.
#[tokio::test]
async fn only_a_refusal_lets_a_registry_be_read_anonymously() {
    let services = start(CloudOptions::default());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (broken, words) in [
        (format!("http://{closed}"), "does not answer"),
        (service(|_| (200, "<html>log in</html>")).await, "an answer that is not what it should be"),
        (service(|_| (404, "no such page")).await, "HTTP 404"),
    ] {
        let variables = with(&services, &[("AWS_ENDPOINT_URL_ECR_PUBLIC", &broken)]);
        let error = ask(&keychain(&services, &variables), "public.ecr.aws").await.unwrap_err().to_string();
        assert!(error.contains("AWS role of the instance") && error.contains(words), "{error}");

        let variables = machine(&services);
        let mut sources = CloudSources::new(|name| variables.get(name).cloned(), noon);
        sources.acr_origin = Some(broken.parse().unwrap());
        let error = ask(&CloudKeychain::new(sources), cloud::FOREIGN_REGISTRY).await.unwrap_err().to_string();
        assert!(error.contains("Azure managed identity of the machine") && error.contains(words), "{error}");
    }
}

/// AWS says with the status of a refusal that it has too many requests.
#[tokio::test]
async fn throttling_is_waited_for_and_no_refusal() {
    let services = start(CloudOptions::default());
    for body in [
        r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        r#"{"__type":"com.amazonaws.ecrpublic#TooManyRequestsException"}"#,
        r#"{"Error":{"Code":"Throttling","Message":"Rate exceeded","Type":"Sender"},"RequestId":"1"}"#,
        "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code></Error></ErrorResponse>",
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let busy = service(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            (400, body)
        });
        let variables = with(&services, &[("AWS_ENDPOINT_URL_ECR_PUBLIC", &busy.await)]);
        let error = ask(&keychain(&services, &variables), "public.ecr.aws").await.unwrap_err().to_string();
        assert!(error.contains("too many requests"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 4, "{body}");
    }
    // What a service says about the identity is a refusal for all that.
    let refusing = service(|_| (400, r#"{"__type":"UnrecognizedClientException","message":"Throttling"}"#)).await;
    let variables = with(&services, &[("AWS_ENDPOINT_URL_ECR_PUBLIC", &refusing)]);
    assert!(ask(&keychain(&services, &variables), "public.ecr.aws").await.unwrap().is_anonymous());
}

/// Asks a keychain for the credentials of a registry that does not know this machine.
#[derive(Debug)]
struct AsForeign(CloudKeychain);

#[async_trait]
impl Keychain for AsForeign {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        let host = cloud::FOREIGN_REGISTRY.parse().unwrap();
        self.0.resolve(&Resource { host, path: resource.path.clone() }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_as_an_anonymous_reader_is_told_why_it_was_one() {
    let services = start(CloudOptions::default());
    let public = TokenAuth { anonymous_pull: true, ..TokenAuth::default() };
    for (auth, is_public) in
        [(Auth::Token(public), true), (Auth::token("user", "pass"), false), (Auth::basic("user", "pass"), false)]
    {
        let registry = crate::support::start(RegistryOptions { auth, ..RegistryOptions::default() });
        registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
        let chain = KeychainChain::new(vec![
            Arc::new(AsForeign(keychain(&services, &machine(&services)))),
            Arc::new(Anonymous),
        ]);
        let repository = open(Access::with_keychain(Arc::new(chain)), &registry, "team/app").await;
        let found = repository.resolve(&Selector::Tag("v1".parse().unwrap())).await;
        assert_eq!(found.is_ok(), is_public, "{found:?}");
        let Err(refused) = found else { continue };
        let refused = refused.to_string();
        let words = "Azure managed identity of the machine gives no credentials for foreign.azurecr.io";
        assert!(refused.contains(words) && refused.contains("authentication required"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_azure_ends_as_a_token_of_the_registry() {
    let services = start(CloudOptions::default());
    let mut options = Emulation::Acr.options();
    if let Auth::Token(auth) = &mut options.auth {
        auth.service = ACR;
        if let Some(exchange) = &mut auth.exchange {
            exchange.access_token = "entra-machine".to_owned();
        }
    }
    let registry = crate::support::start(options);
    let image = registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let variables = machine(&services);
    let mut sources = CloudSources::new(|name| variables.get(name).cloned(), noon);
    sources.acr_origin = Some(registry.url().parse().unwrap());
    let found = ask(&CloudKeychain::new(sources), ACR).await.unwrap();
    let repository = open(access_with(&registry, found.credential().clone()), &registry, "team/app").await;
    let v1 = Selector::Tag("v1".parse().unwrap());
    assert_eq!(repository.resolve(&v1).await.unwrap().digest, image.digest);
    fixture::image(2).push(&*repository, Some(&"v2".parse().unwrap())).await.unwrap();
    let tokens: Vec<_> =
        registry.requests().into_iter().filter(|request| request.endpoint == Endpoint::Token).collect();
    let paths: Vec<_> = tokens.iter().map(|request| request.line()).collect();
    assert_eq!(paths, ["POST /oauth2/exchange", "POST /oauth2/token"]);
}

#[tokio::test]
async fn a_source_that_fails_is_named_and_its_secrets_are_not() {
    let services = start(CloudOptions::default());
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong");
    std::fs::write(&wrong, "hunter2").unwrap();
    let wrong = wrong.to_str().unwrap();
    for (host, variables, words) in [
        (
            ECR,
            vec![("AWS_ACCESS_KEY_ID", "AKIDOTHER"), ("AWS_SECRET_ACCESS_KEY", "hunter2")],
            "AWS keys in the environment gives no credentials for 1234",
        ),
        (
            ECR,
            vec![("AWS_ACCESS_KEY_ID", cloud::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", "hunter2")],
            "signature we calculated does not match",
        ),
        (ECR, vec![("AWS_ACCESS_KEY_ID", "AKID")], "AWS_ACCESS_KEY_ID is not usable"),
        (
            ECR,
            vec![("AWS_WEB_IDENTITY_TOKEN_FILE", wrong), ("AWS_ROLE_ARN", cloud::ROLE_ARN)],
            "AWS role by web identity gives no credentials",
        ),
        (ECR, vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.test/")], "plain http"),
        (
            ACR,
            vec![
                ("AZURE_TENANT_ID", cloud::TENANT),
                ("AZURE_CLIENT_ID", cloud::CLIENT),
                ("AZURE_CLIENT_SECRET", "hunter2"),
            ],
            "Azure service principal gives no credentials for team.azurecr.io",
        ),
        (ACR, vec![("AZURE_CLIENT_ID", "other")], "Identity not found"),
        (GAR, vec![("GOOGLE_APPLICATION_CREDENTIALS", wrong)], "Google credentials file"),
        (GAR, vec![("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")], "/nowhere/key.json"),
    ] {
        let error = ask(&keychain(&services, &with(&services, &variables)), host).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
        assert!(!error.may_pass(), "{text}");
    }
    // Everyone may read there.
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDOTHER"), ("AWS_SECRET_ACCESS_KEY", "x")];
    assert!(ask(&keychain(&services, &with(&services, &keys)), "public.ecr.aws").await.unwrap().is_anonymous());
}

#[tokio::test]
async fn a_busy_cloud_is_asked_again_and_once_for_all() {
    let services = start(CloudOptions { busy: 2, ..CloudOptions::default() });
    let keys = [("AWS_ACCESS_KEY_ID", cloud::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", cloud::SECRET_KEY)];
    let keychain = keychain(&services, &with(&services, &keys));
    let answers = join_all((0..16).map(|_| ask(&keychain, ECR))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|found| !found.is_anonymous())));
    assert_eq!(services.requests(), ["POST /ecr 503", "POST /ecr 503", "POST /ecr 200"]);
    assert!(!ask(&keychain, "210987654321.dkr.ecr.eu-west-1.amazonaws.com").await.unwrap().is_anonymous());
    assert!(!format!("{keychain:?}").contains(cloud::SECRET_KEY));
}
