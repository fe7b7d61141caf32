//! `sealift attach`, `download`, `inspect`, `delete` and `triangulate`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::attach::MAX_ATTACHMENT_DEPTH;
use sealift_core::oci::{Digest, Tag};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, RegistryOptions, Rule};

use crate::support::{User, both_kinds, registry, write_layout};

#[test]
fn a_file_is_attached_alike_on_both_kinds_of_registries() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::new(), registry(options));
        user.write("a.json", "{}");
        for name in ["application/spdx+json", "application/vnd.example.report"] {
            user.at(&registry, &["attach", "--type", name, "-a", "producer=test", "@team/app:v1", "a.json"])
                .assert_code(0);
        }
        let tree = user.at(&registry, &["tree", "--output", "json", "@team/app:v1"]).assert_code(0).json();
        let children = tree["root"]["children"].as_array().unwrap();
        assert_eq!(children.len(), 2, "{kind}: {tree}");
        assert!(children.iter().all(|child| child["annotations"]["producer"] == "test"), "{kind}: {tree}");
        let spdx =
            user.at(&registry, &["tree", "--type", "application/spdx+json", "-o", "json", "@team/app:v1"]).json();
        assert_eq!(spdx["root"]["children"].as_array().unwrap().len(), 1, "{kind}: {spdx}");
    }
}

#[test]
fn an_sbom_comes_back_byte_for_byte() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    user.write("sbom.json", "{\n \"a\": 1 }");
    user.at(&registry, &["attach", "sbom", "--sbom", "sbom.json", "--type", "cyclonedx", "@team/app:v1"])
        .assert_code(0);
    assert_eq!(user.at(&registry, &["download", "sbom", "@team/app:v1"]).assert_code(0).stdout, "{\n \"a\": 1 }");
    user.at(&registry, &["download", "signature", "@team/app:v1"]).assert_code(11);
}

#[test]
fn a_downloaded_signature_attached_elsewhere_verifies() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "--format", "legacy", "@team/app:v1"]).assert_code(0);
    let line = user.at(&registry, &["download", "signature", "@team/app:v1"]).assert_code(0).json();
    user.write("payload", STANDARD.decode(line["Payload"].as_str().unwrap()).unwrap());
    user.write("signature", line["Base64Signature"].as_str().unwrap());
    registry.add("team/copy", &fixture::image(1), Some("v1")).unwrap();
    let args = ["attach", "signature", "--signature", "signature", "--payload", "payload", "@team/copy:v1"];
    user.at(&registry, &args).assert_code(0);
    user.at(&registry, &["verify", "--key", "sealift.pub", "@team/copy:v1"]).assert_code(0);
}

#[test]
fn signatures_are_taken_apart_without_a_key() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "--format", "both", "-a", "a=b", "@team/app:v1"])
        .assert_code(0);
    let key = user.run(&["key", "public", "--key", "sealift.pub", "--output", "json"]).json();
    let inspected = user.at(&registry, &["inspect", "--output", "json", "@team/app:v1"]).assert_code(0).json();
    let signatures = inspected["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 2);
    assert!(signatures.iter().all(|signature| signature["digestMatches"] == true), "{inspected}");
    assert!(signatures.iter().any(|signature| signature["signerHint"] == key["keyId"]), "{inspected}");
    user.at(&registry, &["inspect", "@team/app:v1"]).assert_code(0).assert_stdout("this artifact");
    let payloads = user.at(&registry, &["inspect", "--raw", "payload", "@team/app:v1"]).assert_code(0).json_lines();
    assert!(payloads.iter().any(|payload| payload["critical"]["type"] == "cosign container image signature"));
    user.at(&registry, &["inspect", "--raw", "manifest", "@team/app:v1"]).assert_code(0).assert_stdout("artifactType");
}

#[test]
fn deleting_with_referrers_leaves_nothing() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        user.at(&registry, &["sign", "--key", "sealift.key", "--format", "both", "@team/app:v1"]).assert_code(0);
        user.at(&registry, &["delete", "--referrers", "@team/app:v1"]).assert_code(2).assert_stderr("--yes");
        user.at(&registry, &["delete", "--referrers", "--yes", "@team/app:v1"]).assert_code(0);
        assert_eq!(registry.tags("team/app"), Vec::<String>::new(), "{kind}");
        assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty(), "{kind}");
    }
    let (user, registry) = (User::new(), registry(RegistryOptions::default().without_deletes()));
    user.at(&registry, &["delete", "--yes", "@team/app:v1"]).assert_code(1).assert_stderr("does not support");
}

#[test]
fn what_is_deleted_leaves_its_subjects_list_and_names_who_it_leaves_behind() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        let signed = fixture::image(1).digest().clone();
        user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        user.write("sbom", "{}");
        let attach = ["attach", "--type", "application/spdx+json", "--output", "json", "@team/app:v1", "sbom"];
        let sbom = user.at(&registry, &attach).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
        let before = registry.referrers("team/app", &signed);
        assert_eq!(before.len(), 2, "{kind}");
        user.at(&registry, &["delete", "--yes", &format!("@team/app@{sbom}")]).assert_code(0);
        user.at(&registry, &["referrers", "check", "@team/app:v1"]).assert_code(0);
        let left = before.into_iter().find(|entry| entry.digest.to_string() != sbom).unwrap();
        let told = user.at(&registry, &["delete", "--yes", "--output", "json", "@team/app:v1"]).assert_code(0).json();
        assert_eq!(told["deleted"], serde_json::json!([signed]), "{kind}");
        assert_eq!(told["orphans"].as_array().unwrap().len(), 1, "{kind}: {told}");
        assert_eq!(told["orphans"][0]["digest"], left.digest.to_string(), "{kind}: {told}");
        assert_eq!(told["orphans"][0]["storage"], kind, "{told}");
    }
}

#[test]
fn what_cannot_be_read_keeps_nothing_that_is_deleted_alone() {
    let app = fixture::image(1);
    let delete = ["delete", "--yes", "--timeout", "100ms", "--output", "json", "@team/app:v1"];
    let with_referrers = [&delete[..], &["--referrers"]].concat();
    for status in [403, 500] {
        let (user, registry) = (User::new(), registry(RegistryOptions::default()));
        registry.set_faults([Rule::new(Effect::Status(status)).on(Endpoint::Referrers)]);
        // What else it is the subject of must be known before it is gone.
        assert_ne!(user.at(&registry, &with_referrers).code, Some(0), "{status}");
        assert_eq!(registry.tags("team/app"), ["v1"], "{status}");
        let told = user.at(&registry, &delete).assert_code(0).json();
        assert_eq!(told["deleted"], serde_json::json!([app.digest()]), "{status}");
        assert_eq!(told["mayBeLeft"][0]["subject"], app.digest().to_string(), "{status}: {told}");
        assert!(registry.tags("team/app").is_empty(), "{status}");
    }
    // Attached deeper than is read.
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    let mut last = app.descriptor().clone();
    for _ in 0..=MAX_ATTACHMENT_DEPTH {
        last = registry.add("team/app", &fixture::bare_artifact("a/b", Some(&last)), None).unwrap();
    }
    user.at(&registry, &with_referrers).assert_code(22);
    let outcome = user.at(&registry, &["delete", "--yes", "@team/app:v1"]).assert_code(0);
    outcome
        .assert_stdout("deleted")
        .assert_stdout("orphan")
        .assert_stdout("may be left behind what else is attached to");
    assert!(registry.tags("team/app").is_empty());
}

#[test]
fn what_is_damaged_is_deleted_by_its_digest() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    let app = fixture::image(1);
    registry.set_faults([Rule::new(Effect::Corrupt).method("GET").on(Endpoint::Manifest)]);
    let told = user.at(&registry, &["delete", "--yes", "--output", "json", &format!("@team/app@{}", app.digest())]);
    let told = told.assert_code(0).json();
    assert_eq!(told["mayBeLeft"][0]["what"], "listEntry", "{told}");
    assert!(registry.tags("team/app").is_empty());

    write_layout(&user.path("layout"), &app, "v1");
    let manifest = format!("layout/blobs/sha256/{}", app.digest().hex());
    user.write(&manifest, "damaged");
    user.run(&["delete", "--yes", &format!("oci-layout://./layout@{}", app.digest())]).assert_code(0);
    assert!(!user.path(&manifest).exists());
}

#[test]
fn names_of_attachments_are_told() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    let digest: Digest = fixture::image(1).digest().clone();
    for (kind, tag) in [
        ("signature", Tag::cosign(&digest, "sig")),
        ("attestation", Tag::cosign(&digest, "att")),
        ("referrers", Tag::referrers_fallback(&digest)),
    ] {
        let outcome = user.at(&registry, &["triangulate", "--type", kind, "@team/app:v1"]).assert_code(0);
        assert_eq!(outcome.stdout.trim(), registry.reference(&format!("team/app:{tag}")));
    }
    let outcome = user.at(&registry, &["triangulate", "--type", "digest", "@team/app:v1"]).assert_code(0);
    assert_eq!(outcome.stdout.trim(), registry.reference(&format!("team/app@{digest}")));
}
