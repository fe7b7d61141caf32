//! `sealift attest` and `sealift verify-attestation`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use serde_json::Value;

use crate::support::{Outcome, User, both_kinds, registry};

fn statements(outcome: &Outcome) -> Vec<Value> {
    let payload = |line: &Value| STANDARD.decode(line["payload"].as_str().unwrap()).unwrap();
    outcome.json_lines().iter().map(|line| serde_json::from_slice(&payload(line)).unwrap()).collect()
}

#[test]
fn attestations_of_several_types_are_kept_and_told_apart() {
    for (_, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        user.write("sbom.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
        user.write("note.txt", "{ // not JSON");
        for format in ["bundle", "legacy"] {
            for args in [["spdxjson", "sbom.json"], ["custom", "note.txt"]] {
                let all =
                    ["attest", "--key", "sealift.key", "--format", format, "--type", args[0], "--predicate", args[1]];
                user.at(&registry, &[&all[..], &["@team/app:v1"]].concat()).assert_code(0);
            }
        }
        let verify = ["verify-attestation", "--key", "sealift.pub", "--output", "json"];
        let spdx = user.at(&registry, &[&verify[..], &["--type", "spdxjson", "@team/app:v1"]].concat()).assert_code(0);
        let found = statements(&spdx);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|statement| statement["predicate"]["spdxVersion"] == "SPDX-2.3"));
        let custom = user.at(&registry, &[&verify[..], &["--type", "custom", "@team/app:v1"]].concat()).assert_code(0);
        assert!(statements(&custom).iter().all(|statement| statement["predicate"]["Data"] == "{ // not JSON"));
        assert_eq!(statements(&user.at(&registry, &[&verify[..], &["@team/app:v1"]].concat())).len(), 4);
        user.at(&registry, &[&verify[..], &["--type", "vuln", "@team/app:v1"]].concat()).assert_code(10);
    }
}

#[test]
fn a_predicate_that_is_not_json_is_refused_with_its_place() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.write("slsa.json", "{\n  // a comment\n}");
    let args =
        ["attest", "--key", "sealift.key", "--type", "slsaprovenance1", "--predicate", "slsa.json", "@team/app:v1"];
    user.at(&registry, &args).assert_code(2).assert_stderr("line 2 column 3").assert_stderr("--type custom");
    assert!(registry.requests().is_empty());
}

#[test]
fn a_large_sbom_is_attested() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.write("sbom.json", format!("{{\"packages\":\"{}\"}}", "x".repeat(9 * 1024 * 1024)));
    let args = ["attest", "--key", "sealift.key", "--type", "cyclonedx", "--predicate", "sbom.json", "@team/app:v1"];
    user.at(&registry, &args).assert_code(0);
    user.at(&registry, &["verify-attestation", "--key", "sealift.pub", "--type", "cyclonedx", "@team/app:v1"])
        .assert_code(0);
}

#[test]
fn replacing_leaves_the_newest_of_the_type() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        for (number, kind) in [(1, "vuln"), (2, "vuln"), (3, "openvex")] {
            user.write("p.json", format!("{{\"number\":{number}}}"));
            let args = [
                "attest",
                "--key",
                "sealift.key",
                "--replace",
                "--type",
                kind,
                "--predicate",
                "p.json",
                "@team/app:v1",
            ];
            user.at(&registry, &args).assert_code(0);
        }
        let left =
            user.at(&registry, &["verify-attestation", "--key", "sealift.pub", "--output", "json", "@team/app:v1"]);
        let mut numbers: Vec<_> =
            statements(&left).iter().map(|statement| statement["predicate"]["number"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3], "{kind}");
    }
}

#[test]
fn a_statement_made_elsewhere_is_signed_only_for_what_it_is_about() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let statement = |digest: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{digest}"}}}}],"predicateType":"https://example.com/review/v1","predicate":{{}}}}"#
        )
    };
    user.write("right.json", statement(&fixture::image(1).digest().hex()));
    user.write("wrong.json", statement(&fixture::image(2).digest().hex()));
    user.at(&registry, &["attest", "--key", "sealift.key", "--statement", "wrong.json", "@team/app:v1"]).assert_code(2);
    assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty());
    user.at(&registry, &["attest", "--key", "sealift.key", "--statement", "right.json", "@team/app:v1"]).assert_code(0);
    let args =
        ["verify-attestation", "--key", "sealift.pub", "--type", "https://example.com/review/v1", "@team/app:v1"];
    user.at(&registry, &args).assert_code(0);
}

/// A bundle with the same signature over something else, which anyone who can push may attach, replaces nothing.
#[test]
fn what_is_migrated_already_must_verify() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.write("p.json", "{}");
    let attest =
        ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json", "--format", "legacy"];
    user.at(&registry, &[&attest[..], &["@team/app:v1"]].concat()).assert_code(0);
    let verify = ["verify-attestation", "--key", "sealift.pub", "--output", "json", "@team/app:v1"];
    let mut envelope = user.at(&registry, &verify).assert_code(0).json();
    envelope["payload"] = STANDARD.encode("{}").into();
    let media_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let forged = serde_json::json!({
        "mediaType": media_type,
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": envelope,
    });
    user.write("forged.json", forged.to_string());
    user.at(&registry, &["attach", "--type", media_type, "@team/app:v1", "forged.json"]).assert_code(0);
    let migrate = ["migrate", "--key", "sealift.pub", "--output", "json", "--to", "bundle", "@team/app:v1"];
    let outcome = || user.at(&registry, &migrate).assert_code(0).json()["signatures"][0]["outcome"].clone();
    assert_eq!(outcome(), "converted");
    assert_eq!(outcome(), "present");
}

#[test]
fn an_interrupted_batch_of_files_as_text_continues_at_another_time() {
    let (user, registry) = (User::with_key(), Registry::start(RegistryOptions::default()).unwrap());
    for seed in [1, 2] {
        registry.add(&format!("team/app{seed}"), &fixture::image(seed), Some("v1")).unwrap();
    }
    let (one, two) = (registry.reference("team/app1:v1"), registry.reference("team/app2:v1"));
    let attest = |notes: &str, epoch: &str| {
        user.write("notes.txt", notes);
        let mut sealift = user.command(env!("CARGO_BIN_EXE_sealift"));
        sealift.args(["attest", "--key", "sealift.key", "--type", "custom", "--predicate", "notes.txt"]);
        sealift.args(["--state", "state", &one, &two]).env("SOURCE_DATE_EPOCH", epoch);
        user.run_command(&mut sealift)
    };
    registry.set_faults([Rule::new(Effect::Status(403)).on(Endpoint::Manifest).method("PUT").repository("team/app2")]);
    attest("not JSON", "1").assert_code(21);
    registry.clear_faults();
    attest("not JSON", "2").assert_code(0).assert_stdout("done before");
    attest("something else", "2").assert_code(2);
    for seed in [1, 2] {
        assert_eq!(registry.referrers(&format!("team/app{seed}"), fixture::image(seed).digest()).len(), 1);
    }
}
