//! `sealift login`, `logout`, and the credentials that commands send.

use std::io::{Read as _, Write as _};
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

#[test]
fn a_password_or_a_token_is_for_one_end() {
    let source = registry(RegistryOptions::default().with_auth(Auth::basic("reader", "one")));
    let destination = Registry::start(RegistryOptions::default().with_auth(Auth::token("writer", "two"))).unwrap();
    let user = User::new();
    let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
    let copy = |flags: &[&str], typed: &str| {
        let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
        command.args(["copy", &from, &to]).args(flags).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        child.wait().unwrap().code()
    };
    let reader = ["--from-username", "reader", "--from-password", "one"];
    let writer = ["--to-username", "writer", "--to-password-stdin"];
    assert_eq!(copy(&[&reader[..], &writer[..]].concat(), "wrong\n"), Some(21));
    assert_eq!(copy(&[&reader[..], &writer[..]].concat(), "two\n"), Some(0));
    let piped = ["--from-username", "reader", "--from-password-stdin"];
    assert_eq!(copy(&[&piped[..], &writer[..]].concat(), "two\n"), Some(2), "there is one standard input");
    assert_eq!(copy(&["--from-username", "reader"], ""), Some(2));

    let token = token_of(&destination, "prod/app");
    assert_eq!(copy(&[&reader[..], &["--to-token", &token]].concat(), ""), Some(0));
    assert_eq!(copy(&[&reader[..], &["--to-token", "stale"]].concat(), ""), Some(21));
    // A token for one end opens nothing at the other.
    assert_eq!(copy(&["--from-token", &token], ""), Some(21));
    assert_eq!(copy(&[&reader[..], &["--registry-token", &token]].concat(), ""), Some(0));
}

/// Asks the registry's token service for a token that may push.
fn token_of(registry: &Registry, repository: &str) -> String {
    let host = registry.host();
    let mut stream = std::net::TcpStream::connect(&host).unwrap();
    let query = format!("service={host}&scope=repository:{repository}:pull,push");
    // writer:two
    let head = format!("GET /token?{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic d3JpdGVyOnR3bw==\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value =
        serde_json::from_str(&body[body.find('{').unwrap()..=body.rfind('}').unwrap()]).unwrap();
    body["token"].as_str().or(body["access_token"].as_str()).unwrap().to_owned()
}
