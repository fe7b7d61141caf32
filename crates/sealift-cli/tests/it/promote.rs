//! `sealift promote`.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};

use crate::support::{User, both_kinds, registry, write_layout};

#[test]
fn everything_arrives_and_verifies_between_unlike_registries() {
    for (_, from) in both_kinds() {
        for (_, to) in both_kinds() {
            let (user, source, destination) = (User::with_key(), registry(from.clone()), Registry::start(to).unwrap());
            let index = fixture::index(3, &["amd64", "arm64"]);
            source.add("team/multi", &index, Some("v1")).unwrap();
            let sign = ["sign", "--key", "sealift.key", "--recursive", "--format", "both", "@team/multi:v1"];
            user.at(&source, &sign).assert_code(0);
            user.write("p.json", "{}");
            let attest =
                ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json", "--format", "both"];
            user.at(&source, &[&attest[..], &["@team/multi:v1"]].concat()).assert_code(0);
            let (from, to) = (source.reference("team/multi:v1"), destination.reference("prod/multi:v1"));
            user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(0);
            for suffix in ["sig", "att"] {
                let tag = Tag::cosign(index.digest(), suffix);
                assert!(destination.manifest("prod/multi", tag.as_str()).is_some(), "{suffix} arrived");
            }
            assert_eq!(destination.referrers("prod/multi", index.digest()).len(), 2);
            user.run(&["verify", "--key", "sealift.pub", "--recursive", "--all", &to]).assert_code(0);
            user.run(&["verify-attestation", "--key", "sealift.pub", "--type", "spdxjson", &to]).assert_code(0);
            let again =
                user.run(&["promote", "--key", "sealift.pub", "--output", "json", &from, &to]).assert_code(0).json();
            assert_eq!(again["objects"]["copied"]["objects"], 0, "{again}");
        }
    }
}

#[test]
fn nothing_is_written_when_the_source_does_not_verify() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let destination = Registry::start(RegistryOptions::default()).unwrap();
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(10);
    user.at(&source, &["sign", "--key", "other.key", "@team/app:v1"]).assert_code(0);
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(12).assert_stdout("signed by another key");
    let outcome = user.run(&["promote", "--key", "sealift.pub", "--output", "json", &from, &to]).assert_code(12);
    assert_eq!(outcome.json()["error"]["code"], "NO_MATCHING_SIGNATURE");
    source.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    user.run(&["promote", "--key", "sealift.pub", "--timeout", "200ms", &from, &to]).assert_code(22);
    let is_write = |method: &str| matches!(method, "PUT" | "POST" | "PATCH" | "DELETE");
    assert!(destination.requests().iter().all(|request| !is_write(&request.method)));
    assert!(destination.tags("prod/app").is_empty());
}

#[test]
fn a_plan_is_printed_and_changes_nothing() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let destination = Registry::start(RegistryOptions::default()).unwrap();
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    user.at(&source, &["attach", "--type", "application/vnd.microsoft.artifact.lifecycle", "@team/app:v1"])
        .assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    user.run(&["promote", "--key", "sealift.pub", "--dry-run", &from, &to])
        .assert_code(0)
        .assert_stdout("application/vnd.microsoft.artifact.lifecycle");
    assert!(destination.tags("prod/app").is_empty() && destination.manifest("prod/app", "v1").is_none());
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(0);
    assert_eq!(destination.referrers("prod/app", fixture::image(1).digest()).len(), 1, "the marker stays behind");
    user.run(&["promote", "--key", "sealift.pub", "--include-lifecycle", &from, &to]).assert_code(0);
    assert_eq!(destination.referrers("prod/app", fixture::image(1).digest()).len(), 2);
}

#[test]
fn a_taken_tag_moves_only_when_told() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let destination = Registry::start(RegistryOptions::default()).unwrap();
    destination.add("prod/app", &fixture::image(7), Some("v1")).unwrap();
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(15).assert_stderr("--overwrite-tag");
    assert_eq!(destination.manifest("prod/app", "v1").unwrap().descriptor(), fixture::image(7).descriptor());
    user.run(&["promote", "--key", "sealift.pub", "--overwrite-tag", &from, &to]).assert_code(0);
    assert_eq!(destination.manifest("prod/app", "v1").unwrap().descriptor(), fixture::image(1).descriptor());
}

#[test]
fn the_tag_stays_when_the_transfer_fails() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    for endpoint in [Endpoint::Blob, Endpoint::Upload, Endpoint::Referrers] {
        let destination = Registry::start(RegistryOptions::default()).unwrap();
        destination.set_faults([Rule::new(Effect::Status(500)).on(endpoint)]);
        let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
        let outcome = user.run(&["promote", "--key", "sealift.pub", "--timeout", "200ms", &from, &to]);
        assert_ne!(outcome.code, Some(0), "{endpoint:?}: {}", outcome.stdout);
        assert!(!destination.tags("prod/app").contains(&"v1".to_owned()), "{endpoint:?}");
    }
}

#[test]
fn charts_and_layouts_are_promoted_too() {
    let (user, registry) = (User::with_key(), Registry::start(RegistryOptions::default()).unwrap());
    registry.add("charts/app", &fixture::chart("app", "0.1.0+b1", "example.com/app:v1"), Some("0.1.0_b1")).unwrap();
    let chart = format!("oci://{}/charts/app:0.1.0+b1", registry.host());
    let prod = format!("oci://{}/prod/app", registry.host());
    user.run(&["sign", "--key", "sealift.key", &chart]).assert_code(0);
    user.run(&["promote", "--key", "sealift.pub", &chart, &prod]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &format!("{prod}:0.1.0+b1")]).assert_code(0);
    write_layout(&user.path("out"), &fixture::image(4), "v1");
    user.run(&["sign", "--key", "sealift.key", "--format", "both", "oci-layout://out:v1"]).assert_code(0);
    user.run(&["promote", "--key", "sealift.pub", "oci-layout://out:v1", "oci-layout://prod.tar:v1"]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", "--all", "oci-layout://prod.tar:v1"])
        .assert_code(0)
        .assert_stdout("cosign signature by");
}
