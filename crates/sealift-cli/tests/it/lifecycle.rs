//! `sealift lifecycle latest`; the marks themselves are tested with the policies that deny because of them.

use sealift_core::oci::{RawManifest, annotation, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, Rule};
use serde_json::{Value, json};

use crate::support::{User, both_kinds};

/// Stores an edition of version 1.0, made as BuildKit makes it, and returns its reference by digest.
fn edition(registry: &Registry, seed: u64, annotations: &Value, tag: Option<&str>) -> String {
    let image = fixture::image(seed);
    registry.add("team/app", &image, None).unwrap();
    let mut manifest: Value = serde_json::from_slice(image.root().bytes()).unwrap();
    manifest["annotations"] = annotations.clone();
    let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string());
    registry.add_manifest("team/app", &manifest, tag).unwrap();
    registry.reference(&format!("team/app@{}", manifest.descriptor().digest))
}

fn revision(revision: &str) -> Value {
    json!({
        "org.opencontainers.image.version": "1.0", "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.created": "2023-07-10T00:00:00Z"
    })
}

/// Row 18 of the scenarios: what is pinned by digest and outdated leads to the edition that replaces it.
#[test]
fn an_outdated_digest_leads_to_the_newest_edition() {
    for (_, options) in both_kinds() {
        let (user, registry) = (User::with_key(), Registry::start(options).unwrap());
        let old = edition(&registry, 1, &revision("20230707"), None);
        let new = edition(&registry, 2, &revision("20230710"), Some("1.0"));
        let mark = |reference: &str| {
            let set = ["lifecycle", "set", "--eol", "2023-07-10", "--output", "json", reference];
            user.run(&set).assert_code(0).json()["digest"].as_str().unwrap().to_owned()
        };
        let marker = mark(&old);
        user.run(&["sign", "--key", "sealift.key", &old]).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", "--fail-on-eol", &old]).assert_code(14);
        let latest =
            |more: &[&str], reference: &str| user.run(&[&["lifecycle", "latest"], more, &[reference]].concat());
        latest(&[], &old)
            .assert_code(0)
            .assert_stdout(&format!("newest {new}"))
            .assert_stdout("tag 1.0, revision 20230710, created 2023-07-10T00:00:00Z")
            .assert_stdout("end of life of");
        let found = latest(&["--output", "json"], &old).assert_code(0).json();
        assert_eq!((&found["newest"]["reference"], &found["isNewest"]), (&json!(new), &json!(false)), "{found}");
        assert_eq!((&found["asked"]["hasEnded"], &found["newest"]["hasEnded"]), (&json!(true), &json!(false)));
        latest(&[], &new).assert_code(0).assert_stdout("still the newest");

        // Only marks by those who are trusted with it count, when somebody is named.
        let signed = |code: i32| {
            let found = latest(&["--key", "sealift.pub", "--output", "json"], &old).assert_code(code).json();
            (found["asked"]["hasEnded"].clone(), found["newest"]["hasEnded"].clone())
        };
        assert_eq!(signed(0), (json!(false), json!(false)));
        user.run(&["sign", "--key", "sealift.key", &registry.reference(&format!("team/app@{marker}"))]).assert_code(0);
        assert_eq!(signed(0), (json!(true), json!(false)));

        // Nothing is left to move to.
        mark(&new);
        latest(&[], &old).assert_code(11).assert_stdout("past its end of life");
        assert_eq!(signed(0), (json!(true), json!(false)));
        let fault = Rule::new(Effect::Status(500)).on(Endpoint::Referrers);
        registry.set_faults([fault, Rule::new(Effect::Status(500)).reference("sha256-*")]);
        latest(&["--timeout", "100ms"], &old).assert_code(22);
    }
}

#[test]
fn a_marker_without_a_date_tells_nothing() {
    for (_, options) in both_kinds() {
        let (user, registry) = (User::new(), Registry::start(options).unwrap());
        let old = edition(&registry, 1, &revision("20230707"), None);
        let new = edition(&registry, 2, &revision("20230710"), Some("1.0"));
        let mark = |reference: &str| {
            let date = format!("{}=soon", annotation::END_OF_LIFE);
            user.run(&["attach", "--type", media_type::MICROSOFT_LIFECYCLE, "-a", &date, reference]).assert_code(0);
        };
        let run = |command: &str, code: i32| {
            let text = user.run(&["lifecycle", command, &old]).assert_code(code);
            (text, user.run(&["lifecycle", command, "--output", "json", &old]).assert_code(code).json())
        };
        mark(&old);
        let (text, shown) = run("show", 22);
        text.assert_stdout("unclear").assert_stdout("`soon`, which is no date");
        assert_eq!((&shown["isUnclear"], &shown["endOfLife"]), (&json!(true), &Value::Null), "{shown}");
        assert_eq!(shown.get("hasEnded"), Some(&Value::Null), "{shown}");
        // What replaces it is known for all that.
        let warning = |reference: &str| format!("warning: the end of life of {reference} is unclear");
        let (text, found) = run("latest", 0);
        text.assert_stdout(&format!("newest {new}")).assert_stderr(&warning(&old)).assert_stderr("`soon`");
        assert_eq!((&found["asked"]["isUnclear"], &found["newest"]["isUnclear"]), (&json!(true), &json!(false)));
        mark(&new);
        let (text, found) = run("latest", 22);
        text.assert_stdout("its end of life is unclear").assert_stderr(&warning(&new));
        assert_eq!(found["newest"]["isUnclear"], true, "{found}");
        assert_eq!(found["newest"].get("hasEnded"), Some(&Value::Null), "{found}");
    }
}

#[test]
fn a_marker_that_cannot_be_read_might_be_the_one_that_decides() {
    let (user, registry) = (User::new(), Registry::start(both_kinds()[0].1.clone()).unwrap());
    let image = edition(&registry, 1, &revision("20230707"), Some("1.0"));
    let mark = |end: &str| {
        let set = ["lifecycle", "set", "--eol", end, "--output", "json", &image];
        user.run(&set).assert_code(0).json()["digest"].as_str().unwrap().to_owned()
    };
    mark("2023-07-10");
    let later = mark("2999-01-01");
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Manifest).reference(&later)]);
    for command in ["latest", "show"] {
        user.run(&["lifecycle", command, "--timeout", "200ms", &image]).assert_code(22).assert_stdout("unclear");
    }
}

#[test]
fn a_version_that_is_not_named_is_given() {
    let (user, registry) = (User::new(), Registry::start(both_kinds()[0].1.clone()).unwrap());
    let old = edition(&registry, 1, &json!({}), None);
    let new = edition(&registry, 2, &json!({}), Some("stable"));
    user.run(&["lifecycle", "latest", &old]).assert_code(2).assert_stderr("--tag");
    user.run(&["lifecycle", "latest", "--tag", "stable", &old]).assert_code(0).assert_stdout(&new);
    user.run(&["lifecycle", "latest", "--tag", "gone", &old]).assert_code(11);
    let chart = edition(&registry, 3, &json!({ "org.opencontainers.image.version": "0.1.0+b1" }), Some("0.1.0_b1"));
    user.run(&["lifecycle", "latest", &chart]).assert_code(0).assert_stdout("tag 0.1.0_b1");
    let strange = edition(&registry, 4, &json!({ "org.opencontainers.image.version": "../../etc" }), None);
    user.run(&["lifecycle", "latest", &strange]).assert_code(2).assert_stderr("--tag");
}

/// Row 17 of the scenarios: a marker of an organization's own kind, signed as it is set, and everything as one view.
#[test]
fn a_marker_of_an_own_kind_is_set_signed_and_read() {
    for (_, options) in both_kinds() {
        let (user, registry) = (User::with_key(), Registry::start(options).unwrap());
        let image = edition(&registry, 1, &revision("20230707"), None);
        user.run(&["sign", "--key", "sealift.key", &image]).assert_code(0);
        let kind = ["--type", "application/vnd.example.lifecycle", "--date-annotation", "org.example.end"];
        let set = ["lifecycle", "set", "--eol", "2023-07-10", "--sign", "--key", "sealift.key", "--output", "json"];
        let wrong = ["lifecycle", "set", "--eol", "2023-07-10", "--sign", "--key", "absent.key", &image];
        user.run(&[&wrong[..], &kind].concat()).assert_code(20);
        let show = |more: &[&str]| {
            user.run(&[&["lifecycle", "show", "--output", "json"], more, &[&image]].concat()).assert_code(0).json()
        };
        assert_eq!(show(&kind)["markers"], json!([]), "who cannot sign attaches nothing");
        let marked = user.run(&[&set[..], &kind, &[&image]].concat()).assert_code(0).json();
        assert_eq!(marked["artifactType"], "application/vnd.example.lifecycle");
        assert!(marked["signature"].is_string(), "{marked}");

        assert_eq!(show(&[])["markers"], json!([]), "it is not of Microsoft's kind");
        let signed = show(&[&["--key", "sealift.pub"], &kind[..]].concat());
        assert_eq!(
            (&signed["hasEnded"], &signed["markers"][0]["digest"]),
            (&json!(true), &marked["digest"]),
            "{signed}"
        );
        assert!(signed["markers"][0]["signer"].is_string(), "{signed}");
        let annotations = &signed["annotations"];
        assert_eq!(annotations["org.opencontainers.image.revision"], json!({ "value": "20230707" }), "{signed}");
        assert_eq!(annotations["org.example.end"], json!({ "value": "2023-07-10", "from": marked["digest"] }));
        // The marker was made after the image, and says when.
        assert_eq!(annotations["org.opencontainers.image.created"]["from"], marked["digest"]);

        let verify = ["verify", "--key", "sealift.pub", "--fail-on-eol"];
        user.run(&[&verify[..], &[&image]].concat()).assert_code(0);
        let own = ["--eol-type", "application/vnd.example.lifecycle", "--eol-annotation", "org.example.end", &image];
        user.run(&[&verify[..], &own].concat()).assert_code(14).assert_stderr("2023-07-10");
        user.run(&[&verify[..3], &own].concat()).assert_code(2).assert_stderr("--fail-on-eol");
        let marker = "{type: application/vnd.example.lifecycle, date: org.example.end}";
        let scope = format!(
            "repository: '**', signatures: [{{anyOf: [{{key: sealift.pub}}]}}], endOfLife: {{marker: {marker}}}"
        );
        user.write("policy.yaml", format!("version: 1\nscopes: [{{{scope}}}]\n"));
        user.run(&["verify", "--policy", "policy.yaml", &image]).assert_code(14);
    }
}
