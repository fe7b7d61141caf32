//! Category "content management" of the specification's conformance tests: deletion.

use sealift_core::oci::{Descriptor, Digest, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::RegistryOptions;
use serde_json::Value;

use crate::support::{World, assert_refused};

#[tokio::test]
async fn a_tag_is_deleted_alone() {
    let world = World::new(RegistryOptions::default());
    let image = fixture::image(1);
    for tag in ["v1", "v2"] {
        world.registry.add("a", &image, Some(tag)).unwrap();
    }
    assert_eq!(world.send("DELETE", "/v2/a/manifests/v1").await.status(), 202);
    assert_refused(world.get("/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN").await;
    assert_refused(world.send("DELETE", "/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN").await;
    assert_eq!(world.get(&format!("/v2/a/manifests/{}", image.digest())).await.status(), 200);
    assert_eq!(world.registry.tags("a"), ["v2"]);
}

#[tokio::test]
async fn a_manifest_is_deleted_with_its_tags_and_from_its_subjects_listing() {
    let world = World::new(RegistryOptions::default());
    let image = fixture::image(1);
    world.registry.add("a", &image, Some("v1")).unwrap();
    let referrer = fixture::artifact("application/vnd.example", "text/plain", b"x", Some(image.descriptor()));
    world.registry.add("a", &referrer, Some("extra")).unwrap();
    let path = format!("/v2/a/manifests/{}", referrer.digest());
    assert_eq!(world.send("DELETE", &path).await.status(), 202);
    assert_refused(world.send("DELETE", &path).await, 404, "MANIFEST_UNKNOWN").await;
    assert_refused(world.get(&path).await, 404, "MANIFEST_UNKNOWN").await;
    assert_eq!(world.registry.tags("a"), ["v1"]);
    let listing: Value = world.get(&format!("/v2/a/referrers/{}", image.digest())).await.json().await.unwrap();
    assert_eq!(listing["manifests"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_blob_is_deleted_from_its_repository_alone() {
    let world = World::new(RegistryOptions::default());
    let digest = world.put_blob("a", b"content").await;
    world.put_blob("b", b"content").await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(world.send("DELETE", &path).await.status(), 202);
    assert_refused(world.get(&path).await, 404, "BLOB_UNKNOWN").await;
    assert_refused(world.send("DELETE", &path).await, 404, "BLOB_UNKNOWN").await;
    assert_eq!(world.get(&format!("/v2/b/blobs/{digest}")).await.status(), 200);
    let unknown = format!("/v2/a/manifests/{}", Digest::sha256(b"none"));
    assert_refused(world.send("DELETE", &unknown).await, 404, "MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn nothing_is_deleted_where_that_is_switched_off() {
    let world = World::new(RegistryOptions::default().without_deletes());
    let image = fixture::image(1);
    world.registry.add("a", &image, Some("v1")).unwrap();
    let (layer, _) = image.blobs().next().unwrap();
    for path in [
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{}", image.digest()),
        format!("/v2/a/blobs/{}", layer.digest),
    ] {
        assert_refused(world.send("DELETE", &path).await, 405, "UNSUPPORTED").await;
    }
}

#[tokio::test]
async fn a_manifest_put_again_after_deletion_is_listed_once_again() {
    let world = World::new(RegistryOptions::default());
    let subject = Descriptor::of(media_type::IMAGE_MANIFEST, b"subject");
    let referrer = fixture::artifact("application/vnd.example", "text/plain", b"x", Some(&subject));
    for _ in 0..2 {
        world.registry.add("a", &referrer, None).unwrap();
        world.registry.add("a", &referrer, None).unwrap();
        assert_eq!(world.registry.referrers("a", &subject.digest).len(), 1);
        let path = format!("/v2/a/manifests/{}", referrer.digest());
        assert_eq!(world.send("DELETE", &path).await.status(), 202);
        assert!(world.registry.referrers("a", &subject.digest).is_empty());
    }
}
