//! Challenges of registries that want more than they are due: each ends before a credential or a token is lost.

use std::net::IpAddr;

use sealift_core::oci::{RegistryHost, Selector};
use sealift_core::repository::RepositoryError;
use sealift_oci::Client;
use sealift_oci::keychain::{Credential, ExplicitKeychain};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Registry, RegistryOptions, Rule, TokenAuth};

use crate::support::{access, access_as, kind, open, start, take_log};

fn with_realm(realm: &str) -> Registry {
    let auth = TokenAuth {
        user: "user".to_owned(),
        password: "pass".to_owned(),
        realm: Some(realm.to_owned()),
        ..TokenAuth::default()
    };
    let registry = start(RegistryOptions::default().with_auth(Auth::Token(auth)));
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    registry
}

fn v1() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

/// Opens `reg.test`, which is `registry` under a name, at an address that other names are judged by.
async fn resolve_at(registry: &Registry, realm_at: &str) -> Result<(), RepositoryError> {
    let (_, port) = registry.host().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let host: RegistryHost = format!("reg.test:{port}").parse().unwrap();
    let credential = Credential::from_pair("user", "pass");
    let mut access = access();
    access.keychain = std::sync::Arc::new(ExplicitKeychain::new(host.clone(), credential));
    access.plain_http.insert(host.clone());
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    access.names.insert("reg.test".to_owned(), vec![address("127.0.0.1")]);
    access.names.insert("auth.test".to_owned(), vec![address(realm_at)]);
    let name = format!("{host}/team/app").parse::<sealift_core::oci::Reference>().unwrap().repository();
    Client::new(access).unwrap().open(&name).await.unwrap().resolve(&v1()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_whose_name_leads_to_a_metadata_service_gets_nothing() {
    for address in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"] {
        let registry = with_realm("https://auth.test/token");
        let refused = resolve_at(&registry, address).await;
        let Err(RepositoryError::Unauthenticated { message, .. }) = &refused else { panic!("{address}: {refused:?}") };
        assert!(message.contains("`https://auth.test/token` gets no credentials: it is a private"), "{message}");
        assert_eq!(registry.requests().len(), 1, "nothing is tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_name_of_a_metadata_service_is_not_followed() {
    let registry = start(RegistryOptions::default());
    let image = fixture::image(1);
    registry.add("team/app", &image, Some("v1")).unwrap();
    let mut access = access();
    access.names.insert("cdn.test".to_owned(), vec!["169.254.169.254".parse().unwrap()]);
    let repository = open(access, &registry, "team/app").await;
    registry.set_faults([Rule::new(Effect::Redirect("http://cdn.test".to_owned())).on(Endpoint::Blob)]);
    let (blob, _) = image.blobs().next().unwrap();
    let refused = crate::support::read(repository.as_read(), blob).await;
    assert_eq!(kind(&refused), "unavailable");
    assert_eq!(registry.requests().len(), 1, "nothing is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn realms_over_http_with_user_information_or_elsewhere_in_the_network_get_nothing() {
    for realm in [
        "http://auth.test/token",
        "https://user:word@auth.test/token",
        "https://10.0.0.1/token",
        "https://[fe80::1]/token",
        "https://169.254.169.254/token",
        "ftp://auth.test/token",
        "//auth.test/token",
        "",
    ] {
        let registry = with_realm(realm);
        let refused = open(access_as(&registry, "user", "pass"), &registry, "team/app").await.resolve(&v1()).await;
        let Err(RepositoryError::Unauthenticated { message, .. }) = &refused else { panic!("{realm}: {refused:?}") };
        assert!(message.contains("gets no credentials"), "{realm}: {message}");
        assert!(!message.contains("word"), "{message}");
        assert_eq!(registry.requests().len(), 1, "{realm}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_that_redirects_is_refused_and_not_followed() {
    let thief = start(RegistryOptions::default());
    for effect in [Effect::Redirect(thief.url()), Effect::Redirect("http://169.254.169.254".to_owned())] {
        let service = start(RegistryOptions::default().with_auth(Auth::token("user", "pass")));
        service.set_faults([Rule::new(effect).on(Endpoint::Token)]);
        let registry = with_realm(&format!("{}/token", service.url()));
        let refused = open(access_as(&registry, "user", "pass"), &registry, "team/app").await.resolve(&v1()).await;
        assert_eq!(kind(&refused), "unauthenticated");
        assert!(thief.requests().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_asks_for_more_gets_no_more() {
    let asked_at = |registry: &Registry| -> Vec<String> {
        let queries = registry.requests().into_iter().flat_map(|request| request.query);
        queries.filter(|(key, _)| key == "scope").map(|(_, scope)| scope).collect()
    };
    let greedy = "repository:victim/secret:pull,push repository:app:pull,push,delete repository:team/app:* \
                  registry:catalog:* repository:x/team/app:push";
    // The registry is its own token service: the same repository under another name, for reading alone.
    let own = start(RegistryOptions::default().with_auth(Auth::token("user", "pass")));
    own.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let challenge = |realm: &str| format!("Bearer realm=\"{realm}/token\",service=\"s\",scope=\"{greedy}\"");
    own.set_faults([Rule::new(Effect::header("www-authenticate", &challenge(&own.url())))]);
    let client = Client::new(access_as(&own, "user", "pass")).unwrap();
    let reader = client.open_read(&crate::support::name(&own, "team/app")).await.unwrap();
    reader.resolve(&v1()).await.unwrap();
    assert_eq!(asked_at(&own), ["repository:app:pull", "repository:team/app:pull"]);

    // The token service is somebody else's: nothing but what is needed.
    let service = start(RegistryOptions::default().with_auth(Auth::token("user", "pass")));
    let registry = with_realm(&format!("{}/token", service.url()));
    registry.set_faults([Rule::new(Effect::header("www-authenticate", &challenge(&service.url())))]);
    let client = Client::new(access_as(&registry, "user", "pass")).unwrap();
    let reader = client.open_read(&crate::support::name(&registry, "team/app")).await.unwrap();
    // Its token is of no use here; what was asked for is the point.
    assert_eq!(kind(&reader.resolve(&v1()).await), "unauthenticated", "{:?}", take_log(&registry));
    assert!(asked_at(&service).iter().all(|scope| scope == "repository:team/app:pull"), "{:?}", asked_at(&service));
    assert!(!asked_at(&service).is_empty());
}
