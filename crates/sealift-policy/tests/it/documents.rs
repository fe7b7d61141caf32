//! Policy documents: what is read, what is refused and how, and which scope applies.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sealift_core::document::DocumentError;
use sealift_core::oci::{Reference, RepositoryName};
use sealift_policy::PolicyDocument;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Reads a policy whose key files are those of `testdata/keys`.
pub(crate) fn parse(text: &str, file: &str) -> Result<PolicyDocument, DocumentError> {
    let keys = testdata().join("keys");
    PolicyDocument::parse(text.as_bytes(), file, &mut |path| Ok(std::fs::read(keys.join(path))?))
}

/// Returns the policies that must be read, or refused, by their paths.
pub(crate) fn files(verdict: &str) -> Vec<(String, String)> {
    let directory = std::fs::read_dir(testdata().join("policies").join(verdict)).unwrap();
    let paths = directory.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn valid_policies_are_read() {
    let files = files("valid");
    assert!(files.len() >= 4);
    for (file, text) in files {
        let policy = parse(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        assert!(policy.scopes().all(|(_, policy)| !policy.is_empty()), "{file}");
    }
}

#[test]
fn invalid_policies_are_refused_with_file_line_path_and_reason() {
    let files = files("invalid");
    assert!(files.len() >= 30);
    let mut wrong = String::new();
    for (file, text) in files {
        let expected = text.lines().next().unwrap().strip_prefix("# expect: ").unwrap();
        match parse(&text, "policy.yaml") {
            Ok(_) => wrong += &format!("{file}: accepted, and expected is {expected}\n"),
            Err(error) if error.to_string().starts_with(&format!("policy.yaml:{expected}")) => {}
            Err(error) => wrong += &format!("{file}:\n  found    {error}\n  expected policy.yaml:{expected}\n"),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn errors_keep_their_cause() {
    let text = "version: 1\nscopes: [{repository: '**', signatures: [{anyOf: [{key: cosign2.key}]}]}]";
    let error = parse(text, "p").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("private key"), "{cause}");
}

#[test]
fn the_most_specific_scope_applies_and_equals_apply_together() {
    let scope =
        |pattern: &str| format!("  - repository: '{pattern}'\n    signatures: [{{anyOf: [{{key: cosign2.pub}}]}}]\n");
    let patterns = [
        "**",
        "ghcr.io/**",
        "ghcr.io/acme/**",
        "ghcr.io/acme/*",
        "ghcr.io/acme/app",
        "ghcr.io/*/app",
        "ghcr.io/*/lib",
        "*.azurecr.io/**",
        "docker.io/library/*",
        "busybox",
        "oci-layout://**",
        "quay.io/x/*a",
        "quay.io/x/a*",
    ];
    let text = format!("version: 1\nscopes:\n{}", patterns.map(scope).concat());
    let policy = parse(&text, "p").unwrap();
    for (repository, scopes) in [
        ("ghcr.io/acme/app", &["ghcr.io/acme/app"][..]),
        ("GHCR.IO/acme/app", &["ghcr.io/acme/app"]),
        // Both have the same text before their first wildcard, and as much in all.
        ("ghcr.io/acme/web", &["ghcr.io/acme/**", "ghcr.io/acme/*"]),
        ("ghcr.io/acme/deep/web", &["ghcr.io/acme/**"]),
        ("ghcr.io/other/app", &["ghcr.io/*/app"]),
        ("ghcr.io/other/web", &["ghcr.io/**"]),
        ("x.azurecr.io/a/b", &["*.azurecr.io/**"]),
        ("x.azurecr.io.evil.example/a", &["**"]),
        ("alpine", &["docker.io/library/*"]),
        ("index.docker.io/library/busybox", &["docker.io/library/busybox"]),
        ("quay.io/x/aa", &["quay.io/x/a*"]),
        ("localhost:5000/a", &["**"]),
        ("oci-layout://./out", &["oci-layout://**"]),
    ] {
        let applied = policy.policy_for(&name(repository), None).source().unwrap().scopes.clone();
        assert_eq!(applied, scopes, "{repository}");
    }
}

/// A second spelling of a registry does not escape the scope that is meant for it.
#[test]
fn every_spelling_of_a_registry_has_one_scope() {
    let scope =
        |pattern: &str| format!("  - repository: '{pattern}'\n    signatures: [{{anyOf: [{{key: cosign2.pub}}]}}]\n");
    let text = |registries: &str, patterns: &[&str]| {
        format!(
            "version: 1\nregistries: [{registries}]\nscopes:\n{}",
            patterns.iter().copied().map(scope).collect::<String>()
        )
    };
    let document = parse(
        &text(
            "'ghcr.io:443', index.docker.io, '*.Acme.example', 'registry:443', 'a.localhost:443'",
            &[
                "**",
                "ghcr.io:443/acme/**",
                "docker.io:443/library/*",
                "GHCR.io/acme/one",
                "*.acme.example/prod/**",
                "registry:443/**",
                "a.localhost:443/**",
            ],
        ),
        "p",
    )
    .unwrap();
    for (repository, expected) in [
        ("ghcr.io/acme/app", "ghcr.io/acme/**"),
        ("ghcr.io:443/acme/app", "ghcr.io/acme/**"),
        ("ghcr.io:0443/acme/one", "ghcr.io/acme/one"),
        ("ghcr.io:8443/acme/app", "**"),
        ("docker.io:443/alpine", "docker.io/library/*"),
        ("registry-1.docker.io:443/library/alpine", "docker.io/library/*"),
        ("eu.acme.example:443/prod/app", "*.acme.example/prod/**"),
        ("registry:443/app", "registry:443/**"),
        ("a.localhost:443/app", "a.localhost:443/**"),
    ] {
        let policy = document.policy_for(&name(repository), None);
        assert_eq!(policy.source().unwrap().scopes, [expected], "{repository}");
        let registry = policy.foresee(&name(repository), &sealift_core::oci::Digest::sha256(b"x"));
        assert_eq!(registry.is_none(), !repository.contains("8443"), "{repository}: {registry:?}");
    }
    for wrong in ["ghcr.io/acme", "https://ghcr.io"] {
        assert!(parse(&text(wrong, &["**"]), "p").is_err(), "{wrong}");
    }
    // Without the port, `*` would approve any port; with it, it would fit next to nothing.
    for wrong in ["*:443", "registry.example.*:443", "regist?y:443", "*.localhost:443", "**:0443"] {
        for text in [text(&format!("'{wrong}'"), &["**"]), text("ghcr.io", &[&format!("{wrong}/**")])] {
            let error = parse(&text, "p").unwrap_err().to_string();
            assert!(
                error.contains("beside wildcards no port 443") && error.contains("write each registry whole"),
                "{error}"
            );
        }
    }
    // Any other port is in the name, so it limits the pattern.
    let document = parse(&text("'*:5000'", &["**"]), "p").unwrap();
    for (repository, is_approved) in
        [("evil.example:5001/a", false), ("evil.example/a", false), ("x.example:5000/a", true)]
    {
        let policy = document.policy_for(&name(repository), None);
        let denied = policy.foresee(&name(repository), &sealift_core::oci::Digest::sha256(b"x"));
        assert_eq!(denied.is_none(), is_approved, "{repository}");
    }
}

#[test]
fn rules_say_where_they_are_and_what_they_demand() {
    let (_, text) = files("valid").into_iter().find(|(file, _)| file.ends_with("everything.yaml")).unwrap();
    let document = parse(&text, "p").unwrap();
    let policy = document.policy_for(&name("ghcr.io/acme/app"), None);
    let rules: Vec<_> =
        policy.rules().map(|(path, check, demand)| format!("{} {check}: {demand}", path.unwrap())).collect();
    let people = r"/.+@acme\.example/ (by https://accounts.*.example)";
    assert!(!rules.iter().any(|rule| rule.contains(people)), "signers with a name are called by it");
    assert_eq!(rules[0], "registries approved-registry: in one of the registries ghcr.io, *.azurecr.io, docker.io");
    assert_eq!(rules[1], "scopes[1].signatures[0] signed-by: signed by any of release, people");
    assert_eq!(rules[2], "scopes[1].signatures[1] signed-by: signed by 2 distinct of people, at most 365d old");
    assert_eq!(rules[3], "scopes[1].attestations[0] attested: attested `slsaprovenance1` by release");
    assert!(rules[4].starts_with("scopes[1].attestations[1] attested: attested `vuln` by any of people, key sha256:"));
    assert_eq!(
        rules[5],
        "scopes[1].attestations[2] attested: attested `https://example.com/review/v1` by all of old-key, new-key"
    );
    assert_eq!(
        rules[6],
        "scopes[1].endOfLife end-of-life: not past its end of life for more than 7d, as marked by release"
    );
    assert_eq!(rules.len(), 7);
    assert!(policy.accepts_certificates());
    assert!(!document.policy_for(&name("oci-layout://x"), None).accepts_certificates());
}

fn name(text: &str) -> RepositoryName {
    text.parse::<Reference>().unwrap().repository()
}

proptest! {
    #[test]
    fn reading_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = PolicyDocument::parse(&bytes, "p", &mut |_| Ok(Vec::new()));
    }

    /// Cuts, doubles and swaps pieces of a real policy, so that the mistakes are deep inside.
    #[test]
    fn reading_a_damaged_policy_is_total(cuts in proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u8>()), 1..6)) {
        let mut bytes = std::fs::read(testdata().join("policies/valid/everything.yaml")).unwrap();
        for (at, length, byte) in cuts {
            let at = usize::from(at) % bytes.len();
            let end = (at + usize::from(length) % 40).min(bytes.len());
            let piece: Vec<u8> = bytes[at..end].to_vec();
            match byte % 3 {
                0 => drop(bytes.drain(at..end)),
                1 => drop(bytes.splice(at..at, piece)),
                _ => bytes[at] = byte,
            }
            if bytes.is_empty() {
                return Ok(());
            }
        }
        let _ = PolicyDocument::parse(&bytes, "p", &mut |_| Err("no file".into()));
    }
}
