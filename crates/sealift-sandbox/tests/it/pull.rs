//! Category "pull" of the specification's conformance tests.

use sealift_core::oci::Digest;
use sealift_sandbox::fixture::{self, Pattern};
use sealift_sandbox::registry::RegistryOptions;

use crate::support::{World, assert_refused, header};

const ABSENT: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn world() -> (World, fixture::Fixture) {
    let world = World::new(RegistryOptions::default());
    let image = fixture::image(1);
    world.registry.add("team/app", &image, Some("v1")).unwrap();
    (world, image)
}

#[tokio::test]
async fn manifests_come_by_tag_and_digest_as_they_were_put() {
    let (world, image) = world();
    for reference in ["v1".to_owned(), image.digest().to_string()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        for method in ["GET", "HEAD"] {
            let reply = world.send(method, &path).await;
            assert_eq!(reply.status(), 200);
            assert_eq!(header(&reply, "content-type"), image.descriptor().media_type.as_str());
            assert_eq!(header(&reply, "content-length"), image.descriptor().size.to_string());
            assert_eq!(header(&reply, "docker-content-digest"), image.digest().to_string());
            let body = reply.bytes().await.unwrap();
            assert_eq!(body, if method == "GET" { image.root().bytes().clone() } else { bytes::Bytes::new() });
        }
    }
}

#[tokio::test]
async fn blobs_come_whole_and_in_part() {
    let (world, image) = world();
    let (descriptor, blob) = image.blobs().next().unwrap();
    let content = blob.content().read_all(u64::MAX).await.unwrap();
    let path = format!("/v2/team/app/blobs/{}", descriptor.digest);
    let head = world.send("HEAD", &path).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, descriptor.size.to_string()));
    assert_eq!(world.get(&path).await.bytes().await.unwrap(), content);

    let part = world.request("GET", &path).header("range", "bytes=2-5").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(header(&part, "content-range"), format!("bytes 2-5/{}", descriptor.size));
    assert_eq!(part.bytes().await.unwrap(), content[2..6]);

    let past = world.request("GET", &path).header("range", "bytes=99999-").send().await.unwrap();
    assert_eq!(header(&past, "content-range"), format!("bytes */{}", descriptor.size));
    assert_eq!(past.status(), 416);
}

#[tokio::test]
async fn a_manifest_is_a_blob_too() {
    let (world, image) = world();
    let reply = world.get(&format!("/v2/team/app/blobs/{}", image.digest())).await;
    assert_eq!(reply.bytes().await.unwrap(), image.root().bytes());
}

#[tokio::test]
async fn parts_of_blobs_made_on_the_way_fit_together() {
    let world = World::new(RegistryOptions::default());
    let pattern = Pattern::new(3, 200_000);
    world.registry.add("big", &fixture::large_image(3, 200_000), Some("v1")).unwrap();
    let path = format!("/v2/big/blobs/{}", pattern.digest());
    let whole = world.get(&path).await.bytes().await.unwrap();
    assert_eq!(Digest::sha256(&whole), pattern.digest());
    let part = world.request("GET", &path).header("range", "bytes=65000-140000").send().await.unwrap();
    assert_eq!(part.bytes().await.unwrap(), whole[65_000..=140_000]);
}

#[tokio::test]
async fn what_is_not_there_has_its_own_code() {
    let (world, image) = world();
    for (path, status, code) in [
        ("/v2/team/app/manifests/v2".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/team/app/manifests/{ABSENT}"), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/other/manifests/{}", image.digest()), 404, "MANIFEST_UNKNOWN"),
        (format!("/v2/team/app/blobs/{ABSENT}"), 404, "BLOB_UNKNOWN"),
        ("/v2/team/app/blobs/sha256:00".to_owned(), 400, "DIGEST_INVALID"),
        ("/v2/team/app/manifests/sha256:00".to_owned(), 400, "DIGEST_INVALID"),
        ("/v2/Team/app/manifests/v1".to_owned(), 400, "NAME_INVALID"),
        ("/v2/team/app/manifest/v1".to_owned(), 404, "UNSUPPORTED"),
    ] {
        assert_refused(world.get(&path).await, status, code).await;
    }
}

#[tokio::test]
async fn a_known_manifest_is_not_sent_again() {
    let (world, _) = world();
    let first = world.get("/v2/team/app/manifests/v1").await;
    let etag = header(&first, "etag");
    let again = world.request("GET", "/v2/team/app/manifests/v1").header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
}
