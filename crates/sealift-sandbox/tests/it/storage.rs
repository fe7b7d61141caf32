//! Content in a folder: survives a restart, is kept once, and leaves nothing half done behind.

use std::path::Path;

use sealift_core::oci::{Digest, DigestAlgorithm};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryError, RegistryOptions, Storage};

use crate::support::{World, header, with_digest};

fn options(folder: &Path) -> RegistryOptions {
    RegistryOptions::default().with_storage(Storage::Folder(folder.to_owned()))
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = fixture::index(1, &["amd64", "arm64"]);
    let referrers: Vec<_> = (0..12_u8)
        .map(|number| fixture::artifact("application/vnd.example", "text/plain", &[number], Some(index.descriptor())))
        .collect();
    let (uploaded, deleted) = {
        let world = World::new(options(folder.path()));
        world.registry.add("team/app", &index, Some("v1")).unwrap();
        world.registry.add("team/app/sub", &fixture::image(2), Some("v2")).unwrap();
        for referrer in &referrers {
            world.registry.add("team/app", referrer, None).unwrap();
        }
        let deleted = world.registry.add("team/app", &fixture::image(3), Some("gone")).unwrap();
        let path = format!("/v2/team/app/manifests/{}", deleted.digest);
        assert_eq!(world.send("DELETE", &path).await.status(), 202);
        (world.put_blob("team/app", b"uploaded").await, deleted.digest)
    };
    let world = World::new(options(folder.path()));
    assert_eq!(world.registry.tags("team/app"), ["v1"]);
    assert_eq!(world.registry.tags("team/app/sub"), ["v2"]);
    assert!(world.registry.manifest("team/app", &deleted.to_string()).is_none());
    let stored = world.registry.manifest("team/app", "v1").unwrap();
    assert_eq!((stored.bytes(), stored.descriptor()), (index.root().bytes(), index.descriptor()));
    let listed: Vec<_> =
        world.registry.referrers("team/app", index.digest()).into_iter().map(|entry| entry.digest).collect();
    assert_eq!(listed, referrers.iter().map(|referrer| referrer.digest().clone()).collect::<Vec<_>>());
    let blob = world.get(&format!("/v2/team/app/blobs/{uploaded}")).await;
    assert_eq!(blob.bytes().await.unwrap(), "uploaded");
    let part = world.request("GET", &format!("/v2/team/app/blobs/{uploaded}")).header("range", "bytes=2-4");
    assert_eq!(part.send().await.unwrap().bytes().await.unwrap(), "loa");
    for (descriptor, _) in index.blobs() {
        assert!(world.registry.has_blob("team/app", &descriptor.digest));
        assert!(!world.registry.has_blob("team/app/sub", &descriptor.digest));
    }
}

#[tokio::test]
async fn a_blob_of_two_repositories_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(options(folder.path()));
    let digest = world.put_blob("a", b"content").await;
    world.put_blob("b", b"content").await;
    let mounted = world.send("POST", &format!("/v2/c/blobs/uploads/?mount={digest}&from=a")).await;
    assert_eq!(mounted.status(), 201);
    assert_eq!(files(&folder.path().join("blobs/sha256")), 1);
}

#[tokio::test]
async fn chunks_and_sha512_work_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(options(folder.path()));
    let digest = Digest::of(DigestAlgorithm::Sha512, b"hello, folder");
    let first = world.request("PATCH", &world.open("a").await).body("hello, ").send().await.unwrap();
    let location = with_digest(&header(&first, "location"), &digest);
    assert_eq!(world.request("PUT", &location).body("folder").send().await.unwrap().status(), 201);
    let blob = world.get(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(blob.bytes().await.unwrap(), "hello, folder");
}

#[tokio::test]
async fn unfinished_uploads_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = folder.path().join("uploads");
    let world = World::new(options(folder.path()));
    let cancelled = world.open("a").await;
    let refused = world.open("a").await;
    assert_eq!(files(&uploads), 2);
    assert_eq!(world.send("DELETE", &cancelled).await.status(), 204);
    let put = world.request("PUT", &with_digest(&refused, &Digest::sha256(b"x"))).body("y").send().await.unwrap();
    assert_eq!((put.status().as_u16(), files(&uploads)), (400, 0));
    world.open("a").await;
    drop(world);
    let _restarted = World::new(options(folder.path()));
    assert_eq!((files(&uploads), files(&folder.path().join("blobs/sha256"))), (0, 0));
}

#[tokio::test]
async fn a_big_blob_flows_from_a_pattern_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let source = World::new(RegistryOptions::default());
    let world = World::new(options(folder.path()));
    let size = 20 * 1024 * 1024;
    let image = fixture::large_image(1, size);
    source.registry.add("big", &image, Some("v1")).unwrap();
    let (layer, _) = image.blobs().last().unwrap();
    assert_eq!(layer.size, size);
    let blob = source.get(&format!("/v2/big/blobs/{}", layer.digest)).await;
    let location = with_digest(&world.open("big").await, &layer.digest);
    let put = world.request("PUT", &location).body(reqwest::Body::wrap_stream(blob.bytes_stream()));
    assert_eq!(put.send().await.unwrap().status(), 201);
    assert!(world.registry.has_blob("big", &layer.digest));
}

#[test]
fn what_cannot_be_started_says_why() {
    let first = Registry::start(RegistryOptions::default()).unwrap();
    let taken = RegistryOptions { listen: first.host(), ..RegistryOptions::default() };
    assert!(matches!(Registry::start(taken), Err(RegistryError::Listen { .. })));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Registry::start(options(file.path())), Err(RegistryError::System(_))));
    let invalid = sealift_core::oci::RawManifest::new("application/vnd.oci.image.manifest.v1+json", "no JSON");
    assert!(matches!(first.add_manifest("a", &invalid, None), Err(RegistryError::Refused { .. })));
}
