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

/// cosign would trust somebody else then, and only them.
#[test]
fn no_variable_of_cosigns_that_changes_whom_it_trusts_is_ignored_without_a_word() {
    let user = User::with_key();
    let run = |args: &[&str], variable: (&str, &str)| {
        let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
        user.run_command(command.args(args).env(variable.0, variable.1))
    };
    let identity =
        ["--certificate-identity", "ci@example.com", "--certificate-oidc-issuer", "https://issuer.example.com"];
    let layout = "oci-layout://nowhere:1";
    let verify = [&["verify", "--offline", layout][..], &identity].concat();
    for (name, flag) in [
        ("SIGSTORE_ROOT_FILE", "--ca-roots"),
        ("SIGSTORE_REKOR_PUBLIC_KEY", "--trusted-root"),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "--trusted-root"),
        ("SIGSTORE_TSA_CERTIFICATE_FILE", "--instance public-good --timestamp-certificate-chain"),
        ("TUF_MIRROR", "--instance"),
        ("TUF_ROOT_JSON", "--instance"),
        ("COSIGN_TRUSTED_ROOT", "--trusted-root"),
        ("COSIGN_CA_ROOTS", "--ca-roots"),
        ("COSIGN_CERTIFICATE_CHAIN", "--certificate-chain"),
    ] {
        let set = (name, "private");
        run(&verify, set).assert_code(20).assert_stderr(name).assert_stderr(flag);
        run(&["trust", "show", "--offline"], set).assert_code(20).assert_stderr(name);
        run(&["sign", "--identity-token", "token", layout], set).assert_code(20).assert_stderr(name);
        // Whoever names an installation has been asked, and a key needs none.
        let named = run(&[&verify[..], &["--instance", "public-good"]].concat(), set);
        assert!(named.code != Some(20) && !named.stderr.contains(name), "{named:?}");
        let by_key = run(&["verify", "--key", "sealift.pub", layout], set);
        assert!(by_key.code != Some(20) && !by_key.stderr.contains(name), "{by_key:?}");
        let unset = run(&verify, (name, ""));
        assert!(unset.code != Some(20) && !unset.stderr.contains(name), "{unset:?}");
        run(&["env"], set).assert_code(0).assert_stdout(&format!("{name}=private"));
    }
    for name in ["COSIGN_REKOR_URL", "COSIGN_FULCIO_URL", "COSIGN_SIGNING_CONFIG", "COSIGN_TLOG_UPLOAD"] {
        let set = (name, "https://private.example.com");
        run(&["sign", "--identity-token", "token", layout], set).assert_code(20).assert_stderr(name);
        assert_ne!(run(&verify, set).code, Some(20), "{name}");
    }
    // What is done in any case may be said; no service is reached from here.
    let run = |args: &[&str], variable: (&str, &str)| {
        let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
        user.run_command(command.args(args).env("HTTPS_PROXY", "http://127.0.0.1:9").env(variable.0, variable.1))
    };
    for (name, value) in [
        ("COSIGN_REKOR_URL", "https://rekor.sigstore.dev"),
        ("COSIGN_FULCIO_URL", "https://fulcio.sigstore.dev/"),
        ("COSIGN_TIMESTAMP_SERVER_URL", "https://timestamp.sigstore.dev/api/v1/timestamp"),
        ("COSIGN_TLOG_UPLOAD", "true"),
        ("COSIGN_TLOG_UPLOAD", "1"),
        ("TUF_MIRROR", "https://tuf-repo-cdn.sigstore.dev"),
    ] {
        let signed = run(&["sign", "--identity-token", "token", layout], (name, value));
        assert!(signed.code != Some(20) && !signed.stderr.contains(name), "{signed:?}");
        assert_ne!(run(&verify, (name, value)).code, Some(20), "{name}");
    }
    let unlogged = ("COSIGN_TLOG_UPLOAD", "false");
    let sign = ["sign", "--identity-token", "token", layout];
    run(&sign, unlogged).assert_code(20).assert_stderr("`--tlog-upload=false`");
    for flag in ["--tlog-upload=false", "--tlog-upload"] {
        let signed = run(&[&sign[..], &[flag]].concat(), unlogged);
        assert!(signed.code != Some(20) && !signed.stderr.contains("COSIGN_TLOG_UPLOAD"), "{signed:?}");
    }
    // It answers that variable alone.
    let other = [&sign[..], &["--tlog-upload=false"]].concat();
    run(&other, ("COSIGN_REKOR_URL", "https://rekor.example.com")).assert_code(20);
    let warned = run(&verify, ("TUF_ROOT", "tuf")).assert_stderr("warning: the variable TUF_ROOT is set and not read");
    assert_ne!(warned.code, Some(20));
    let shown = run(&["env"], ("COSIGN_IDENTITY_TOKEN", "hunter2")).assert_stdout("COSIGN_IDENTITY_TOKEN=(set)");
    assert!(!shown.stdout.contains("hunter2") && shown.stdout.contains("give `--identity-token`"), "{}", shown.stdout);
}

/// To sign as somebody else, or to demand less, is not what was asked for.
#[test]
fn no_variable_that_says_who_signs_or_what_is_demanded_is_dropped() {
    let user = User::with_key();
    let run = |args: &[&str], variable: (&str, &str)| {
        let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
        user.run_command(command.args(args).env(variable.0, variable.1))
    };
    let layout = "oci-layout://nowhere:1";
    let key = ("COSIGN_KEY", "cosign.key");
    let sign = ["sign", "--yes", "--instance", "public-good", layout];
    run(&sign, key).assert_code(20).assert_stderr("COSIGN_KEY").assert_stderr("`--key KEY`");
    let verify = ["verify", "--offline", "--instance", "public-good", layout];
    let by_key = ["--key", "sealift.pub"];
    let identity =
        ["--certificate-identity", "ci@example.com", "--certificate-oidc-issuer", "https://issuer.example.com"];
    for (name, flag, who) in [
        ("COSIGN_CERTIFICATE_GITHUB_WORKFLOW_NAME", "--certificate-github-workflow-name", &identity[..]),
        ("COSIGN_CERTIFICATE_GITHUB_WORKFLOW_REF", "--certificate-github-workflow-ref", &identity),
        ("COSIGN_CERTIFICATE_GITHUB_WORKFLOW_REPOSITORY", "--certificate-github-workflow-repository", &identity),
        ("COSIGN_CERTIFICATE_GITHUB_WORKFLOW_SHA", "--certificate-github-workflow-sha", &identity),
        ("COSIGN_CERTIFICATE_GITHUB_WORKFLOW_TRIGGER", "--certificate-github-workflow-trigger", &identity),
        ("COSIGN_ANNOTATIONS", "--annotation", &by_key),
    ] {
        let set = (name, "a=b");
        let verify = [&verify[..], who].concat();
        run(&verify, set).assert_code(20).assert_stderr(name).assert_stderr(flag);
        let answered = run(&[&verify[..], &[flag, "a=b"]].concat(), set);
        assert!(answered.code != Some(20) && !answered.stderr.contains(name), "{answered:?}");
    }
}
