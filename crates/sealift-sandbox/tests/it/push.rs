//! Category "push" of the specification's conformance tests.

use sealift_core::oci::{Digest, DigestAlgorithm, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Mount, RegistryOptions};
use serde_json::json;

use crate::support::{World, assert_refused, header, with_digest};

const CONTENT: &[u8] = b"hello, registry";

fn world() -> World {
    World::new(RegistryOptions::default())
}

async fn assert_stored(world: &World, repository: &str, digest: &Digest, content: &[u8]) {
    let stored = world.get(&format!("/v2/{repository}/blobs/{digest}")).await;
    assert_eq!(stored.status(), 200);
    assert_eq!(stored.bytes().await.unwrap(), content);
}

#[tokio::test]
async fn a_blob_is_put_in_two_requests() {
    let world = world();
    let digest = Digest::sha256(CONTENT);
    let location = world.open("a/b").await;
    let put = world.request("PUT", &with_digest(&location, &digest)).body(CONTENT).send().await.unwrap();
    assert_eq!(put.status(), 201);
    assert!(header(&put, "location").ends_with(&format!("/v2/a/b/blobs/{digest}")));
    assert_stored(&world, "a/b", &digest, CONTENT).await;
}

#[tokio::test]
async fn a_blob_is_posted_in_one_request_where_that_is_offered() {
    let digest = Digest::sha256(CONTENT);
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let world = world();
    assert_eq!(world.request("POST", &path).body(CONTENT).send().await.unwrap().status(), 201);
    assert_stored(&world, "a", &digest, CONTENT).await;

    let distribution = World::new(RegistryOptions::distribution());
    let opened = distribution.request("POST", &path).body(CONTENT).send().await.unwrap();
    assert_eq!(opened.status(), 202);
    assert!(header(&opened, "location").contains("/v2/a/blobs/uploads/"));
    assert!(!distribution.registry.has_blob("a", &digest));
}

#[tokio::test]
async fn a_blob_arrives_in_chunks() {
    let world = world();
    let digest = Digest::sha256(CONTENT);
    let mut location = world.open("a").await;
    for (start, end) in [(0, 5), (5, 11)] {
        let chunk = world.request("PATCH", &location).header("content-range", format!("{start}-{}", end - 1));
        let reply = chunk.body(&CONTENT[start..end]).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), header(&reply, "range")), (202, format!("0-{}", end - 1)));
        location = header(&reply, "location");
        let status = world.get(&location).await;
        assert_eq!((status.status().as_u16(), header(&status, "range")), (204, format!("0-{}", end - 1)));
    }
    let last = world.request("PUT", &with_digest(&location, &digest)).header("content-range", "11-14");
    assert_eq!(last.body(&CONTENT[11..]).send().await.unwrap().status(), 201);
    assert_stored(&world, "a", &digest, CONTENT).await;
}

#[tokio::test]
async fn a_blob_is_streamed_in_one_patch() {
    let world = world();
    let digest = Digest::sha256(CONTENT);
    let patched = world.request("PATCH", &world.open("a").await).body(CONTENT).send().await.unwrap();
    let put = world.send("PUT", &with_digest(&header(&patched, "location"), &digest)).await;
    assert_eq!(put.status(), 201);
    assert_stored(&world, "a", &digest, CONTENT).await;
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_with_where_to_go_on() {
    let world = world();
    let location = world.open("a").await;
    for (range, status) in [("5-9", 416), ("0-99", 416), ("9-5", 416), ("five", 400)] {
        let chunk = world.request("PATCH", &location).header("content-range", range).body(&CONTENT[..5]);
        assert_eq!(chunk.send().await.unwrap().status(), status, "{range}");
    }
    let first = world.request("PATCH", &location).header("content-range", "0-4").body(&CONTENT[..5]);
    assert_eq!(first.send().await.unwrap().status(), 202);
    let again = world.request("PATCH", &location).header("content-range", "0-4").body(&CONTENT[..5]);
    let again = again.send().await.unwrap();
    assert_eq!((again.status().as_u16(), header(&again, "range")), (416, "0-4".to_owned()));
    assert!(!header(&again, "location").is_empty());
}

#[tokio::test]
async fn content_with_another_digest_is_refused() {
    let world = world();
    let digest = Digest::sha256(b"something else");
    let location = with_digest(&world.open("a").await, &digest);
    let put = world.request("PUT", &location).body(CONTENT).send().await.unwrap();
    assert_refused(put, 400, "DIGEST_INVALID").await;
    assert!(!world.registry.has_blob("a", &digest));
    let malformed = format!("{}&digest=sha256:00", world.open("a").await);
    assert_refused(world.send("PUT", &malformed).await, 400, "DIGEST_INVALID").await;
    assert_refused(world.send("PUT", &world.open("a").await).await, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn sha512_is_a_digest_too() {
    let world = world();
    let digest = Digest::of(DigestAlgorithm::Sha512, CONTENT);
    let location = with_digest(&world.open("a").await, &digest);
    assert_eq!(world.request("PUT", &location).body(CONTENT).send().await.unwrap().status(), 201);
    assert_stored(&world, "a", &digest, CONTENT).await;

    let image = fixture::image(1);
    world.registry.add("a", &image, None).unwrap();
    let bytes = image.root().bytes().clone();
    let path = format!("/v2/a/manifests/{}", Digest::of(DigestAlgorithm::Sha512, &bytes));
    let put = world.request("PUT", &path).header("content-type", media_type::IMAGE_MANIFEST).body(bytes.clone());
    assert_eq!(put.send().await.unwrap().status(), 201);
    assert_eq!(world.get(&path).await.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    let world = world();
    let location = world.open("a").await;
    assert_eq!(world.send("DELETE", &location).await.status(), 204);
    assert_refused(world.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    let elsewhere = world.open("a").await.replace("/v2/a/", "/v2/b/");
    assert_refused(world.get(&elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
}

#[tokio::test]
async fn blobs_are_mounted_or_a_session_is_opened() {
    let digest = Digest::sha256(CONTENT);
    for (mount, source, expected) in
        [(Mount::Yes, "&from=a", 201), (Mount::Yes, "&from=z", 202), (Mount::Yes, "", 202), (Mount::No, "&from=a", 202)]
    {
        let world = World::new(RegistryOptions::default().with_mount(mount));
        world.put_blob("a", CONTENT).await;
        let reply = world.send("POST", &format!("/v2/b/blobs/uploads/?mount={digest}{source}")).await;
        assert_eq!(reply.status(), expected, "{mount:?} {source}");
        assert_eq!(world.registry.has_blob("b", &digest), expected == 201);
        if expected == 202 {
            let location = with_digest(&header(&reply, "location"), &digest);
            assert_eq!(world.request("PUT", &location).body(CONTENT).send().await.unwrap().status(), 201);
        }
    }
}

#[tokio::test]
async fn manifests_are_put_by_tag_and_by_digest() {
    let world = world();
    let image = fixture::image(1);
    for (descriptor, blob) in image.blobs() {
        let content = blob.content().read_all(u64::MAX).await.unwrap();
        assert_eq!(world.put_blob("a", &content).await, descriptor.digest);
    }
    for reference in ["v1".to_owned(), "v2".to_owned(), image.digest().to_string()] {
        let put = world
            .request("PUT", &format!("/v2/a/manifests/{reference}"))
            .header("content-type", media_type::IMAGE_MANIFEST)
            .body(image.root().bytes().clone());
        let put = put.send().await.unwrap();
        assert_eq!(put.status(), 201);
        assert_eq!(header(&put, "docker-content-digest"), image.digest().to_string());
        assert!(header(&put, "location").ends_with(&format!("/v2/a/manifests/{}", image.digest())));
        assert_eq!(header(&put, "oci-subject"), "");
    }
    assert_eq!(world.registry.tags("a"), ["v1", "v2"]);
}

#[tokio::test]
async fn manifests_that_cannot_be_are_refused() {
    let world = world();
    let image = fixture::image(1);
    world.registry.add("a", &image, None).unwrap();
    let whole: serde_json::Value = serde_json::from_slice(image.root().bytes()).unwrap();
    let mut missing = whole.clone();
    missing["layers"][0]["digest"] = json!(Digest::sha256(b"nowhere"));
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX,
        "manifests": [{ "mediaType": media_type::IMAGE_MANIFEST, "digest": Digest::sha256(b"no"), "size": 2 }]
    });
    let mut ambiguous = whole.clone();
    ambiguous["manifests"] = index["manifests"].clone();
    let other = format!("/v2/a/manifests/{}", Digest::sha256(b"other"));
    for (path, body, status, code) in [
        ("/v2/a/manifests/v1", &missing, 404, "MANIFEST_BLOB_UNKNOWN"),
        ("/v2/a/manifests/v1", &index, 404, "MANIFEST_BLOB_UNKNOWN"),
        ("/v2/a/manifests/v1", &ambiguous, 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/-v1", &whole, 400, "MANIFEST_INVALID"),
        ("/v2/A/manifests/v1", &whole, 400, "NAME_INVALID"),
        (&other, &whole, 400, "DIGEST_INVALID"),
    ] {
        assert_refused(world.put_manifest(path, body).await, status, code).await;
    }
    let put = |body: &'static str, media_type: &'static str| {
        world.request("PUT", "/v2/a/manifests/v1").header("content-type", media_type).body(body).send()
    };
    assert_refused(put("no JSON", media_type::IMAGE_MANIFEST).await.unwrap(), 400, "MANIFEST_INVALID").await;
    let lie = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    assert_refused(put(lie, media_type::IMAGE_MANIFEST).await.unwrap(), 400, "MANIFEST_INVALID").await;
    assert!(world.registry.tags("a").is_empty());
}

#[tokio::test]
async fn a_manifest_has_at_most_four_mebibytes() {
    let world = world();
    for (size, expected) in [(4 * 1024 * 1024, 201), (4 * 1024 * 1024 + 1, 413), (9 * 1024 * 1024, 413)] {
        let head = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","x":""#;
        let body = format!("{head}{}\"}}", "x".repeat(size - head.len() - 2));
        assert_eq!(body.len(), size);
        let put = world.request("PUT", "/v2/a/manifests/v1").header("content-type", media_type::IMAGE_INDEX).body(body);
        assert_eq!(put.send().await.unwrap().status(), expected, "{size}");
    }
}

#[tokio::test]
async fn layers_that_are_fetched_elsewhere_need_not_be_here() {
    let world = world();
    let config = world.put_blob("a", b"{}").await;
    let body = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
        "config": { "mediaType": media_type::IMAGE_CONFIG, "digest": config, "size": 2 },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": Digest::sha256(b"far away"), "size": 8, "urls": ["https://example.com/layer"]
        }]
    });
    assert_eq!(world.put_manifest("/v2/a/manifests/v1", &body).await.status(), 201);
}

#[tokio::test]
async fn writes_are_conditional_where_that_is_offered() {
    let options = RegistryOptions { conditional_writes: true, ..RegistryOptions::default() };
    let world = World::new(options);
    let (one, two) = (fixture::image(1), fixture::image(2));
    world.registry.add("a", &one, None).unwrap();
    world.registry.add("a", &two, None).unwrap();
    let put = |image: &fixture::Fixture, header: &'static str, value: String| {
        world
            .request("PUT", "/v2/a/manifests/v1")
            .header("content-type", media_type::IMAGE_MANIFEST)
            .header(header, value)
            .body(image.root().bytes().clone())
            .send()
    };
    let (first, second) = (format!("\"{}\"", one.digest()), format!("\"{}\"", two.digest()));
    for (image, header, value, expected) in [
        (&one, "if-match", first.clone(), 412),
        (&one, "if-none-match", "*".to_owned(), 201),
        (&two, "if-none-match", "*".to_owned(), 412),
        (&two, "if-match", second, 412),
        (&two, "if-match", first, 201),
    ] {
        assert_eq!(put(image, header, value.clone()).await.unwrap().status(), expected, "{header} {value}");
    }
}

#[tokio::test]
async fn locations_and_chunk_sizes_are_as_the_options_say() {
    let options =
        RegistryOptions { relative_locations: true, chunk_min_length: Some(4096), ..RegistryOptions::default() };
    let world = World::new(options);
    let opened = world.send("POST", "/v2/a/blobs/uploads/").await;
    assert!(header(&opened, "location").starts_with("/v2/a/blobs/uploads/"));
    assert_eq!(header(&opened, "oci-chunk-min-length"), "4096");
}
