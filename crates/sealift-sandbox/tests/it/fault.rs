//! Every effect, as a client sees it, and the request log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealift_core::oci::Digest;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{
    Effect, Endpoint, Registry, RegistryOptions, RetryAfter, Rule, Storage, longest_chain,
};

use crate::support::{World, assert_refused, header, with_digest};

const MANIFEST: &str = "/v2/a/manifests/v1";

fn world() -> (World, fixture::Fixture) {
    world_of(RegistryOptions::default())
}

fn world_of(options: RegistryOptions) -> (World, fixture::Fixture) {
    let world = World::new(options);
    let image = fixture::image(1);
    world.registry.add("a", &image, Some("v1")).unwrap();
    (world, image)
}

#[tokio::test]
async fn statuses_come_with_an_error_body_and_nothing_is_carried_out() {
    let (world, _) = world();
    for (status, code) in
        [(401, "UNAUTHORIZED"), (403, "DENIED"), (405, "UNSUPPORTED"), (404, "UNKNOWN"), (503, "UNKNOWN")]
    {
        world.registry.set_faults([Rule::new(Effect::Status(status)).method("DELETE")]);
        assert_refused(world.send("DELETE", MANIFEST).await, status, code).await;
    }
    assert_eq!(world.registry.tags("a"), ["v1"]);
    world.registry.clear_faults();
    assert_eq!(world.get(MANIFEST).await.status(), 200);
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let (world, _) = world();
    for (after, expected) in [
        (RetryAfter::Seconds(7), Some("7".to_owned())),
        (RetryAfter::Missing, Some(String::new())),
        (RetryAfter::Date(60), None),
    ] {
        world.registry.set_faults([Rule::new(Effect::Throttle(after)).times(1)]);
        let reply = world.get(MANIFEST).await;
        let header = header(&reply, "retry-after");
        match expected {
            Some(expected) => assert_eq!(header, expected),
            None => assert!(header.ends_with(" GMT") && header.split(' ').count() == 6, "{header}"),
        }
        assert_refused(reply, 429, "TOOMANYREQUESTS").await;
        assert_eq!(world.get(MANIFEST).await.status(), 200);
    }
}

#[tokio::test]
async fn listings_lack_their_last_entry() {
    let (world, image) = world_of(RegistryOptions::default());
    let subject = image.digest();
    for note in ["one", "two"] {
        let note = fixture::artifact("application/x.note", "text/plain", note.as_bytes(), Some(image.descriptor()));
        world.registry.add("a", &note, None).unwrap();
    }
    let index = fixture::index(1, &["amd64", "arm64"]);
    world.registry.add("a", &index, Some("v2")).unwrap();
    world.registry.set_faults([Rule::new(Effect::OmitEntry)]);
    for (path, field) in [
        (format!("/v2/a/referrers/{subject}"), "manifests"),
        ("/v2/a/tags/list".to_owned(), "tags"),
        ("/v2/a/manifests/v2".to_owned(), "manifests"),
    ] {
        let reply = world.get(&path).await;
        let claimed = header(&reply, "docker-content-digest");
        let bytes = reply.bytes().await.unwrap();
        assert!(claimed.is_empty() || claimed == Digest::sha256(&bytes).to_string(), "{path}");
        let listing: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(listing[field].as_array().map(Vec::len), Some(1), "{path}: {listing}");
    }
    assert_eq!(world.get(MANIFEST).await.bytes().await.unwrap(), *image.root().bytes(), "no listing");
}

#[tokio::test]
async fn bodies_are_cut_changed_and_replaced() {
    let (world, image) = world();
    let whole = image.root().bytes();
    let set = |effect| world.registry.set_faults([Rule::new(effect).on(Endpoint::Manifest)]);

    set(Effect::CutAfter(10));
    let cut = world.get(MANIFEST).await;
    assert_eq!(header(&cut, "content-length"), whole.len().to_string());
    assert!(cut.bytes().await.is_err());

    set(Effect::Corrupt);
    let corrupt = world.get(MANIFEST).await.bytes().await.unwrap();
    assert_eq!(corrupt.len(), whole.len());
    assert_ne!(Digest::sha256(&corrupt), *image.digest());

    set(Effect::Body(bytes::Bytes::from_static(b"<html>")));
    assert_eq!(world.get(MANIFEST).await.bytes().await.unwrap(), "<html>");

    set(Effect::Drip { bytes: 100, pause: Duration::from_millis(1) });
    assert_eq!(world.get(MANIFEST).await.bytes().await.unwrap(), whole);

    set(Effect::header("content-length", "10"));
    assert_eq!(world.get(MANIFEST).await.bytes().await.unwrap(), whole[..10]);
    set(Effect::header("content-length", "100000"));
    assert!(world.get(MANIFEST).await.bytes().await.is_err());
}

#[tokio::test]
async fn endless_bodies_and_bombs_go_on_and_on() {
    let (world, _) = world();
    world.registry.set_faults([Rule::new(Effect::Endless)]);
    let mut reply = world.get(MANIFEST).await;
    assert_eq!(reply.content_length(), None);
    let mut received = 0;
    while received < 10 * 1024 * 1024 {
        received += reply.chunk().await.unwrap().unwrap().len();
    }

    world.registry.set_faults([Rule::new(Effect::GzipBomb(64 * 1024 * 1024))]);
    let reply = world.get(MANIFEST).await;
    assert_eq!(header(&reply, "content-encoding"), "gzip");
    let bomb = reply.bytes().await.unwrap();
    assert!(bomb.starts_with(&[0x1f, 0x8b]) && bomb.len() < 1024 * 1024, "{}", bomb.len());
}

#[tokio::test]
async fn headers_are_set_and_taken_away() {
    let (world, _) = world();
    world.registry.set_faults([
        Rule::new(Effect::header("content-type", "text/html")),
        Rule::new(Effect::no_header("docker-content-digest")),
    ]);
    let reply = world.get(MANIFEST).await;
    assert_eq!(header(&reply, "content-type"), "text/html");
    assert_eq!(header(&reply, "docker-content-digest"), "");
}

#[tokio::test]
async fn clients_are_sent_elsewhere() {
    let (world, image) = world();
    let elsewhere = Registry::start(RegistryOptions::default()).unwrap();
    elsewhere.add("a", &image, Some("v1")).unwrap();
    world.registry.set_faults([
        Rule::new(Effect::Redirect(elsewhere.url())).method("GET").on(Endpoint::Manifest),
        Rule::new(Effect::LocationAt(elsewhere.url())).on(Endpoint::Upload),
    ]);
    let redirect = world.get("/v2/a/manifests/v1?x=y").await;
    assert_eq!(redirect.status(), 307);
    assert_eq!(header(&redirect, "location"), format!("{}/v2/a/manifests/v1?x=y", elsewhere.url()));
    assert!(world.open("a").await.starts_with(&format!("{}/v2/a/blobs/uploads/", elsewhere.url())));
}

#[tokio::test]
async fn a_lost_reply_was_carried_out() {
    let (world, _) = world();
    world.registry.set_faults([Rule::new(Effect::LoseReply).method("DELETE").times(1)]);
    assert_eq!(world.send("DELETE", MANIFEST).await.status(), 502);
    assert_eq!(world.send("DELETE", MANIFEST).await.status(), 404);
}

#[tokio::test]
async fn an_upload_cut_short_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    for storage in [Storage::Memory, Storage::Folder(folder.path().to_owned())] {
        let world = World::new(RegistryOptions::default().with_storage(storage));
        let location = world.open("a").await;
        world.registry.set_faults([Rule::new(Effect::CutUploadAfter(4)).method("PATCH").times(1)]);
        let cut = world.request("PATCH", &location).body("0123456789").send().await.unwrap();
        assert_eq!(cut.status(), 502);
        let status = world.get(&location).await;
        assert_eq!((status.status().as_u16(), header(&status, "range")), (204, "0-3".to_owned()));
        let rest = world.request("PATCH", &header(&status, "location")).header("content-range", "4-9").body("456789");
        let rest = rest.send().await.unwrap();
        let digest = Digest::sha256(b"0123456789");
        let put = world.send("PUT", &with_digest(&header(&rest, "location"), &digest)).await;
        assert_eq!((rest.status().as_u16(), put.status().as_u16()), (202, 201));
    }
}

#[tokio::test]
async fn a_request_without_an_answer_does_not_block_others_or_the_end() {
    let (world, _) = world();
    world.registry.set_faults([Rule::new(Effect::Hang).times(1)]);
    let hanging = world.request("GET", MANIFEST).timeout(Duration::from_millis(50)).send();
    assert!(hanging.await.unwrap_err().is_timeout());
    assert_eq!(world.get(MANIFEST).await.status(), 200);
}

#[tokio::test]
async fn any_one_request_of_a_sequence_can_fail() {
    let (world, _) = world();
    for nth in 1..=3 {
        world.registry.set_faults([Rule::new(Effect::Status(500)).nth(nth).times(1)]);
        for number in 1..=3 {
            let expected = if number == nth { 500 } else { 200 };
            assert_eq!(world.get(MANIFEST).await.status(), expected);
        }
    }
}

#[tokio::test]
async fn a_listing_can_fail_on_its_second_page() {
    let (world, image) = world_of(RegistryOptions::default().with_page_size(1));
    for layer in [b"1", b"2"] {
        let referrer = fixture::artifact("application/vnd.example", "text/plain", layer, Some(image.descriptor()));
        world.registry.add("a", &referrer, None).unwrap();
    }
    world.registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers).page(2)]);
    let path = format!("/v2/a/referrers/{}", image.digest());
    let first = world.get(&path).await;
    assert_eq!(first.status(), 200);
    let link = header(&first, "link");
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(world.get(next).await.status(), 500);
}

#[tokio::test]
async fn the_log_tells_what_was_asked_but_no_secret() {
    let (world, _) = world();
    world.request("GET", "/v2/a/tags/list?n=1").bearer_auth("secret").send().await.unwrap();
    world.get("/v2/a/manifests/v9").await;
    let requests = world.registry.requests();
    let lines: Vec<_> = requests.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["GET /v2/a/tags/list?n=1 -> 200", "GET /v2/a/manifests/v9 -> 404"]);
    assert_eq!(requests.iter().map(|request| request.authorized).collect::<Vec<_>>(), [true, false]);
    assert_eq!((requests[0].endpoint, requests[0].repository.as_str()), (Endpoint::Tags, "a"));
    assert!(!format!("{requests:?}").contains("secret"));
    world.registry.clear_requests();
    assert!(world.registry.requests().is_empty());
}

#[tokio::test]
async fn requests_one_after_another_are_one_chain() {
    let (world, _) = world_of(RegistryOptions::default().with_latency(Duration::from_millis(1)));
    for _ in 0..3 {
        world.get(MANIFEST).await;
    }
    assert_eq!(longest_chain(&world.registry.requests()), 3);
}

#[tokio::test]
async fn an_observer_sees_each_answered_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    let observer = move |request: &sealift_sandbox::registry::LoggedRequest| {
        observed.lock().unwrap().push(request.to_string());
    };
    let registry = Registry::start_observed(RegistryOptions::default(), observer).unwrap();
    reqwest::get(format!("{}/v2/", registry.url())).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["GET /v2/ -> 200"]);
}
