//! Configuration files, and mirrors by them.

use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::support::{User, registry};

/// A registry with `team/app:v1`, signed, and a copy of it at `hub/app` of a mirror.
fn world(user: &User) -> (Registry, Registry) {
    let original = registry(RegistryOptions::default());
    let mirror = Registry::start(RegistryOptions::default()).unwrap();
    user.at(&original, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let (from, to) = (original.reference("team/app:v1"), mirror.reference("hub/app:v1"));
    user.run(&["copy", &from, &to]).assert_code(0);
    original.clear_requests();
    mirror.clear_requests();
    (original, mirror)
}

fn rule(original: &Registry, mirror: &Registry, more: &str) -> String {
    let (of, at) = (original.reference("team"), mirror.reference("hub"));
    format!("registries:\n  mirrors:\n    - of: {of}\n      at: [{at}]\n{more}")
}

fn reads(registry: &Registry) -> usize {
    registry.requests().iter().filter(|request| request.method == "GET").count()
}

#[test]
fn mirrors_are_read_and_the_original_is_verified() {
    let user = User::with_key();
    let (original, mirror) = world(&user);
    user.write(".sealift.yaml", rule(&original, &mirror, ""));
    let verify = ["verify", "--key", "sealift.pub", "--output", "json", "@team/app:v1"];
    let verified = user.at(&original, &verify).assert_code(0);
    assert!(verified.stdout.contains(&original.host()) && !verified.stdout.contains(&mirror.host()));
    assert!(reads(&mirror) > 0 && reads(&original) > 0);
    // Signing writes to the original and never to the mirror.
    user.at(
        &original,
        &["attest", "--key", "sealift.key", "--type", "custom", "--predicate", "sealift.pub", "@team/app:v1"],
    )
    .assert_code(0);
    assert!(mirror.requests().iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")));
}

#[test]
fn a_mirror_stands_in_where_the_user_says_so() {
    let user = User::with_key();
    let (original, mirror) = world(&user);
    let never = rule(&original, &mirror, "      original: never\n");
    std::fs::create_dir_all(user.path(".config/sealift")).unwrap();
    user.write(".config/sealift/config.yaml", &never);
    let verify = ["verify", "--key", "sealift.pub", "@team/app:v1"];
    user.at(&original, &verify).assert_code(0);
    assert_eq!(original.requests().len(), 0);
    // The named file is read instead, by flag before the environment.
    user.write("other.yaml", "registries: {}\n");
    user.at(&original, &[&verify[..], &["--config", "other.yaml"]].concat()).assert_code(0);
    assert!(reads(&original) > 0);
    let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
    command.args(["verify", "--key", "sealift.pub", "--config", "other.yaml", &original.reference("team/app:v1")]);
    user.run_command(command.env("SEALIFT_CONFIG", "nowhere.yaml")).assert_code(0);
    let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
    command.args(["verify", "--key", "sealift.pub", &original.reference("team/app:v1")]);
    user.run_command(command.env("SEALIFT_CONFIG", "nowhere.yaml")).assert_code(20).assert_stderr("nowhere.yaml");
}

#[test]
fn a_file_that_is_not_usable_says_where() {
    let user = User::with_key();
    let (original, mirror) = world(&user);
    let verify = ["verify", "--key", "sealift.pub", "@team/app:v1"];
    user.write(".sealift.yaml", rule(&original, &mirror, "      original: never\n"));
    user.at(&original, &verify).assert_code(20).assert_stderr(".sealift.yaml:5:7: registries.mirrors[0].original");
    user.write(".sealift.yaml", "mirrors: []\n");
    user.at(&original, &verify).assert_code(20).assert_stderr(".sealift.yaml:1:1: mirrors: unknown field");
}
