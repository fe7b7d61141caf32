//! `sealift promote`.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Quirks, Registry, RegistryOptions, Rule, SparseIndex};
use serde_json::json;

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

#[test]
fn the_report_proves_for_every_object_that_it_arrived() {
    for (_, to) in both_kinds() {
        let (user, source, destination) =
            (User::with_key(), registry(RegistryOptions::default()), Registry::start(to).unwrap());
        user.at(&source, &["sign", "--key", "sealift.key", "--format", "both", "@team/app:v1"]).assert_code(0);
        user.at(&source, &["attach", "--type", "application/vnd.microsoft.artifact.lifecycle", "@team/app:v1"])
            .assert_code(0);
        let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
        let run = ["promote", "--key", "sealift.pub", "--output", "json", &from, &to];
        let report = user.run(&run).assert_code(0).json();
        assert_eq!(report["complete"], true);
        assert_eq!(report["tags"]["v1"]["change"], "created");
        let arrived = report["completeness"]["arrived"].as_array().unwrap();
        let roles: Vec<_> = arrived.iter().map(|object| object["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["root", "referrer", "cosign-tag"]);
        assert!(arrived.iter().all(|object| object["proof"] == "read-back" || object["proof"] == "listed"), "{report}");
        assert_eq!(report["completeness"]["excluded"][0]["reason"], "excluded");
        let again = user.run(&run).assert_code(0).json();
        let arrived = again["completeness"]["arrived"].as_array().unwrap();
        assert!(arrived.iter().all(|object| object["proof"] == "found"), "{again}");
        user.run(&["promote", "--key", "sealift.pub", &from, &to])
            .assert_code(0)
            .assert_stdout("complete: the source had 4, 3 arrived, 1 left behind, 0 missing");
    }
}

#[test]
fn tags_move_from_what_they_are_expected_to_hold() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let destination = Registry::start(RegistryOptions::default()).unwrap();
    let old = destination.add("prod/app", &fixture::image(7), Some("v1")).unwrap().digest.to_string();
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let promote = |more: &[&str]| user.run(&[&["promote", "--key", "sealift.pub"], more, &[&from, &to]].concat());
    promote(&["--expect-previous", "none"]).assert_code(15).assert_stderr(&old);
    let other = fixture::image(8).digest().to_string();
    promote(&["--expect-previous", &other]).assert_code(15);
    // A registry whose tags are immutable, as ECR's can be.
    let immutable = Rule::new(Effect::Refusal(400, "TAG_INVALID")).method("PUT").reference("v1");
    destination.set_faults([immutable]);
    promote(&["--overwrite-tag"]).assert_code(15).assert_stderr("refuses to move tag v1");
    destination.clear_faults();
    assert_eq!(destination.manifest("prod/app", "v1").unwrap().descriptor(), fixture::image(7).descriptor());
    promote(&["--expect-previous", &old, "--tag", "latest"]).assert_code(15).assert_stderr("tag latest");
    promote(&["--expect-previous", &old]).assert_code(0).assert_stdout("tag v1: moved from");
    promote(&["--expect-previous", &old]).assert_code(0).assert_stdout("tag v1: held it already");
    promote(&["--tag", "latest", "--tag", "1"]).assert_code(0).assert_stdout("tags 1, latest, v1");
    assert_eq!(destination.tags("prod/app"), ["1", "latest", "v1"]);
}

#[test]
fn what_travels_is_chosen_by_its_features() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    user.write("p.json", "{}");
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    user.at(&source, &["sign", "--key", "other.key", "@team/app:v1"]).assert_code(0);
    for predicate in ["spdx", "vuln"] {
        let attest = ["attest", "--key", "sealift.key", "--type", predicate, "--predicate", "p.json", "@team/app:v1"];
        user.at(&source, &attest).assert_code(0);
    }
    user.at(&source, &["attach", "--type", "application/x.notes", "-a", "team=red", "@team/app:v1"]).assert_code(0);
    let all = 5;
    for (flags, expected) in [
        (&[][..], all),
        (&["--exclude", "application/x.*"][..], all - 1),
        (&["--exclude", "predicate=vuln"], all - 1),
        (&["--exclude", "predicate=https://**"], 1),
        (&["--exclude", "predicate=https://**", "--include", "predicate=https://sigstore.dev/**"], 3),
        (&["--exclude", "annotation=team=red"], all - 1),
        (&["--exclude", "annotation=team=blue"], all),
        (&["--exclude", "key=other.pub"], all - 1),
        (&["--exclude", "**", "--include", "key=sealift.pub"], 3),
        (&["--exclude", "media=application/vnd.dev.sigstore.*"], 1),
    ] {
        let destination = Registry::start(RegistryOptions::default()).unwrap();
        let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
        let outcome = user.run(&[&["promote", "--key", "sealift.pub"], flags, &[&from, &to]].concat());
        // What is signed at the source and no longer where it arrived does not get its tag.
        let is_signed = expected > 1;
        assert_eq!(
            outcome.code,
            Some(if is_signed { 0 } else { 10 }),
            "{flags:?}\n{}{}",
            outcome.stdout,
            outcome.stderr
        );
        assert_eq!(destination.referrers("prod/app", fixture::image(1).digest()).len(), expected, "{flags:?}");
        assert_eq!(destination.manifest("prod/app", "v1").is_some(), is_signed, "{flags:?}");
    }
}

#[test]
fn several_destinations_are_served_and_one_failure_stops_no_other() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let [eu, taken, us] = [1, 2, 3].map(|_| Registry::start(RegistryOptions::default()).unwrap());
    taken.add("prod/app", &fixture::image(7), Some("v1")).unwrap();
    source.clear_requests();
    let to = [&eu, &taken, &us].map(|registry| registry.reference("prod/app:v1"));
    let run = ["promote", "--key", "sealift.pub", &source.reference("team/app:v1"), &to[0], &to[1], &to[2]];
    user.run(&run).assert_code(15).assert_stdout(&format!("to {}/prod/app@", us.host()));
    assert_eq!([&eu, &us].map(|registry| registry.tags("prod/app")), [["v1"]; 2]);
    // Whatever the number of destinations, the source's small blobs and manifests are read once.
    let mut read: Vec<_> =
        source.requests().iter().filter(|request| request.method == "GET").map(|it| it.line()).collect();
    read.sort();
    let all = read.len();
    read.dedup();
    assert_eq!(read.len(), all, "{read:?}");
}

#[test]
fn a_large_layer_is_read_once_for_all_destinations_that_lack_it() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let base = [1, 2].map(|seed| fixture::layer(seed, 4 << 20));
    source.add("team/large", &fixture::image_on(&base, 1), Some("v1")).unwrap();
    user.at(&source, &["sign", "--key", "sealift.key", "@team/large:v1"]).assert_code(0);
    let [eu, us] = [1, 2].map(|_| Registry::start(RegistryOptions::default()).unwrap());
    source.clear_requests();
    // A second repository of one registry mounts them.
    let to = [eu.reference("prod/a:v1"), us.reference("prod/a:v1"), eu.reference("prod/b:v1")];
    let from = source.reference("team/large:v1");
    user.run(&["promote", "--key", "sealift.pub", &from, &to[0], &to[1], &to[2]]).assert_code(0);
    for (layer, _) in &base {
        let path = format!("/v2/team/large/blobs/{}", layer.digest);
        let reads = source.requests().iter().filter(|request| request.method == "GET" && request.path == path).count();
        assert_eq!(reads, 1, "{}", layer.digest);
        assert!(eu.has_blob("prod/b", &layer.digest) && us.has_blob("prod/a", &layer.digest));
    }
}

#[test]
fn chosen_platforms_travel_and_the_rest_is_told_or_refused() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let index = fixture::index(3, &["amd64", "arm64"]);
    source.add("team/multi", &index, Some("v1")).unwrap();
    user.at(&source, &["sign", "--key", "sealift.key", "--recursive", "@team/multi:v1"]).assert_code(0);
    let sparse = Quirks { sparse_index: SparseIndex::Taken, ..Quirks::default() };
    let taking = Registry::start(RegistryOptions { quirks: sparse, ..RegistryOptions::default() }).unwrap();
    let refusing = Registry::start(RegistryOptions::default()).unwrap();
    let promote = |to: &Registry, platform: &str| {
        let (from, to) = (source.reference("team/multi:v1"), to.reference("prod/multi:v1"));
        user.run(&["promote", "--key", "sealift.pub", "--platform", platform, "--output", "json", &from, &to])
    };
    let report = promote(&taking, "linux/arm64").assert_code(0).json();
    assert_eq!(taking.manifest("prod/multi", "v1").unwrap().descriptor(), index.descriptor());
    let excluded = &report["completeness"]["excluded"];
    let amd64 = index.manifests().next().unwrap().descriptor().digest.clone();
    assert_eq!((&excluded[0]["digest"], &excluded[0]["reason"]), (&json!(amd64), &json!("other-platform")));
    assert_eq!(excluded[0]["artifactType"], "linux/amd64");
    // What is attached to it stays behind with it, and is told.
    let signature = source.referrers("team/multi", &amd64).remove(0).digest;
    assert_eq!((&excluded[1]["subject"], &excluded[1]["digest"]), (&json!(amd64), &json!(signature)));
    assert_eq!((&excluded[1]["reason"], excluded.as_array().unwrap().len()), (&json!("attached-to-skipped"), 2));
    for absent in [&amd64, &signature] {
        assert!(taking.manifest("prod/multi", &absent.to_string()).is_none());
    }
    let arm64 = index.manifests().nth(1).unwrap().descriptor().digest.clone();
    assert_eq!(taking.referrers("prod/multi", &arm64).len(), 1);
    user.run(&["verify", "--key", "sealift.pub", &taking.reference("prod/multi:v1")]).assert_code(0);
    // From where only one is, the others are named; that one may travel on.
    let (from, to) = (taking.reference("prod/multi:v1"), taking.reference("live/multi:v1"));
    let onward = ["promote", "--key", "sealift.pub", &from, &to];
    user.run(&onward).assert_code(11).assert_stderr(&amd64.to_string()).assert_stderr("--platform");
    user.run(&[&onward[..], &["--platform", "linux/arm64"]].concat()).assert_code(0);
    promote(&refusing, "linux/arm64").assert_code(1);
    assert!(refusing.tags("prod/multi").is_empty());
    refusing.clear_requests();
    promote(&refusing, "plan9/arm64").assert_code(11);
    assert!(refusing.requests().is_empty(), "a platform that the index lacks is noticed before anything is written");
}

#[test]
fn what_joins_a_tag_in_an_archive_is_written_too() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    let index = fixture::index(3, &["amd64", "arm64"]);
    source.add("team/multi", &index, Some("v1")).unwrap();
    user.at(&source, &["sign", "--key", "sealift.key", "@team/multi:v1"]).assert_code(0);
    let from = source.reference("team/multi:v1");
    let promote = ["promote", "--key", "sealift.pub", &from, "oci-layout://./multi.tar:v1"];
    user.run(&[&promote[..], &["--platform", "linux/arm64"]].concat()).assert_code(0);
    user.run(&promote).assert_code(0);
    let prod = Registry::start(RegistryOptions::default()).unwrap();
    user.run(&["load", "multi.tar", &prod.reference("prod/multi")]).assert_code(0);
    for manifest in index.manifests() {
        assert!(prod.manifest("prod/multi", &manifest.descriptor().digest.to_string()).is_some());
    }
}
