//! The emulated registries: what each asks for, gives and refuses, and that each has its page.

use std::collections::BTreeSet;
use std::path::Path;

use sealift_core::oci::Descriptor;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Emulation};
use serde_json::Value;

use crate::support::{World, assert_refused, header};

/// Starts a registry that has `team/app:v1`.
fn world(emulation: Emulation) -> World {
    let world = World::new(emulation.options());
    world.registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    world
}

/// Asks the token service for a token, as the user or as nobody.
async fn token(world: &World, emulation: Emulation, scope: &str, as_user: bool) -> (u16, Value) {
    let Auth::Token(auth) = emulation.options().auth else { panic!("{emulation} has no token service") };
    let request = world.request("GET", auth.path).query(&[("service", auth.service), ("scope", scope)]);
    let request = if as_user { request.basic_auth(emulation.user(), Some(Emulation::PASSWORD)) } else { request };
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

#[tokio::test]
async fn challenges_are_those_of_the_registry() {
    use Emulation as E;
    for (emulation, path, expected) in [
        (E::Acr, "/v2/", r#"Bearer realm="{}/oauth2/token",service="{host}""#),
        (E::Acr, "/v2/_catalog", r#"Bearer realm="{}/oauth2/token",service="{host}",scope="registry:catalog:*""#),
        (
            E::Artifactory,
            "/v2/team/app/manifests/v1",
            r#"Bearer realm="{}/artifactory/api/docker/docker-local/v2/token",service="{host}",scope="repository:app:pull""#,
        ),
        (E::DockerHub, "/v2/", r#"Bearer realm="{}/token",service="registry.docker.io""#),
        (E::Ecr, "/v2/", r#"Basic realm="{}/",service="ecr.amazonaws.com""#),
        (E::Ecr, "/v2/team/app/manifests/v1", r#"Basic realm="{}/",service="ecr.amazonaws.com""#),
        (E::EcrPublic, "/v2/", r#"Bearer realm="{}/token/",service="public.ecr.aws",scope="aws""#),
        (E::Ghcr, "/v2/", r#"Bearer realm="{}/token",service="ghcr.io",scope="repository:user/image:pull""#),
        (
            E::Ghcr,
            "/v2/team/app/manifests/v1",
            r#"Bearer realm="{}/token",service="ghcr.io",scope="repository:team/app:pull""#,
        ),
        (
            E::Ghcr,
            "/v2/team/missing/manifests/v1",
            r#"Bearer realm="{}/token",service="ghcr.io",scope="repository:user/image:pull""#,
        ),
        (E::Gitlab, "/v2/", r#"Bearer realm="{}/jwt/auth",service="container_registry""#),
        (E::Harbor, "/v2/", r#"Bearer realm="{}/service/token",service="harbor-registry""#),
        (E::Quay, "/v2/", r#"Bearer realm="{}/v2/auth",service="quay.io""#),
    ] {
        let world = world(emulation);
        let reply = world.get(path).await;
        let expected = expected.replace("{}", &world.registry.url()).replace("{host}", &world.registry.host());
        assert_eq!(
            (reply.status().as_u16(), header(&reply, "www-authenticate")),
            (401, expected),
            "{emulation} {path}"
        );
    }
}

#[tokio::test]
async fn token_services_give_what_the_registry_gives() {
    use Emulation as E;
    let (pull, push) = ("repository:team/app:pull", "repository:team/app:pull,push");
    let placeholder = "repository:user/image:pull";
    for (emulation, scope, as_user, status, fields) in [
        (E::Acr, pull, true, 200, "access_token"),
        (E::Acr, pull, false, 401, "errors"),
        (E::DockerHub, pull, false, 200, "access_token expires_in token"),
        (E::EcrPublic, "aws", false, 200, "token"),
        (E::Ghcr, push, true, 200, "token"),
        (E::Ghcr, "repository:public/app:pull", false, 200, "token"),
        (E::Ghcr, "repository:public/app:pull,push", false, 403, "errors"),
        (E::Ghcr, pull, false, 403, "errors"),
        (E::Ghcr, placeholder, false, 403, "errors"),
        (E::Ghcr, placeholder, true, 200, "token"),
        (E::Gitlab, pull, false, 403, "errors"),
        (E::Gitlab, push, true, 200, "token"),
        (E::Harbor, pull, true, 200, "access_token expires_in token"),
        (E::Quay, pull, true, 200, "token"),
    ] {
        let (found, answer) = token(&world(emulation), emulation, scope, as_user).await;
        let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((found, keys.join(" ").as_str()), (status, fields), "{emulation} {scope} {as_user}");
    }
}

#[tokio::test]
async fn a_token_for_the_catalog_of_docker_hub_allows_nothing() {
    let world = world(Emulation::DockerHub);
    let (_, answer) = token(&world, Emulation::DockerHub, "registry:catalog:*", true).await;
    let asked = world.request("GET", "/v2/_catalog").bearer_auth(answer["token"].as_str().unwrap());
    assert_refused(asked.send().await.unwrap(), 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn acr_exchanges_an_identity_for_a_refresh_token_and_that_for_access() {
    let world = world(Emulation::Acr);
    let host = world.registry.host();
    let exchange = |token: &'static str, service: String| {
        let form = [("grant_type", "access_token"), ("service", &service), ("tenant", "t"), ("access_token", token)];
        world.request("POST", "/oauth2/exchange").form(&form)
    };
    let wrong = exchange("somebody else's", host.clone()).send().await.unwrap();
    assert_refused(wrong, 401, "UNAUTHORIZED").await;
    let elsewhere = exchange(Emulation::AAD_ACCESS_TOKEN, "other.azurecr.io".to_owned()).send().await.unwrap();
    assert_refused(elsewhere, 401, "UNAUTHORIZED").await;
    let answer: Value = exchange(Emulation::AAD_ACCESS_TOKEN, host.clone()).send().await.unwrap().json().await.unwrap();
    let refresh = answer["refresh_token"].as_str().unwrap();
    let scope = "repository:team/app:pull";
    let form = [("grant_type", "refresh_token"), ("service", &host), ("scope", scope), ("refresh_token", refresh)];
    let answer: Value = world.request("POST", "/oauth2/token").form(&form).send().await.unwrap().json().await.unwrap();
    let access = answer["access_token"].as_str().unwrap();
    let read = world.request("GET", "/v2/team/app/manifests/v1").bearer_auth(access).send().await.unwrap();
    assert_eq!(read.status(), 200);
    // As `az acr login` keeps it: nobody may take it for a password.
    let guid = "00000000-0000-0000-0000-000000000000";
    let get = world.request("GET", "/oauth2/token").basic_auth(guid, Some(refresh)).send().await.unwrap();
    assert_refused(get, 401, "UNAUTHORIZED").await;
}

#[tokio::test]
async fn ecr_wants_repositories_first_and_keeps_its_tags() {
    let world = World::new(Emulation::EcrImmutable.options());
    let as_user = |request: reqwest::RequestBuilder| request.basic_auth("AWS", Some(Emulation::PASSWORD));
    let opened = as_user(world.request("POST", "/v2/team/app/blobs/uploads/")).send().await.unwrap();
    assert_refused(opened, 404, "NAME_UNKNOWN").await;
    world.registry.create_repository("team/app");
    let opened = as_user(world.request("POST", "/v2/team/app/blobs/uploads/")).send().await.unwrap();
    assert_eq!(opened.status(), 202);
    world.registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let image = fixture::image(2);
    world.registry.add("team/app", &image, None).unwrap();
    for (tag, status) in [("v2", 201), ("v2", 400), ("v1", 400)] {
        let put = as_user(world.request("PUT", &format!("/v2/team/app/manifests/{tag}")))
            .header("content-type", image.descriptor().media_type.as_str())
            .body(image.root().bytes().clone());
        assert_eq!(put.send().await.unwrap().status(), status, "{tag}");
    }
    let expired = world.request("GET", "/v2/").basic_auth("AWS", Some("expired")).send().await.unwrap();
    assert_refused(expired, 403, "DENIED").await;
}

#[tokio::test]
async fn docker_hub_counts_pulls_and_not_looks() {
    let mut options = Emulation::DockerHub.options();
    options.quirks.pull_limit.as_mut().unwrap().pulls = 1;
    options.auth = Auth::None;
    let world = World::new(options);
    world.registry.add("library/app", &fixture::image(1), Some("v1")).unwrap();
    let path = "/v2/library/app/manifests/v1";
    for (method, status, left) in
        [("HEAD", 200, "1;w=21600"), ("GET", 200, "0;w=21600"), ("HEAD", 200, "0;w=21600"), ("GET", 429, "0;w=21600")]
    {
        let reply = world.send(method, path).await;
        assert_eq!((reply.status().as_u16(), header(&reply, "ratelimit-remaining").as_str()), (status, left));
        assert_eq!(header(&reply, "ratelimit-limit"), "1;w=21600");
    }
}

#[tokio::test]
async fn referrers_are_answered_as_the_registry_answers() {
    use Emulation as E;
    let subject = Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"nobody pushed this");
    for (emulation, status, media_type) in [
        (E::Distribution, 404, "text/plain; charset=utf-8"),
        (E::DockerHub, 200, "application/vnd.oci.image.index.v1+json"),
        (E::DockerHub2024, 404, "text/plain; charset=utf-8"),
        (E::Ghcr, 404, "application/json"),
        (E::GhcrRedirecting, 303, ""),
        (E::Gitlab, 404, "text/plain; charset=utf-8"),
        (E::Quay, 400, "application/json"),
        (E::Zot, 200, "application/vnd.oci.image.index.v1+json"),
    ] {
        let world = World::new(sealift_sandbox::registry::RegistryOptions { auth: Auth::None, ..emulation.options() });
        world.registry.add("team/app", &fixture::image(1), None).unwrap();
        let reply = world.get(&format!("/v2/team/app/referrers/{}", subject.digest)).await;
        assert_eq!(
            (reply.status().as_u16(), header(&reply, "content-type").as_str()),
            (status, media_type),
            "{emulation}"
        );
    }
}

#[tokio::test]
async fn uploads_have_the_limits_of_the_registry() {
    let open = |options: sealift_sandbox::registry::RegistryOptions| {
        World::new(sealift_sandbox::registry::RegistryOptions { auth: Auth::None, ..options })
    };
    let ghcr = open(Emulation::Ghcr.options());
    let session = ghcr.open("team/app").await;
    let patch = |location: String, range: &'static str| {
        ghcr.request("PATCH", &location).header("content-range", range).body("half").send()
    };
    let first = patch(session, "0-3").await.unwrap();
    assert_eq!(first.status(), 202);
    let location = header(&first, "location");
    assert_eq!(patch(location.clone(), "4-7").await.unwrap().status(), 416);
    assert_refused(ghcr.send("DELETE", &location).await, 405, "UNSUPPORTED").await;

    let mut options = Emulation::Acr.options();
    options.quirks.max_upload = Some(10);
    let acr = open(options);
    let session = acr.open("team/app").await;
    let put = acr.request("PUT", &format!("{session}&digest=sha256:{}", "0".repeat(64))).body("more than ten bytes");
    assert_refused(put.send().await.unwrap(), 413, "SIZE_INVALID").await;
}

/// A quirk learned changes its page in the same change.
#[test]
fn every_emulation_has_a_page_and_every_page_an_emulation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/registries");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = names.filter(|name| !ABOUT_SEVERAL.contains(&name.as_str())).collect();
    let expected: BTreeSet<String> = Emulation::all().map(|emulation| format!("{}.md", emulation.page())).collect();
    assert_eq!(pages, expected);
    let table = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for emulation in Emulation::all() {
        let page = format!("{}.md", emulation.page());
        let text = std::fs::read_to_string(folder.join(&page)).unwrap();
        assert!(text.contains(&format!("--as {emulation}`")), "{page} does not say how to run {emulation}");
        assert!(text.contains("https://"), "{page} cites nothing");
        assert!(table.contains(&format!("]({page})")), "README.md does not list {page}");
    }
}

/// Pages that are not about one registry.
const ABOUT_SEVERAL: [&str; 2] = ["README.md", "concurrent-writers.md"];
