//! Layouts on a full disk, after a cut copy, and during a copy that fails.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use sealift_core::attach::{NewArtifact, attach};
use sealift_core::oci::{Descriptor, RepositoryName, Selector, media_type};
use sealift_core::repository::{ReadRepository, Repository, RepositoryError};
use sealift_oci::{Access, Client};
use sealift_sandbox::fixture;

use crate::layout::{push, readable, referrers, tag, writable};

/// Names the layout to the process whose files may not grow.
const LAYOUT: &str = "SEALIFT_TEST_FULL_DISK";

/// A process may not write more than 32 KiB to a file, which fails as a full disk does.
#[expect(clippy::disallowed_methods, reason = "how the test tells its other process apart")]
#[tokio::test]
async fn a_full_disk_is_an_error_that_leaves_nothing() {
    if let Some(path) = std::env::var_os(LAYOUT) {
        return write_until_full(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "layout_faults::a_full_disk_is_an_error_that_leaves_nothing";
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(LAYOUT, folder.path().join("layout"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
    assert!(folder.path().join("layout/index.json").is_file(), "the other process wrote");
}

async fn write_until_full(path: &Path) {
    let layout = writable(path).await;
    let image = push(&layout, "image", None).await;
    let index = fs::read(path.join("index.json")).unwrap();
    let large = Bytes::from(vec![7; 1024 * 1024]);
    let descriptor = Descriptor::of(media_type::IMAGE_LAYER_GZIP, &large);
    let error = layout.push(&descriptor, large.into()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::File { operation: "write blob", .. }), "{error:?}");
    assert!(!layout.exists(&descriptor).await.unwrap());
    let names = fs::read_dir(path.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name.len() == 64), "no half-written file stays");

    // An index that does not fit any more: the old one stays whole.
    let long = tag(&"t".repeat(128));
    let mut refused = None;
    for number in 0..300 {
        let tag = tag(&format!("{}{number}", &long.as_str()[..120]));
        if let Err(error) = layout.tag(&image, &tag).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(RepositoryError::File { operation: "write index", .. })), "{refused:?}");
    assert!(!layout.tags().await.unwrap().is_empty() && index.len() < 32 * 1024, "the index can be read");
}

#[tokio::test]
async fn what_a_cut_copy_left_is_not_there_and_is_copied_again() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let bytes = Bytes::from_static(b"the whole layer");
    let descriptor = Descriptor::of(media_type::IMAGE_LAYER_GZIP, &bytes);
    fs::write(folder.path().join("blobs/sha256").join(descriptor.digest.hex()), &bytes[..5]).unwrap();
    assert!(!layout.exists(&descriptor).await.unwrap());
    layout.push(&descriptor, bytes.clone().into()).await.unwrap();
    assert_eq!(layout.fetch(&descriptor).await.unwrap().read_all(100).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_archive_comes_into_being_with_its_first_tag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.tar");
    let layout = writable(&path).await;
    let image = push(&layout, "image", None).await;
    let signature = push(&layout, "signature", Some(image.descriptor())).await;
    assert!(!path.exists(), "a copy that fails here leaves no archive");
    layout.tag(&image, &tag("v1")).await.unwrap();
    let read = readable(&path).await.unwrap();
    assert_eq!(referrers(&read, &image.descriptor().digest).await, [signature.descriptor().digest.clone()]);
    let later = attach(&layout, image.descriptor(), &NewArtifact::new("application/spdx+json")).await.unwrap();
    let read = readable(&path).await.unwrap();
    assert!(read.exists(&later).await.unwrap(), "what is attached in an archive is in it at once");
    let written = || fs::metadata(&path).unwrap().ino();
    let before = written();
    push(&layout, "part", Some(image.descriptor())).await;
    assert_eq!(written(), before, "but it is not written with each of its parts");
    layout.flush().await.unwrap();
    let after = written();
    layout.flush().await.unwrap();
    assert!(after != before && written() == after, "and only where something changed");
    layout.delete(&Selector::Tag(tag("v1"))).await.unwrap();
    assert_eq!(readable(&path).await.unwrap().tags().await.unwrap(), []);
    drop(layout);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no lock and no staging directory stays");
}

#[tokio::test]
async fn several_that_write_one_archive_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(Access::anonymous()).unwrap();
    let names = ["shared.tar", "./shared.tar"].map(|name| RepositoryName::Layout(folder.path().join(name)));
    let writing = (0..8).map(|number| {
        let (client, name) = (client.clone(), names[number % 2].clone());
        async move {
            let layout = client.open(&name).await.unwrap();
            let image = fixture::image(u64::try_from(number).unwrap());
            image.push(&*layout, Some(&tag(&format!("v{number}")))).await.unwrap();
        }
    });
    futures_util::future::join_all(writing).await;
    let read = readable(&folder.path().join("shared.tar")).await.unwrap();
    assert_eq!(read.tags().await.unwrap().len(), 8);
    assert_eq!(read.images().await.unwrap().len(), 8);
}

#[tokio::test]
async fn an_image_that_is_listed_but_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    for name in ["one", "two"] {
        let image = push(&layout, name, None).await;
        layout.tag(&image, &tag(name)).await.unwrap();
    }
    let images = layout.images().await.unwrap();
    assert_eq!(images.len(), 2);
    fs::remove_file(folder.path().join("blobs/sha256").join(images[1].descriptor.digest.hex())).unwrap();
    let error = layout.images().await.unwrap_err();
    assert!(matches!(&error, RepositoryError::NotFound { .. }), "{error:?}");
}
