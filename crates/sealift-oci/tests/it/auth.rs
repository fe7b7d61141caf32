//! Authentication: how often it is asked for, and to whom credentials go.

use futures_util::future::join_all;
use sealift_core::oci::Selector;
use sealift_core::repository::RepositoryError;
use sealift_oci::keychain::Credential;
use sealift_oci::{Client, LoginCheck};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Registry, RegistryOptions, Rule, TokenAuth};

use crate::support::{access, access_as, access_with, count, host, kind, name, open, start, take_log};

fn token_auth(change: impl FnOnce(&mut TokenAuth)) -> RegistryOptions {
    let mut options = TokenAuth { user: "user".to_owned(), password: "pass".to_owned(), ..TokenAuth::default() };
    change(&mut options);
    RegistryOptions::default().with_auth(Auth::Token(options))
}

fn with_image(options: RegistryOptions) -> Registry {
    let registry = start(options);
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    registry
}

fn tag(text: &str) -> Selector {
    Selector::Tag(text.parse().unwrap())
}

fn refusals(registry: &Registry) -> usize {
    registry.requests().iter().filter(|request| request.status == 401).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_one_token() {
    let registry = with_image(token_auth(|_| {}));
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    let v1 = tag("v1");
    let answers = join_all((0..32).map(|_| repository.resolve(&v1))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(count(&registry, "GET", Endpoint::Token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_request_is_refused() {
    for (auth, tokens) in [(Auth::token("user", "pass"), 1), (Auth::basic("user", "pass"), 0)] {
        let registry = start(RegistryOptions::default().with_auth(auth));
        let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
        assert_eq!(kind(&repository.resolve(&tag("v1")).await), "not found");
        fixture::image(2).push(&*repository, Some(&"v1".parse().unwrap())).await.unwrap();
        repository.manifest(&tag("v1")).await.unwrap();
        assert_eq!(refusals(&registry), 1, "{:?}", registry.requests());
        assert_eq!(count(&registry, "GET", Endpoint::Token), tokens, "reading asks for writing too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_asks_for_reading_only_and_a_writer_of_the_same_client_for_more() {
    let registry = with_image(token_auth(|_| {}));
    let client = Client::new(access_as(&registry, "user", "pass")).unwrap();
    let repository = name(&registry, "team/app");
    client.open_read(&repository).await.unwrap().resolve(&tag("v1")).await.unwrap();
    let scopes = |registry: &Registry| -> Vec<String> {
        let queries = registry.requests().into_iter().flat_map(|request| request.query);
        queries.filter(|(key, _)| key == "scope").map(|(_, scope)| scope).collect()
    };
    assert_eq!(scopes(&registry), ["repository:team/app:pull"]);
    let writer = client.open(&repository).await.unwrap();
    fixture::image(2).push(&*writer, None).await.unwrap();
    assert_eq!(scopes(&registry), ["repository:team/app:pull", "repository:team/app:pull,push"]);
    assert_eq!(refusals(&registry), 1, "the second token is asked for before it is missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_stops_working_is_replaced_once() {
    let registry = with_image(token_auth(|_| {}));
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    repository.resolve(&tag("v1")).await.unwrap();
    registry.revoke_tokens();
    registry.clear_requests();
    repository.resolve(&tag("v1")).await.unwrap();
    assert_eq!(take_log(&registry), ["HEAD manifest 401", "GET token 200", "HEAD manifest 200"]);
    repository.resolve(&tag("v1")).await.unwrap();
    assert_eq!(take_log(&registry), ["HEAD manifest 200"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_end_in_one_error_and_no_loop() {
    for (options, requests) in [
        (RegistryOptions::default().with_auth(Auth::basic("user", "pass")), 2),
        // Refused for reading and writing, then for reading alone.
        (token_auth(|_| {}), 3),
    ] {
        let registry = with_image(options);
        let repository = open(access_as(&registry, "user", "wrong"), &registry, "team/app").await;
        let refused = repository.resolve(&tag("v1")).await;
        assert_eq!(kind(&refused), "unauthenticated");
        assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
        assert_eq!(registry.requests().len(), requests, "{:?}", take_log(&registry));
    }
    let registry = with_image(token_auth(|auth| auth.denied_actions = vec!["push".to_owned()]));
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    repository.resolve(&tag("v1")).await.unwrap();
    let refused = fixture::image(2).push(&*repository, None).await;
    assert_eq!(kind(&refused), "unauthenticated");
    assert!(registry.requests().len() <= 8, "{:?}", take_log(&registry));
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_reads_what_is_public() {
    let registry = with_image(token_auth(|auth| auth.anonymous_pull = true));
    let repository = open(access(), &registry, "team/app").await;
    repository.manifest(&tag("v1")).await.unwrap();
    let refused = fixture::image(2).push(&*repository, None).await;
    assert_eq!(kind(&refused), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_tokens_are_exchanged() {
    let registry = with_image(token_auth(|_| {}));
    let url = format!("{}/token?offline_token=true", registry.url());
    let http = reqwest::Client::builder().build().unwrap();
    let answer = http.get(url).basic_auth("user", Some("pass")).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let refresh = answer["refresh_token"].as_str().unwrap();
    registry.clear_requests();
    let access = access_with(&registry, Credential::from_pair("<token>", refresh));
    open(access, &registry, "team/app").await.resolve(&tag("v1")).await.unwrap();
    assert_eq!(take_log(&registry), ["HEAD manifest 401", "POST token 200", "HEAD manifest 200"]);

    // As `az acr login` stores it.
    let access = access_as(&registry, "00000000-0000-0000-0000-000000000000", refresh);
    open(access, &registry, "team/app").await.resolve(&tag("v1")).await.unwrap();
    assert_eq!(count(&registry, "POST", Endpoint::Token), 1);

    let old = with_image(token_auth(|auth| auth.oauth = false));
    let access = access_with(&old, Credential::IdentityToken("none".into()));
    assert_eq!(kind(&open(access, &old, "team/app").await.resolve(&tag("v1")).await), "unauthenticated");
    assert_eq!(take_log(&old)[1..3], ["POST token 405", "GET token 401"], "the older protocol is tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_realm_gets_nothing() {
    for realm in
        ["http://169.254.169.254/token", "https://10.0.0.1/token", "https://user:pw@example.invalid/", "not a url"]
    {
        let registry = with_image(token_auth(|auth| auth.realm = Some(realm.to_owned())));
        let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
        let refused = repository.resolve(&tag("v1")).await;
        let Err(RepositoryError::Unauthenticated { message, .. }) = &refused else { panic!("{realm}: {refused:?}") };
        assert!(message.contains("gets no credentials"), "{message}");
        assert_eq!(registry.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_cannot_send_the_password_elsewhere() {
    let (registry, thief) = (with_image(token_auth(|_| {})), start(RegistryOptions::default()));
    registry.set_faults([Rule::new(Effect::Redirect(thief.url())).on(Endpoint::Token)]);
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    assert_eq!(kind(&repository.resolve(&tag("v1")).await), "unauthenticated");
    assert!(thief.requests().is_empty(), "{:?}", thief.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_token_service_is_asked_again() {
    let registry = with_image(token_auth(|_| {}));
    registry.set_faults([Rule::new(Effect::Status(503)).on(Endpoint::Token).times(2)]);
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    repository.resolve(&tag("v1")).await.unwrap();
    registry.revoke_tokens();
    registry.set_faults([Rule::new(Effect::Status(503)).on(Endpoint::Token)]);
    assert_eq!(kind(&repository.resolve(&tag("v1")).await), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_tried_at_the_registry_and_its_token_service() {
    let right = Credential::from_pair("user", "pass");
    let wrong = Credential::from_pair("user", "wrong");
    let placeholder = |auth: &mut TokenAuth| auth.placeholder_scope = Some("repository:user/image:pull".to_owned());
    for options in [token_auth(placeholder), RegistryOptions::default().with_auth(Auth::basic("user", "pass"))] {
        let registry = start(options);
        let client = Client::new(access()).unwrap();
        let checked = client.check_login(&host(&registry), &right).await;
        assert_eq!(checked.unwrap(), LoginCheck::Accepted);
        assert_eq!(kind(&client.check_login(&host(&registry), &wrong).await), "unauthenticated");
        assert_eq!(kind(&client.check_login(&host(&registry), &Credential::Anonymous).await), "unauthenticated");
    }
    let open_to_all = start(RegistryOptions::default());
    let client = Client::new(access()).unwrap();
    assert_eq!(client.check_login(&host(&open_to_all), &right).await.unwrap(), LoginCheck::NotAsked);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_shows_a_secret() {
    let registry = with_image(token_auth(|_| {}));
    let client = Client::new(access_as(&registry, "user", "pass-phrase")).unwrap();
    let repository = client.open(&name(&registry, "team/app")).await.unwrap();
    let refused = repository.resolve(&tag("v1")).await.unwrap_err();
    for shown in [format!("{client:?}"), format!("{repository:?}"), format!("{refused:?}"), refused.to_string()] {
        assert!(!shown.contains("pass-phrase"), "{shown}");
    }
    let client = Client::new(access_as(&registry, "user", "pass")).unwrap();
    client.open(&name(&registry, "team/app")).await.unwrap().resolve(&tag("v1")).await.unwrap();
    assert!(!format!("{client:?}").contains("access-"), "{client:?}");
}
