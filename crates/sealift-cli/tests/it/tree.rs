//! `sealift tree`.

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
