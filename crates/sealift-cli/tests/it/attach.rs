//! `sealift attach`, `download`, `inspect`, `delete` and `triangulate`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::oci::{Digest, Tag};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::RegistryOptions;

use crate::support::{User, both_kinds, registry};

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
