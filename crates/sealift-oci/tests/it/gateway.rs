//! What stands before a registry answers in its place: then nothing is known, and nothing is written.

use sealift_core::attach::CosignSuffix;
use sealift_core::oci::{Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{ReferrersListing, Repository};
use sealift_oci::Client;
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};

use crate::support::{access, count, kind, name, open, start};

const API: ReferrersListing = ReferrersListing::Api;
const FALLBACK: ReferrersListing = ReferrersListing::FallbackTag;

/// The refusal of a load balancer that knows no such host or path.
fn no_route() -> [Effect; 3] {
    Effect::answer(404, "text/plain; charset=utf-8", "404 page not found\n")
}

fn signature(subject: &Fixture) -> Fixture {
    fixture::artifact("application/x.sig", "application/x.layer", b"signature", Some(subject.descriptor()))
}

/// Returns a registry with two images in `team/app`, each with a referrer.
fn with_two_images(options: RegistryOptions) -> (Registry, [Fixture; 2]) {
    let (registry, images) = (start(options), [1, 2].map(fixture::image));
    for image in &images {
        registry.add("team/app", image, None).unwrap();
        registry.add("team/app", &signature(image), None).unwrap();
    }
    (registry, images)
}

fn on_referrers(effects: [Effect; 3]) -> [Rule; 3] {
    effects.map(|effect| Rule::new(effect).on(Endpoint::Referrers).times(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_under_a_tag_says_nothing_of_what_the_tag_holds() {
    let expired = "<html>session expired</html>";
    for (media_type, body) in [
        ("text/html; charset=utf-8", expired),
        ("application/json", r#"{"error":"session expired"}"#),
        ("application/json", r#"["session expired"]"#),
        ("application/octet-stream", ""),
        // Of a server that takes over what was asked for.
        (media_type::IMAGE_INDEX, r#"{"error":"session expired"}"#),
        (media_type::IMAGE_INDEX, expired),
    ] {
        let (registry, image) = (start(RegistryOptions::distribution()), fixture::image(1));
        registry.add("team/app", &image, Some("v1")).unwrap();
        let repository = open(access(), &registry, "team/app").await;
        let rule = |effect| Rule::new(effect).on(Endpoint::Manifest).reference("sha256-*");
        registry.set_faults(Effect::answer(200, media_type, body).map(rule));
        assert_eq!(kind(&repository.referrers(image.digest(), FALLBACK).await), "malformed", "{media_type} {body}");
        for suffix in CosignSuffix::ALL {
            let tag = Selector::Tag(suffix.tag(image.digest()));
            assert_eq!(kind(&repository.manifest(&tag).await), "malformed", "{media_type} {body}");
            assert_eq!(kind(&repository.resolve(&tag).await), "malformed", "{media_type} {body}");
        }
        let entry = signature(&image).root().to_referrer_entry().unwrap();
        assert_eq!(
            kind(&repository.link_referrers(image.digest(), &[entry]).await),
            "malformed",
            "{media_type} {body}"
        );
        assert_eq!(registry.tags("team/app"), ["v1"], "nothing was written over it");
    }
}

/// Whoever may push may put anything under a tag. That is known then, and hides nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_registry_says_a_tag_holds_is_no_page() {
    let (registry, image) = (start(RegistryOptions::distribution()), fixture::image(1));
    registry.add("team/app", &image, Some("v1")).unwrap();
    let fallback = Tag::referrers_fallback(image.digest());
    let junk = RawManifest::new("application/json", r#"{"error":"session expired"}"#);
    registry.add_manifest("team/app", &junk, Some(fallback.as_str())).unwrap();
    let repository = open(access(), &registry, "team/app").await;
    assert_eq!(kind(&repository.referrers(image.digest(), FALLBACK).await), "squatted");
    let entry = signature(&image).root().to_referrer_entry().unwrap();
    assert_eq!(kind(&repository.link_referrers(image.digest(), &[entry]).await), "squatted");
    assert_eq!(repository.manifest(&Selector::Tag(fallback.clone())).await.unwrap(), junk);
    // A manifest is one also where the registry does not announce its digest.
    registry.add("team/app", &image, Some(fallback.as_str())).unwrap();
    registry.set_faults([Rule::new(Effect::no_header("docker-content-digest"))]);
    assert_eq!(kind(&repository.referrers(image.digest(), FALLBACK).await), "squatted");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_of_anybody_does_not_end_the_api() {
    for effects in [
        no_route(),
        Effect::answer(404, "text/html", "<html>no such host</html>"),
        Effect::answer(404, "application/json", r#"{"message":"no Route matched with those values"}"#),
        Effect::answer(405, "text/plain", ""),
        Effect::answer(501, "text/html", "<html></html>"),
    ] {
        let (registry, [first, second]) = with_two_images(RegistryOptions::default());
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults(on_referrers(effects.clone()));
        assert_eq!(kind(&repository.referrers(first.digest(), API).await), "malformed", "{effects:?}");
        for image in [&second, &first] {
            let listed = repository.referrers(image.digest(), API).await.unwrap();
            assert_eq!(listed.map(|entries| entries.len()), Some(1), "{effects:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lists_in_one_repository_is_not_taken_for_one_that_lists_nowhere() {
    let registry = start(RegistryOptions::default());
    let image = fixture::image(1);
    let client = Client::new(access()).unwrap();
    let mut repositories = Vec::new();
    for path in ["team/one", "team/two", "team/three"] {
        registry.add(path, &image, None).unwrap();
        registry.add(path, &signature(&image), None).unwrap();
        repositories.push(client.open(&name(&registry, path)).await.unwrap());
    }
    assert_eq!(repositories[0].referrers(image.digest(), API).await.unwrap().unwrap().len(), 1);
    // Two questions come to nothing, as far as anybody can tell for good.
    registry.set_faults(no_route().map(|effect| Rule::new(effect).on(Endpoint::Referrers).times(2)));
    assert!(repositories[1].referrers(image.digest(), API).await.unwrap().is_none());
    // Then another one, in another repository.
    registry.set_faults(on_referrers(no_route()));
    assert_eq!(kind(&repositories[2].referrers(image.digest(), API).await), "malformed");
}

/// A registry that knows of nothing about what it has not, such as Quay.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_no_habit_decides_nothing() {
    let (registry, [image, _]) = with_two_images(RegistryOptions::default());
    let missing = Rule::new(Effect::Refusal(404, "MANIFEST_UNKNOWN")).on(Endpoint::Referrers).nth(2).times(1);
    for effects in [no_route(), Effect::answer(200, "text/html", "<html>log in</html>")] {
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults(on_referrers(effects).into_iter().chain([missing.clone()]));
        let listed = repository.referrers(image.digest(), API).await;
        assert_eq!(kind(&listed), "malformed");
        let said = listed.unwrap_err().to_string();
        assert!(said.contains("about a digest that nothing has it answers HTTP 404 MANIFEST_UNKNOWN"), "{said}");
        assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_the_api_is_asked_once_more_only_where_anybody_may_have_refused() {
    for (is_marked, requests) in [(true, [1, 1]), (false, [2, 1])] {
        let registry = start(RegistryOptions::distribution());
        let images = [1, 2].map(fixture::image);
        for (image, repository) in images.iter().zip(["team/app", "team/other"]) {
            registry.add(repository, image, None).unwrap();
        }
        if !is_marked {
            registry.set_faults([Rule::new(Effect::no_header("docker-distribution-api-version"))]);
        }
        let client = sealift_oci::Client::new(access()).unwrap();
        for ((image, path), requests) in images.iter().zip(["team/app", "team/other"]).zip(requests) {
            let repository = client.open(&crate::support::name(&registry, path)).await.unwrap();
            for _ in 0..3 {
                assert_eq!(repository.referrers(image.digest(), API).await.unwrap(), None);
            }
            assert_eq!(count(&registry, "GET", Endpoint::Referrers), requests, "{is_marked} {path}");
            registry.clear_requests();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_breaks_off_is_no_answer() {
    let missing = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}"#;
    let cut = Effect::Body(missing[..25].to_owned().into());
    for effects in [
        vec![Effect::Status(404), Effect::Body(missing.into()), Effect::CutAfter(25)],
        // The connection ends there, and no length says that it should not.
        vec![Effect::Status(404), cut.clone(), Effect::no_header("content-length")],
        vec![Effect::Status(404), cut, Effect::header("docker-distribution-api-version", "registry/2.0")],
    ] {
        let (registry, [image, _]) = with_two_images(RegistryOptions::default());
        let mut hasty = access();
        hasty.retry.retries = 0;
        let repository = open(hasty, &registry, "team/app").await;
        let rule = |effect: &Effect| Rule::new(effect.clone()).on(Endpoint::Referrers).times(1);
        registry.set_faults(effects.iter().map(rule));
        let listed = repository.referrers(image.digest(), API).await;
        assert!(matches!(kind(&listed), "malformed" | "unavailable"), "{effects:?}: {listed:?}");
        assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 1, "{effects:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_know_what_was_just_read_is_not_believed() {
    for (status, code) in [(404, "MANIFEST_UNKNOWN"), (404, "NAME_UNKNOWN"), (400, "MANIFEST_INVALID")] {
        let (registry, [first, second]) = with_two_images(RegistryOptions::default());
        let repository = open(access(), &registry, "team/app").await;
        repository.referrers(first.digest(), API).await.unwrap();
        registry.set_faults([Rule::new(Effect::Refusal(status, code)).on(Endpoint::Referrers)]);
        // Nobody saw it here: signatures kept apart have their subjects elsewhere.
        assert_eq!(repository.referrers(second.digest(), API).await.unwrap(), None, "{code}");
        let selector = Selector::Digest(second.digest().clone());
        for step in ["resolved", "read", "looked up", "pushed"] {
            match step {
                "resolved" => drop(repository.resolve(&selector).await.unwrap()),
                "read" => drop(repository.manifest(&selector).await.unwrap()),
                "looked up" => assert!(repository.exists(second.descriptor()).await.unwrap()),
                _ => push_root(&*repository, &second).await,
            }
            assert_eq!(kind(&repository.referrers(second.digest(), API).await), "malformed", "{code} {step}");
            repository.delete(&Selector::Digest(Digest::sha256(b"gone"))).await.unwrap_err();
            let listed = repository.referrers(second.digest(), API).await.unwrap();
            assert_eq!(listed, None, "{code} {step}: it may be what was deleted");
        }
    }
}

async fn push_root(repository: &dyn Repository, image: &Fixture) {
    repository.push(image.descriptor(), image.root().bytes().clone().into()).await.unwrap();
}
