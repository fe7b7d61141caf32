//! `sealift policy`, and verifying by a policy file.

use sealift_sandbox::fixture;
use sealift_sandbox::peers::Peers;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use sealift_sandbox::sigstore::Identity;
use serde_json::{Value, json};

use crate::services::{Services, args};
use crate::support::{User, both_kinds, registry};

/// Two people with keys, and a policy for what is in `team`.
fn two_people(registry: &Registry) -> User {
    let user = User::with_key();
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    std::fs::create_dir(user.path("policies")).unwrap();
    write_policy(&user, registry, "signatures: [{anyOf: [release, other]}]");
    user
}

/// Writes `policies/p.yaml` with demands on `team/**`; its key files are found beside it.
fn write_policy(user: &User, registry: &Registry, demands: &str) {
    let host = registry.host();
    let text = format!(
        "version: 1\nsigners:\n  release: {{key: ../sealift.pub}}\n  other: {{key: ../other.pub}}\n\
         scopes:\n  - repository: {host}/team/**\n    {demands}\n"
    );
    user.write("policies/p.yaml", text);
}

#[expect(clippy::disallowed_methods, reason = "ages are counted from the time it is")]
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

const VERIFY: [&str; 3] = ["verify", "--policy", "policies/p.yaml"];

fn verify(user: &User, registry: &Registry, more: &[&str]) -> crate::support::Outcome {
    user.at(registry, &[&VERIFY[..], more].concat())
}

#[test]
fn every_rule_of_the_scope_must_hold_and_the_report_says_which_does_not() {
    for (_, options) in both_kinds() {
        let registry = registry(options);
        let user = two_people(&registry);
        let sign = |key: &str| user.at(&registry, &["sign", "--key", key, "@team/app:v1"]).assert_code(0);
        verify(&user, &registry, &["@team/app:v1"]).assert_code(14).assert_stdout("needed is any of release, other");
        sign("sealift.key");
        verify(&user, &registry, &["@team/app:v1"]).assert_code(0).assert_stdout("allowed");

        write_policy(&user, &registry, "signatures: [{threshold: 2, anyOf: [release, other]}]");
        sign("sealift.key");
        let denied = verify(&user, &registry, &["@team/app:v1"]).assert_code(14);
        denied
            .assert_stdout("fail scopes[0].signatures[0]: signed by 2 distinct of release, other")
            .assert_stdout("; only key sha256:");
        sign("other.key");
        verify(&user, &registry, &["@team/app:v1"]).assert_code(0);

        write_policy(
            &user,
            &registry,
            "signatures: [{allOf: [release, other]}]\n    attestations: [{type: vuln, anyOf: [other], maxAge: 30d}]",
        );
        let attest = |key: &str, time: &str| {
            user.write("scan.json", json!({ "metadata": { "scanFinishedOn": time } }).to_string());
            let flags = ["attest", "--key", key, "--type", "https://cosign.sigstore.dev/attestation/vuln/v1"];
            user.at(&registry, &[&flags[..], &["--predicate", "scan.json", "@team/app:v1"]].concat()).assert_code(0);
        };
        let fails = |text: &str| verify(&user, &registry, &["@team/app:v1"]).assert_code(14).assert_stdout(text);
        fails("pass scopes[0].signatures[0]: signed by all of release, other").assert_stdout("nobody did");
        // A good scan by somebody else, an old one, one from the future, and then one that counts.
        attest("sealift.key", &now());
        fails("attested `vuln` by other, at most 30d old: needed is other; nobody did");
        attest("other.key", "2020-01-01T00:00:00Z");
        fails("made 2020-01-01T00:00:00Z, which is more than 30d ago");
        attest("other.key", "2999-01-01T00:00:00Z");
        fails("made 2020-01-01T00:00:00Z, which is more than 30d ago");
        attest("other.key", &now());
        verify(&user, &registry, &["@team/app:v1"]).assert_code(0);
    }
}

#[test]
fn what_no_scope_covers_is_denied_and_so_is_an_unapproved_registry() {
    let (approved, unapproved) = (registry(RegistryOptions::default()), registry(RegistryOptions::default()));
    let user = two_people(&approved);
    approved.add("other/app", &fixture::image(1), Some("v1")).unwrap();
    let policy = |more: &str| {
        let rules = "signatures: [{anyOf: [{key: sealift.pub}]}]";
        user.write("p.yaml", format!("version: 1\n{more}scopes: [{{repository: '*/team/**', {rules}}}]\n"));
    };
    policy("");
    for registry in [&approved, &unapproved] {
        user.at(registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        user.at(registry, &["verify", "--policy", "p.yaml", "@team/app:v1"]).assert_code(0);
    }
    user.at(&approved, &["sign", "--key", "sealift.key", "@other/app:v1"]).assert_code(0);
    user.at(&approved, &["verify", "--policy", "p.yaml", "@other/app:v1"])
        .assert_code(14)
        .assert_stderr("no scope of the policy covers the repository; there are */team/**");
    // The signature is good, the registry is not.
    policy(&format!("registries: ['{}']\n", approved.host()));
    user.at(&approved, &["verify", "--policy", "p.yaml", "@team/app:v1"]).assert_code(0);
    user.at(&unapproved, &["verify", "--policy", "p.yaml", "@team/app:v1"])
        .assert_code(14)
        .assert_stdout("pass scopes[0].signatures[0]")
        .assert_stderr(&format!("{} is not an approved registry", unapproved.host()));
    // A mirror is judged as what it mirrors only when told.
    let mirrored = format!("{}/team/app", approved.host());
    let as_mirror = ["verify", "--policy", "p.yaml", "--policy-repository", &mirrored, "@team/app:v1"];
    user.at(&unapproved, &as_mirror).assert_code(0);
}

#[test]
fn json_has_every_rule_with_its_reason() {
    let registry = registry(RegistryOptions::default());
    let user = two_people(&registry);
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    write_policy(&user, &registry, "signatures: [{anyOf: [release]}, {anyOf: [other]}]");
    let line = verify(&user, &registry, &["--output", "json", "@team/app:v1"]).assert_code(14).json();
    assert_eq!(line["error"]["code"], "POLICY_DENIED");
    assert_eq!(line["digest"], fixture::image(1).digest().to_string());
    let decision = &line["manifests"][0];
    assert_eq!(decision["ruling"], "deny");
    assert_eq!(decision["policy"]["scopes"][0], format!("{}/team/**", registry.host()));
    assert!(decision["policy"]["digest"].as_str().unwrap().starts_with("sha256:"));
    let brief =
        |finding: &Value| ["rule", "check", "outcome", "code"].map(|key| finding[key].as_str().unwrap().to_owned());
    let findings: Vec<_> = decision["findings"].as_array().unwrap().iter().map(brief).collect();
    assert_eq!(findings[0], ["scopes[0].signatures[0]", "signed-by", "pass", "met"]);
    assert_eq!(findings[1], ["scopes[0].signatures[1]", "signed-by", "fail", "unmet"]);

    write_policy(&user, &registry, "signatures: [{anyOf: [release]}]");
    let line = verify(&user, &registry, &["--output", "json", "@team/app:v1"]).assert_code(0).json();
    assert_eq!((&line["error"], &line["manifests"][0]["ruling"]), (&Value::Null, &json!("allow")));
}

#[test]
fn what_could_not_be_read_is_no_denial_and_platforms_are_judged_when_asked() {
    let registry = registry(RegistryOptions::default());
    let user = two_people(&registry);
    registry.add("team/multi", &fixture::index(3, &["amd64", "arm64"]), Some("v1")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/multi:v1"]).assert_code(0);
    verify(&user, &registry, &["@team/multi:v1"]).assert_code(0);
    verify(&user, &registry, &["--recursive", "@team/multi:v1"]).assert_code(14).assert_stdout("linux/arm64");
    user.at(&registry, &["sign", "--key", "sealift.key", "--recursive", "@team/multi:v1"]).assert_code(0);
    verify(&user, &registry, &["--recursive", "@team/multi:v1"]).assert_code(0);
    verify(&user, &registry, &["@team/multi:nope"]).assert_code(11);
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers)]);
    let undecided =
        verify(&user, &registry, &["--timeout", "200ms", "--output", "json", "@team/app:v1"]).assert_code(22);
    let line = undecided.json();
    assert_eq!((&line["error"]["code"], &line["manifests"][0]["ruling"]), (&json!("UNAVAILABLE"), &json!("undecided")));
}

#[test]
fn people_and_workflows_sign_without_keys() {
    let Some(peers) = Peers::find() else { return };
    let (services, registry) = (Services::in_a_workflow(), registry(RegistryOptions::default()));
    let image = registry.reference(&format!("team/app@{}", fixture::image(1).digest()));
    let user = &services.user;
    let sign = |identity: &Identity| {
        user.write("token", services.sigstore.mint(identity).unwrap());
        let mut cosign = user.command(peers.path("cosign3"));
        cosign.args(["sign", "-y", &image, "--identity-token", "token"]);
        cosign.arg("--signing-config").arg(&services.files.signing_config_v1);
        user.run_command(cosign.args(services.trust())).assert_code(0);
    };
    let policy = |rules: &str| {
        let people = services.sigstore.issuer(&Identity::email("a@acme.example"));
        let workflow = services.identity.subject();
        let text = format!(
            "version: 1\nsigners:\n  \
             people: {{identity: {{subject: {{glob: '*@acme.example'}}, issuer: '{people}'}}}}\n  \
             release: {{identity: {{subject: '{workflow}', issuer: '{}', claims: {{build-trigger: push}}}}}}\n\
             scopes: [{{repository: '**', signatures: [{rules}]}}]\n",
            services.issuer()
        );
        user.write("p.yaml", text);
    };
    let verify = |code: i32| {
        services.run(&[&args(["verify", "--policy", "p.yaml"]), &services.trust(), &args([&image])]).assert_code(code)
    };
    let two = "{threshold: 2, anyOf: [people], maxAge: 1h}";
    policy(two);
    sign(&Identity::email("ann@acme.example"));
    sign(&Identity::email("ann@acme.example"));
    sign(&Identity::email("eve@evil.example"));
    verify(14).assert_stdout("; only ann@acme.example");
    sign(&Identity::email("bob@acme.example"));
    verify(0).assert_stdout("by ann@acme.example").assert_stdout("bob@acme.example");
    policy(&format!("{two}, {{anyOf: [release]}}"));
    verify(14).assert_stdout("pass scopes[0].signatures[0]").assert_stdout("needed is release; nobody did");
    sign(&services.identity);
    verify(0);
    policy("{allOf: [people, release]}");
    verify(0);
    // The public installation, which is built in, has not issued these certificates.
    user.run(&["verify", "--offline", "--policy", "p.yaml", &image]).assert_code(14);
    let other = Services::start();
    services.run(&[&args(["verify", "--policy", "p.yaml"]), &other.trust(), &args([&image])]).assert_code(14);
}

#[test]
fn policies_are_checked_and_explained_without_a_registry() {
    let user = User::with_key();
    user.write(
        "p.yaml",
        "version: 1\nregistries: [ghcr.io]\nscopes:\n  - repository: ghcr.io/acme/**\n    signatures: [{anyOf: [{key: sealift.pub}]}]\n",
    );
    user.run(&["policy", "check", "p.yaml"])
        .assert_code(0)
        .assert_stdout("valid p.yaml")
        .assert_stdout("only in the registries ghcr.io")
        .assert_stdout("signed by key sha256:");
    user.run(&["policy", "explain", "--policy", "p.yaml", "ghcr.io/acme/app:1.0"])
        .assert_code(0)
        .assert_stdout("in one of the registries ghcr.io registries");
    user.run(&["policy", "explain", "--policy", "p.yaml", "alpine"]).assert_code(14).assert_stdout("no scope");
    let json = user.run(&["policy", "explain", "--policy", "p.yaml", "ghcr.io/acme/app", "--output", "json"]).json();
    assert_eq!(json["scopes"][0]["rules"][1]["rule"], "scopes[0].signatures[0]");
    user.write("bad.yaml", "version: 1\nscopes:\n  - repository: ghcr.io/acme/**\n    signature: []\n");
    user.run(&["policy", "check", "bad.yaml"])
        .assert_code(20)
        .assert_stderr("bad.yaml:4:5: scopes[0].signature: unknown field; known are repository, signatures");
    user.run(&["verify", "--policy", "bad.yaml", "ghcr.io/acme/app:1"]).assert_code(20);
    user.run(&["verify", "--policy", "p.yaml", "--key", "sealift.pub", "ghcr.io/acme/app:1"]).assert_code(2);
    user.run(&["verify", "ghcr.io/acme/app:1"]).assert_code(2).assert_stderr("--policy");
}

#[test]
fn what_is_past_its_end_of_life_is_denied_when_asked() {
    for (_, options) in both_kinds() {
        let registry = registry(options);
        let user = two_people(&registry);
        user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        let by_key = |flag: &str| user.at(&registry, &["verify", "--key", "sealift.pub", flag, "@team/app:v1"]);
        by_key("--fail-on-eol").assert_code(0).assert_stdout("nothing says that it has one");
        user.at(&registry, &["lifecycle", "show", "@team/app:v1"]).assert_code(0).assert_stdout("not marked");
        user.at(&registry, &["lifecycle", "set", "--eol", "soon", "@team/app:v1"]).assert_code(2);
        let set =
            ["lifecycle", "set", "--eol", "2023-07-10", "--successor", "app:v2", "--output", "json", "@team/app:v1"];
        let marker = user.at(&registry, &set).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
        user.at(&registry, &["tree", "@team/app:v1"]).assert_stdout("lifecycle");
        by_key("--all").assert_code(0);
        by_key("--fail-on-eol").assert_code(14).assert_stderr("it ended 2023-07-10T00:00:00Z; app:v2 replaces it");
        by_key("--fail-on-eol=7d").assert_code(14);
        by_key("--fail-on-eol=36500d").assert_code(0);
        // A key that did not sign is still the reason that counts.
        let other = ["verify", "--key", "other.pub", "--fail-on-eol=36500d", "@team/app:v1"];
        user.at(&registry, &other).assert_code(12);

        let shown =
            user.at(&registry, &["lifecycle", "show", "--output", "json", "@team/app:v1"]).assert_code(0).json();
        assert_eq!((&shown["hasEnded"], &shown["successor"]), (&json!(true), &json!("app:v2")));
        assert_eq!(shown["markers"][0]["digest"], marker);

        // A policy may demand to know who marked it.
        write_policy(&user, &registry, "signatures: [{anyOf: [release]}]\n    endOfLife: {anyOf: [other]}");
        verify(&user, &registry, &["@team/app:v1"]).assert_code(0);
        let by_other = ["lifecycle", "show", "--key", "other.pub", "@team/app:v1"];
        user.at(&registry, &by_other).assert_code(0).assert_stdout("not marked");
        user.at(&registry, &["sign", "--key", "other.key", &format!("@team/app@{marker}")]).assert_code(0);
        verify(&user, &registry, &["@team/app:v1"]).assert_code(14).assert_stdout("fail scopes[0].endOfLife");
        user.at(&registry, &by_other).assert_code(0).assert_stdout("signed by key sha256:");
    }
}

/// A stricter flag, and a marker or its signature that is lost, never turn a "no" into a "yes".
#[test]
fn an_end_of_life_that_cannot_be_told_is_not_allowed() {
    for (_, options) in both_kinds() {
        let registry = registry(options);
        let user = two_people(&registry);
        user.at(&registry, &["sign", "--key", "sealift.key", "-a", "build=1", "@team/app:v1"]).assert_code(0);
        write_policy(&user, &registry, "signatures: [{anyOf: [release]}]\n    endOfLife: {anyOf: [other]}");
        let set = ["lifecycle", "set", "--eol", "2020-01-01", "--output", "json", "@team/app:v1"];
        let marker = user.at(&registry, &set).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
        let sign = ["sign", "--key", "other.key", "--output", "json", &format!("@team/app@{marker}")];
        let signed = user.at(&registry, &sign).assert_code(0).json();
        let signature = signed["manifests"][0]["stored"][0]["digest"].as_str().unwrap().to_owned();
        verify(&user, &registry, &["@team/app:v1"]).assert_code(14);
        verify(&user, &registry, &["-a", "build=1", "@team/app:v1"]).assert_code(14);
        verify(&user, &registry, &["-a", "build=9", "-a", "build=1", "@team/app:v1"])
            .assert_code(2)
            .assert_stderr("annotation `build` cannot be both `9` and `1`");

        // The marker is gone, and what lists it is not.
        let show = |code: i32, word: &str| {
            let show = ["lifecycle", "show", "--key", "other.pub", "@team/app:v1"];
            user.at(&registry, &show).assert_code(code).assert_stdout(word);
        };
        registry.set_faults([Rule::new(Effect::Status(404)).on(Endpoint::Manifest).reference(&marker)]);
        verify(&user, &registry, &["@team/app:v1"]).assert_code(22).assert_stderr("may be a lifecycle marker");
        show(22, "unclear");
        // Its signature is.
        let manifest = registry.manifest("team/app", &signature).unwrap().parse().unwrap();
        let layer = manifest.layers[0].digest.to_string();
        for lost in [signature, layer] {
            registry.set_faults([Rule::new(Effect::Status(404)).reference(&lost)]);
            verify(&user, &registry, &["@team/app:v1"]).assert_code(22).assert_stderr(&marker);
            show(22, "unclear");
        }
        registry.clear_faults();
        show(0, "past its end of life");
    }
}

/// Row 18 of the scenarios: who may push may mark, and so could block every deployment.
#[test]
fn markers_of_those_who_are_named_count() {
    let registry = registry(RegistryOptions::default());
    let user = two_people(&registry);
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let set = ["lifecycle", "set", "--eol", "2020-01-01", "--output", "json", "@team/app:v1"];
    let marker = user.at(&registry, &set).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
    let by_key = |more: &[&str]| {
        let verify = ["verify", "--key", "sealift.pub", "--fail-on-eol"];
        user.at(&registry, &[&verify[..], more, &["@team/app:v1"]].concat())
    };
    by_key(&[]).assert_code(14);
    by_key(&["--eol-signed-by", "other.pub"]).assert_code(0).assert_stdout("nothing says that it has one");
    user.at(&registry, &["sign", "--key", "other.key", &format!("@team/app@{marker}")]).assert_code(0);
    by_key(&["--eol-signed-by", "other.pub"]).assert_code(14).assert_stdout("as marked by key sha256:");
    by_key(&["--eol-signed-by", "key=sealift.pub", "--eol-signed-by", "other.pub"]).assert_code(14);
    by_key(&["--eol-signed-by", "key=sealift.pub"]).assert_code(0);
    by_key(&["--eol-signed-by", "identity=dev@example.com"]).assert_code(2).assert_stderr("identity=NAME,ISSUER");
    by_key(&["--eol-signed-by", "gone.pub"]).assert_code(20);
    let alone = ["verify", "--key", "sealift.pub", "--eol-signed-by", "other.pub", "@team/app:v1"];
    user.at(&registry, &alone).assert_code(2);
}

/// JSON and the exit code give one answer, whichever rule or manifest is the reason.
#[test]
fn the_code_in_json_is_that_of_the_exit() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let user = &services.user;
    user.run(&["key", "generate"]).assert_code(0);
    let code = |args: &[&str], exit: i32| {
        let found = user.at(&registry, args).assert_code(exit).json();
        found["error"]["code"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{found}"))
    };
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let root = services.trust();
    let who = services.who();
    let identity: Vec<&str> = who.iter().chain(&root).map(String::as_str).collect();
    for more in [&[][..], &["--fail-on-eol"]] {
        let args = [&["verify", "--output", "json"][..], &identity, more, &["@team/app:v1"]].concat();
        assert_eq!(code(&args, 13), "NO_CERTIFICATE");
    }
    // One rule cannot be told, and another says no.
    user.at(&registry, &["lifecycle", "set", "--eol", "2020-01-01", "@team/app:v1"]).assert_code(0);
    let by_key = ["verify", "--key", "sealift.pub", "--output", "json", "--timeout", "200ms"];
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Blob)]);
    assert_eq!(code(&[&by_key[..], &["--fail-on-eol", "@team/app:v1"]].concat(), 14), "POLICY_DENIED");
    registry.clear_faults();

    // The index cannot be told, and one of its platforms is not signed.
    let index = fixture::index(7, &["amd64", "arm64"]);
    registry.add("team/app", &index, Some("multi")).unwrap();
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:multi"]).assert_code(0);
    let root = index.descriptor().digest.to_string();
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers).reference(&root)]);
    for more in [&[][..], &["--fail-on-eol"]] {
        let args = [&by_key[..], more, &["--recursive", "@team/app:multi"]].concat();
        assert_eq!(code(&args, 10), "NO_SIGNATURE", "{more:?}");
    }
}

#[test]
fn each_end_of_a_promotion_is_judged_by_its_own_scope() {
    let (source, destination) = (registry(RegistryOptions::default()), registry(RegistryOptions::default()));
    let user = two_people(&source);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let policy = |prod: &str| {
        let (staging, production) = (source.host(), destination.host());
        user.write(
            "p.yaml",
            format!(
                "version: 1\nsigners: {{release: {{key: sealift.pub}}, other: {{key: other.pub}}}}\nscopes:\n  \
                 - {{repository: {staging}/team/*, signatures: [{{anyOf: [release]}}]}}\n{}",
                if prod.is_empty() {
                    String::new()
                } else {
                    format!("  - {{repository: {production}/prod/*, {prod}}}\n")
                }
            ),
        );
    };
    let promote = |code: i32| user.run(&["promote", "--policy", "p.yaml", &from, &to]).assert_code(code);
    let is_write = |method: &str| matches!(method, "PUT" | "POST" | "PATCH" | "DELETE");
    policy("signatures: [{allOf: [release, other]}]");
    // The source's scope denies before anything is written.
    promote(14).assert_stdout("fail scopes[0].signatures[0]");
    assert!(destination.requests().iter().all(|request| !is_write(&request.method)));
    // The destination's denies what arrived before any tag is moved.
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    promote(14).assert_stdout("missing is other");
    assert!(destination.manifest("prod/app", "v1").is_none());
    let refused = user.run(&["promote", "--policy", "p.yaml", "--output", "json", &from, &to]).assert_code(14).json();
    assert_eq!(refused["error"]["code"], "POLICY_DENIED");
    assert_eq!(refused["decision"]["findings"][0]["rule"], "scopes[1].signatures[0]");
    let place = destination.reference("prod/app@sha256:");
    assert!(refused["reference"].as_str().is_some_and(|reference| reference.starts_with(&place)), "{refused}");
    assert_eq!(refused["source"], *from);
    // Without a scope for it, nothing is even tried.
    policy("");
    destination.clear_requests();
    promote(14).assert_stdout("no scope of the policy covers the repository");
    let plan = user.run(&["promote", "--policy", "p.yaml", "--dry-run", &from, &to]).assert_code(14);
    plan.assert_stdout("no scope of the policy covers the repository");
    assert!(destination.requests().is_empty(), "{:?}", destination.requests());
    policy("signatures: [{allOf: [release, other]}]");
    user.at(&source, &["sign", "--key", "other.key", "@team/app:v1"]).assert_code(0);
    promote(0);
    assert!(destination.manifest("prod/app", "v1").is_some());
    user.run(&["verify", "--policy", "p.yaml", &to]).assert_code(0);
}

#[test]
fn a_source_that_no_scope_covers_is_not_promoted() {
    let (source, destination) =
        (registry(RegistryOptions::default()), Registry::start(RegistryOptions::default()).unwrap());
    let user = two_people(&source);
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let policy = format!(
        "version: 1\nscopes:\n  - {{repository: {}/prod/*, signatures: [{{anyOf: [{{key: sealift.pub}}]}}]}}\n",
        destination.host()
    );
    user.write("p.yaml", policy);
    let run = ["promote", "--policy", "p.yaml", "--output", "json", &from, &to];
    let refused = user.run(&run).assert_code(14).json();
    assert_eq!(refused["decision"]["findings"][0]["code"], "no-scope");
    assert!(destination.requests().is_empty(), "{:?}", destination.requests());
    // Not by name either, only when told to judge it as something else.
    let as_prod = format!("{}/prod/app", destination.host());
    user.run(&[&run[..], &["--policy-repository", &as_prod]].concat()).assert_code(0);
}

#[test]
fn a_marker_counts_at_the_end_of_a_promotion_where_it_is() {
    let source = registry(RegistryOptions::default());
    let user = two_people(&source);
    user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    user.at(&source, &["lifecycle", "set", "--eol", "2023-07-10", "@team/app:v1"]).assert_code(0);
    let signed = "signatures: [{anyOf: [{key: sealift.pub}]}]";
    for (staging, production, flags, code) in [
        (", endOfLife: {}", "", &[][..], 14),
        // The marker stays behind, and the destination's rule does not see it,
        ("", ", endOfLife: {}", &[], 0),
        // unless it is taken along.
        ("", ", endOfLife: {}", &["--include-lifecycle"], 14),
    ] {
        let prod = Registry::start(RegistryOptions::default()).unwrap();
        let (from, to) = (source.reference("team/app:v1"), prod.reference("prod/app:v1"));
        let policy = format!(
            "version: 1\nscopes:\n  - {{repository: {}/team/*, {signed}{staging}}}\n  \
             - {{repository: {}/prod/*, {signed}{production}}}\n",
            source.host(),
            prod.host()
        );
        user.write("p.yaml", policy);
        user.run(&[&["promote", "--policy", "p.yaml", &from, &to][..], flags].concat()).assert_code(code);
        assert_eq!(prod.manifest("prod/app", "v1").is_some(), code == 0, "{staging}{production} {flags:?}");
    }
}
