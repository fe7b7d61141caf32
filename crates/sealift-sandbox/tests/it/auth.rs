//! Who may do what: Basic, bearer tokens, and the token service in both of its ways.

use std::time::Duration;

use reqwest::Response;
use sealift_core::oci::Digest;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, RegistryOptions, TokenAuth};
use serde_json::Value;

use crate::support::{World, assert_refused, header};

fn world(auth: TokenAuth) -> World {
    let auth = TokenAuth { user: "anna".to_owned(), password: "secret".to_owned(), ..auth };
    let world = World::new(RegistryOptions::default().with_auth(Auth::Token(auth)));
    world.registry.add("a", &fixture::image(1), Some("v1")).unwrap();
    world
}

/// Asks the token service for `scopes`, as the user.
async fn token(world: &World, scopes: &[&str]) -> String {
    let query: Vec<_> = scopes.iter().map(|scope| ("scope", *scope)).collect();
    let reply = world.request("GET", "/token").query(&query).basic_auth("anna", Some("secret")).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

async fn send(world: &World, method: &str, path: &str, token: &str) -> Response {
    world.request(method, path).bearer_auth(token).send().await.unwrap()
}

#[tokio::test]
async fn basic_wants_the_password() {
    let world = World::new(RegistryOptions::default().with_auth(Auth::basic("anna", "secret")));
    world.registry.add("a", &fixture::image(1), Some("v1")).unwrap();
    for (password, expected) in [("secret", 200), ("wrong", 401)] {
        let reply = world.request("GET", "/v2/").basic_auth("anna", Some(password)).send().await.unwrap();
        assert_eq!(reply.status(), expected);
    }
    let anonymous = world.get("/v2/a/manifests/v1").await;
    assert!(header(&anonymous, "www-authenticate").starts_with("Basic realm="));
    assert_refused(anonymous, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn challenges_name_realm_service_and_scope() {
    let world = world(TokenAuth { placeholder_scope: Some("repository:user/image:pull".to_owned()), ..<_>::default() });
    let digest = Digest::sha256(b"x");
    world.registry.create_repository("a");
    world.registry.create_repository("b");
    for (method, path, scope) in [
        ("GET", "/v2/".to_owned(), "repository:user/image:pull"),
        ("GET", "/v2/a/manifests/v1".to_owned(), "repository:a:pull"),
        ("PUT", "/v2/a/manifests/v1".to_owned(), "repository:a:pull,push"),
        ("DELETE", "/v2/a/manifests/v1".to_owned(), "repository:a:delete"),
        ("GET", "/v2/_catalog".to_owned(), "repository:user/image:pull"),
        ("GET", "/v2/unknown/manifests/v1".to_owned(), "repository:user/image:pull"),
        ("POST", format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), "repository:b:pull,push repository:a:pull"),
    ] {
        let reply = world.send(method, &path).await;
        let expected =
            format!("Bearer realm=\"{}/token\",service=\"sealift-sandbox\",scope=\"{scope}\"", world.registry.url());
        assert_eq!((reply.status().as_u16(), header(&reply, "www-authenticate")), (401, expected), "{method} {path}");
    }
}

#[tokio::test]
async fn a_token_allows_what_its_scopes_say() {
    let world = world(TokenAuth::default());
    let pull = token(&world, &["repository:a:pull"]).await;
    assert_eq!(send(&world, "GET", "/v2/", &pull).await.status(), 200);
    assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", &pull).await.status(), 200);
    for (method, path) in
        [("POST", "/v2/a/blobs/uploads/"), ("DELETE", "/v2/a/manifests/v1"), ("GET", "/v2/b/tags/list")]
    {
        let reply = send(&world, method, path, &pull).await;
        assert!(header(&reply, "www-authenticate").ends_with("error=\"insufficient_scope\""), "{method} {path}");
        assert_eq!(reply.status(), 401);
    }
    let push = token(&world, &["repository:a:pull,push"]).await;
    assert_eq!(send(&world, "POST", "/v2/a/blobs/uploads/", &push).await.status(), 202);
    let delete = token(&world, &["repository:a:delete"]).await;
    assert_eq!(send(&world, "DELETE", "/v2/a/manifests/v1", &delete).await.status(), 202);
}

#[tokio::test]
async fn mounting_needs_to_pull_from_the_source() {
    let world = world(TokenAuth::default());
    let digest = world.registry.add_blob("a", bytes::Bytes::from_static(b"content")).unwrap();
    let path = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    let destination = token(&world, &["repository:b:pull,push"]).await;
    assert_eq!(send(&world, "POST", &path, &destination).await.status(), 401);
    let both = token(&world, &["repository:b:pull,push", "repository:a:pull"]).await;
    assert_eq!(send(&world, "POST", &path, &both).await.status(), 201);
    let in_one_parameter = token(&world, &["repository:b:pull,push repository:a:pull"]).await;
    assert_eq!(send(&world, "POST", &path, &in_one_parameter).await.status(), 201);
}

#[tokio::test]
async fn anybody_may_pull_where_that_is_allowed() {
    for (anonymous_pull, expected) in [(true, 200), (false, 401)] {
        let world = world(TokenAuth { anonymous_pull, ..<_>::default() });
        let reply = world.get("/token?scope=repository:a:pull,push").await;
        assert_eq!(reply.status(), expected);
        if expected == 200 {
            let body: Value = reply.json().await.unwrap();
            let token = body["access_token"].as_str().unwrap();
            assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", token).await.status(), 200);
            assert_eq!(send(&world, "POST", "/v2/a/blobs/uploads/", token).await.status(), 401);
        }
    }
}

#[tokio::test]
async fn tokens_end_when_their_time_is_over_or_they_are_revoked() {
    let world = world(TokenAuth { lifetime: Duration::ZERO, expires_in: None, ..<_>::default() });
    let reply = world.request("GET", "/token").basic_auth("anna", Some("secret")).send().await.unwrap();
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body.get("expires_in"), None);
    let expired = send(&world, "GET", "/v2/", body["token"].as_str().unwrap()).await;
    assert!(header(&expired, "www-authenticate").ends_with("error=\"invalid_token\""));

    let world = self::world(TokenAuth::default());
    let token = token(&world, &["repository:a:pull"]).await;
    assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", &token).await.status(), 200);
    world.registry.revoke_tokens();
    assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", &token).await.status(), 401);
}

#[tokio::test]
async fn actions_may_be_denied_to_everybody() {
    let world = world(TokenAuth { denied_actions: vec!["push".to_owned()], ..<_>::default() });
    let token = token(&world, &["repository:a:pull,push"]).await;
    assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", &token).await.status(), 200);
    assert_eq!(send(&world, "POST", "/v2/a/blobs/uploads/", &token).await.status(), 401);
}

#[tokio::test]
async fn refresh_tokens_stand_for_the_password() {
    let world = world(TokenAuth::default());
    let ask = |form: Vec<(&'static str, String)>| world.request("POST", "/token").form(&form).send();
    let first = ask(vec![
        ("grant_type", "password".to_owned()),
        ("username", "anna".to_owned()),
        ("password", "secret".to_owned()),
        ("access_type", "offline".to_owned()),
        ("scope", "repository:a:pull".to_owned()),
    ]);
    let first: Value = first.await.unwrap().json().await.unwrap();
    let refresh = first["refresh_token"].as_str().unwrap().to_owned();
    let scope = "repository:a:pull repository:b:pull,push".to_owned();
    let second = |token: String| {
        ask(vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token), ("scope", scope.clone())])
    };
    assert_eq!(second("refresh-other".to_owned()).await.unwrap().status(), 401);
    let second: Value = second(refresh).await.unwrap().json().await.unwrap();
    let token = second["access_token"].as_str().unwrap();
    assert_eq!(send(&world, "GET", "/v2/a/manifests/v1", token).await.status(), 200);
    assert_eq!(send(&world, "POST", "/v2/b/blobs/uploads/", token).await.status(), 202);

    let old = self::world(TokenAuth { oauth: false, ..<_>::default() });
    assert_eq!(old.send("POST", "/token").await.status(), 405);
}

#[tokio::test]
async fn a_wrong_password_gets_no_token() {
    let world = world(TokenAuth { anonymous_pull: true, ..<_>::default() });
    let reply = world.request("GET", "/token").basic_auth("anna", Some("wrong")).send().await.unwrap();
    assert_eq!(reply.status(), 401);
}
