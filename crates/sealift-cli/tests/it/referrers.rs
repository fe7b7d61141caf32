//! `sealift referrers check` and `repair`: every fault of a list is told, mended when asked, and nothing else is touched.

use std::collections::BTreeSet;

use sealift_core::oci::{Descriptor, Digest, RawManifest, Tag, media_type};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use serde_json::{Value, json};

use crate::support::{Outcome, User, registry};

fn signature(number: u8, subject: &Fixture) -> Fixture {
    fixture::artifact("application/x.sig", "application/x.layer", &[number], Some(subject.descriptor()))
}

fn fallback_tag(subject: &Fixture) -> String {
    Tag::referrers_fallback(subject.digest()).to_string()
}

fn write_list(registry: &Registry, subject: &Fixture, entries: &[Value]) {
    let index = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries, "kept": true});
    let index = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
    registry.add_manifest("team/app", &index, Some(&fallback_tag(subject))).unwrap();
}

fn listed(registry: &Registry, subject: &Fixture) -> Vec<Descriptor> {
    registry.manifest("team/app", &fallback_tag(subject)).unwrap().parse().unwrap().manifests
}

/// Returns the faults of the subject, as `fault listing`.
fn faults(outcome: &Outcome, field: &str) -> BTreeSet<String> {
    let subjects = outcome.json()["subjects"].as_array().unwrap().clone();
    let faults = subjects.iter().flat_map(|subject| subject[field].as_array().cloned().unwrap_or_default());
    faults.map(|fault| format!("{} {}", fault["fault"].as_str().unwrap(), fault["listing"].as_str().unwrap())).collect()
}

#[test]
fn every_fault_of_a_fallback_tag_is_told_and_mended() {
    let (user, registry, image) = (User::new(), registry(RegistryOptions::distribution()), fixture::image(1));
    let signatures: Vec<Fixture> = (0..5).map(|number| signature(number, &image)).collect();
    for (number, signature) in signatures.iter().enumerate() {
        // The last one is in no list, and only its tag tells.
        registry.add("team/app", signature, (number == 4).then_some("extra")).unwrap();
    }
    let foreign = signature(9, &fixture::image(2));
    registry.add("team/app", &foreign, None).unwrap();
    let entry = |fixture: &Fixture| serde_json::to_value(fixture.root().to_referrer_entry().unwrap()).unwrap();
    let (mut cosign, mut bare, mut annotated) = (entry(&signatures[0]), entry(&signatures[1]), entry(&signatures[2]));
    cosign["artifactType"] = media_type::EMPTY.into();
    bare.as_object_mut().unwrap().remove("artifactType");
    annotated["annotations"] = json!({"wrong": "yes"});
    let gone = signature(8, &image);
    registry.add("team/app", &gone, None).unwrap();
    let dangling = entry(&gone);
    let right = entry(&signatures[3]);
    write_list(&registry, &image, &[cosign, bare, annotated, right.clone(), right, dangling, entry(&foreign)]);
    // The deletion ends before the list is mended, as that of a tool does which knows nothing of lists.
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Manifest).reference(&fallback_tag(&image))]);
    let gone = format!("@team/app@{}", gone.digest());
    user.at(&registry, &["delete", "--yes", "--timeout", "200ms", &gone])
        .assert_code(22)
        .assert_stderr("from the list");
    registry.clear_faults();

    let expected = [
        "dangling fallback tag",
        "missing-artifact-type fallback tag",
        "other-subject fallback tag",
        "repeated fallback tag",
        "unlisted fallback tag",
        "wrong-annotations fallback tag",
        "wrong-artifact-type fallback tag",
    ];
    let check = ["referrers", "check", "--output", "json", "@team/app:v1"];
    let before = registry.manifest("team/app", &fallback_tag(&image)).unwrap();
    for args in [&check[..], &["referrers", "repair", "--dry-run", "--output", "json", "@team/app:v1"]] {
        let told = user.at(&registry, args).assert_code(16);
        assert_eq!(faults(&told, "findings"), expected.map(str::to_owned).into(), "{args:?}");
    }
    assert_eq!(registry.manifest("team/app", &fallback_tag(&image)).unwrap(), before, "nothing is changed yet");

    user.at(&registry, &["referrers", "repair", "@team/app:v1"]).assert_code(0).assert_stdout("mended");
    user.at(&registry, &check).assert_code(0);
    let found: BTreeSet<Digest> = listed(&registry, &image).into_iter().map(|entry| entry.digest).collect();
    assert_eq!(found, signatures.iter().map(|signature| signature.digest().clone()).collect());
    assert!(listed(&registry, &image).iter().all(|entry| entry.artifact_type.as_deref() == Some("application/x.sig")));
    let text = registry.manifest("team/app", &fallback_tag(&image)).unwrap();
    assert!(String::from_utf8_lossy(text.bytes()).contains("\"kept\":true"), "unknown fields stay");
}

#[test]
fn a_squatted_tag_is_replaced_only_when_told() {
    let (user, registry, image) = (User::new(), registry(RegistryOptions::distribution()), fixture::image(1));
    registry.add("team/app", &image, Some(&fallback_tag(&image))).unwrap();
    let signature = signature(1, &image);
    registry.add("team/app", &signature, None).unwrap();
    let digest = signature.digest().to_string();
    let repair = ["referrers", "repair", "--referrer", &digest, "--output", "json"];
    let left = user.at(&registry, &[&repair[..], &["@team/app:v1"]].concat()).assert_code(16);
    assert!(faults(&left, "left").contains("squatted fallback tag"), "{left:?}");
    assert_eq!(registry.manifest("team/app", &fallback_tag(&image)).unwrap(), *image.root());
    user.at(&registry, &[&repair[..], &["--replace-squatted", "@team/app:v1"]].concat()).assert_code(0);
    assert_eq!(listed(&registry, &image).len(), 1);
    assert!(registry.manifest("team/app", &image.digest().to_string()).is_some(), "the image stays");
}

#[test]
fn what_is_given_as_a_referrer_must_be_one() {
    let (user, registry, image) = (User::new(), registry(RegistryOptions::distribution()), fixture::image(1));
    let digest = image.digest().to_string();
    let check = ["referrers", "check", "--referrer", &digest, "@team/app:v1"];
    let refused = user.at(&registry, &check).assert_code(2);
    assert!(refused.stderr.contains("refers to nothing"), "{refused:?}");
}

#[test]
fn the_api_and_the_tag_are_compared_at_every_depth() {
    let (user, registry) = (User::new(), Registry::start(RegistryOptions::default()).unwrap());
    let index = fixture::index(1, &["amd64", "arm64"]);
    registry.add("team/app", &index, Some("v1")).unwrap();
    let signature = signature(1, &index);
    registry.add("team/app", &signature, None).unwrap();
    let nested = fixture::artifact("application/x.nested", "application/x.layer", b"n", Some(signature.descriptor()));
    registry.add("team/app", &nested, None).unwrap();
    let check =
        |code| user.at(&registry, &["referrers", "check", "-r", "--output", "json", "@team/app:v1"]).assert_code(code);
    assert_eq!(check(0).json()["subjects"].as_array().unwrap().len(), 5, "index, platforms, signature, nested");
    // A tag from before the API came, which lacks what was added since.
    let nested_list = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": []});
    let nested_list = RawManifest::new(media_type::IMAGE_INDEX, nested_list.to_string());
    let tag = Tag::referrers_fallback(signature.digest());
    registry.add_manifest("team/app", &nested_list, Some(tag.as_str())).unwrap();
    assert_eq!(faults(&check(16), "findings"), ["unlisted fallback tag".to_owned()].into());
    user.at(&registry, &["referrers", "repair", "-r", "@team/app:v1"]).assert_code(0);
    check(0);
}
