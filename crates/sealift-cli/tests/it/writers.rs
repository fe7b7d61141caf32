//! Many processes attach to one subject at once, and nothing is lost, whatever the registry does about conditions.

use std::process::{Child, Stdio};

use sealift_sandbox::fixture;
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::support::{User, registry, write_layout};

/// Processes at once.
const WRITERS: usize = 32;

/// Runs one process for each of `lines`, all at once, and fails unless each ends well.
fn all_at_once(user: &User, lines: Vec<Vec<String>>) {
    let children: Vec<Child> = lines
        .iter()
        .map(|args| {
            let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (child, args) in children.into_iter().zip(lines) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn attach(user: &User, reference: &str) {
    let line = |number: usize| {
        let kind = format!("application/x.writer-{number}");
        ["attach", "--type", &kind, reference].map(str::to_owned).to_vec()
    };
    all_at_once(user, (0..WRITERS).map(line).collect());
    let tree = user.run(&["tree", "--output", "json", reference]).assert_code(0).json();
    let attached = tree["root"]["children"].as_array().map_or(0, Vec::len);
    assert_eq!(attached, WRITERS, "{tree:#}");
}

/// Stores signatures made elsewhere under cosign's `.sig` tag.
fn attach_signatures(user: &User, reference: &str) {
    let line = |number: usize| {
        let (payload, signature) = (format!("payload-{number}"), format!("signature-{number}"));
        user.write(&payload, format!("payload {number}"));
        user.write(&signature, "c2lnbmF0dXJl");
        ["attach", "signature", "--payload", &payload, "--signature", &signature, reference].map(str::to_owned).to_vec()
    };
    all_at_once(user, (0..WRITERS).map(line).collect());
    let held = user.run(&["inspect", "--raw", "payload", reference]).assert_code(0).stdout;
    let lost: Vec<_> =
        (0..WRITERS).filter(|number| !held.lines().any(|line| line == format!("payload {number}"))).collect();
    assert_eq!(lost, Vec::<usize>::new(), "{held}");
}

fn fallback(conditional_writes: bool) -> Registry {
    registry(RegistryOptions { conditional_writes, ..RegistryOptions::distribution() })
}

#[test]
fn nobody_is_lost_in_a_registry_that_honours_conditions() {
    let (user, registry) = (User::new(), fallback(true));
    let reference = registry.reference("team/app:v1");
    attach(&user, &reference);
    attach_signatures(&user, &reference);
}

#[test]
fn nobody_is_lost_in_a_registry_that_ignores_conditions() {
    let (user, registry) = (User::new(), fallback(false));
    let reference = registry.reference("team/app:v1");
    attach(&user, &reference);
    attach_signatures(&user, &reference);
}

#[test]
fn nobody_is_lost_in_docker_registry() {
    let Some(peers) = Peers::find() else { return };
    let (user, registry) = (User::new(), DockerRegistry::start(&peers).unwrap());
    write_layout(&user.path("layout"), &fixture::image(1), "v1");
    let reference = format!("{}/team/app:v1", registry.host());
    user.run(&["copy", "oci-layout://layout:v1", &reference]).assert_code(0);
    attach(&user, &reference);
    attach_signatures(&user, &reference);
}

#[test]
fn nobody_is_lost_in_a_layout() {
    let user = User::new();
    write_layout(&user.path("layout"), &fixture::image(1), "v1");
    attach(&user, "oci-layout://layout:v1");
    attach_signatures(&user, "oci-layout://layout:v1");
}
