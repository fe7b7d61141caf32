//! The emulated registries as people meet them, what `sealift registry` says of them, and logins shared with other tools.

use std::path::Path;

use sealift_sandbox::fixture;
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Effect, Emulation, Endpoint, Registry, Rule};

use crate::support::User;

/// A registry that holds `team/app:v1`, and a user who is logged in to it.
fn logged_in(user: &User, emulation: Emulation) -> Registry {
    let registry = Registry::start(emulation.options()).unwrap();
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let host = registry.host();
    user.run(&["login", "-u", emulation.user(), "-p", Emulation::PASSWORD, &host]).assert_code(0);
    registry
}

#[test]
fn images_are_signed_verified_and_shown_at_every_registry() {
    let user = User::with_key();
    // What is in quarantine is another matter: see `quarantine.rs`.
    for emulation in Emulation::all().filter(|emulation| *emulation != Emulation::AcrQuarantine) {
        let registry = logged_in(&user, emulation);
        let reference = registry.reference("team/app:v1");
        user.run(&["sign", "--key", "sealift.key", &reference]).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", &reference]).assert_code(0);
        user.run(&["tree", &reference]).assert_code(0).assert_stdout("signature");
        user.run(&["logout", &registry.host()]).assert_code(0);
    }
}

#[test]
fn refusals_are_explained_in_the_registrys_words() {
    let user = User::with_key();
    let registry = Registry::start(Emulation::Ecr.options()).unwrap();
    let host = registry.host();
    user.run(&["login", "-u", "AWS", "-p", Emulation::PASSWORD, &host]).assert_code(0);
    let source = Registry::start(Default::default()).unwrap();
    source.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let (from, to) = (source.reference("team/app:v1"), registry.reference("team/app:v1"));
    user.run(&["copy", &from, &to]).assert_code(11).assert_stderr("has no such repository");
    let expired = registry.reference("team/app:v1");
    let password = ["--registry-username", "AWS", "--registry-password", "yesterday's"];
    user.run(&[&["tree", &expired], &password[..]].concat()).assert_stderr("denies the resolve");

    let mut options = Emulation::DockerHub.options();
    options.quirks.pull_limit.as_mut().unwrap().pulls = 0;
    let registry = Registry::start(options).unwrap();
    registry.add("library/app", &fixture::image(1), Some("v1")).unwrap();
    let reference = registry.reference("library/app:v1");
    let limited = user.run(&["verify", "--key", "sealift.pub", "--timeout", "2s", &reference]);
    limited.assert_code(22).assert_stderr("throttles requests");
}

#[test]
fn authentication_is_shown_as_text_and_json() {
    let user = User::new();
    let registry = logged_in(&user, Emulation::Ghcr);
    let place = registry.reference("team/app");
    let shown = user.run(&["registry", "auth", &place]).assert_code(0);
    let shown = shown
        .assert_stdout("credentials: password of user, from ")
        .assert_stdout("/v2/_catalog  HTTP 401")
        .assert_stdout(&format!("asks for bearer realm={}/token service=ghcr.io", registry.url()))
        .assert_stdout("scope=repository:user/image:pull")
        .assert_stdout("token for repository:team/app:pull, lifetime not told")
        .assert_stdout("then HTTP 200");
    assert!(!shown.stdout.contains(Emulation::PASSWORD) && !shown.stdout.contains("access-"), "{}", shown.stdout);
    let json = user.run(&["registry", "auth", &place, "--output", "json"]).assert_code(0).json();
    assert_eq!(json["probes"][3]["place"], "repository");
    assert_eq!(json["probes"][3]["token"]["granted"], true);
    assert_eq!(json["probes"][3]["authorized"]["status"], 200);
    user.run(&["logout", &registry.host()]).assert_code(0);
    user.run(&["registry", "auth", &place]).assert_code(21).assert_stdout("no token for repository:team/app:pull");
    user.run(&["registry", "auth", &registry.host()]).assert_code(21);
    drop(registry);
    user.run(&["registry", "auth", &place]).assert_code(22);
}

#[test]
fn capabilities_are_shown_as_text_and_json() {
    let user = User::new();
    let registry = logged_in(&user, Emulation::GhcrRedirecting);
    let reference = registry.reference("team/app:v1");
    let read = user.run(&["registry", "probe", &reference]).assert_code(0);
    read.assert_stdout("referrers-api        no         it answers HTTP 303, about nothing, too")
        .assert_stdout("mount                not tried");
    let written = user.run(&["registry", "probe", "--write-test", &reference, "--output", "json"]).assert_code(0);
    let written = written.assert_stderr("did not let these be removed again: sealift-probe-");
    let json = written.json();
    let findings = json["findings"].as_array().unwrap();
    let of = |name: &str| findings.iter().find(|finding| finding["capability"] == name).unwrap();
    assert_eq!(of("upload-cancel")["verdict"], "no");
    assert_eq!(of("delete-tag")["detail"], "HTTP 405 UNSUPPORTED");
    assert!(json["leftBehind"].as_array().unwrap().len() >= 3, "{json}");

    let registry = logged_in(&user, Emulation::Zot);
    let reference = registry.reference("team/app:v1");
    registry.set_faults([Rule::new(Effect::Status(503)).on(Endpoint::Referrers)]);
    let probed = user.run(&["registry", "probe", "--timeout", "1s", "--write-test", &reference]);
    probed.assert_code(0).assert_stdout("referrers-api        unknown").assert_stdout("delete-tag           yes");
    assert_eq!(registry.tags("team/app"), ["v1"], "as it was");
    user.run(&["registry", "probe", "oci-layout://x"]).assert_code(1);
}

#[test]
fn logins_are_shared_with_oras_and_cosign() {
    let Some(peers) = Peers::find() else { return };
    let registry = DockerRegistry::start_with(&peers, wants_password).unwrap();
    let host = registry.host();
    let user = User::with_key();
    let source = Registry::start(Default::default()).unwrap();
    source.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let image = format!("{host}/team/app:v1");
    let oras = |arguments: &[&str]| user.run_command(user.command(peers.path("oras")).args(arguments));

    user.run(&["copy", &source.reference("team/app:v1"), &image]).assert_code(21);
    user.run(&["login", "-u", "user", "-p", "wrong", &host]).assert_code(21);
    user.run(&["login", "-u", "user", "-p", "pass", &host]).assert_code(0);
    user.run(&["copy", &source.reference("team/app:v1"), &image]).assert_code(0);
    oras(&["repo", "tags", "--plain-http", &format!("{host}/team/app")]).assert_code(0).assert_stdout("v1");
    user.run(&["sign", "--key", "sealift.key", &image]).assert_code(0);
    let mut cosign = user.command(peers.path("cosign3"));
    let cosign = cosign.args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog", &image]);
    user.run_command(cosign).assert_code(0);

    user.run(&["logout", &host]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &image]).assert_code(21);
    oras(&["login", "--plain-http", "-u", "user", "-p", "pass", &host]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &image]).assert_code(0);
    oras(&["logout", &host]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &image]).assert_code(21);

    let mut cosign = user.command(peers.path("cosign3"));
    user.run_command(cosign.args(["login", "-u", "user", "-p", "pass", &host])).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &image]).assert_code(0);
    user.run(&["registry", "auth", &format!("{host}/team/app")])
        .assert_code(0)
        .assert_stdout("asks for basic realm=test");
}

/// Configures a registry that wants the password `pass` of `user`.
fn wants_password(files: &Path) -> String {
    let path = files.join("htpasswd");
    std::fs::write(&path, HTPASSWD).unwrap();
    format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display())
}

/// `user:pass`, hashed with bcrypt, the only kind that distribution reads, in the fewest rounds: each request costs one.
const HTPASSWD: &str = "user:$2b$04$CsiC1w2NihX/3nF3FsI/C.wuMW.zSYh6O7104AqYos/JICwiNflVG\n";
