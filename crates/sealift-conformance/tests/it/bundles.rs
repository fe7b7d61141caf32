//! The bundle cases of the public suite and those made of real signatures, by the suite's own runner and without it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_core::oci::Digest;
use sealift_sandbox::external::shared;

use crate::shared::{entries, read, say};

const CLIENT: &str = env!("CARGO_BIN_EXE_sealift-conformance");
pub(crate) const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/\
                        .github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

#[test]
fn upstream_cases() {
    let Some(cases) = shared("conformance/bundle-cases/upstream") else { return };
    assert_eq!(run_all(&cases), 70);
}

#[test]
fn real_cases() {
    let Some(cases) = shared("conformance/bundle-cases/real") else { return };
    assert_eq!(run_all(&cases), 111);
}

#[test]
fn upstream_cases_by_the_suites_runner() {
    run_bundle_runner("upstream");
}

#[test]
fn real_cases_by_the_suites_runner() {
    run_bundle_runner("real");
}

/// Runs every case as file and as digest; returns how many runs there were.
fn run_all(cases: &Path) -> usize {
    let mut runs = 0;
    let mut wrong = Vec::new();
    for case in entries(cases).iter().filter(|case| case.join("bundle.sigstore.json").exists()) {
        let name = case.file_name().expect("a case has a name").to_string_lossy();
        for (mode, artifact) in artifacts(case, cases) {
            let output = client(case, &artifact);
            runs += 1;
            let wanted = if name.ends_with("_fail") { Some(1) } else { Some(0) };
            if output.status.code() != wanted {
                wrong.push(format!("{mode} {name}: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    runs
}

pub(crate) fn artifacts(case: &Path, cases: &Path) -> Vec<(&'static str, String)> {
    let own = case.join("artifact");
    let artifact = if own.exists() { own } else { cases.join("a.txt") };
    let modes = or(&case.join("modes"), "PATH DIGEST");
    if let Ok(digest) = std::fs::read_to_string(case.join("digest")) {
        return vec![("DIGEST", digest.trim().to_owned())];
    }
    let all = [("PATH", artifact.display().to_string()), ("DIGEST", Digest::sha256(&read(&artifact)).to_string())];
    all.into_iter().filter(|(mode, _)| modes.split_whitespace().any(|wanted| wanted == *mode)).collect()
}

fn client(case: &Path, artifact: &str) -> std::process::Output {
    let own_root = case.join("trusted_root.json");
    let root = if own_root.exists() { own_root } else { public_good() };
    let mut command = Command::new(CLIENT);
    command.arg("verify-bundle").arg("--bundle").arg(case.join("bundle.sigstore.json"));
    if case.join("key.pub").exists() {
        command.arg("--key").arg(case.join("key.pub"));
    } else {
        command.args(["--certificate-identity", &or(&case.join("identity"), IDENTITY)]);
        command.args(["--certificate-oidc-issuer", &or(&case.join("issuer"), ISSUER)]);
    }
    command.arg("--trusted-root").arg(root).arg(artifact).output().expect("the client starts")
}

pub(crate) fn public_good() -> PathBuf {
    shared("conformance/trusted_root_public_good.json").expect("it lies beside the cases")
}

pub(crate) fn or(path: &Path, default: &str) -> String {
    std::fs::read_to_string(path).map_or(default.to_owned(), |text| text.trim().to_owned())
}

fn run_bundle_runner(set: &str) {
    let Some(conformance) = shared("conformance") else { return };
    let assets = conformance.join("bundle-cases").join(set);
    run_runner(&conformance, "run.py", &["--assets".as_ref(), assets.as_os_str()]);
}

/// Runs one of the suite's runners; for bundles it cuts the network off where it can, and it takes a crash for a
/// failure.
pub(crate) fn run_runner(conformance: &Path, runner: &str, arguments: &[&OsStr]) {
    if Command::new("python3").arg("--version").output().is_err() {
        say("skipped: there is no python3");
        return;
    }
    let output = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(conformance.join(runner))
        .arg(CLIENT)
        .arg("--trusted-root")
        .arg(conformance.join("trusted_root_public_good.json"))
        .arg("-v")
        .args(arguments)
        .output()
        .expect("python3 starts");
    let report = String::from_utf8_lossy(&output.stdout);
    say(&report);
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains(", 0 failed"), "{report}");
}
