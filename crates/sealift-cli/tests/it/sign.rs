//! `sealift sign`.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};

use crate::support::{User, both_kinds, registry, write_layout};

#[test]
fn every_format_verifies_on_both_kinds_of_registries() {
    let user = User::with_key();
    for (kind, options) in both_kinds() {
        let registry = registry(options);
        for format in ["bundle", "legacy", "both"] {
            let repository = format!("team/{format}");
            registry.add(&repository, &fixture::image(1), Some("v1")).unwrap();
            let reference = format!("@{repository}:v1");
            let signed =
                user.at(&registry, &["sign", "--key", "sealift.key", "--format", format, "-a", "a=b", &reference]);
            signed.assert_code(0).assert_stdout(&fixture::image(1).digest().to_string());
            user.at(&registry, &["verify", "--key", "sealift.pub", "-a", "a=b", &reference]).assert_code(0);
            let tag = Tag::cosign(fixture::image(1).digest(), "sig").to_string();
            assert_eq!(registry.tags(&repository).contains(&tag), format != "bundle", "{kind}, {format}");
            let referrers = registry.referrers(&repository, fixture::image(1).digest()).len();
            assert_eq!(referrers, usize::from(format != "legacy"), "{kind}, {format}");
        }
    }
}

#[test]
fn one_reference_that_fails_does_not_stop_the_others() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let outcome = user
        .at(&registry, &["sign", "--key", "sealift.key", "-o", "json", "@team/app:missing", "@team/app:v1"])
        .assert_code(11);
    let lines = outcome.json_lines();
    assert_eq!(lines[0]["error"]["code"], "NOT_FOUND");
    assert_eq!(lines[1]["manifests"][0]["state"], "signed");
    user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(0);
}

#[test]
fn signing_an_index_recursively_signs_its_platforms() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    registry.add("team/multi", &fixture::index(3, &["amd64", "arm64"]), Some("v1")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/multi:v1"]).assert_code(0);
    user.at(&registry, &["verify", "--key", "sealift.pub", "--recursive", "@team/multi:v1"]).assert_code(10);
    let signed =
        user.at(&registry, &["sign", "--key", "sealift.key", "--recursive", "--skip-signed", "@team/multi:v1"]);
    signed.assert_code(0).assert_stdout("already signed").assert_stdout("linux/arm64");
    user.at(&registry, &["verify", "--key", "sealift.pub", "--recursive", "@team/multi:v1"]).assert_code(0);
}

#[test]
fn skipping_what_is_signed_leaves_one_signature() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    for _ in 0..2 {
        user.at(&registry, &["sign", "--key", "sealift.key", "--skip-signed", "@team/app:v1"]).assert_code(0);
    }
    assert_eq!(registry.referrers("team/app", fixture::image(1).digest()).len(), 1);
}

/// A state file is a claim about the repository and the key, and both may have changed since.
#[test]
fn a_batch_leaves_out_only_what_still_verifies() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let signatures = || registry.referrers("team/app", fixture::image(1).digest());
    for format in ["bundle", "legacy"] {
        let sign = ["sign", "--key", "sealift.key", "--format", format, "--state", format, "@team/app:v1"];
        let sign = || user.at(&registry, &sign);
        sign().assert_code(0).assert_stdout("signed ");
        sign().assert_code(0).assert_stdout("done before");
        // Another key of the same name.
        user.run(&["key", "generate", "--yes"]).assert_code(0);
        let verify = ["verify", "--key", "sealift.pub", "@team/app:v1"];
        user.at(&registry, &verify).assert_code(12);
        sign().assert_code(0);
        user.at(&registry, &verify).assert_code(0);
        sign().assert_code(0).assert_stdout("done before");
    }
    // What the file says is gone.
    for signature in signatures() {
        let reference = format!("@team/app@{}", signature.digest);
        user.at(&registry, &["delete", "--yes", &reference]).assert_code(0);
    }
    assert!(signatures().is_empty());
    let again = ["sign", "--key", "sealift.key", "--state", "bundle", "--timeout", "100ms", "@team/app:v1"];
    user.at(&registry, &again).assert_code(0);
    assert_eq!(signatures().len(), 1);
    // Whether it is there cannot be told.
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    user.at(&registry, &again).assert_code(22);
    assert_eq!(signatures().len(), 1);
}

#[test]
fn whether_something_is_signed_must_be_known_to_skip_it() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    let args = ["sign", "--key", "sealift.key", "--skip-signed", "--timeout", "100ms", "@team/app:v1"];
    user.at(&registry, &args).assert_code(22);
    assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty());
}

#[test]
fn detached_signing_stores_nothing() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let args = ["sign", "--key", "sealift.key", "--no-upload", "--bundle", "app.json", "@team/app:v1"];
    user.at(&registry, &args).assert_code(0).assert_stdout("bundle written to app.json");
    let bundle = std::fs::read_to_string(user.path("app.json")).unwrap();
    assert!(bundle.contains("application/vnd.dev.sigstore.bundle.v0.3+json"));
    assert!(registry.requests().iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")));
}

#[test]
fn a_digest_can_be_required() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "--require-digest", "@team/app:v1"]).assert_code(2);
    let reference = format!("@team/app@{}", fixture::image(1).digest());
    user.at(&registry, &["sign", "--key", "sealift.key", "--require-digest", &reference]).assert_code(0);
}

#[test]
fn a_layout_that_is_not_there_is_not_created() {
    let user = User::with_key();
    for layout in ["missing", "missing.tar"] {
        user.run(&["sign", "--key", "sealift.key", &format!("oci-layout://{layout}:v1")]).assert_code(11);
        assert!(!user.path(layout).exists(), "{layout}");
    }
}

#[test]
fn a_layout_is_signed_before_any_push() {
    let (user, registry) = (User::with_key(), Registry::start(RegistryOptions::default()).unwrap());
    write_layout(&user.path("out"), &fixture::image(5), "v1");
    for format in ["bundle", "legacy"] {
        user.run(&["sign", "--key", "sealift.key", "--format", format, "oci-layout://out:v1"]).assert_code(0);
    }
    user.run(&["verify", "--key", "sealift.pub", "oci-layout://out:v1"]).assert_code(0);
    user.at(&registry, &["promote", "--key", "sealift.pub", "oci-layout://out:v1", "@team/app:v1"]).assert_code(0);
    user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(0);
}

#[test]
fn signing_by_digest_takes_six_requests_where_the_registry_lists_referrers() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let reference = format!("@team/app@{}", fixture::image(1).digest());
    user.at(&registry, &["sign", "--key", "sealift.key", &reference]).assert_code(0);
    let lines: Vec<_> = registry.requests().iter().map(ToString::to_string).collect();
    assert!(lines.len() <= 6, "{lines:#?}");
}

#[test]
fn flags_for_signing_in_do_not_go_with_a_key_whatever_their_value() {
    let user = User::with_key();
    for flag in ["--oidc-client-id=sigstore", "--oidc-client-id=other", "--oidc-issuer=https://issuer.example.com"] {
        let line = ["sign", "--key", "sealift.key", flag, "r.test/app:1"];
        user.run(&line).assert_code(2).assert_stderr("cannot be used with");
    }
}
