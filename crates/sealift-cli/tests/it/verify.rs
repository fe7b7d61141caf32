//! `sealift verify`.

use sealift_core::oci::{MediaType, RawManifest, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, RegistryOptions, Rule};

use crate::support::{User, both_kinds, registry};

#[test]
fn json_has_the_shape_that_scripts_for_cosign_read() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "-a", "build=7", "@team/app:v1"]).assert_code(0);
    let verified =
        user.at(&registry, &["verify", "--key", "sealift.pub", "--output", "json", "@team/app:v1"]).assert_code(0);
    let signature = &verified.json()[0];
    assert_eq!(signature["critical"]["identity"]["docker-reference"], registry.reference("team/app:v1"));
    assert_eq!(signature["critical"]["image"]["docker-manifest-digest"], fixture::image(1).digest().to_string());
    assert_eq!(signature["critical"]["type"], "https://sigstore.dev/cosign/sign/v1");
    assert_eq!(signature["optional"]["build"], "7");
}

#[test]
fn no_signature_no_matching_one_and_no_image_are_different_answers() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    registry.add("team/app", &fixture::image(2), Some("unsigned")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "-a", "a=b", "@team/app:v1"]).assert_code(0);
    let absent = format!("@team/app@{}", fixture::image(9).digest());
    for (args, code, name) in [
        (&["--key", "sealift.pub", "@team/app:unsigned"][..], 10, "NO_SIGNATURE"),
        (&["--key", "sealift.pub", "@team/app:missing"], 11, "NOT_FOUND"),
        (&["--key", "sealift.pub", &absent], 11, "NOT_FOUND"),
        (&["--key", "other.pub", "@team/app:v1"], 12, "NO_MATCHING_SIGNATURE"),
        (&["--key", "sealift.pub", "-a", "a=c", "@team/app:v1"], 12, "NO_MATCHING_SIGNATURE"),
        (&["--key", "sealift.pub", "-a", "c=d", "@team/app:v1"], 12, "NO_MATCHING_SIGNATURE"),
        (&["--key", "sealift.pub", "@team/app:v1", "@team/app:unsigned"], 10, "NO_SIGNATURE"),
        (&["--key", "other.pub", "@team/app:v1", "@team/app:unsigned"], 19, "NO_SIGNATURE"),
    ] {
        let outcome = user.at(&registry, &[&["verify", "--output", "json"], args].concat()).assert_code(code);
        let last = outcome.json_lines().pop().unwrap();
        assert_eq!(last["error"]["code"], name, "{args:?}");
    }
    user.at(&registry, &["verify", "--key", "other.pub", "--key", "sealift.pub", "@team/app:v1"]).assert_code(0);
}

#[test]
fn the_report_says_why_a_signature_does_not_count() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    user.at(&registry, &["sign", "--key", "other.key", "@team/app:v1"]).assert_code(0);
    user.at(&registry, &["sign", "--key", "sealift.key", "--format", "legacy", "@team/app:v1"]).assert_code(0);
    user.at(&registry, &["verify", "--key", "sealift.pub", "--all", "@team/app:v1"])
        .assert_code(0)
        .assert_stdout("signed by another key")
        .assert_stdout("(referrers API)")
        .assert_stdout("(tag .sig): cosign signature by key sha256:");
}

#[test]
fn an_attestation_is_no_signature() {
    for (_, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        user.write("p.json", "{}");
        let args =
            ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json", "--format", "both"];
        user.at(&registry, &[&args[..], &["@team/app:v1"]].concat()).assert_code(0);
        user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(10);
    }
}

#[test]
fn what_could_not_be_read_is_no_refusal() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    for (effect, code) in [(Effect::Status(500), 22), (Effect::Status(403), 0), (Effect::CutAfter(10), 22)] {
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Referrers)]);
        let args = ["verify", "--key", "sealift.pub", "--timeout", "100ms", "--output", "json", "@team/app:v1"];
        let outcome = user.at(&registry, &args);
        assert_ne!(outcome.code, Some(10), "{effect:?}: a listing that cannot be read is not an empty one");
        if code != 0 {
            outcome.assert_code(code);
        }
    }
}

#[test]
fn a_changed_manifest_is_refused() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    // The tag now points at something else: what was signed is a digest.
    registry.add("team/app", &fixture::image(2), Some("v1")).unwrap();
    user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(10);
}

#[test]
fn many_references_are_all_answered_in_order() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let mut args = vec!["verify", "--key", "sealift.pub", "--output", "json"];
    args.extend(["@team/app:v1", "@team/app:missing"].iter().cycle().take(40));
    let lines = user.at(&registry, &args).assert_code(11).json_lines();
    assert_eq!(lines.len(), 40);
    assert!(lines.iter().enumerate().all(|(index, line)| line.is_array() == (index % 2 == 0)), "{lines:?}");
}

#[test]
fn verifying_by_digest_takes_three_requests_where_the_registry_lists_referrers() {
    for ((kind, options), most) in both_kinds().into_iter().zip([3, 4]) {
        let (user, registry) = (User::with_key(), registry(options));
        user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        registry.clear_requests();
        let reference = format!("@team/app@{}", fixture::image(1).digest());
        user.at(&registry, &["verify", "--key", "sealift.pub", &reference]).assert_code(0);
        let lines: Vec<_> = registry.requests().iter().map(ToString::to_string).collect();
        assert!(lines.len() <= most, "{kind}: {lines:#?}");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_turn_a_no_into_a_yes() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let line = format!(
        "{{ {} verify --key sealift.pub {}; echo code $? >&2; }} | true",
        env!("CARGO_BIN_EXE_sealift"),
        registry.reference("team/app:v1")
    );
    let outcome = user.run_command(user.command("sh").args(["-c", &line]));
    outcome.assert_code(0).assert_stderr("code 10");
}

#[test]
fn of_an_index_the_platforms_that_are_named_must_be_signed() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let index = fixture::index(3, &["amd64", "arm64"]);
    registry.add("team/multi", &index, Some("v1")).unwrap();
    let root = index.descriptor().digest.clone();
    let below = index.manifests().map(|manifest| manifest.descriptor().digest.clone()).find(|digest| *digest != root);
    for digest in [root, below.unwrap()] {
        user.at(&registry, &["sign", "--key", "sealift.key", &format!("@team/multi@{digest}")]).assert_code(0);
    }
    let verify =
        |more: &[&str]| user.at(&registry, &[&["verify", "--key", "sealift.pub", "@team/multi:v1"], more].concat());
    verify(&["--recursive"]).assert_code(10);
    let platforms = ["linux/amd64", "linux/arm64"];
    let codes = platforms.map(|platform| verify(&["--recursive", "--platform", platform]).code);
    assert!(codes == [Some(0), Some(10)] || codes == [Some(10), Some(0)], "{codes:?}");
    verify(&["--recursive", "--platform", platforms[0], "--platform", platforms[1]]).assert_code(10);
    // What names nothing is no yes.
    verify(&["--recursive", "--platform", "linux/s390x"]).assert_code(11).assert_stderr("no platform `linux/s390x`");
    user.at(&registry, &["verify", "--key", "sealift.pub", "--recursive", "--platform", "linux/amd64", "@team/app:v1"])
        .assert_code(11);
    verify(&["--platform", "linux/amd64"]).assert_code(2);
}

#[test]
fn a_manifest_that_an_index_lists_for_two_platforms_is_of_both() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let image = fixture::index(3, &["arm"]);
    let entry = image.root().parse().unwrap().manifests.remove(0);
    let listed = ["v6", "v7"].map(|variant| {
        serde_json::json!({
            "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
            "platform": { "architecture": "arm", "os": "linux", "variant": variant }
        })
    });
    let body = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": listed });
    let index = RawManifest::new(MediaType::from_static(media_type::IMAGE_INDEX), body.to_string());
    registry.add("team/multi", &image, None).unwrap();
    registry.add_manifest("team/multi", &index, Some("v1")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "--recursive", "@team/multi:v1"]).assert_code(0);
    let verify = ["verify", "--key", "sealift.pub", "--recursive", "@team/multi:v1"];
    for platforms in [&["linux/arm/v6"][..], &["linux/arm/v7"], &["linux/arm/v6", "linux/arm/v7"]] {
        let platforms: Vec<&str> = platforms.iter().flat_map(|platform| ["--platform", platform]).collect();
        user.at(&registry, &[&verify[..], &platforms].concat()).assert_code(0);
    }
    user.at(&registry, &[&verify[..], &["--platform", "linux/arm/v8"]].concat()).assert_code(11);
    let to = registry.reference("team/one:v7");
    user.at(&registry, &["copy", "--platform", "linux/arm/v7", "@team/multi:v1", &to]).assert_code(0);
}

#[test]
fn junit_has_a_case_for_every_reference() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    registry.add("team/app", &fixture::image(2), Some("unsigned")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    user.write("policy.yaml", "version: 1\nscopes: [\n");
    let references = ["@team/app:v1", "@team/app:unsigned", "@team/app:missing"];
    let report = |more: &[&str], code| {
        user.write("report.xml", "of the run before");
        user.at(&registry, &[&["verify", "--junit", "report.xml"], more].concat()).assert_code(code);
        std::fs::read_to_string(user.path("report.xml")).unwrap()
    };
    let found = report(&[&["--key", "sealift.pub"], &references[..]].concat(), 19);
    assert!(found.contains("<testsuite name=\"sealift verify\" tests=\"3\" failures=\"2\" errors=\"0\""), "{found}");
    for code in ["NO_SIGNATURE", "NOT_FOUND"] {
        assert!(found.contains(&format!("<failure type=\"{code}\"")), "{found}");
    }
    let marked = report(&["--key", "sealift.pub", "--fail-on-eol", references[0]], 0);
    assert!(marked.contains("tests=\"1\" failures=\"0\" errors=\"0\""), "{marked}");
    // Also where there is nothing else to report.
    let unusable = report(&["--policy", "policy.yaml", references[0]], 20);
    assert!(unusable.contains("errors=\"1\"") && unusable.contains("type=\"CONFIGURATION\""), "{unusable}");
    let nobody = report(&[references[0]], 2);
    assert!(nobody.contains("type=\"USAGE\""), "{nobody}");
    user.at(&registry, &["verify", "--key", "sealift.pub", "--junit", "nowhere/r.xml", references[1]]).assert_code(10);
    user.at(&registry, &["verify", "--key", "sealift.pub", "--junit", "nowhere/r.xml", references[0]]).assert_code(1);
}
