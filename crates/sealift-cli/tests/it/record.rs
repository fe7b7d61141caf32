//! What `sealift promote` signs at the destination: the record, and with `--resign` everything that arrived.

use sealift_core::oci::{Digest, Tag};
use sealift_core::statement::predicate::{IMAGE_SIGNATURE, PROMOTION};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Registry, RegistryOptions};
use sealift_sandbox::sigstore::{LogVersion, Service};
use serde_json::{Value, json};

use crate::lab::{Lab, Place};
use crate::services::{Services, args, text};
use crate::support::{User, both_kinds, registry};

/// A user with a key of their own and one of the production, and a signed index with an SBOM at `team/app:v1`.
fn prepare(source: &Registry) -> (User, Fixture) {
    let user = User::with_key();
    user.run(&["key", "generate", "--output-key-prefix", "prod"]).assert_code(0);
    user.write("sbom.json", "{}");
    let index = fixture::index(3, &["amd64", "arm64"]);
    source.add("team/app", &index, Some("v1")).unwrap();
    user.at(source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    user.at(source, &["attach", "--type", "application/spdx+json", "@team/app:v1", "sbom.json"]).assert_code(0);
    (user, index)
}

#[test]
fn a_promotion_is_recorded_and_signed_once() {
    for (kind, from) in both_kinds() {
        for (_, to) in both_kinds() {
            let (source, destination) = (registry(from.clone()), Registry::start(to).unwrap());
            let (user, index) = prepare(&source);
            let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
            let promote =
                ["promote", "--key", "sealift.pub", "--sign-key", "prod.key", "--resign", "--sign-format", "both"];
            let report = user.run(&[&promote[..], &["--output", "json", &from, &to]].concat()).assert_code(0).json();
            assert_eq!(report["record"]["presence"], "written", "{kind}: {report}");
            assert_eq!(
                report["completeness"]["arrived"].as_array().unwrap().len(),
                5,
                "what is signed here does not count"
            );
            // An index, two platforms and an SBOM, in both forms.
            let resigned = report["resigned"].as_array().unwrap();
            assert_eq!(resigned.iter().filter(|signed| signed["presence"] == "written").count(), 8);
            let verify = ["verify", "--key", "prod.pub", "--all", "--recursive", &to];
            user.run(&verify).assert_code(0).assert_stdout("cosign signature by").assert_stdout("bundle");
            for signed in resigned {
                let subject = destination.reference(&format!("prod/app@{}", signed["subject"].as_str().unwrap()));
                user.run(&["verify", "--key", "prod.pub", &subject]).assert_code(0);
            }
            let record = record(&user, "prod.pub", &to);
            assert_eq!(
                record["source"],
                json!({
                    "repository": source.reference("team/app"), "tag": "v1", "digest": index.digest(),
                })
            );
            assert_eq!(
                record["destination"],
                json!({ "repository": destination.reference("prod/app"), "tags": ["v1"] })
            );
            assert_eq!(record["objects"].as_array().unwrap().len(), 5);
            assert_eq!(record["decisions"]["destination"]["ruling"], "allow");

            let before = destination.referrers("prod/app", index.digest()).len();
            destination.clear_requests();
            let again = user.run(&[&promote[..], &[&from, &to]].concat()).assert_code(0);
            again.assert_stdout("recorded referrer").assert_stdout("was there");
            assert_eq!(destination.referrers("prod/app", index.digest()).len(), before);
            let is_write = |method: &str| matches!(method, "PUT" | "POST" | "PATCH" | "DELETE");
            assert!(destination.requests().iter().all(|request| !is_write(&request.method)), "nothing is signed twice");
        }
    }
}

/// The predicate of the record of `image` by `key`.
fn record(user: &User, key: &str, image: &str) -> Value {
    let verify = ["verify-attestation", "--key", key, "--type", "promotion", "--output", "json", image];
    predicate(&user.run(&verify).assert_code(0).json())
}

/// The predicate in an attestation as cosign prints it.
fn predicate(line: &Value) -> Value {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::STANDARD.decode(line["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(statement["predicateType"], PROMOTION);
    statement["predicate"].clone()
}

/// Rows 10 and 11 of the scenarios: two signatures for each thing, and a record that others read too.
#[test]
fn cosign_verifies_the_record_and_what_was_signed_again() {
    let Some(lab) = Lab::open() else { return };
    lab.sealift(&["key", "generate", "--output-key-prefix", "prod"]).assert_code(0);
    let image = fixture::index(1, &["amd64", "arm64"]);
    for place in Place::all(&lab.peers) {
        let (from, to) = (lab.end(&place, "staging/app", &image), lab.end(&place, "prod/app", &image));
        lab.push(&place, "staging/app", &image);
        lab.cosign3_signs(&from.root());
        let sbom = from.oras_attaches("application/spdx+json", image.digest());
        let promote =
            ["promote", "--key", "sealift.pub", "--sign-key", "prod.key", "--resign", &from.root(), &to.tagged("v1")];
        lab.sealift(&promote).assert_code(0);
        lab.sealift(&promote).assert_code(0);
        let cosign = |command: &[&str], reference: &str| {
            let flags = ["--insecure-ignore-tlog", reference];
            lab.peer("cosign3", &[command, &flags].concat()).assert_code(0)
        };
        let attested = cosign(&["verify-attestation", "--key", "prod.pub", "--type", PROMOTION], &to.tagged("v1"));
        let lines: Vec<Value> = attested.json_lines();
        assert_eq!(lines.len(), 1, "one record: {attested:?}");
        assert_eq!(predicate(&lines[0])["source"]["repository"], json!(from.repository));
        for digest in [image.digest(), &sbom].into_iter().chain(platforms(&image).iter()) {
            cosign(&["verify", "--key", "prod.pub"], &to.by_digest(digest));
        }
        cosign(&["verify", "--key", "sealift.pub"], &to.root());
    }
}

fn platforms(index: &Fixture) -> Vec<Digest> {
    let manifests = index.manifests().map(|manifest| manifest.descriptor().digest.clone());
    manifests.filter(|digest| digest != index.digest()).collect()
}

#[test]
fn what_the_second_gate_refuses_is_not_recorded() {
    let (source, destination) =
        (registry(RegistryOptions::default()), Registry::start(RegistryOptions::default()).unwrap());
    let (user, index) = prepare(&source);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let promote = ["promote", "--key", "sealift.pub", "--sign-key", "prod.key", "--resign", &from, &to];
    // The signature stays behind.
    let exclude = format!("predicate={IMAGE_SIGNATURE}");
    user.run(&[&promote[..], &["--exclude", &exclude]].concat()).assert_code(10);
    assert_eq!(destination.referrers("prod/app", index.digest()).len(), 1, "the SBOM and nothing of ours");
    assert!(destination.tags("prod/app").is_empty());
    // Nobody who signs, and nothing that is signed.
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(0);
    assert_eq!(destination.referrers("prod/app", index.digest()).len(), 2);
}

#[test]
fn a_legacy_signature_has_the_name_that_tools_look_for() {
    let (source, destination) =
        (registry(RegistryOptions::default()), Registry::start(RegistryOptions::default()).unwrap());
    let (user, index) = prepare(&source);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let promote = ["promote", "--key", "sealift.pub", "--sign-key", "prod.key", "--resign", "--no-record"];
    let named = ["--sign-identity", "registry.example.com/prod/app"];
    let report = user.run(&[&promote[..], &named, &["--output", "json", &from, &to]].concat()).assert_code(0).json();
    assert_eq!(report["record"], Value::Null);
    let names = || {
        let signatures = user.run(&["verify", "--key", "prod.pub", "--all", "--output", "json", &to]);
        let signatures = signatures.assert_code(0).json();
        let legacy = signatures.as_array().unwrap().iter().map(|one| &one["critical"]);
        let legacy = legacy.filter(|critical| critical["type"] == "cosign container image signature");
        let mut names: Vec<_> =
            legacy.map(|critical| critical["identity"]["docker-reference"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["registry.example.com/prod/app"]);
    user.run(&[&promote[..], &["--sign-format", "legacy", &from, &to]].concat()).assert_code(0);
    let mut expected = [destination.reference("prod/app"), "registry.example.com/prod/app".to_owned()];
    expected.sort();
    assert_eq!(names(), expected, "the destination's own name is another signature");
    let tag = Tag::cosign(index.digest(), "sig");
    assert_eq!(destination.manifest("prod/app", tag.as_str()).unwrap().parse().unwrap().layers.len(), 2);
}

#[test]
fn flags_about_signing_need_somebody_who_signs() {
    let (user, source) = (User::with_key(), registry(RegistryOptions::default()));
    source.clear_requests();
    // They are looked at before the tags that fit are asked for.
    let from = source.reference("team/app:v*");
    let promote = ["promote", "--key", "sealift.pub", &from, "registry.example.com/app"];
    for (flags, said) in [
        (&["--resign"][..], "--sign-key"),
        (&["--record"], "--sign-keyless"),
        (&["--identity-token", "token"], "`--identity-token` needs somebody"),
        (&["--tlog-upload=false"], "`--tlog-upload` needs somebody"),
        (&["--dry-run", "--resign"], "--sign-key"),
        (&["--sign-key", "sealift.key", "--no-record"], "--resign"),
        (&["--sign-key", "sealift.key", "--sign-keyless"], "--sign-keyless"),
        (&["--sign-key", "sealift.key", "--identity-token", "token"], "--identity-token"),
        (&["--sign-key", "sealift.key", "--sign-identity", "a"], "--resign"),
        (
            &["--sign-key", "sealift.key", "--resign", "--sign-format", "bundle", "--sign-identity", "a"],
            "--sign-format",
        ),
    ] {
        user.run(&[&promote[..], flags].concat()).assert_code(2).assert_stderr(said);
    }
    assert!(source.requests().is_empty());
}

#[test]
fn one_certificate_serves_for_all_destinations() {
    let services = Services::start();
    let source = registry(RegistryOptions::default());
    let image = source.reference("team/app:v1");
    services.user.run(&["key", "generate"]).assert_code(0);
    services.user.run(&["sign", "--key", "sealift.key", &image]).assert_code(0);
    let kinds = both_kinds().map(|(_, options)| Registry::start(options).unwrap());
    let to = kinds.each_ref().map(|registry| registry.reference("prod/app:v1"));
    services.user.write("signing_config.json", services.sigstore.signing_config(&[LogVersion::V1]));
    let promote = args(["promote", "--key", "sealift.pub", "--sign-keyless", "--resign"]);
    let signing =
        args(["--signing-config", "signing_config.json", "--sign-trusted-root", &text(&services.files.trusted_root)]);
    let what = args([&image, &to[0], &to[1]]);
    services.sigstore.clear_requests();
    let count =
        |service: Service| services.sigstore.requests().iter().filter(|request| request.service == service).count();
    let refused = services.run(&[&promote, &signing, &args(["--identity-token", &text(&services.files.token)]), &what]);
    refused.assert_code(2).assert_stderr("for ever").assert_stderr(&to[1]);
    assert!(
        services.sigstore.requests().is_empty() && kinds.iter().all(|registry| registry.tags("prod/app").is_empty())
    );
    services.run(&[&promote, &signing, &services.token(), &what]).assert_code(0);
    assert_eq!((count(Service::Fulcio), count(Service::RekorV1)), (1, 4), "a signature and a record at each");
    for destination in &to {
        let verify = args(["verify-attestation", "--type", PROMOTION, destination]);
        services.run(&[&verify, &services.who(), &services.trust()]).assert_code(0);
        services.run(&[&args(["verify", destination]), &services.who(), &services.trust()]).assert_code(0);
    }
    services.run(&[&promote, &signing, &services.token(), &what]).assert_code(0).assert_stdout("was there");
    assert_eq!(count(Service::RekorV1), 4, "nothing is logged twice");
}
