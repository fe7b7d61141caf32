//! Images in the quarantine of a registry: reported as such, never as missing or unsigned, and released.

use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Emulation, Registry};

use crate::support::{User, registry};

/// A registry that keeps `team/app:v1` back, and the reference with its digest.
fn kept_back() -> (Registry, String) {
    let registry = Registry::start(Emulation::AcrQuarantine.options()).unwrap();
    let image = registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let by_digest = registry.reference(&format!("team/app@{}", image.digest));
    (registry, by_digest)
}

fn log_in(user: &User, registry: &Registry, account: &str) {
    user.run(&["login", "-u", account, "-p", Emulation::PASSWORD, &registry.host()]).assert_code(0);
}

#[test]
fn what_is_kept_back_is_reported_by_every_command() {
    let user = User::with_key();
    let (quarantine, by_digest) = kept_back();
    let target = registry(Default::default());
    log_in(&user, &quarantine, Emulation::AcrQuarantine.user());
    let next = format!("`sealift quarantine release --native {by_digest}`");
    let to = target.reference("team/new:v1");
    for from in [quarantine.reference("team/app:v1"), by_digest.clone()] {
        for args in [
            &["verify", "--key", "sealift.pub", &from][..],
            &["copy", &from, &to],
            &["promote", "--key", "sealift.pub", &from, &to],
            &["sign", "--key", "sealift.key", &from],
            &["tree", &from],
        ] {
            let refused = user.run(args).assert_code(17);
            refused.assert_stderr("in quarantine (state `Quarantined`)").assert_stderr(&next);
        }
    }
    assert!(target.tags("team/new").is_empty());
    let json = user.run(&["verify", "--key", "sealift.pub", "--output", "json", &by_digest]).json();
    assert!(json.to_string().contains("QUARANTINED"), "{json}");
}

#[test]
fn the_processor_releases_what_everybody_then_verifies() {
    let user = User::with_key();
    let (registry, by_digest) = kept_back();
    let by_tag = registry.reference("team/app:v1");
    let native = |user: &User, command: &str| user.run(&["quarantine", command, "--native", &by_tag]);

    log_in(&user, &registry, Emulation::AcrQuarantine.user());
    native(&user, "status").assert_code(17).assert_stdout(&format!("{by_digest}  Quarantined"));
    let refused = native(&user, "release").assert_code(21);
    refused.assert_stderr("accounts with the role `AcrQuarantineWriter`").assert_stderr("give the account the role");

    log_in(&user, &registry, Emulation::QUARANTINE_WRITER);
    user.run(&["sign", "--key", "sealift.key", &by_digest]).assert_code(0);
    user.write("scan.json", r#"{ "state": "scan passed", "link": "https://scanner.test/1" }"#);
    let release = ["quarantine", "release", "--native", "--details", "scan.json", "--output", "json", &by_digest];
    let json = user.run(&release).assert_code(0).json();
    assert_eq!((&json["state"], &json["keptBack"]), (&"Passed".into(), &false.into()), "{json}");
    assert_eq!(json["details"], r#"{"state":"scan passed","link":"https://scanner.test/1"}"#);

    log_in(&user, &registry, Emulation::AcrQuarantine.user());
    native(&user, "status").assert_code(0);
    // The image is free, its signature is not: nobody can tell, and nobody says that it is unsigned.
    let undecided = user.run(&["verify", "--key", "sealift.pub", &by_tag]).assert_code(21);
    undecided.assert_stderr("quarantine");

    log_in(&user, &registry, Emulation::QUARANTINE_WRITER);
    let digest = by_digest.rsplit_once('@').unwrap().1.parse().unwrap();
    for signature in registry.referrers("team/app", &digest) {
        let reference = registry.reference(&format!("team/app@{}", signature.digest));
        user.run(&["quarantine", "release", "--native", &reference]).assert_code(0);
    }
    log_in(&user, &registry, Emulation::AcrQuarantine.user());
    user.run(&["verify", "--key", "sealift.pub", &by_tag]).assert_code(0);

    log_in(&user, &registry, Emulation::QUARANTINE_WRITER);
    native(&user, "fail").assert_code(0);
    native(&user, "status").assert_code(17).assert_stdout("Failed");
    native(&user, "set").assert_code(0);
    native(&user, "status").assert_code(17).assert_stdout("Quarantined");
}

#[test]
fn who_promotes_into_quarantine_must_be_able_to_read_there() {
    let user = User::with_key();
    let source = registry(Default::default());
    let from = source.reference("team/app:v1");
    user.run(&["sign", "--key", "sealift.key", &from]).assert_code(0);
    let quarantine = Registry::start(Emulation::AcrQuarantine.options()).unwrap();
    let to = quarantine.reference("team/app:v1");
    let promote = ["promote", "--key", "sealift.pub", &from, &to];

    log_in(&user, &quarantine, Emulation::AcrQuarantine.user());
    user.run(&promote).assert_code(17).assert_stderr("in quarantine");
    assert!(quarantine.tags("team/app").is_empty(), "nothing was published that was not verified where it arrived");
    user.run(&["copy", &from, &to]).assert_code(0);

    log_in(&user, &quarantine, Emulation::QUARANTINE_WRITER);
    let new = quarantine.reference("team/new:v1");
    user.run(&["promote", "--key", "sealift.pub", &from, &new]).assert_code(0);
    assert_eq!(quarantine.tags("team/new"), ["v1"]);
}

#[test]
fn only_what_has_a_record_of_its_own_is_changed() {
    let user = User::new();
    let plain = registry(Default::default());
    let reference = plain.reference("team/app:v1");
    let asked = user.run(&["quarantine", "status", "--native", &reference]).assert_code(1);
    asked.assert_stderr("only Azure Container Registry has");
    user.run(&["quarantine", "status", &reference]).assert_code(2).assert_stderr("--native");
    user.write("scan.json", r#"{ "verdict": "good" }"#);
    let release = ["quarantine", "release", "--native", "--details", "scan.json", &reference];
    user.run(&release).assert_code(2).assert_stderr("`scan.json` holds no details of a scan");
    let missing = plain.reference("team/app");
    user.run(&["quarantine", "status", "--native", &missing])
        .assert_code(2)
        .assert_stderr("neither a tag nor a digest");
}
