//! Every emulated registry, through this client: pushed to, pulled from, attached to, listed, mounted, deleted from; and
//! one test for each quirk. What each registry does is on its page in `docs/registries/`.

use sealift_core::attach::{NewArtifact, Scope, Storage, attach, attachments};
use sealift_core::oci::{Descriptor, Selector, Tag};
use sealift_core::repository::{Arrival, ReferrersListing, RepositoryError};
use sealift_oci::keychain::Credential;
use sealift_oci::{Access, Client, LoginCheck};
use sealift_sandbox::fixture::{self, Pattern};
use sealift_sandbox::registry::{Effect, Emulation, Endpoint, LoggedRequest, Registry, Rule};

use crate::support::{access, access_as, access_with, count, host, kind, name, open, read, start, take_log};

fn as_user(registry: &Registry, emulation: Emulation) -> Access {
    access_as(registry, emulation.user(), Emulation::PASSWORD)
}

/// Starts a registry with an empty repository.
fn emulated(emulation: Emulation, path: &str) -> Registry {
    let registry = start(emulation.options());
    registry.create_repository(path);
    registry
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn v1() -> Selector {
    Selector::Tag(tag("v1"))
}

fn asked_scopes(registry: &Registry) -> Vec<String> {
    let queries = registry.requests().into_iter().flat_map(|request| request.query);
    queries.filter(|(key, _)| key == "scope").map(|(_, scope)| scope).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_registry_is_pushed_to_attached_to_listed_and_deleted_from() {
    use Emulation as E;
    use Storage::{FallbackTag, ReferrersApi};
    for (emulation, storage, arrival, deleted) in [
        (E::Acr, ReferrersApi, Arrival::Mounted, "ok"),
        (E::Artifactory, ReferrersApi, Arrival::Mounted, "ok"),
        (E::Distribution, FallbackTag, Arrival::Mounted, "ok"),
        (E::DockerHub, ReferrersApi, Arrival::Mounted, "unsupported"),
        (E::DockerHub2024, FallbackTag, Arrival::Mounted, "unsupported"),
        (E::Ecr, ReferrersApi, Arrival::Copied, "ok"),
        (E::EcrImmutable, ReferrersApi, Arrival::Copied, "ok"),
        (E::EcrPublic, ReferrersApi, Arrival::Copied, "ok"),
        (E::Gar, ReferrersApi, Arrival::Mounted, "ok"),
        (E::Ghcr, FallbackTag, Arrival::Mounted, "unsupported"),
        (E::GhcrRedirecting, FallbackTag, Arrival::Mounted, "unsupported"),
        (E::Gitlab, FallbackTag, Arrival::Mounted, "ok"),
        (E::Harbor, ReferrersApi, Arrival::Mounted, "ok"),
        (E::Quay, ReferrersApi, Arrival::Mounted, "ok"),
        (E::Zot, ReferrersApi, Arrival::Mounted, "ok"),
    ] {
        let registry = emulated(emulation, "docker-local/app");
        registry.create_repository("docker-local/other");
        let repository = open(as_user(&registry, emulation), &registry, "docker-local/app").await;
        let image = fixture::image(1).push(&*repository, Some(&tag("v1"))).await;
        let image = image.unwrap_or_else(|error| panic!("{emulation}: {error:?}"));
        for number in ["one", "two", "three"] {
            let artifact = NewArtifact::new("application/x.sig").with_annotation("number", number);
            attach(&*repository, &image, &artifact).await.unwrap_or_else(|error| panic!("{emulation}: {error:?}"));
        }

        let client = Client::new(as_user(&registry, emulation)).unwrap();
        let reader = client.open_read(&name(&registry, "docker-local/app")).await.unwrap();
        assert_eq!(reader.manifest(&v1()).await.unwrap().descriptor().digest, image.digest);
        let found = attachments(&*reader, &image.digest, Scope::Nested).await.unwrap();
        let storages: Vec<_> = found.found.iter().map(|attachment| attachment.storage).collect();
        assert_eq!(storages, [storage; 3], "{emulation}: {found:?}");
        assert!(found.problems.is_empty() && found.unread.is_empty(), "{emulation}: {found:?}");

        let other = client.open(&name(&registry, "docker-local/other")).await.unwrap();
        let layer = reader.manifest(&v1()).await.unwrap().parse().unwrap().children().next().unwrap().clone();
        assert_eq!(other.transfer(&layer, &*reader).await.unwrap(), arrival, "{emulation}");
        assert_eq!(read(other.as_read(), &layer).await.unwrap().len() as u64, layer.size);

        assert_eq!(kind(&repository.delete(&image.digest.clone().into()).await), deleted, "{emulation}");
        let refused = registry.requests().iter().filter(|request| request.status == 401).count();
        // Once for each client and token: reading and writing, the other repository, deleting.
        assert!(refused <= 5, "{emulation}: {refused} refusals\n{:#?}", take_log(&registry));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_is_tried_and_told_from_a_wrong_one() {
    for emulation in Emulation::all() {
        let registry = start(emulation.options());
        let client = Client::new(access()).unwrap();
        let right = Credential::from_pair(emulation.user(), Emulation::PASSWORD);
        let checked = client.check_login(&host(&registry), &right).await;
        assert_eq!(checked.unwrap_or_else(|error| panic!("{emulation}: {error}")), LoginCheck::Accepted);
        let wrong = client.check_login(&host(&registry), &Credential::from_pair(emulation.user(), "wrong")).await;
        let expected =
            if matches!(emulation, Emulation::Ecr | Emulation::EcrImmutable) { "denied" } else { "unauthenticated" };
        assert_eq!(kind(&wrong), expected, "{emulation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_images_are_read_by_anybody_and_private_ones_are_explained() {
    for (emulation, public) in [
        (Emulation::DockerHub, "library/app"),
        (Emulation::EcrPublic, "team/app"),
        (Emulation::Ghcr, "public/app"),
        (Emulation::Gitlab, "public/app"),
        (Emulation::Harbor, "public/app"),
        (Emulation::Quay, "public/app"),
    ] {
        let registry = start(emulation.options());
        registry.add(public, &fixture::image(1), Some("v1")).unwrap();
        registry.add("private/app", &fixture::image(1), Some("v1")).unwrap();
        let repository = open(access(), &registry, public).await;
        repository.manifest(&v1()).await.unwrap_or_else(|error| panic!("{emulation}: {error}"));
        if emulation == Emulation::EcrPublic {
            continue;
        }
        let refused = open(access(), &registry, "private/app").await.manifest(&v1()).await.unwrap_err();
        let RepositoryError::Unauthenticated { message, .. } = &refused else { panic!("{emulation}: {refused:?}") };
        assert!(
            message.contains("anonymous access") || message.contains("without credentials"),
            "{emulation}: {message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_placeholder_scope_of_ghcr_is_never_asked_for() {
    let registry = start(Emulation::Ghcr.options());
    let repository = open(as_user(&registry, Emulation::Ghcr), &registry, "team/new").await;
    // The repository does not exist yet, so that its challenge has the placeholder, too.
    fixture::image(1).push(&*repository, Some(&tag("v1"))).await.unwrap();
    assert_eq!(asked_scopes(&registry), ["repository:team/new:pull,push"]);
    // Nobody may write: the token service refuses, and is then asked for what is needed.
    registry.add("public/app", &fixture::image(1), Some("v1")).unwrap();
    registry.clear_requests();
    open(access(), &registry, "public/app").await.manifest(&v1()).await.unwrap();
    assert_eq!(asked_scopes(&registry), ["repository:public/app:pull,push", "repository:public/app:pull"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_for_ghcr_goes_in_one_request_and_is_never_patched() {
    let registry = start(Emulation::Ghcr.options());
    let repository = open(as_user(&registry, Emulation::Ghcr), &registry, "team/app").await;
    let pattern = Pattern::new(1, 6 << 20);
    let blob = pattern.descriptor("application/octet-stream");
    repository.push(&blob, pattern.content()).await.unwrap();
    assert!(repository.exists(&blob).await.unwrap());
    let uploads: Vec<_> = take_log(&registry).into_iter().filter(|line| line.contains("upload")).collect();
    assert_eq!(uploads, ["POST upload 401", "POST upload 202", "PUT upload 201"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_web_page_is_no_listing_and_is_not_followed() {
    let registry = emulated(Emulation::GhcrRedirecting, "team/app");
    let image = registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(as_user(&registry, Emulation::GhcrRedirecting), &registry, "team/app").await;
    for _ in 0..3 {
        assert_eq!(repository.referrers(&image.digest, ReferrersListing::Api).await.unwrap(), None);
    }
    let asked = ["GET referrers 401", "GET token 200", "GET referrers 303", "GET referrers 303"];
    assert_eq!(take_log(&registry), asked, "asked once more about nothing, then known");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subject_header_that_lies_costs_one_question() {
    let registry = start(Emulation::DockerHub2024.options());
    let repository = open(as_user(&registry, Emulation::DockerHub2024), &registry, "team/app").await;
    let early = fixture::artifact("application/x.sig", "text/plain", b"x", Some(fixture::image(1).descriptor()));
    assert!(early.push(&*repository, None).await.is_err(), "no referrer before its subject");
    let image = fixture::image(1).push(&*repository, None).await.unwrap();
    for number in ["1", "2"] {
        let artifact = NewArtifact::new("application/x.sig").with_annotation("number", number);
        attach(&*repository, &image, &artifact).await.unwrap();
    }
    assert_eq!(count(&registry, "GET", Endpoint::Referrers), 1);
    let listed = repository.referrers(&image.digest, ReferrersListing::FallbackTag).await.unwrap();
    assert_eq!(listed.unwrap().len(), 2, "nothing got lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_hub_is_asked_with_head_and_its_limit_is_no_answer() {
    let mut options = Emulation::DockerHub.options();
    options.quirks.pull_limit.as_mut().unwrap().pulls = 1;
    let registry = start(options);
    registry.add("library/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(access(), &registry, "library/app").await;
    for _ in 0..5 {
        repository.resolve(&v1()).await.unwrap();
    }
    repository.manifest(&v1()).await.unwrap();
    let limited = repository.manifest(&v1()).await;
    assert_eq!(kind(&limited), "throttled");
    let listed = registry.requests().len();
    assert!(listed < 20, "{:?}", take_log(&registry));
}

#[tokio::test(flavor = "multi_thread")]
async fn acr_takes_what_az_acr_login_stores_and_large_blobs_in_chunks() {
    let registry = emulated(Emulation::Acr, "team/app");
    let refresh = registry.refresh_token();
    let guid = Credential::from_pair("00000000-0000-0000-0000-000000000000", refresh.as_str());
    for credential in [guid, Credential::IdentityToken(refresh.as_str().into())] {
        let repository = open(access_with(&registry, credential), &registry, "team/app").await;
        fixture::image(1).push(&*repository, Some(&tag("v1"))).await.unwrap();
        assert_eq!(count(&registry, "POST", Endpoint::Token), 1);
        registry.clear_requests();
    }
    let mut options = Emulation::Acr.options();
    // The limit is 20 MiB; less is less to send.
    options.quirks.max_upload = Some(5 << 20);
    let registry = start(options);
    let repository = open(as_user(&registry, Emulation::Acr), &registry, "team/app").await;
    for number in 1..=2 {
        let (source, pattern) = (start(Default::default()), Pattern::new(number, 9 << 20));
        let blob = pattern.descriptor("application/octet-stream");
        let layer = fixture::large_image(number, 9 << 20);
        source.add("a", &layer, None).unwrap();
        let large = layer.blobs().map(|(blob, _)| blob).find(|blob| blob.size == 9 << 20).unwrap().clone();
        let from = open(access(), &source, "a").await;
        assert_eq!(repository.transfer(&large, from.as_read()).await.unwrap(), Arrival::Copied, "{blob:?}");
    }
    let uploads: Vec<LoggedRequest> =
        registry.requests().into_iter().filter(|request| request.endpoint == Endpoint::Upload).collect();
    let refused = uploads.iter().filter(|request| request.status == 413).count();
    assert_eq!(refused, 1, "the second blob goes in chunks at once: {uploads:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ecr_says_what_is_missing_expired_or_immutable() {
    let registry = start(Emulation::EcrImmutable.options());
    let repository = open(as_user(&registry, Emulation::EcrImmutable), &registry, "team/app").await;
    let missing = fixture::image(1).push(&*repository, Some(&tag("v1"))).await;
    assert_eq!(kind(&missing), "not found");
    assert_eq!(missing.unwrap_err().to_string(), format!("{} has no such repository", name(&registry, "team/app")));
    registry.create_repository("team/app");
    fixture::image(1).push(&*repository, Some(&tag("v1"))).await.unwrap();
    let moved = fixture::image(2).push(&*repository, Some(&tag("v1"))).await;
    let RepositoryError::Registry { status: 400, code, message, .. } = moved.unwrap_err() else { panic!("no refusal") };
    assert_eq!(code, "TAG_INVALID");
    assert!(message.contains("the tag is immutable"), "{message}");

    let expired = open(access_as(&registry, "AWS", "yesterday's"), &registry, "team/app").await;
    registry.clear_requests();
    let denied = expired.resolve(&v1()).await.unwrap_err();
    assert_eq!(registry.requests().len(), 2, "no loop");
    let denied = (kind(&Err::<(), _>(denied)), kind(&expired.manifest(&v1()).await));
    assert_eq!(denied, ("denied", "denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_at_public_ecr_is_replaced_though_nobody_asks() {
    let registry = emulated(Emulation::EcrPublic, "team/app");
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(access(), &registry, "team/app").await;
    repository.resolve(&v1()).await.unwrap();
    registry.revoke_tokens();
    registry.clear_requests();
    repository.resolve(&v1()).await.unwrap();
    assert_eq!(take_log(&registry), ["HEAD manifest 400", "GET token 200", "HEAD manifest 200"]);
    // A request that is bad is bad with a new token, too.
    registry.set_faults([Rule::new(Effect::Refusal(400, "NAME_INVALID")).on(Endpoint::Manifest)]);
    assert_eq!(kind(&repository.manifest(&v1()).await), "registry");
    assert_eq!(take_log(&registry), ["GET manifest 400", "GET token 200", "GET manifest 400"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn artifactory_gets_its_own_scope_and_the_one_of_the_path() {
    let registry = emulated(Emulation::Artifactory, "docker-local/app");
    let repository = open(as_user(&registry, Emulation::Artifactory), &registry, "docker-local/app").await;
    fixture::image(1).push(&*repository, Some(&tag("v1"))).await.unwrap();
    let asked = asked_scopes(&registry);
    assert_eq!(asked[..2], ["repository:app:pull,push", "repository:docker-local/app:pull,push"], "{asked:?}");
    assert_eq!(registry.requests().iter().filter(|request| request.status == 401).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alias_of_gitlab_is_no_tag_and_a_tag_is_no_alias() {
    let registry = emulated(Emulation::Gitlab, "team/app");
    let image = registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(as_user(&registry, Emulation::Gitlab), &registry, "team/app").await;
    assert_eq!(repository.referrers(&image.digest, ReferrersListing::FallbackTag).await.unwrap(), None);
    attach(&*repository, &image, &NewArtifact::new("application/x.sig")).await.unwrap();
    let listed = repository.referrers(&image.digest, ReferrersListing::FallbackTag).await.unwrap();
    assert_eq!(listed.unwrap().len(), 1);
    // What `cosign copy` leaves is a tag, which is somebody's.
    let copied = fixture::image(2);
    let squatted = Tag::referrers_fallback(copied.digest());
    let copied = registry.add("team/app", &copied, Some(squatted.as_str())).unwrap();
    let listed = repository.referrers(&copied.digest, ReferrersListing::FallbackTag).await;
    assert_eq!(kind(&listed), "squatted");
    assert!(attach(&*repository, &copied, &NewArtifact::new("application/x.sig")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn harbor_keeps_its_tags_and_takes_referrers() {
    let registry = start(Emulation::Harbor.options());
    let repository = open(as_user(&registry, Emulation::Harbor), &registry, "team/app").await;
    fixture::image(1).push(&*repository, Some(&tag("v1"))).await.unwrap();
    registry.clear_requests();
    let moved = fixture::image(2).push(&*repository, Some(&tag("v1"))).await;
    assert!(matches!(moved, Err(RepositoryError::Registry { status: 412, .. })), "{moved:?}");
    assert_eq!(count(&registry, "PUT", Endpoint::Manifest), 2, "by digest, then once by tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn quay_keeps_its_api_though_a_subject_is_missing() {
    let registry = emulated(Emulation::Quay, "team/app");
    let repository = open(as_user(&registry, Emulation::Quay), &registry, "team/app").await;
    let nobody = Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"not pushed");
    assert_eq!(repository.referrers(&nobody.digest, ReferrersListing::Api).await.unwrap(), None);
    let image = fixture::image(1).push(&*repository, None).await.unwrap();
    attach(&*repository, &image, &NewArtifact::new("application/x.sig")).await.unwrap();
    let listed = repository.referrers(&image.digest, ReferrersListing::Api).await.unwrap();
    assert_eq!(listed.unwrap().len(), 1);
}
