//! `sealift login`, `logout`, and the credentials that commands send.

use std::io::Write as _;
use std::process::Stdio;

use sealift_sandbox::registry::{Auth, Registry, RegistryOptions};

use crate::support::{User, registry};

#[test]
fn a_login_lets_every_command_in() {
    for auth in [Auth::basic("alice", "secret"), Auth::token("alice", "secret")] {
        let (user, registry) = (User::with_key(), registry(RegistryOptions::default().with_auth(auth)));
        let sign = ["sign", "--key", "sealift.key", "@team/app:v1"];
        let refused = user.at(&registry, &sign).assert_code(21);
        refused.assert_stderr(&format!("sealift login {}", registry.host()));
        let wrong = user.run(&["login", "-u", "alice", "-p", "wrong", &registry.host()]);
        wrong.assert_code(21);
        user.at(&registry, &sign).assert_code(21);
        login(&user, &registry);
        user.at(&registry, &sign).assert_code(0);
        user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(0);
        user.run(&["logout", &registry.host()]).assert_code(0).assert_stdout("logged out");
        user.at(&registry, &["verify", "--key", "sealift.pub", "@team/app:v1"]).assert_code(21);
        let flags = ["--registry-username", "alice", "--registry-password", "secret"];
        user.at(&registry, &[&["verify", "--key", "sealift.pub", "@team/app:v1"], &flags[..]].concat()).assert_code(0);
    }
}

fn login(user: &User, registry: &Registry) {
    let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
    command.args(["login", "-u", "alice", "--password-stdin", &registry.host()]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    assert!(child.wait().unwrap().success());
    let stored = std::fs::read_to_string(user.path(".docker/config.json")).unwrap();
    assert!(stored.contains(&registry.host()), "{stored}");
}

#[test]
fn a_logout_says_where_credentials_are_left() {
    let user = User::new();
    let entries = r#"{"auths":{"reg.test":{"auth":"dTpw"},"https://reg.test/v2/":{"auth":"dTpw"}}}"#;
    std::fs::create_dir(user.path(".docker")).unwrap();
    user.write(".docker/config.json", entries);
    user.write("auth.json", entries);
    let mut logout = user.command(env!("CARGO_BIN_EXE_sealift"));
    logout.args(["logout", "reg.test"]).env("REGISTRY_AUTH_FILE", user.path("auth.json"));
    let outcome = user.run_command(&mut logout).assert_code(0).assert_stdout("logged out");
    outcome.assert_stderr("auth.json still has credentials for reg.test");
    user.run(&["logout", "reg.test"]).assert_code(0).assert_stdout("not logged in");
}

#[test]
fn each_end_of_a_promotion_has_its_own_account() {
    let source = registry(RegistryOptions::default().with_auth(Auth::basic("reader", "one")));
    let destination = Registry::start(RegistryOptions::default().with_auth(Auth::token("writer", "two"))).unwrap();
    let user = User::with_key();
    let account = ["--registry-username", "reader", "--registry-password", "one"];
    user.at(&source, &[&["sign", "--key", "sealift.key", "@team/app:v1"], &account[..]].concat()).assert_code(0);
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let ends =
        ["--from-username", "reader", "--from-password", "one", "--to-username", "writer", "--to-password", "two"];
    user.run(&[&["promote", "--key", "sealift.pub", &from, &to], &ends[..]].concat()).assert_code(0);
    user.run(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(21);
}
