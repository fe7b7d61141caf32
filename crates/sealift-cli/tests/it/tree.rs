//! `sealift tree`.

use sealift_core::oci::{RawManifest, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, RegistryOptions, Rule};

use crate::support::{User, both_kinds, registry};

#[test]
fn every_scheme_and_every_level_is_drawn() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        registry.add("team/multi", &fixture::index(3, &["amd64", "arm64"]), Some("v1")).unwrap();
        user.at(&registry, &["sign", "--key", "sealift.key", "--recursive", "--format", "both", "@team/multi:v1"])
            .assert_code(0);
        user.write("sbom.json", "{}");
        let args = ["attach", "sbom", "--sbom", "sbom.json", "--output", "json", "@team/multi:v1"];
        let sbom = user.at(&registry, &args).assert_code(0).json();
        let sbom = format!("@team/multi@{}", sbom["digest"].as_str().unwrap());
        user.at(&registry, &["sign", "--key", "sealift.key", &sbom]).assert_code(0);
        let tree = user.at(&registry, &["tree", "@team/multi:v1"]).assert_code(0).stdout;
        assert_eq!(tree.matches("signature, Sigstore bundle").count(), 4, "{kind}\n{tree}");
        assert_eq!(tree.matches("signature, cosign").count(), 3, "{kind}\n{tree}");
        for text in ["linux/amd64", "linux/arm64", "application/spdx+json", "[tag .sig]", &format!("[{kind}]")] {
            assert!(tree.contains(text), "{kind}: no {text}\n{tree}");
        }
        let dot = user.at(&registry, &["tree", "--output", "dot", "@team/multi:v1"]).assert_code(0).stdout;
        assert_eq!(dot.matches("->").count(), 10, "{dot}");
        user.at(&registry, &["tree", "--format", "mermaid", "@team/multi:v1"])
            .assert_code(0)
            .assert_stdout("flowchart TD");
    }
}

#[test]
fn names_in_pictures_are_harmless() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    user.at(&registry, &["attach", "--type", "x\"];<script>", "@team/app:v1"]).assert_code(0);
    let mermaid = user.at(&registry, &["tree", "--output", "mermaid", "@team/app:v1"]).assert_code(0).stdout;
    assert!(!mermaid.contains("<script>") && !mermaid.contains("x\"]"), "{mermaid}");
}

#[test]
fn a_listing_that_cannot_be_read_is_no_empty_tree() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    user.at(&registry, &["tree", "--timeout", "100ms", "@team/app:v1"]).assert_code(22);
}

/// Row 30 of the scenarios: a chart is called by its name, and a provenance file is looked into.
#[test]
fn a_chart_has_its_name_and_says_what_its_provenance_file_is_about() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    registry.add("charts/bare", &fixture::chart("web", "0.1.0+b1", "app:v1"), Some("0.1.0_b1")).unwrap();
    registry.add("charts/web", &fixture::chart_with_provenance("web", "0.1.0+b1", "app:v1"), Some("0.1.0_b1")).unwrap();
    let chart = |repository: &str| format!("oci://{}/{repository}:0.1.0+b1", registry.host());
    let tree = |repository: &str, more: &[&str]| user.run(&[&["tree"], more, &[&chart(repository)]].concat());
    tree("charts/bare", &[]).assert_code(0).assert_stdout("Helm chart web 0.1.0+b1").assert_stdout("file: absent");
    tree("charts/web", &[]).assert_code(0).assert_stdout("its PGP signature was not verified");
    let told = tree("charts/web", &["--output", "json"]).assert_code(0).json();
    let expected = serde_json::json!({ "name": "web", "version": "0.1.0+b1", "provenance": "matching" });
    assert_eq!(told["root"]["chart"], expected, "{told}");

    // The file of another version of the chart.
    let (right, other) = (
        fixture::chart_with_provenance("web", "0.1.0+b1", "app:v1"),
        fixture::chart_with_provenance("web", "0.2.0", "app:v1"),
    );
    registry.add("charts/mixed", &right, None).unwrap();
    registry.add("charts/mixed", &other, None).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(right.root().bytes()).unwrap();
    let others: serde_json::Value = serde_json::from_slice(other.root().bytes()).unwrap();
    manifest["layers"][1] = others["layers"][1].clone();
    let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string());
    registry.add_manifest("charts/mixed", &manifest, Some("0.1.0_b1")).unwrap();
    let told = tree("charts/mixed", &["--output", "json"]).assert_code(0).json();
    assert_eq!(told["root"]["chart"]["provenance"], "other", "{told}");
    tree("charts/mixed", &[]).assert_code(0).assert_stdout("not about the package").assert_stdout("`web-0.1.0+b1.tgz`");

    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Blob)]);
    tree("charts/web", &["--timeout", "200ms"]).assert_code(22).assert_stderr("the chart");
}
