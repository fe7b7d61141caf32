//! Signing without a key, against a whole Sigstore on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use sealift_core::oci::Digest;
use sealift_sandbox::fixture;
use sealift_sandbox::peers::Peers;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use sealift_sandbox::sigstore::{Fault, Identity, LogVersion, Service, SigstoreOptions, Times};
use serde_json::Value;

use crate::services::{Services, args, sigstore_js, sigstore_python, text};
use crate::support::{Outcome, registry};

impl Services {
    fn sign(&self, command: &[&str], what: &[&str]) -> Outcome {
        let (command, what) = (owned(command), owned(what));
        self.run(&[&command, &self.token(), &self.signing(&[LogVersion::V1]), &what])
    }

    fn verify(&self, command: &[&str], what: &[&str]) -> Outcome {
        self.run(&[&owned(command), &self.who(), &self.trust(), &owned(what)])
    }

    fn count(&self, service: Service) -> usize {
        self.sigstore.requests().iter().filter(|request| request.service == service).count()
    }
}

fn owned(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// Row 7 of the scenarios, in CI: no key, no question, and the log index is told.
#[test]
fn a_signature_without_a_key_verifies_with_either_log_and_in_every_format() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    for (number, (logs, format)) in
        [(&[LogVersion::V1][..], "both"), (&[LogVersion::V2], "bundle"), (&[LogVersion::V2, LogVersion::V1], "bundle")]
            .into_iter()
            .enumerate()
    {
        let name = format!("team/app{number}");
        registry.add(&name, &fixture::image(1), Some("v1")).unwrap();
        let image = registry.reference(&format!("{name}:v1"));
        let what = args(["--format", format, &image]);
        let signed = services.run(&[&args(["sign"]), &services.token(), &services.signing(logs), &what]);
        signed
            .assert_code(0)
            .assert_stdout("log entry ")
            .assert_stderr("signing as dev@example.com (by ")
            .assert_stderr("will be published");
        let verified = services.verify(&["verify", "--all", "--use-signed-timestamps"], &[&image]).assert_code(0);
        assert_eq!(
            verified.stdout.matches("  yes  ").count(),
            if format == "both" { 2 } else { 1 },
            "{}",
            verified.stdout
        );
        services.user.write("p.json", "{}");
        let what = args(["--type", "spdxjson", "--predicate", "p.json", "--format", format, &image]);
        services.run(&[&args(["attest"]), &services.token(), &services.signing(logs), &what]).assert_code(0);
        services.verify(&["verify-attestation", "--type", "spdxjson"], &[&image]).assert_code(0);
    }
    let image = registry.reference("team/app1:v1");
    let what = args(["--format", "legacy", &image]);
    let signed = services.run(&[&args(["sign"]), &services.token(), &services.signing(&[LogVersion::V2]), &what]);
    signed.assert_code(2).assert_stderr("--rekor-url");
}

#[test]
fn several_logs_or_authorities_have_no_room_in_the_old_form_and_are_told_before_anything_is_logged() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    services.user.write("p.json", "{}");
    let urls = services.sigstore.urls();
    for (list, selection, flag, url) in [
        ("rekorTlogUrls", "rekorTlogConfig", "--rekor-url", urls.rekor_v1.clone()),
        ("tsaUrls", "tsaConfig", "--timestamp-server-url", format!("{}/api/v1/timestamp", urls.timestamp)),
    ] {
        let mut config: Value = serde_json::from_str(&services.sigstore.signing_config(&[LogVersion::V1])).unwrap();
        let mut second = config[list][0].clone();
        second["operator"] = "another.example".into();
        config[list].as_array_mut().unwrap().push(second);
        config[selection] = serde_json::json!({ "selector": "ALL" });
        services.user.write("several.json", config.to_string());
        let signing = args(["--signing-config", "several.json", "--trusted-root", &text(&services.files.trusted_root)]);
        services.sigstore.clear_requests();
        for format in ["legacy", "both"] {
            for command in [&["sign"][..], &["attest", "--type", "spdxjson", "--predicate", "p.json"]] {
                let what = args(["--format", format, &image]);
                let refused = services.run(&[&owned(command), &services.token(), &signing, &what]);
                refused.assert_code(2).assert_stderr("have room for one").assert_stderr(flag);
            }
        }
        for service in [Service::Fulcio, Service::RekorV1, Service::Timestamp] {
            assert_eq!(services.count(service), 0, "{service:?}");
        }
        let one = args([flag, &url, "--format", "legacy", &image]);
        services.run(&[&args(["sign"]), &services.token(), &signing, &one]).assert_code(0);
    }
    services.verify(&["verify"], &[&image]).assert_code(0);
}

#[test]
fn one_token_one_key_and_one_certificate_serve_a_whole_batch() {
    let services = Services::start();
    let registry = Registry::start(RegistryOptions::default()).unwrap();
    let mut images = Vec::new();
    for seed in 0..20 {
        registry.add("team/app", &fixture::image(seed), Some(&format!("v{seed}"))).unwrap();
        images.push(registry.reference(&format!("team/app:v{seed}")));
    }
    registry.add("team/app", &fixture::index(99, &["amd64", "arm64"]), Some("index")).unwrap();
    let index = registry.reference("team/app:index");
    services.sigstore.clear_requests();
    let all: Vec<&str> = images.iter().map(String::as_str).chain([index.as_str()]).collect();
    services.sign(&["sign", "--recursive"], &all).assert_code(0);
    assert_eq!(services.count(Service::Fulcio), 1, "one certificate");
    assert_eq!(services.count(Service::RekorV1), 23, "an entry for each manifest");
    assert_eq!(services.count(Service::Timestamp), 23);
    services.verify(&["verify", "--recursive"], &all).assert_code(0);
}

#[test]
fn nothing_is_published_unasked() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    services.sigstore.clear_requests();
    let token = args(["--identity-token", &text(&services.files.token)]);
    let signing = services.signing(&[LogVersion::V1]);
    let refused = services.run(&[&args(["sign"]), &token, &signing, &args([&image])]);
    refused.assert_code(2).assert_stderr("for ever").assert_stderr(&image).assert_stderr("--yes");
    // Without a token, a job's identity or a terminal, nobody is asked to sign in either.
    services.run(&[&args(["sign", "--yes"]), &signing, &args([&image])]).assert_code(2).assert_stderr("who signs");
    assert!(services.sigstore.requests().is_empty(), "{:?}", services.sigstore.requests());
    assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty());
}

/// Row 7 of the scenarios, at a terminal: what would be published is said, and only a yes goes on.
#[test]
fn a_person_is_asked_before_anything_is_published() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    let token = args(["--identity-token", &text(&services.files.token)]);
    let line = [args([env!("CARGO_BIN_EXE_sealift"), "sign"]), token, services.signing(&[LogVersion::V1])].concat();
    for (answer, code) in [("n", 2), ("", 2), ("yes", 0)] {
        services.sigstore.clear_requests();
        // `script` gives the command a terminal.
        let terminal = "printf '%s\\n' \"$1\" | script --quiet --return --command \"$2\" /dev/null";
        let command = format!("{} {image}", line.join(" "));
        let asked = services.user.command("sh").args(["-c", terminal, "sh", answer, &command]).output().unwrap();
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        assert_eq!(asked.status.code(), Some(code), "{answer:?}: {said}");
        assert!(said.contains("for ever") && said.contains(&image) && said.contains("Publish this?"), "{said}");
        assert_eq!(services.sigstore.requests().is_empty(), code != 0, "{answer:?}");
    }
    services.verify(&["verify"], &[&image]).assert_code(0);
    services.user.run(&["inspect", "--raw", "cert", &image]).assert_code(0).assert_stdout("BEGIN CERTIFICATE");
}

#[test]
fn a_job_signs_as_itself() {
    let services = Services::in_a_workflow();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    let mut sealift = services.user.command(env!("CARGO_BIN_EXE_sealift"));
    sealift.arg("sign").args(services.signing(&[LogVersion::V1])).arg(&image);
    sealift.envs(services.sigstore.actions_environment());
    services.user.run_command(&mut sealift).assert_code(0).assert_stderr("the name of this job");
    let claim = ["verify", "--certificate-github-workflow-repository", "acme/app"];
    services.verify(&claim, &[&image]).assert_code(0);
}

#[test]
fn a_person_signs_in_with_the_browser_or_a_device() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    // The identity provider of the sandbox approves everything, so a browser only has to follow it.
    services.user.write("browser", "#!/bin/sh\nexec curl --silent --location --output /dev/null \"$1\"\n");
    let browser = services.user.path("browser");
    std::process::Command::new("chmod").arg("+x").arg(&browser).status().unwrap();
    for (flow, said) in [("normal", "Sign in with your browser"), ("device", "with the code")] {
        let image = registry.reference("team/app:v1");
        let mut sealift = services.user.command(env!("CARGO_BIN_EXE_sealift"));
        sealift.args(["sign", "--yes", "--fulcio-auth-flow", flow]).args(services.signing(&[LogVersion::V1]));
        let signed = services.user.run_command(sealift.arg(&image).env("BROWSER", &browser));
        signed.assert_code(0).assert_stderr(said);
        services.verify(&["verify"], &[&image]).assert_code(0);
    }
}

/// On a machine without a browser: the page shows a code, which is typed in.
#[test]
fn a_person_types_in_the_code_that_another_machine_shows() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    let signing = services.signing(&[LogVersion::V1]);
    let sign_in = |typed: &dyn Fn(&str) -> String| {
        let mut sealift = services.user.command(env!("CARGO_BIN_EXE_sealift"));
        sealift.args(["sign", "--yes", "--fulcio-auth-flow", "oob"]).args(&signing).arg(&image);
        let pipes = sealift.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let page = loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it ended without a question: {said}");
            said += &line;
            if line.trim().starts_with("http") {
                break line.trim().to_owned();
            }
        };
        writeln!(child.stdin.take().unwrap(), "{}", typed(&page)).unwrap();
        errors.read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code(), said)
    };
    services.sigstore.clear_requests();
    for wrong in ["", "a code that nobody was shown"] {
        let (code, said) = sign_in(&|_| wrong.to_owned());
        assert_eq!(code, Some(21), "{wrong:?}: {said}");
    }
    for service in [Service::Fulcio, Service::RekorV1] {
        assert_eq!(services.count(service), 0, "{service:?}");
    }
    let visit = |page: &str| {
        let shown = services.user.run_command(services.user.command("curl").args(["--silent", "--fail", page]));
        format!("  {}", shown.assert_code(0).stdout.trim())
    };
    let (code, said) = sign_in(&visit);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Code shown there") && said.contains("signing as dev@example.com"), "{said}");
    services.verify(&["verify"], &[&image]).assert_code(0);
}

/// The certificate of a batch that takes longer than it lasts is replaced before it ends.
#[test]
fn a_certificate_that_ends_in_mid_batch_is_renewed() {
    let services = Services::start();
    let registry = Registry::start(RegistryOptions::default()).unwrap();
    let mut images = Vec::new();
    for seed in 0..5 {
        registry.add("team/app", &fixture::image(seed), Some(&format!("v{seed}"))).unwrap();
        images.push(registry.reference(&format!("team/app:v{seed}")));
    }
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    // It ends within the margin that logging is given, so it is good for the signature it was made for and no other.
    let soon = Fault::ShortLived(jiff::SignedDuration::from_secs(45));
    for (times, certificates) in [(Times::Next(1), 2), (Times::Next(3), 4), (Times::Always, 5)] {
        services.sigstore.inject(Service::Fulcio, soon, times);
        services.sigstore.clear_requests();
        services.sign(&["sign", "--concurrency", "1"], &images).assert_code(0);
        assert_eq!(services.count(Service::Fulcio), certificates, "{times:?}");
        services.verify(&["verify"], &images).assert_code(0);
        services.sigstore.clear_faults();
    }
}

#[test]
fn nothing_is_stored_that_a_stranger_would_refuse() {
    let services = Services::start();
    let other = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    services.user.write("sc.json", services.sigstore.signing_config(&[LogVersion::V1]));
    // Another installation's trust root: what this one issues and logs is nothing to it.
    let signing = args(["--signing-config", "sc.json", "--trusted-root", &text(&other.files.trusted_root)]);
    let refused = services.run(&[&args(["sign"]), &services.token(), &signing, &args([&image])]);
    refused.assert_code(20).assert_stderr("nothing was signed under it");
    let refused =
        services.run(&[&args(["sign-blob"]), &services.token(), &signing, &args(["--bundle", "b", "sc.json"])]);
    refused.assert_code(20);
    assert_eq!(services.count(Service::RekorV1), 0, "a log keeps what it is shown");
    assert!(!services.user.path("b").exists());
    assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty());
}

#[test]
fn services_whose_clock_is_ahead_still_sign() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    services.sigstore.set_clock_offset(jiff::SignedDuration::from_secs(30));
    services.sign(&["sign"], &[&registry.reference("team/app:v1")]).assert_code(0);
}

#[test]
fn services_that_do_not_answer_leave_nothing_behind() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    for service in [Service::Fulcio, Service::RekorV1, Service::Timestamp] {
        services.sigstore.inject(service, Fault::Status(400), Times::Always);
        let refused = services.sign(&["sign"], &[&image]);
        assert!(matches!(refused.code, Some(1 | 22)), "{service:?}: {refused:?}");
        assert!(registry.referrers("team/app", fixture::image(1).digest()).is_empty(), "{service:?}");
        services.sigstore.clear_faults();
    }
    services.sign(&["sign"], &[&image]).assert_code(0);
}

#[test]
fn an_interrupted_batch_continues_where_it_stopped() {
    let services = Services::start();
    let registry = Registry::start(RegistryOptions::default()).unwrap();
    let mut images = Vec::new();
    for seed in 0..6 {
        registry.add(&format!("team/app{seed}"), &fixture::image(seed), Some("v1")).unwrap();
        images.push(registry.reference(&format!("team/app{seed}:v1")));
    }
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    registry.set_faults([Rule::new(Effect::Status(403)).on(Endpoint::Manifest).method("PUT").repository("team/app3")]);
    services.sign(&["sign", "--state", "state"], &images).assert_code(21);
    registry.clear_faults();
    services.sigstore.clear_requests();
    services.sign(&["sign", "--state", "state"], &images).assert_code(0).assert_stdout("done before");
    assert_eq!(services.count(Service::RekorV1), 1, "only what was missing is signed");
    for (seed, image) in images.iter().enumerate() {
        services.verify(&["verify"], &[image]).assert_code(0);
        let digest: Digest = fixture::image(seed as u64).digest().clone();
        assert_eq!(registry.referrers(&format!("team/app{seed}"), &digest).len(), 1);
    }
    // Another job has nothing to do with this file.
    services.sign(&["sign", "--state", "state", "-a", "a=b"], &images).assert_code(2);
}

#[test]
fn a_key_can_have_witnesses_too() {
    let services = Services::start();
    services.user.run(&["key", "generate"]).assert_code(0);
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    let signing = services.signing(&[LogVersion::V1]);
    let sign = args(["sign", "--key", "sealift.key"]);
    services.run(&[&sign, &signing, &args([&image])]).assert_code(2).assert_stderr("your public key");
    services.run(&[&sign, &signing, &args(["--yes", &image])]).assert_code(0).assert_stdout("log entry 0");
    let verify = args(["verify", "--key", "sealift.pub", "--tlog-threshold", "1", "--timestamp-threshold", "1"]);
    services.run(&[&verify, &services.trust(), &args([&image])]).assert_code(0);
}

/// Version 2 of the log knows what was signed by its digest, and an Ed25519 signature cannot be checked by that.
#[test]
fn an_ed25519_key_is_told_which_log_takes_it_before_it_signs() {
    let services = Services::start();
    services.user.run(&["key", "generate", "--algorithm", "ed25519"]).assert_code(0);
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    services.user.write("blob", "content");
    services.sigstore.clear_requests();
    for command in [
        &["sign", "--key", "sealift.key", "--yes", &image][..],
        &["sign-blob", "--key", "sealift.key", "--yes", "blob"],
    ] {
        let refused = services.run(&[&owned(command), &services.signing(&[LogVersion::V2])]);
        refused.assert_code(2).assert_stderr("Ed25519").assert_stderr("--rekor-url");
    }
    assert!(services.sigstore.requests().is_empty(), "{:?}", services.sigstore.requests());
    let sign = args(["sign", "--key", "sealift.key", "--yes"]);
    services.run(&[&sign, &services.signing(&[LogVersion::V1]), &args([&image])]).assert_code(0);
    let verify = args(["verify", "--key", "sealift.pub", "--tlog-threshold", "1"]);
    services.run(&[&verify, &services.trust(), &args([&image])]).assert_code(0);
}

#[test]
fn an_installation_is_made_known_once_and_then_named() {
    let services = Services::start();
    let registry = registry(RegistryOptions::default());
    let image = registry.reference("team/app:v1");
    let url = services.sigstore.urls().tuf.clone();
    let instance = args(["--instance", &url]);
    services.run(&[&args(["trust", "show"]), &instance]).assert_code(2).assert_stderr("trust init");
    let init = args(["trust", "init", "--url", &url, "--root", &text(&services.files.tuf_root)]);
    services.run(&[&init, &args(["--root-checksum", "00"])]).assert_code(2);
    services.run(&[&init]).assert_code(0).assert_stdout(&services.sigstore.urls().rekor_v2);
    let sign = args(["sign"]);
    services.run(&[&sign, &services.token(), &instance, &args([&image])]).assert_code(0);
    services.run(&[&args(["verify"]), &services.who(), &instance, &args([&image])]).assert_code(0);
    services.sigstore.clear_requests();
    let offline = args(["verify", "--offline"]);
    services.run(&[&offline, &services.who(), &instance, &args([&image])]).assert_code(0);
    assert!(services.sigstore.requests().is_empty(), "{:?}", services.sigstore.requests());
    // One file that holds everything does the same without any repository.
    let file = args(["--instance", &text(&services.files.trust_config)]);
    services.run(&[&args(["verify"]), &services.who(), &file, &args([&image])]).assert_code(0);
    services.run(&[&sign, &services.token(), &file, &args([&image])]).assert_code(0);
    // The public installation is built in, and knows nothing of this one.
    services.run(&[&args(["trust", "show", "--offline"])]).assert_code(0).assert_stdout("built in");
    services.run(&[&offline, &services.who(), &args([&image])]).assert_code(12);
}

#[test]
fn promotion_takes_what_was_signed_without_a_key() {
    let services = Services::start();
    let (staging, prod) = (registry(RegistryOptions::default()), Registry::start(RegistryOptions::default()).unwrap());
    let (from, to) = (staging.reference("team/app:v1"), prod.reference("team/app:v1"));
    services.verify(&["promote"], &[&from, &to]).assert_code(10);
    services.sign(&["sign"], &[&from]).assert_code(0);
    services.verify(&["promote"], &[&from, &to]).assert_code(0);
    services.verify(&["verify"], &[&to]).assert_code(0);
}

#[test]
fn files_are_signed_without_a_key_and_with_one_certificate() {
    let services =
        Services::with(SigstoreOptions { identity: Identity::workflow("acme/app"), ..SigstoreOptions::default() });
    services.user.write("one", "1");
    services.user.write("two", "2");
    services.user.write("p.json", "{}");
    services.sigstore.clear_requests();
    services.sign(&["sign-blob"], &["one", "two"]).assert_code(0).assert_stdout("log entry 1");
    assert_eq!(services.count(Service::Fulcio), 1);
    services.verify(&["verify-blob"], &["two"]).assert_code(0).assert_stdout("acme/app");
    services.verify(&["verify-blob", "--bundle", "one.sigstore.json"], &["two"]).assert_code(12);
    let attest = ["attest-blob", "--predicate", "p.json", "--type", "vuln", "--bundle", "att.json"];
    services.sign(&attest, &["one"]).assert_code(0);
    let verify = ["verify-blob-attestation", "--type", "vuln", "--bundle", "att.json"];
    services.verify(&verify, &["one"]).assert_code(0);
    services.verify(&verify, &["two"]).assert_code(12);
}

/// Row 7 of the scenarios: what we sign without a key, the real clients verify with their normal checks on.
#[test]
fn the_real_clients_verify_what_we_sign_without_a_key() {
    let Some(peers) = Peers::find() else { return };
    let services = Services::start();
    let (user, files) = (&services.user, &services.files);
    let registry = registry(RegistryOptions::default());
    let image = registry.reference(&format!("team/app@{}", fixture::image(1).digest()));
    user.write("blob", "what is signed\n");
    for logs in [&[LogVersion::V1][..], &[LogVersion::V2]] {
        let signing = services.signing(logs);
        let blob = args(["--bundle", "blob.json", "blob"]);
        services.run(&[&args(["sign-blob"]), &services.token(), &signing, &blob]).assert_code(0);
        services.run(&[&args(["sign"]), &services.token(), &signing, &args([&image])]).assert_code(0);
        for verify in [&["verify-blob", "--bundle", "blob.json", "blob"][..], &["verify", &image]] {
            let mut cosign = user.command(peers.path("cosign3"));
            cosign.args(verify).arg("--use-signed-timestamps").arg("--trusted-root").arg(&files.trusted_root);
            user.run_command(cosign.args(services.who())).assert_code(0);
        }
        if let Some(program) = sigstore_python() {
            let mut python = user.command(program);
            python.arg("--trust-config").arg(&files.trust_config).args(["verify", "identity", "--bundle", "blob.json"]);
            python.args(["--cert-identity", "dev@example.com", "--cert-oidc-issuer", &services.issuer(), "blob"]);
            user.run_command(&mut python).assert_code(0);
        }
    }
    let legacy = args(["--format", "legacy", &image]);
    let signing = services.signing(&[LogVersion::V1]);
    services.run(&[&args(["sign"]), &services.token(), &signing, &legacy]).assert_code(0);
    user.write("p.json", "{}");
    let attest = args(["attest", "--type", "custom", "--predicate", "p.json"]);
    services.run(&[&attest, &services.token(), &signing, &legacy]).assert_code(0);
    for verify in [&["verify"][..], &["verify-attestation", "--type", "custom"]] {
        let mut cosign = user.command(peers.path("cosign2"));
        cosign.env("SIGSTORE_ROOT_FILE", &files.fulcio_chain).env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", &files.ct_log_key);
        cosign.env("SIGSTORE_REKOR_PUBLIC_KEY", &files.rekor_key).args(verify).arg(&image);
        cosign.args(["--rekor-url", &services.sigstore.urls().rekor_v1]).args(services.who());
        user.run_command(&mut cosign).assert_code(0);
    }
}

/// What sigstore-python signs, we verify; cosign's signatures are in `blob.rs` and `identity.rs`.
#[test]
fn we_verify_what_sigstore_python_signs() {
    let services = Services::start();
    let user = &services.user;
    user.write("blob", "what is signed\n");
    user.write("changed", "what is not\n");
    let token = std::fs::read_to_string(&services.files.token).unwrap();
    for config in [&services.files.trust_config, &services.files.trust_config_v1] {
        let Some(program) = sigstore_python() else { return };
        let mut python = user.command(program);
        python.arg("--trust-config").arg(config).args(["sign", "--overwrite", "--bundle", "blob.json"]);
        user.run_command(python.args(["--identity-token", &token, "blob"])).assert_code(0);
        services.verify(&["verify-blob", "--bundle", "blob.json"], &["blob"]).assert_code(0);
        services.verify(&["verify-blob", "--bundle", "blob.json"], &["changed"]).assert_code(12);
    }
}

#[test]
fn sigstore_js_verifies_what_we_sign_and_we_what_it_does() {
    let Some(program) = sigstore_js() else { return };
    let services = Services::start();
    let user = &services.user;
    user.write("blob", "what is signed\n");
    user.write("changed", "what is not\n");
    let run = |args: &[&str]| user.run_command(user.command("node").arg(&program).args(args));
    let urls = services.sigstore.urls();
    let config = |timestamps: u8| {
        serde_json::json!({
            "trustedRoot": services.files.trusted_root, "subject": "dev@example.com", "issuer": services.issuer(),
            "timestamps": timestamps,
        })
    };
    user.write("verify.json", config(1).to_string());
    for logs in [&[LogVersion::V1][..], &[LogVersion::V2]] {
        let blob = args(["--overwrite", "blob"]);
        services.run(&[&args(["sign-blob"]), &services.token(), &services.signing(logs), &blob]).assert_code(0);
        run(&["verify", "verify.json", "blob", "blob.sigstore.json"]).assert_code(0);
        run(&["verify", "verify.json", "changed", "blob.sigstore.json"]).assert_code(1);
    }
    user.write("p.json", "{}");
    services.sign(&["attest-blob", "--predicate", "p.json", "--bundle", "att.json"], &["blob"]).assert_code(0);
    run(&["verify", "verify.json", "blob", "att.json"]).assert_code(0);

    let token = std::fs::read_to_string(&services.files.token).unwrap();
    let config = serde_json::json!({
        "identityToken": token.trim(), "fulcioURL": urls.fulcio, "rekorURL": urls.rekor_v1, "tsaServerURL": urls.timestamp,
    });
    user.write("sign.json", config.to_string());
    run(&["sign", "sign.json", "blob", "theirs.json"]).assert_code(0);
    services.verify(&["verify-blob", "--bundle", "theirs.json"], &["blob"]).assert_code(0);
    services.verify(&["verify-blob", "--bundle", "theirs.json"], &["changed"]).assert_code(12);
}

#[test]
fn a_promotion_leaves_behind_what_an_identity_signed() {
    let services = Services::start();
    services.user.run(&["key", "generate"]).assert_code(0);
    let source = registry(RegistryOptions::default());
    let image = source.reference("team/app:v1");
    services.user.run(&["sign", "--key", "sealift.key", &image]).assert_code(0);
    services.sign(&["sign"], &[&image]).assert_code(0);
    let issuer = services.issuer();
    let elsewhere = "identity=dev@example.com,https://issuer.example";
    for (flags, arrive) in [
        (vec![], 2),
        (args(["--exclude", "identity=*@example.com"]), 1),
        (args(["--exclude", &format!("identity=dev@example.com,{issuer}")]), 1),
        (args(["--exclude", elsewhere]), 2),
        (args(["--exclude", "identity=example.com"]), 2),
        (args(["--exclude", "**", "--include", "identity=dev@*", "--include", "key=sealift.pub"]), 2),
    ] {
        let destination = Registry::start(RegistryOptions::default()).unwrap();
        let promote = args(["promote", "--key", "sealift.pub", &image, &destination.reference("prod/app:v1")]);
        services.run(&[&promote, &services.trust(), &flags]).assert_code(0);
        assert_eq!(destination.referrers("prod/app", fixture::image(1).digest()).len(), arrive, "{flags:?}");
    }
}

/// Need 15: a registry that refuses the signature is found out before a log keeps one that is stored nowhere.
#[test]
fn what_the_registry_would_not_take_is_neither_certified_nor_logged() {
    for (kind, options) in crate::support::both_kinds() {
        let services = Services::start();
        let registry = registry(options);
        let image = registry.reference("team/app:v1");
        let published = || services.count(Service::Fulcio) + services.count(Service::RekorV1);
        let before = |outcome: Outcome, code: i32| {
            let outcome = outcome.assert_code(code);
            registry.clear_faults();
            outcome
        };
        // Whoever may only pull.
        registry.set_faults([Rule::new(Effect::Refusal(403, "DENIED")).on(Endpoint::Upload)]);
        before(services.sign(&["sign"], &[&image]), 21).assert_stderr("denies the push");
        services.user.write("p.json", "{}");
        let attest = ["attest", "--type", "spdxjson", "--predicate", "p.json"];
        registry.set_faults([Rule::new(Effect::Refusal(403, "DENIED")).on(Endpoint::Upload)]);
        before(services.sign(&attest, &["--format", "legacy", &image]), 21);
        assert_eq!(published(), 0, "{kind}");

        services.sign(&["sign"], &["--format", "both", &image]).assert_code(0);
        assert!(published() > 0);
        services.sign(&["sign"], &["--format", "both", &image]).assert_code(0);
        let verified = services.verify(&["verify", "--all"], &[&image]).assert_code(0);
        assert_eq!(verified.stdout.matches("  yes  ").count(), 4, "{}", verified.stdout);
        // Where the API lists referrers, no tag is written.
        if kind == "referrers API" {
            registry.set_faults([Rule::new(Effect::Refusal(400, "TAG_INVALID")).method("PUT").reference("sha256-*")]);
            before(services.sign(&["sign"], &[&image]), 0);
        }
        // What is written nowhere needs no leave.
        registry.set_faults([Rule::new(Effect::Refusal(403, "DENIED")).on(Endpoint::Upload)]);
        before(services.sign(&["sign"], &["--no-upload", "--bundle", "b.json", &image]), 0);
    }
}
