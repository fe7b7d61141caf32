//! Signatures in another repository, as `COSIGN_REPOSITORY` names it: beside cosign, both ways.

use sealift_sandbox::fixture;
use sealift_sandbox::peers::Peers;
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::support::{Outcome, User, both_kinds, registry};

const COSIGN_REPOSITORY: &str = "COSIGN_REPOSITORY";

/// A user whose signatures are in `sigs/all`.
struct Apart<'a> {
    user: &'a User,
    registry: &'a Registry,
}

impl Apart<'_> {
    fn run(&self, program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Outcome {
        let mut command = self.user.command(program);
        self.user.run_command(command.args(args).env(COSIGN_REPOSITORY, self.registry.reference("sigs/all")))
    }

    fn sealift(&self, args: &[&str]) -> Outcome {
        self.run(env!("CARGO_BIN_EXE_sealift"), args)
    }
}

#[test]
fn signatures_are_written_read_and_promoted_from_apart() {
    for (kind, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        let apart = Apart { user: &user, registry: &registry };
        let image = registry.reference("team/app:v1");
        for format in ["bundle", "legacy"] {
            apart.sealift(&["sign", "--key", "sealift.key", "--format", format, &image]).assert_code(0);
        }
        user.write("p.json", "{}");
        let attest = ["attest", "--key", "sealift.key", "--type", "custom", "--predicate", "p.json", &image];
        apart.sealift(&attest).assert_code(0);
        assert_eq!(registry.tags("team/app"), ["v1"], "{kind}");
        let digest = fixture::image(1).digest().clone();
        assert!(registry.referrers("team/app", &digest).is_empty(), "{kind}");

        let verify = ["verify", "--key", "sealift.pub", &image];
        apart.sealift(&verify).assert_code(0);
        user.run(&verify).assert_code(10);
        let flag = registry.reference("sigs/all");
        user.run(&[&verify[..], &["--signature-repository", &flag]].concat()).assert_code(0);
        apart
            .sealift(&[&verify[..], &["--signature-repository", &registry.reference("sigs/none")]].concat())
            .assert_code(10);
        let tree = apart.sealift(&["tree", &image]).assert_code(0);
        assert!(tree.stdout.contains("signature"), "{}", tree.stdout);
        let to = registry.reference("prod/app:v1");
        apart.sealift(&["promote", "--key", "sealift.pub", &image, &to]).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", &to]).assert_code(0);
    }
}

#[test]
fn a_place_for_signatures_is_a_repository() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let image = registry.reference("team/app:v1");
    for place in ["reg.test/sigs:v1", "oci-layout://sigs", "Reg.test/Sigs"] {
        user.run(&["verify", "--key", "sealift.pub", "--signature-repository", place, &image]).assert_code(2);
    }
}

#[test]
fn cosign_finds_what_we_keep_apart_and_we_what_cosign_does() {
    let Some(peers) = Peers::find() else { return };
    for (_, options) in both_kinds() {
        let (user, registry) = (User::with_key(), registry(options));
        registry.add("team/three", &fixture::image(3), Some("v1")).unwrap();
        registry.add("team/two", &fixture::image(2), Some("v1")).unwrap();
        let apart = Apart { user: &user, registry: &registry };
        let (cosign2, cosign3) = (peers.path("cosign2"), peers.path("cosign3"));
        let ours = format!("{}@{}", registry.reference("team/app"), fixture::image(1).digest());
        apart.sealift(&["sign", "--key", "sealift.key", "--format", "both", &ours]).assert_code(0);
        let verify = ["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"];
        apart.run(&cosign3, &[&verify[..], &[&ours]].concat()).assert_code(0);
        apart.run(&cosign2, &[&verify[..], &["--private-infrastructure", &ours]].concat()).assert_code(0);

        let sign = ["sign", "--key", "sealift.key", "--tlog-upload=false", "-y"];
        let three = format!("{}@{}", registry.reference("team/three"), fixture::image(3).digest());
        apart.run(&cosign3, &[&sign[..], &["--use-signing-config=false", &three]].concat()).assert_code(0);
        let two = format!("{}@{}", registry.reference("team/two"), fixture::image(2).digest());
        apart.run(&cosign2, &[&sign[..], &[&two]].concat()).assert_code(0);
        for reference in [three, two] {
            apart.sealift(&["verify", "--key", "sealift.pub", &reference]).assert_code(0);
            user.run(&["verify", "--key", "sealift.pub", &reference]).assert_code(10);
        }
    }
}

#[test]
fn the_names_of_attachments_are_those_apart() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let apart = Apart { user: &user, registry: &registry };
    let image = registry.reference("team/app:v1");
    apart.sealift(&["sign", "--key", "sealift.key", "--format", "legacy", &image]).assert_code(0);
    let named = apart.sealift(&["triangulate", &image]).assert_code(0).stdout;
    let tag = registry.tags("sigs/all").pop().unwrap();
    assert_eq!(named.trim(), registry.reference(&format!("sigs/all:{tag}")));
    let flag = ["triangulate", "--type", "referrers", "--signature-repository", "other.test/sigs", &image];
    user.run(&flag).assert_code(0).assert_stdout("other.test/sigs:sha256-");
    let digest = apart.sealift(&["triangulate", "--type", "digest", &image]).assert_code(0);
    digest.assert_stdout(&registry.reference("team/app@sha256:"));
}
