//! What names and lists manifests in a layout: tags by whoever wrote them, and entries for other tools.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use sealift_core::oci::{Descriptor, RawManifest, Selector, Tag, annotation, media_type};
use sealift_core::repository::{ReadRepository, ReferrersListing, Repository, RepositoryError};
use sealift_oci::layout::{LayoutRepository, Mode};
use serde_json::{Value, json};

use crate::layout::{push, readable, referrers, tag, writable};

const CONTAINERD_NAME: &str = "io.containerd.image.name";

fn index(layout: &Path) -> Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

fn write_index(layout: &Path, entries: &[Value]) {
    let index = json!({"schemaVersion": 2, "manifests": entries, "x-kept": true});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// Returns an entry of `index.json` with these names.
fn named(raw: &RawManifest, names: &[(&str, &str)]) -> Value {
    let mut entry = json!(raw.descriptor());
    for (key, name) in names {
        entry["annotations"][key] = json!(name);
    }
    entry
}

async fn resolved(layout: &LayoutRepository, name: &str) -> Result<Descriptor, RepositoryError> {
    layout.resolve(&Selector::Tag(tag(name))).await
}

#[tokio::test]
async fn tags_of_other_tools_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let [plain, containerd, long] = [
        push(&layout, "plain", None).await,
        push(&layout, "containerd", None).await,
        push(&layout, "long", None).await,
    ];
    let nameless = push(&layout, "nameless", None).await;
    write_index(
        folder.path(),
        &[
            named(&plain, &[(annotation::REF_NAME, "v1")]),
            named(&containerd, &[(CONTAINERD_NAME, "docker.io/library/app:v2")]),
            named(&long, &[(annotation::REF_NAME, "registry.example:5000/team/app:v3")]),
            named(&nameless, &[(annotation::REF_NAME, "no tag at all")]),
            json!({"digest": "blake3:00", "size": 1, "mediaType": "a/b", "annotations": {annotation::REF_NAME: "v9"}}),
        ],
    );
    for (name, raw) in [("v1", &plain), ("v2", &containerd), ("v3", &long)] {
        assert_eq!(resolved(&layout, name).await.unwrap(), *raw.descriptor(), "{name}");
    }
    assert_eq!(layout.tags().await.unwrap(), ["v1", "v2", "v3"].map(tag));
    assert!(resolved(&layout, "v9").await.unwrap_err().is_not_found(), "an unknown algorithm names nothing");

    layout.tag(&plain, &tag("v2")).await.unwrap();
    assert_eq!(resolved(&layout, "v2").await.unwrap(), *plain.descriptor());
    let after = index(folder.path());
    assert_eq!(after["manifests"].as_array().unwrap().len(), 5, "one entry is replaced: {after}");
    assert!(after["x-kept"] == true && after.to_string().contains("blake3:00"), "what is not known stays: {after}");
}

#[tokio::test]
async fn a_tag_of_two_manifests_is_no_tag() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let [first, second] = [push(&layout, "first", None).await, push(&layout, "second", None).await];
    let names = [(annotation::REF_NAME, "v1")];
    write_index(folder.path(), &[named(&first, &names), named(&second, &names)]);
    let error = resolved(&layout, "v1").await.unwrap_err();
    assert!(matches!(error, RepositoryError::Malformed { .. }), "{error:?}");
    let names = [(annotation::REF_NAME, "v1"), (CONTAINERD_NAME, "docker.io/library/app:v1")];
    write_index(folder.path(), &[named(&first, &names), named(&first, &names[..1])]);
    assert_eq!(resolved(&layout, "v1").await.unwrap(), *first.descriptor(), "the same manifest twice is one");
}

/// Whoever may attach to an image must not move its tag with it.
#[tokio::test]
async fn the_annotations_of_a_manifest_take_no_tag() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let image = push(&layout, "image", None).await;
    layout.tag(&image, &tag("v1")).await.unwrap();
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    let annotations = json!({annotation::REF_NAME: "v1", CONTAINERD_NAME: "docker.io/library/app:v1", "other": "kept"});
    let attack = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "artifactType": "application/x.attack",
        "config": config, "layers": [], "subject": image.descriptor(), "annotations": annotations,
    });
    let attack = RawManifest::new(media_type::IMAGE_MANIFEST, attack.to_string());
    layout.push(attack.descriptor(), attack.bytes().clone().into()).await.unwrap();
    assert_eq!(resolved(&layout, "v1").await.unwrap(), *image.descriptor());
    layout.tag(&attack, &tag("v2")).await.unwrap();
    assert_eq!(resolved(&layout, "v1").await.unwrap(), *image.descriptor());
    assert_eq!(layout.tags().await.unwrap(), ["v1", "v2"].map(tag));
    let listed = layout.referrers(&image.descriptor().digest, ReferrersListing::Api).await.unwrap().unwrap();
    assert_eq!(json!(listed[0].annotations), annotations, "the listing shows them all the same");
}

#[tokio::test]
async fn referrers_are_listed_for_tools_that_only_read_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let image = push(&layout, "image", None).await;
    layout.tag(&image, &tag("v1")).await.unwrap();
    let plain = named(&image, &[(annotation::REF_NAME, "v1")]);
    assert_eq!(index(folder.path())["manifests"], json!([plain]), "an image is listed by its name alone");
    let signature = push(&layout, "signature", Some(image.descriptor())).await;
    let entries = |index: Value| {
        let entries = index["manifests"].as_array().unwrap().clone();
        entries.into_iter().filter(|entry| entry["digest"] == json!(signature.descriptor().digest)).collect::<Vec<_>>()
    };
    let untagged = entries(index(folder.path()));
    assert_eq!(untagged.len(), 1);
    assert_eq!(untagged[0]["artifactType"], media_type::EMPTY);
    assert_eq!(untagged[0]["annotations"], json!({"mark": "signature"}));

    layout.tag(&signature, &tag("signature")).await.unwrap();
    assert_eq!(entries(index(folder.path())).len(), 1, "a tag takes the place of the entry without one");
    layout.tag(&image, &tag("signature")).await.unwrap();
    assert_eq!(entries(index(folder.path())), untagged, "a referrer that loses its tag stays listed");
    layout.tag(&signature, &tag("signature")).await.unwrap();
    layout.delete(&Selector::Tag(tag("signature"))).await.unwrap();
    assert_eq!(entries(index(folder.path())), untagged, "also when the tag is deleted");
}

/// `cosign save` writes referrers into `blobs/` and lists them nowhere.
#[tokio::test]
async fn referrers_that_are_listed_nowhere_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let image = push(&layout, "image", None).await;
    layout.tag(&image, &tag("v1")).await.unwrap();
    let read = readable(folder.path()).await.unwrap();
    let digest = &image.descriptor().digest;
    assert_eq!(referrers(&read, digest).await, []);
    let mut expected = vec![];
    for mark in ["one", "two"] {
        let signature = push(&layout, mark, Some(image.descriptor())).await;
        write_index(folder.path(), &[named(&image, &[(annotation::REF_NAME, "v1")])]);
        expected.push(signature.descriptor().digest.clone());
        expected.sort();
        assert_eq!(referrers(&read, digest).await, expected, "what came since the last look counts too");
    }
    layout.delete(&Selector::Digest(expected[0].clone())).await.unwrap();
    assert_eq!(referrers(&read, digest).await, expected[1..], "and what is gone does not");
}

/// `cosign save` names nothing; what it saved is known by a kind, which a name given to the image must not replace.
#[tokio::test]
async fn what_cosign_saved_keeps_its_kind_when_it_gets_names() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let [image, signatures] = [push(&layout, "image", None).await, push(&layout, "signatures", None).await];
    let kind = |kind: &str| format!("dev.cosignproject.cosign/{kind}");
    let entries = [named(&image, &[("kind", &kind("image"))]), named(&signatures, &[("kind", &kind("sigs"))])];
    write_index(folder.path(), &entries);
    let signature_tag = Tag::cosign(&image.descriptor().digest, "sig");
    for name in ["v1", "v2"] {
        layout.tag(&image, &tag(name)).await.unwrap();
        assert_eq!(resolved(&layout, signature_tag.as_str()).await.unwrap(), *signatures.descriptor(), "{name}");
    }
    layout.tag(&signatures, &signature_tag).await.unwrap();
    let kinds: Vec<_> = index(folder.path())["manifests"].as_array().unwrap().iter().map(kind_of).collect();
    assert_eq!(kinds, [kind("image"), kind("image"), kind("sigs")]);
    // In a layout that is none of cosign's, tags tell what is attached.
    let other = tempfile::tempdir().unwrap();
    let copy = writable(other.path()).await;
    copy.push(signatures.descriptor(), signatures.bytes().clone().into()).await.unwrap();
    copy.tag(&signatures, &signature_tag).await.unwrap();
    assert!(index(other.path())["manifests"][0]["annotations"].get("kind").is_none());
}

fn kind_of(entry: &Value) -> String {
    entry["annotations"]["kind"].as_str().unwrap_or_default().to_owned()
}

/// JSON documents that have a `subject` of their own, or none that can be read, are no referrers.
#[tokio::test]
async fn other_json_in_blobs_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let image = push(&layout, "image", None).await;
    let statement = json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "00"}}]});
    let manifest_like = json!({"config": {}, "subject": 7});
    let odd = json!({"mediaType": 7, "subject": image.descriptor()});
    for blob in [statement.to_string(), manifest_like.to_string(), odd.to_string(), "{".to_owned(), "{}".repeat(9)] {
        let descriptor = Descriptor::of("application/json", blob.as_bytes());
        layout.push(&descriptor, Bytes::from(blob).into()).await.unwrap();
    }
    assert_eq!(referrers(&layout, &image.descriptor().digest).await, []);
}

#[tokio::test]
async fn a_layer_is_not_deleted_by_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let layer = Descriptor::of(media_type::IMAGE_LAYER_GZIP, b"layer");
    layout.push(&layer, Bytes::from_static(b"layer").into()).await.unwrap();
    let refused = layout.delete(&Selector::Digest(layer.digest.clone())).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused:?}");
    assert!(layout.exists(&layer).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_fallback_tag_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let layout = writable(folder.path()).await;
    let image = push(&layout, "image", None).await;
    let digest = image.descriptor().digest.clone();
    let mut entries = vec![];
    for number in 0..16 {
        entries.push(push(&layout, &number.to_string(), Some(image.descriptor())).await.descriptor().clone());
    }
    let listing = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries});
    let listing = RawManifest::new(media_type::IMAGE_INDEX, listing.to_string());
    layout.tag(&listing, &Tag::referrers_fallback(&digest)).await.unwrap();
    let tasks = entries[..8].iter().map(|entry| {
        let (path, digest, entry) = (folder.path().to_owned(), digest.clone(), entry.digest.clone());
        tokio::spawn(async move {
            let layout = LayoutRepository::open(&path, Mode::Write).await.unwrap();
            layout.unlink_referrers(&digest, &[entry]).await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let left = layout.referrers(&digest, ReferrersListing::FallbackTag).await.unwrap().unwrap();
    assert_eq!(left, entries[8..]);
}
