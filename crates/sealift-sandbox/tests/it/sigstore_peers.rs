//! The real clients against the Sigstore services, with their normal checks on: cosign 3, cosign 2, sigstore-python.
//!
//! `crates/sealift-cli/tests/peers/install` and `install-python` bring them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealift_sandbox::external::installed;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use sealift_sandbox::sigstore::{Identity, KeyKind, Sigstore, SigstoreFiles, SigstoreOptions};
use tempfile::TempDir;

#[test]
fn cosign_3_signs_and_verifies_blobs_with_either_log() {
    let keys = [(KeyKind::Ed25519, KeyKind::EcdsaP256), (KeyKind::EcdsaP256, KeyKind::Rsa2048)];
    for (rekor_v2_key, timestamp_key) in keys {
        let options = SigstoreOptions { rekor_v2_key, timestamp_key, ..SigstoreOptions::default() };
        let Some(bench) = Bench::new("cosign3", options) else { return };
        let root = bench.files.trusted_root.as_path();
        for config in [&bench.files.signing_config, &bench.files.signing_config_v1] {
            let sign = bench.peer(&["sign-blob", "-y", "--bundle", "bundle.json", "blob"]);
            passes(with(sign, "--signing-config", config).arg("--trusted-root").arg(root).args(bench.token()));
            let verify = || {
                let verify = bench.peer(&["verify-blob", "--new-bundle-format", "--use-signed-timestamps", "blob"]);
                with(with(verify, "--trusted-root", root), "--bundle", Path::new("bundle.json"))
            };
            passes(verify().args(bench.who()));
            fails(
                verify()
                    .args(["--certificate-identity", "eve@example.com", "--certificate-oidc-issuer"])
                    .arg(bench.issuer()),
            );
        }
    }
}

#[test]
fn cosign_3_signs_attests_and_verifies_images() {
    let Some(bench) = Bench::new("cosign3", SigstoreOptions::default()) else { return };
    let (_registry, image) = image();
    let root = bench.files.trusted_root.as_path();
    for config in [&bench.files.signing_config, &bench.files.signing_config_v1] {
        let sign = with(with(bench.peer(&["sign", "-y", &image]), "--signing-config", config), "--trusted-root", root);
        passes(with_args(sign, bench.token()));
        let attest = bench.peer(&["attest", "-y", "--type", "custom", "--predicate", "predicate.json", &image]);
        let attest = with(with(attest, "--signing-config", config), "--trusted-root", root);
        passes(with_args(attest, bench.token()));
    }
    let verify = bench.peer(&["verify", "--use-signed-timestamps", &image]);
    let verified = passes(with(verify, "--trusted-root", root).args(bench.who()));
    assert!(verified.contains("transparency log was verified"), "{verified}");
    let verify = bench.peer(&["verify-attestation", "--use-signed-timestamps", "--type", "custom", &image]);
    passes(with(verify, "--trusted-root", root).args(bench.who()));
}

#[test]
fn cosign_3_trusts_the_tuf_repository() {
    let Some(bench) = Bench::new("cosign3", SigstoreOptions::default()) else { return };
    bench.sigstore.rotate_root().unwrap();
    let initialize = bench.peer(&["initialize", "--mirror", &bench.sigstore.urls().tuf]);
    passes(with(initialize, "--root", &bench.files.tuf_root));
    passes(bench.peer(&["sign-blob", "-y", "--bundle", "bundle.json", "blob"]).args(bench.token()));
    let verify = bench.peer(&["verify-blob", "--use-signed-timestamps", "--bundle", "bundle.json", "blob"]);
    passes(with_args(verify, bench.who()));
}

#[test]
fn cosign_3_signs_after_the_device_flow() {
    let Some(bench) = Bench::new("cosign3", SigstoreOptions::default()) else { return };
    let sign = bench.peer(&["sign-blob", "-y", "--fulcio-auth-flow", "device", "--bundle", "bundle.json", "blob"]);
    let sign = with(sign, "--signing-config", &bench.files.signing_config);
    passes(with(sign, "--trusted-root", &bench.files.trusted_root));
}

#[test]
fn cosign_3_signs_in_a_job_and_verifies_its_claims() {
    let options = SigstoreOptions { identity: Identity::workflow("acme/app"), ..SigstoreOptions::default() };
    let Some(bench) = Bench::new("cosign3", options) else { return };
    let sign = bench.peer(&["sign-blob", "-y", "--bundle", "bundle.json", "blob"]);
    let sign = with(sign, "--signing-config", &bench.files.signing_config);
    passes(with(sign, "--trusted-root", &bench.files.trusted_root).envs(bench.sigstore.actions_environment()));
    let verify = |repository: &str| {
        let verify = bench.peer(&["verify-blob", "--use-signed-timestamps", "--bundle", "bundle.json", "blob"]);
        let verify = with(verify, "--trusted-root", &bench.files.trusted_root);
        let claims = ["--certificate-github-workflow-trigger", "push", "--certificate-github-workflow-repository"];
        with_args(
            with_args(verify, bench.who()),
            [claims.map(str::to_owned).to_vec(), vec![repository.to_owned()]].concat(),
        )
    };
    passes(verify("acme/app"));
    fails(verify("acme/other"));
}

#[test]
fn cosign_3_verifies_a_name_that_is_no_address() {
    let options =
        SigstoreOptions { identity: Identity::Username { name: "anna".to_owned() }, ..SigstoreOptions::default() };
    let Some(bench) = Bench::new("cosign3", options) else { return };
    assert_eq!(bench.identity.subject(), "anna!sandbox.example");
    let sign = bench.peer(&["sign-blob", "-y", "--bundle", "bundle.json", "blob"]);
    let sign = with(sign, "--signing-config", &bench.files.signing_config);
    passes(with(sign, "--trusted-root", &bench.files.trusted_root).args(bench.token()));
    let verify = bench.peer(&["verify-blob", "--use-signed-timestamps", "--bundle", "bundle.json", "blob"]);
    passes(with(verify, "--trusted-root", &bench.files.trusted_root).args(bench.who()));
}

#[test]
fn cosign_2_signs_and_verifies_with_the_first_log() {
    let Some(bench) = Bench::new("cosign2", SigstoreOptions::default()) else { return };
    let (_registry, image) = image();
    let urls = bench.sigstore.urls();
    let timestamp = format!("{}/api/v1/timestamp", urls.timestamp);
    let services = ["--fulcio-url", &urls.fulcio, "--rekor-url", &urls.rekor_v1];
    passes(bench.peer(&["sign-blob", "-y", "--bundle", "bundle.json", "blob"]).args(services).args(bench.token()));
    let verify = || with(bench.peer(&["verify-blob", "blob"]), "--bundle", Path::new("bundle.json"));
    passes(verify().args(["--rekor-url", &urls.rekor_v1]).args(bench.who()));
    fails(bench.peer(&["verify-blob", "--bundle", "bundle.json", "predicate.json"]).args(bench.who()));

    passes(bench.peer(&["sign", "-y", &image]).args(services).args(bench.token()));
    passes(bench.peer(&["verify", &image, "--rekor-url", &urls.rekor_v1]).args(bench.who()));
    let attest = bench.peer(&["attest", "-y", "--type", "custom", "--predicate", "predicate.json", &image]);
    passes(with_args(attest, services).args(bench.token()));
    let verify = bench.peer(&["verify-attestation", "--type", "custom", &image, "--rekor-url", &urls.rekor_v1]);
    passes(with_args(verify, bench.who()));

    let stamped = bench.peer(&["sign-blob", "-y", "--rfc3161-timestamp", "stamp", "--bundle", "bundle.json", "blob"]);
    let stamped =
        with_args(stamped, services).args(["--timestamp-server-url", &timestamp]).args(bench.token()).output();
    assert!(stamped.unwrap().status.success());
}

#[test]
fn sigstore_python_signs_and_verifies_with_either_log() {
    let Some(bench) = Bench::new("sigstore", SigstoreOptions::default()) else { return };
    let token = std::fs::read_to_string(&bench.files.token).unwrap();
    for config in [&bench.files.trust_config, &bench.files.trust_config_v1] {
        let peer = || with(bench.peer(&[]), "--trust-config", config);
        let sign = ["sign", "--overwrite", "--bundle", "bundle.json", "--identity-token", &token, "blob"];
        passes(peer().args(sign));
        let verify = ["verify", "identity", "--bundle", "bundle.json", "--cert-oidc-issuer", &bench.issuer()];
        passes(peer().args(verify).args(["--cert-identity", "dev@example.com", "blob"]));
        fails(peer().args(verify).args(["--cert-identity", "eve@example.com", "blob"]));
    }
}

#[test]
fn sigstore_python_trusts_the_tuf_repository() {
    let Some(bench) = Bench::new("sigstore", SigstoreOptions::default()) else { return };
    let token = std::fs::read_to_string(&bench.files.token).unwrap();
    let peer = || bench.peer(&["--instance", &bench.sigstore.urls().tuf]);
    passes(peer().arg("trust-instance").arg(&bench.files.tuf_root));
    passes(peer().args(["sign", "--bundle", "bundle.json", "--identity-token", &token, "blob"]));
    let verify = ["verify", "identity", "--bundle", "bundle.json", "--cert-oidc-issuer", &bench.issuer()];
    passes(peer().args(verify).args(["--cert-identity", "dev@example.com", "blob"]));
}

/// A peer in a folder of its own, with a sandbox.
struct Bench {
    program: PathBuf,
    folder: TempDir,
    sigstore: Sigstore,
    files: SigstoreFiles,
    identity: Identity,
}

impl Bench {
    /// Returns a peer, or nothing, having said so, where it is not installed.
    fn new(peer: &str, options: SigstoreOptions) -> Option<Self> {
        let program = installed(&format!("{}/{peer}", if peer == "sigstore" { "venv/bin" } else { "bin" }))?;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("blob"), "what is signed\n").unwrap();
        std::fs::write(folder.path().join("predicate.json"), "{\"passed\": true}").unwrap();
        let identity = options.identity.clone();
        let sigstore = Sigstore::start(options).unwrap();
        let files = sigstore.write_files(&folder.path().join("config")).unwrap();
        Some(Self { program, folder, sigstore, files, identity })
    }

    /// Returns a call that sees neither this user's settings nor this machine's.
    fn peer(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        if self.program.ends_with("cosign2") {
            command
                .env("SIGSTORE_ROOT_FILE", &self.files.fulcio_chain)
                .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", &self.files.ct_log_key)
                .env("SIGSTORE_REKOR_PUBLIC_KEY", &self.files.rekor_key);
        }
        command
    }

    fn issuer(&self) -> String {
        self.sigstore.issuer(&self.identity)
    }

    fn token(&self) -> Vec<String> {
        vec!["--identity-token".to_owned(), self.files.token.display().to_string()]
    }

    fn who(&self) -> Vec<String> {
        let flags = ["--certificate-identity", &self.identity.subject(), "--certificate-oidc-issuer", &self.issuer()];
        flags.map(str::to_owned).to_vec()
    }
}

/// Returns a registry with an image, and the image's reference.
fn image() -> (Registry, String) {
    let registry = Registry::start(RegistryOptions::default()).unwrap();
    let image = registry.add("team/app", &fixture::image(1), None).unwrap();
    let reference = registry.reference(&format!("team/app@{}", image.digest));
    (registry, reference)
}

fn with(mut command: Command, flag: &str, path: &Path) -> Command {
    command.arg(flag).arg(path);
    command
}

fn with_args(mut command: Command, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Command {
    command.args(arguments);
    command
}

/// Runs a peer that must succeed, and returns what it said.
fn passes(mut command: impl std::borrow::BorrowMut<Command>) -> String {
    let command = command.borrow_mut();
    let output = command.output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Runs a peer that must refuse.
fn fails(mut command: impl std::borrow::BorrowMut<Command>) {
    let command = command.borrow_mut();
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?}: {}", said(&output));
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
