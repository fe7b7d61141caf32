//! Layouts: the contract, archives, hostile directories and files, several writers.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use sealift_core::attach::{CosignSuffix, NewLayer, attach_cosign_tag};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{ReadRepository, ReferrersListing, Repository, RepositoryError, TagMove};
use sealift_oci::layout::{LayoutRepository, Mode};
use sealift_sandbox::{conformance, external};

pub(crate) async fn writable(path: &Path) -> LayoutRepository {
    LayoutRepository::open(path, Mode::Write).await.unwrap()
}

pub(crate) async fn readable(path: &Path) -> Result<LayoutRepository, RepositoryError> {
    LayoutRepository::open(path, Mode::Read).await
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Pushes an image without layers whose only difference is `mark`, referring to `subject` if any.
pub(crate) async fn push(layout: &LayoutRepository, mark: &str, subject: Option<&Descriptor>) -> RawManifest {
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    layout.push(&config, Bytes::from_static(b"{}").into()).await.unwrap();
    let mut manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config, "layers": [],
        "annotations": {"mark": mark},
    });
    if let Some(subject) = subject {
        manifest["subject"] = serde_json::json!(subject);
    }
    let raw = RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string());
    layout.push(raw.descriptor(), raw.bytes().clone().into()).await.unwrap();
    raw
}

pub(crate) async fn referrers(layout: &LayoutRepository, subject: &Digest) -> Vec<Digest> {
    let listed = layout.referrers(subject, ReferrersListing::Api).await.unwrap().unwrap();
    listed.into_iter().map(|entry| entry.digest).collect()
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::repository(&writable(&folder.path().join("layout")).await).await;
}

#[tokio::test]
async fn an_archive_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    conformance::repository(&writable(&folder.path().join("layout.tar")).await).await;
}

#[tokio::test]
async fn an_archive_holds_what_was_written_and_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let layout = writable(&path).await;
    let image = push(&layout, "image", None).await;
    layout.tag(&image, &tag("v1")).await.unwrap();
    let signature = push(&layout, "signature", Some(image.descriptor())).await;
    layout.flush().await.unwrap();
    drop(layout);
    let read = readable(&path).await.unwrap();
    assert_eq!(read.manifest(&Selector::Tag(tag("v1"))).await.unwrap(), image);
    assert_eq!(referrers(&read, &image.descriptor().digest).await, [signature.descriptor().digest.clone()]);
    let refused = read.tag(&image, &tag("v2")).await;
    assert!(matches!(refused, Err(RepositoryError::Unsupported { .. })), "{refused:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["image.tar"], "no lock and no staging directory stays behind");
}

#[tokio::test]
async fn packing_the_same_content_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut archives = vec![];
    for name in ["a.tar", "b.tar"] {
        let path = folder.path().join(name);
        let layout = writable(&path).await;
        let image = push(&layout, "image", None).await;
        layout.tag(&image, &tag("v1")).await.unwrap();
        archives.push(fs::read(&path).unwrap());
    }
    assert!(archives[0] == archives[1]);
}

#[tokio::test]
async fn hostile_archives_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.tar");
    let layout = writable(&good).await;
    let image = push(&layout, "image", None).await;
    layout.tag(&image, &tag("v1")).await.unwrap();
    drop(layout);
    let bytes = fs::read(&good).unwrap();
    let docker = archive(&[("manifest.json", b"[]")]);
    let climbing = archive(&[("../oci-layout", b"{}"), ("/etc/oci-layout", b"{}")]);
    for (name, bytes, reason) in [
        ("gzip", &[0x1f, 0x8b, 8, 0][..], "compressed"),
        ("cut", &bytes[..bytes.len() / 4], "cut"),
        ("without an end", &bytes[..bytes.len() - 1024], "cut"),
        ("text", &[b'x'; 2048], "no tar archive"),
        ("docker", &docker, "docker save"),
        ("climbing", &climbing, "no `oci-layout`"),
        ("empty", &[], "cut"),
    ] {
        let path = folder.path().join(format!("{name}.tar"));
        fs::write(&path, bytes).unwrap();
        let error = readable(&path).await.map(drop).unwrap_err();
        assert!(matches!(error, RepositoryError::Malformed { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_archive_whose_index_is_too_large_is_not_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar");
    let index = vec![b' '; 32 * 1024 * 1024 + 1];
    let bytes = archive(&[("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#), ("index.json", &index)]);
    fs::write(&path, &bytes).unwrap();
    let opened = LayoutRepository::open(&path, Mode::Write).await;
    assert!(matches!(opened, Err(RepositoryError::TooLarge { .. })), "{:?}", opened.map(drop));
    assert!(fs::read(&path).unwrap() == bytes, "the archive is as it was");
}

#[tokio::test]
async fn an_index_that_could_not_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layout = writable(&path).await;
    let image = push(&layout, "image", None).await;
    // As large as it may be, but for a few bytes.
    let filler = "x".repeat(32 * 1024 * 1024 - 100);
    let full = format!(r#"{{"schemaVersion":2,"filler":"{filler}","manifests":[]}}"#);
    fs::write(path.join("index.json"), &full).unwrap();
    let tagged = layout.tag(&image, &tag("v1")).await;
    assert!(matches!(tagged, Err(RepositoryError::TooLarge { what: "index.json", .. })), "{tagged:?}");
    assert!(fs::read_to_string(path.join("index.json")).unwrap() == full, "the index is as it was");
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = vec![];
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        all.extend_from_slice(header.as_bytes());
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

#[tokio::test]
async fn links_out_of_a_layout_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let path = folder.path().join("layout");
    let layout = writable(&path).await;
    let digest = Digest::sha256(b"secret");
    std::os::unix::fs::symlink(&secret, path.join("blobs/sha256").join(digest.hex())).unwrap();
    let fetched = layout.fetch(&Descriptor::of(media_type::OCTET_STREAM, b"secret")).await;
    assert!(matches!(fetched, Err(RepositoryError::Malformed { .. })), "{fetched:?}");
    fs::remove_file(path.join("index.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path.join("index.json")).unwrap();
    let tags = layout.tags().await;
    assert!(matches!(tags, Err(RepositoryError::Malformed { .. })), "{tags:?}");
}

#[tokio::test]
async fn what_is_no_layout_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = readable(&folder.path().join("missing")).await.unwrap_err();
    assert!(missing.is_not_found(), "{missing:?}");
    fs::write(folder.path().join("precious"), b"").unwrap();
    for mode in [Mode::Read, Mode::Write] {
        let refused = LayoutRepository::open(folder.path(), mode).await;
        assert!(matches!(refused, Err(RepositoryError::Malformed { .. })), "{mode:?}: {refused:?}");
    }
    let newer = folder.path().join("newer");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("oci-layout"), br#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(readable(&newer).await, Err(RepositoryError::Malformed { .. })));
}

#[tokio::test]
async fn a_damaged_blob_is_an_error_and_not_an_absence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layout = writable(&path).await;
    let image = push(&layout, "image", None).await;
    let signature = push(&layout, "signature", Some(image.descriptor())).await;
    let file = path.join("blobs/sha256").join(signature.descriptor().digest.hex());
    let damaged = fs::read_to_string(&file).unwrap().replace("signature", "signaturE");
    fs::write(&file, damaged).unwrap();
    let listed = readable(&path).await.unwrap().referrers(&image.descriptor().digest, ReferrersListing::Api).await;
    assert!(matches!(listed, Err(RepositoryError::Manifest { .. })), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_with_their_own_handles_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let image = push(&writable(&path).await, "image", None).await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (path, image) = (path.clone(), image.clone());
            tokio::spawn(async move {
                let layout = writable(&path).await;
                push(&layout, &format!("signature {number}"), Some(image.descriptor())).await;
                layout.tag(&image, &tag(&format!("v{number}"))).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let layout = readable(&path).await.unwrap();
    assert_eq!(layout.tags().await.unwrap().len(), 8);
    assert_eq!(referrers(&layout, &image.descriptor().digest).await.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_writers_with_their_own_handles_takes_a_tag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let before = push(&writable(&path).await, "before", None).await;
    for previous in [None, Some(&before.descriptor().digest)] {
        let name = tag(if previous.is_some() { "moved" } else { "taken" });
        let mut writers = vec![];
        for number in 0..4 {
            let layout = writable(&path).await;
            let image = push(&layout, &format!("writer {number}"), None).await;
            if previous.is_some() {
                layout.tag(&before, &name).await.unwrap();
            }
            writers.push((layout, image));
        }
        let moves = writers.iter().map(|(layout, image)| layout.move_tag(image, &name, previous));
        let outcomes = futures_util::future::try_join_all(moves).await.unwrap();
        let held = readable(&path).await.unwrap().resolve(&Selector::Tag(name)).await.unwrap().digest;
        for ((_, image), outcome) in writers.iter().zip(&outcomes) {
            let expected = match image.descriptor().digest == held {
                true => TagMove::Done,
                false => TagMove::Holds(Some(held.clone())),
            };
            assert_eq!(*outcome, expected, "{outcomes:?}");
        }
    }
}

/// As a pruned folder, or a copy that was cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_manifest_is_gone_holds_nothing_and_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout");
    let layout = writable(&path).await;
    let (lost, image) = (push(&layout, "lost", None).await, push(&layout, "image", None).await);
    let subject = Digest::sha256(b"subject");
    let cosign = CosignSuffix::Sbom.tag(&subject);
    for name in [&tag("v1"), &cosign] {
        layout.tag(&lost, name).await.unwrap();
    }
    fs::remove_file(path.join("blobs/sha256").join(lost.descriptor().digest.hex())).unwrap();
    assert_eq!(layout.move_tag(&image, &tag("v1"), None).await.unwrap(), TagMove::Done);
    let layer = NewLayer::new("text/spdx+json", "{}");
    let attached = attach_cosign_tag(&layout, &subject, CosignSuffix::Sbom, &layer).await.unwrap();
    for (name, digest) in [(tag("v1"), &image.descriptor().digest), (cosign, &attached.digest)] {
        assert_eq!(layout.resolve(&Selector::Tag(name)).await.unwrap().digest, *digest);
    }
}

#[tokio::test]
async fn layouts_of_other_tools_show_their_referrers() {
    let Some(shared) = external::shared("conformance/oci") else { return };
    let mut seen = 0;
    for entry in fs::read_dir(&shared).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("oci-layout").is_file() {
            continue;
        }
        let layout = readable(&path).await.unwrap();
        let mut found = 0;
        for name in layout.tags().await.unwrap() {
            let Ok(image) = layout.resolve(&Selector::Tag(name)).await else { continue };
            found += referrers(&layout, &image.digest).await.len();
        }
        println!("{}: {found} referrers of tagged manifests", path.display());
        seen += found;
    }
    assert!(seen > 0, "no layout in {} shows a referrer", shared.display());
}
