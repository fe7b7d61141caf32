//! Registries that answer badly, slowly, too much, or not at all.

use std::time::Duration;

use bytes::Bytes;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{ReferrersListing, Repository, RepositoryError};
use sealift_oci::Client;
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Registry, RegistryOptions, RetryAfter, Rule, TokenAuth};

use crate::support::{access, count, kind, name, open, read, start, take_log};

fn new_blob() -> (Descriptor, Bytes) {
    let bytes = Bytes::from_static(b"a new blob");
    (Descriptor::of(media_type::OCTET_STREAM, &bytes), bytes)
}

fn v1() -> Selector {
    Selector::Tag(tag("v1"))
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn with_image() -> (Registry, Fixture) {
    let (registry, image) = (start(RegistryOptions::default()), fixture::image(1));
    registry.add("team/app", &image, Some("v1")).unwrap();
    (registry, image)
}

fn layer(image: &Fixture) -> Descriptor {
    image.blobs().last().unwrap().0.clone()
}

/// Does one thing of each kind and returns what came of each.
async fn everything(repository: &dyn Repository, image: &Fixture) -> Vec<(&'static str, &'static str)> {
    let (descriptor, bytes) = new_blob();
    let other = fixture::image(2);
    let unlisted = |listed: Result<Option<Vec<Descriptor>>, RepositoryError>| match listed {
        Ok(None) => "no listing",
        listed => kind(&listed),
    };
    let present = |exists: Result<bool, RepositoryError>| match exists {
        Ok(false) => "absent",
        exists => kind(&exists),
    };
    vec![
        ("resolve", kind(&repository.resolve(&v1()).await)),
        ("manifest", kind(&repository.manifest(&v1()).await)),
        ("exists", present(repository.exists(&layer(image)).await)),
        ("fetch", kind(&repository.fetch(&layer(image)).await)),
        ("api", unlisted(repository.referrers(image.digest(), ReferrersListing::Api).await)),
        ("fallback", unlisted(repository.referrers(image.digest(), ReferrersListing::FallbackTag).await)),
        ("tags", kind(&repository.tags().await)),
        ("push blob", kind(&repository.push(&descriptor, bytes.into()).await)),
        ("push", kind(&repository.push(other.descriptor(), other.root().bytes().clone().into()).await)),
        ("tag", kind(&repository.tag(image.root(), &tag("v2")).await)),
        ("delete", kind(&repository.delete(&v1()).await)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_meaning_in_every_request() {
    for (status, rule, exceptions) in [
        (401, "unauthenticated", [].as_slice()),
        (403, "denied", &[]),
        (
            404,
            "not found",
            &[
                ("exists", "absent"),
                ("api", "no listing"),
                ("fallback", "no listing"),
                // What a write lacks is not what was asked for.
                ("push blob", "registry"),
                ("push", "registry"),
                ("tag", "registry"),
            ],
        ),
        (405, "unsupported", &[("api", "no listing")]),
        (429, "throttled", &[]),
        (500, "unavailable", &[]),
        (502, "unavailable", &[]),
        (418, "registry", &[]),
    ] {
        let (registry, image) = with_image();
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults([Rule::new(Effect::Status(status))]);
        for (request, found) in everything(&*repository, &image).await {
            let exception = exceptions.iter().find(|(exception, _)| *exception == request);
            let expected = exception.map_or(rule, |(_, expected)| expected);
            assert_eq!(found, expected, "{request} answered {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_for() {
    for effect in [
        Effect::Status(503),
        Effect::Status(500),
        Effect::Status(408),
        Effect::Throttle(RetryAfter::Seconds(0)),
        Effect::Throttle(RetryAfter::Date(0)),
        Effect::Throttle(RetryAfter::Missing),
        Effect::LoseReply,
    ] {
        let (registry, image) = with_image();
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults([Rule::new(effect.clone()).times(2)]);
        repository.resolve(&v1()).await.unwrap();
        registry.set_faults([Rule::new(effect.clone()).method("PUT").times(2)]);
        let other = fixture::image(3);
        other.push(&*repository, Some(&tag("v3"))).await.unwrap();
        assert_eq!(registry.manifest("team/app", "v3").unwrap(), *other.root(), "{effect:?}");
        registry.set_faults([Rule::new(effect).times(2)]);
        read(repository.as_read(), &layer(&image)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_longer_than_the_budget_is_not_waited() {
    let (registry, _) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    registry.set_faults([Rule::new(Effect::Throttle(RetryAfter::Seconds(3600)))]);
    let throttled = repository.resolve(&v1()).await;
    let Err(RepositoryError::Throttled { retry_after, .. }) = throttled else { panic!("{throttled:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_end_where_they_should() {
    let (registry, image) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    let by_digest = Selector::Digest(image.digest().clone());
    for (effect, manifest, blob) in [
        (Effect::Endless, "too large", "content"),
        (Effect::GzipBomb(1 << 30), "too large", "content"),
        (Effect::Corrupt, "manifest", "content"),
        (Effect::Body(Bytes::from_static(b"{}")), "manifest", "content"),
        (Effect::Body(Bytes::new()), "manifest", "content"),
    ] {
        registry.set_faults([Rule::new(effect.clone())]);
        assert_eq!(kind(&repository.manifest(&by_digest).await), manifest, "{effect:?} by digest");
        assert_eq!(kind(&repository.manifest(&v1()).await), manifest, "{effect:?} by tag");
        assert_eq!(kind(&read(repository.as_read(), &layer(&image)).await), blob, "{effect:?}");
        let listed = repository.referrers(image.digest(), ReferrersListing::Api).await;
        assert!(listed.is_err(), "{effect:?}: {listed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_digests_that_lie_are_refused() {
    let (registry, image) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    let true_size = layer(&image).size;
    for size in [0, true_size - 1, true_size + 1, u64::MAX] {
        let lying = Descriptor { size, ..layer(&image) };
        assert_eq!(kind(&read(repository.as_read(), &lying).await), "content", "{size} for {true_size}");
        let lying = Descriptor { size, ..image.descriptor().clone() };
        assert_eq!(kind(&read(repository.as_read(), &lying).await), "content", "{size}");
    }
    let other = Digest::sha256(b"other").to_string();
    registry.set_faults([Rule::new(Effect::header("docker-content-digest", &other))]);
    let by_digest = Selector::Digest(image.digest().clone());
    assert_eq!(kind(&repository.resolve(&by_digest).await), "manifest");
    assert_eq!(kind(&repository.manifest(&by_digest).await), "manifest");
    assert_eq!(kind(&repository.manifest(&v1()).await), "manifest");
    let (descriptor, bytes) = new_blob();
    assert_eq!(kind(&repository.push(&descriptor, bytes.into()).await), "malformed", "it stored something else");
    assert_eq!(kind(&repository.tag(image.root(), &tag("v2")).await), "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_artifact_than_was_asked_for_is_refused() {
    let (registry, image) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    let other = fixture::image(2);
    registry.add("team/app", &other, None).unwrap();
    let by_digest = Selector::Digest(image.digest().clone());
    let swapped = Effect::Body(other.root().bytes().clone());
    registry.set_faults([
        Rule::new(swapped).on(Endpoint::Manifest).method("GET"),
        Rule::new(Effect::header("docker-content-digest", &other.digest().to_string())).on(Endpoint::Manifest),
    ]);
    assert_eq!(kind(&repository.manifest(&by_digest).await), "manifest");
    assert_eq!(kind(&repository.resolve(&by_digest).await), "manifest");
    assert_eq!(kind(&read(repository.as_read(), image.descriptor()).await), "manifest");
}

#[tokio::test(flavor = "multi_thread")]
async fn resolving_does_without_what_a_head_does_not_say() {
    let (registry, image) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    for (effect, requests) in [
        (Effect::no_header("docker-content-digest"), 2),
        (Effect::header("content-type", "application/octet-stream"), 2),
        (Effect::no_header("etag"), 1),
        (Effect::Status(405), 2),
        (Effect::Status(501), 2),
    ] {
        registry.set_faults([Rule::new(effect.clone()).method("HEAD")]);
        registry.clear_requests();
        let found = repository.resolve(&v1()).await.unwrap();
        assert!(found.is_same_content(image.descriptor()), "{effect:?}: {found:?}");
        assert_eq!(registry.requests().len(), requests, "{effect:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_found_where_head_is_not_known() {
    let (registry, image) = with_image();
    let (missing_blob, _) = new_blob();
    let repository = open(access(), &registry, "team/app").await;
    for status in [400, 405, 501] {
        registry.set_faults([Rule::new(Effect::Status(status)).method("HEAD")]);
        for (descriptor, expected) in [
            (&layer(&image), true),
            (&missing_blob, false),
            (image.descriptor(), true),
            (fixture::image(7).descriptor(), false),
        ] {
            assert_eq!(repository.exists(descriptor).await.unwrap(), expected, "{status} {descriptor:?}");
        }
    }
    // What GET does not tell either is no absence.
    registry.set_faults([Rule::new(Effect::Status(405))]);
    for descriptor in [&missing_blob, fixture::image(7).descriptor()] {
        assert_eq!(kind(&repository.exists(descriptor).await), "unsupported");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_download_goes_on_where_it_was() {
    let (registry, image) = (start(RegistryOptions::default()), fixture::large_image(1, 3 << 20));
    registry.add("team/app", &image, None).unwrap();
    let repository = open(access(), &registry, "team/app").await;
    let blob = layer(&image);
    registry.set_faults([Rule::new(Effect::CutAfter(1 << 20)).on(Endpoint::Blob).times(2)]);
    let bytes = read(repository.as_read(), &blob).await.unwrap();
    assert_eq!(Digest::sha256(&bytes), blob.digest);
    let headers: Vec<_> = registry.requests().into_iter().flat_map(|request| request.headers).collect();
    let ranges: Vec<_> = headers.iter().filter(|(name, _)| *name == "range").map(|(_, range)| range.as_str()).collect();
    assert_eq!(ranges, ["bytes=1048576-", "bytes=2097152-"]);
    registry.set_faults([Rule::new(Effect::CutAfter(10)).on(Endpoint::Blob)]);
    registry.clear_requests();
    assert_eq!(kind(&read(repository.as_read(), &blob).await), "unavailable");
    assert!(registry.requests().len() <= 10, "{:?}", take_log(&registry));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_drops_end_as_unavailable() {
    let (registry, image) = with_image();
    let mut hurried = access();
    hurried.timeouts.answer = Duration::from_millis(50);
    hurried.timeouts.idle = Duration::from_millis(50);
    hurried.retry.retries = 1;
    let repository = open(hurried, &registry, "team/app").await;
    registry.set_faults([Rule::new(Effect::Hang)]);
    assert_eq!(kind(&repository.resolve(&v1()).await), "unavailable");
    assert_eq!(registry.requests().len(), 2, "it is tried once more");
    registry.set_faults([Rule::new(Effect::Drip { bytes: 1, pause: Duration::from_millis(5) })]);
    assert_eq!(kind(&repository.manifest(&v1()).await), "unavailable");
    assert_eq!(kind(&read(repository.as_read(), &layer(&image)).await), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_one_piece_of_work_asks_ends_at_one_time() {
    let (registry, image) = with_image();
    let client = Client::new(access()).unwrap();
    let open = async |client: &Client| client.open_read(&name(&registry, "team/app")).await.unwrap();
    // No request is out of time by itself: the next page, the next drop, comes soon enough.
    let page_after_page = vec![Rule::new(Effect::EndlessPages), Rule::new(Effect::Delay(Duration::from_millis(20)))];
    for rules in [
        vec![Rule::new(Effect::Hang)],
        vec![Rule::new(Effect::Drip { bytes: 1, pause: Duration::from_millis(20) })],
        page_after_page,
    ] {
        registry.set_faults(rules);
        let hurried = open(&client.within(Duration::from_millis(200))).await;
        let read = async || {
            hurried.manifest(&v1()).await?;
            hurried.tags().await
        };
        assert_eq!(kind(&read().await), "out of time");
        registry.clear_requests();
        let listed = hurried.referrers(image.digest(), ReferrersListing::Api).await;
        assert_eq!(kind(&listed), "out of time");
        assert!(registry.requests().is_empty(), "nobody is asked any more: {:?}", take_log(&registry));
    }
    registry.clear_faults();
    assert!(open(&client).await.resolve(&v1()).await.is_ok(), "the time was that of the work, not of the client");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_answer_was_missing_is_told() {
    let auth = Auth::Token(TokenAuth { anonymous_pull: true, ..TokenAuth::default() });
    let (registry, image) = (start(RegistryOptions::default().with_auth(auth)), fixture::image(1));
    registry.add("team/app", &image, Some("v1")).unwrap();
    let name = name(&registry, "team/app");
    let repository = async |time| Client::new(access()).unwrap().within(time).open_read(&name).await.unwrap();
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(1));
    registry.set_faults([Rule::new(Effect::Hang).on(Endpoint::Manifest)]);
    let error = repository(short).await.resolve(&v1()).await.unwrap_err();
    let expected = format!("the time for everything, 200ms, is over, and {name} still owes the answer to `resolve`");
    assert_eq!(error.to_string(), expected);
    registry.set_faults([Rule::new(Effect::Hang).on(Endpoint::Token)]);
    let error = repository(long).await.resolve(&v1()).await.unwrap_err();
    assert!(error.to_string().ends_with("still owes the credentials for `resolve`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_waited_for_twice_and_no_more() {
    let (registry, _) = with_image();
    let mut hurried = access();
    hurried.timeouts.answer = Duration::from_millis(50);
    hurried.retry.retries = 5;
    let repository = open(hurried, &registry, "team/app").await;
    registry.set_faults([Rule::new(Effect::Hang)]);
    assert_eq!(kind(&repository.resolve(&v1()).await), "unavailable");
    assert_eq!(registry.requests().len(), 2);
    // What answers badly is tried as often as it may be.
    registry.set_faults([Rule::new(Effect::Status(503))]);
    registry.clear_requests();
    assert_eq!(kind(&repository.resolve(&v1()).await), "unavailable");
    assert_eq!(registry.requests().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_unavailable() {
    let (registry, _) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    drop(registry);
    assert_eq!(kind(&repository.resolve(&v1()).await), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_useful_type_says_what_it_is() {
    let (registry, _) = with_image();
    let repository = open(access(), &registry, "team/app").await;
    registry.set_faults([Rule::new(Effect::header("content-type", "text/plain; charset=utf-8")).method("GET")]);
    let body = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::DOCKER_MANIFEST, "layers": []});
    let raw = RawManifest::new(media_type::DOCKER_MANIFEST, body.to_string());
    registry.add_manifest("team/app", &raw, Some("docker")).unwrap();
    let found = repository.manifest(&Selector::Tag(tag("docker"))).await.unwrap();
    assert_eq!(found.descriptor().media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(count(&registry, "GET", Endpoint::Manifest), 1);
}
