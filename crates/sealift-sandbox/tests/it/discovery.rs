//! Category "content discovery" of the specification's conformance tests: tags and referrers.

use std::collections::BTreeMap;

use sealift_core::oci::{Descriptor, Digest, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::RegistryOptions;
use serde_json::{Value, json};

use crate::support::{World, assert_refused, header};

async fn listing(world: &World, path: &str) -> (Value, String, String) {
    let reply = world.get(path).await;
    assert_eq!(reply.status(), 200);
    let (link, filters) = (header(&reply, "link"), header(&reply, "oci-filters-applied"));
    (reply.json().await.unwrap(), link, filters)
}

fn next(link: &str) -> &str {
    link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap()
}

#[tokio::test]
async fn tags_are_listed_in_order_and_in_pages() {
    let world = World::new(RegistryOptions::default());
    for tag in ["v3", "v1", "v2"] {
        world.registry.add("a", &fixture::image(1), Some(tag)).unwrap();
    }
    let (all, link, _) = listing(&world, "/v2/a/tags/list").await;
    assert_eq!((all, link), (json!({ "name": "a", "tags": ["v1", "v2", "v3"] }), String::new()));
    let (page, link, _) = listing(&world, "/v2/a/tags/list?n=2").await;
    assert_eq!(page["tags"], json!(["v1", "v2"]));
    let (rest, link, _) = listing(&world, next(&link)).await;
    assert_eq!((&rest["tags"], link.as_str()), (&json!(["v3"]), ""));
    assert_eq!(listing(&world, "/v2/a/tags/list?n=0").await.0["tags"], json!([]));
    assert_eq!(listing(&world, "/v2/a/tags/list?last=v2").await.0["tags"], json!(["v3"]));
    assert_refused(world.get("/v2/a/tags/list?n=many").await, 400, "PAGINATION_NUMBER_INVALID").await;
    assert_refused(world.get("/v2/z/tags/list").await, 404, "NAME_UNKNOWN").await;
}

#[tokio::test]
async fn repositories_are_listed() {
    let world = World::new(RegistryOptions::default().with_page_size(1));
    for repository in ["b/c", "a"] {
        world.registry.add(repository, &fixture::image(1), None).unwrap();
    }
    let (page, link, _) = listing(&world, "/v2/_catalog").await;
    assert_eq!(page["repositories"], json!(["a"]));
    assert_eq!(listing(&world, next(&link)).await.0["repositories"], json!(["b/c"]));
}

fn add_referrers(world: &World, subject: &Descriptor, count: u8) -> Vec<Digest> {
    let add = |number: u8| {
        let kind =
            if number.is_multiple_of(2) { "application/vnd.example.even" } else { "application/vnd.example.odd" };
        let referrer = fixture::artifact(kind, "text/plain", &[number], Some(subject));
        world.registry.add("a", &referrer, None).unwrap().digest
    };
    (0..count).map(add).collect()
}

fn digests(listing: &Value) -> Vec<Digest> {
    let entries: Vec<Descriptor> = serde_json::from_value(listing["manifests"].clone()).unwrap();
    entries.into_iter().map(|entry| entry.digest).collect()
}

#[tokio::test]
async fn referrers_are_described_by_type_and_annotations() {
    let world = World::new(RegistryOptions::default());
    let image = fixture::image(1);
    world.registry.add("a", &image, None).unwrap();
    let config = world.put_blob("a", b"{}").await;
    let mut body = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
        "config": { "mediaType": "application/vnd.example.config", "digest": config, "size": 2 },
        "layers": [], "subject": image.descriptor(), "annotations": { "org.example.key": "value" }
    });
    let put = world.put_manifest("/v2/a/manifests/by-config", &body).await;
    assert_eq!((put.status().as_u16(), header(&put, "oci-subject")), (201, image.digest().to_string()));
    body["artifactType"] = json!("application/vnd.example.type");
    world.put_manifest("/v2/a/manifests/by-type", &body).await;
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "artifactType": "application/vnd.example.index",
        "manifests": [], "subject": image.descriptor()
    });
    world.put_manifest("/v2/a/manifests/index", &index).await;

    let reply = world.get(&format!("/v2/a/referrers/{}", image.digest())).await;
    assert_eq!(header(&reply, "content-type"), media_type::IMAGE_INDEX);
    let listing: Value = reply.json().await.unwrap();
    assert_eq!((&listing["schemaVersion"], &listing["mediaType"]), (&json!(2), &json!(media_type::IMAGE_INDEX)));
    let entries: Vec<Descriptor> = serde_json::from_value(listing["manifests"].clone()).unwrap();
    let types: Vec<_> = entries.iter().map(|entry| entry.artifact_type.as_deref().unwrap()).collect();
    let expected = ["application/vnd.example.config", "application/vnd.example.type", "application/vnd.example.index"];
    assert_eq!(types, expected);
    let annotations = BTreeMap::from([("org.example.key".to_owned(), "value".to_owned())]);
    assert_eq!(entries[0].annotations, annotations);
    let stored = world.registry.manifest("a", "by-config").unwrap();
    assert!(entries[0].is_same_content(stored.descriptor()));
}

#[tokio::test]
async fn a_subject_need_not_be_here() {
    let world = World::new(RegistryOptions::default());
    let nowhere = Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere");
    let added = add_referrers(&world, &nowhere, 1);
    let (found, ..) = listing(&world, &format!("/v2/a/referrers/{}", nowhere.digest)).await;
    assert_eq!(digests(&found), added);
}

#[tokio::test]
async fn nothing_refers_is_an_empty_index() {
    let world = World::new(RegistryOptions::default());
    let (found, ..) = listing(&world, &format!("/v2/nobody/referrers/{}", Digest::sha256(b""))).await;
    assert_eq!(found["manifests"], json!([]));
    assert_refused(world.get("/v2/a/referrers/sha256:00").await, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn referrers_are_filtered_and_the_filter_is_announced() {
    let subject = Descriptor::of(media_type::IMAGE_MANIFEST, b"subject");
    let path = format!("/v2/a/referrers/{}?artifactType=application%2Fvnd.example.even", subject.digest);
    let world = World::new(RegistryOptions::default());
    let all = add_referrers(&world, &subject, 3);
    let (found, _, filters) = listing(&world, &path).await;
    assert_eq!((digests(&found), filters.as_str()), (vec![all[0].clone(), all[2].clone()], "artifactType"));

    let world = World::new(RegistryOptions::default().without_filters());
    add_referrers(&world, &subject, 3);
    let (found, _, filters) = listing(&world, &path).await;
    assert_eq!((digests(&found), filters.as_str()), (all, ""));
}

#[tokio::test]
async fn referrers_come_in_pages_that_keep_the_filter() {
    let subject = Descriptor::of(media_type::IMAGE_MANIFEST, b"subject");
    let world = World::new(RegistryOptions::default().with_page_size(2));
    let all = add_referrers(&world, &subject, 7);
    for (filter, expected, pages) in [
        ("", all.clone(), 4),
        ("?artifactType=application/vnd.example.even", all.iter().step_by(2).cloned().collect(), 2),
    ] {
        let mut path = format!("/v2/a/referrers/{}{filter}", subject.digest);
        let (mut found, mut seen) = (Vec::new(), 0);
        loop {
            let (page, link, _) = listing(&world, &path).await;
            found.extend(digests(&page));
            seen += 1;
            if link.is_empty() {
                break;
            }
            next(&link).clone_into(&mut path);
        }
        assert_eq!((found, seen), (expected, pages));
    }
}

#[tokio::test]
async fn without_the_api_there_is_no_listing_and_no_subject_header() {
    let subject = Descriptor::of(media_type::IMAGE_MANIFEST, b"subject");
    let options = RegistryOptions::default().without_referrers_api();
    for (claims_subject, expected) in [(false, String::new()), (true, subject.digest.to_string())] {
        let world = World::new(RegistryOptions { claims_subject, ..options.clone() });
        let referrer = fixture::artifact("application/vnd.example", "text/plain", b"x", Some(&subject));
        world.registry.add("a", &referrer, None).unwrap();
        let body = serde_json::from_slice(referrer.root().bytes()).unwrap();
        let put = world.put_manifest("/v2/a/manifests/v1", &body).await;
        assert_eq!((put.status().as_u16(), header(&put, "oci-subject")), (201, expected));
        assert_eq!(world.get(&format!("/v2/a/referrers/{}", subject.digest)).await.status(), 404);
    }
}

#[tokio::test]
async fn the_fallback_tag_may_stand_for_the_image_itself() {
    let image = fixture::image(1);
    let path = format!("/v2/a/manifests/sha256-{}", image.digest().hex());
    for (fallback_tag_is_image, expected) in [(false, 404), (true, 200)] {
        let world = World::new(RegistryOptions { fallback_tag_is_image, ..RegistryOptions::default() });
        world.registry.add("a", &image, None).unwrap();
        assert_eq!(world.get(&path).await.status(), expected);
    }
}
