//! Files: `sign-blob`, `verify-blob`, `attest-blob`, `verify-blob-attestation` and `bundle`.

use sealift_core::oci::Digest;

use sealift_sandbox::external::shared;
use sealift_sandbox::peers::Peers;

use crate::services::{Services, args};
use crate::support::User;

/// A user with keys, another key, and two files.
fn user() -> User {
    let user = User::with_key();
    user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    user.write("blob", "what is signed\n");
    user.write("changed", "what is not\n");
    user
}

#[test]
fn a_signed_file_verifies_and_nothing_else_does() {
    let user = user();
    user.run(&["sign-blob", "--key", "sealift.key", "--output-signature", "blob.sig", "blob"]).assert_code(0);
    let (digest, other) = (Digest::sha256(b"what is signed\n").to_string(), Digest::sha256(b"x").to_string());
    for (args, code) in [
        (&["--key", "sealift.pub", "blob"][..], 0),
        (&["--key", "sealift.pub", "--signature", "blob.sig", "blob"], 0),
        (&["--key", "sealift.pub", "--bundle", "blob.sigstore.json", &digest], 0),
        (&["--key", "sealift.pub", "--bundle", "blob.sigstore.json", &other], 12),
        (&["--key", "sealift.pub", "--bundle", "blob.sigstore.json", "changed"], 12),
        (&["--key", "other.pub", "blob"], 12),
        (&["--key", "other.pub", "--signature", "blob.sig", "blob"], 12),
        (&["--key", "sealift.pub", "--signature", "no base64!", "blob"], 2),
        (&["--key", "sealift.pub", "--bundle", "sealift.pub", "blob"], 12),
        (&["--key", "sealift.pub", "changed"], 20),
        (&["blob"], 2),
    ] {
        user.run(&[&["verify-blob"], args].concat()).assert_code(code);
    }
    user.run(&["verify-blob-attestation", "--key", "sealift.pub", "blob"])
        .assert_code(12)
        .assert_stderr("verify-blob`");
    let verified = user.run(&["verify-blob", "-o", "json", "--key", "sealift.pub", "blob"]).assert_code(0).json();
    assert_eq!(verified["digest"], digest);
    assert!(verified["signer"]["fingerprint"].is_string(), "{verified}");
}

#[test]
fn bundles_are_not_overwritten_unasked_and_each_file_has_its_own() {
    let user = user();
    user.run(&["sign-blob", "--key", "sealift.key", "blob", "missing", "changed"]).assert_code(20);
    user.run(&["verify-blob", "--key", "sealift.pub", "changed"]).assert_code(0);
    user.run(&["sign-blob", "--key", "other.key", "blob"]).assert_code(2).assert_stderr("--overwrite");
    user.run(&["verify-blob", "--key", "sealift.pub", "blob"]).assert_code(0);
    user.run(&["sign-blob", "--key", "other.key", "--overwrite", "blob"]).assert_code(0);
    user.run(&["verify-blob", "--key", "other.pub", "blob"]).assert_code(0);
    user.run(&["sign-blob", "--key", "other.key", "--bundle", "b", "blob", "changed"]).assert_code(2);
    user.run(&["sign-blob", "--key", "other.key", "-"]).assert_code(2);
    let line = format!("cat blob | {} sign-blob --key sealift.key --bundle b -", env!("CARGO_BIN_EXE_sealift"));
    user.run_command(user.command("sh").args(["-c", &line])).assert_code(0);
    user.run(&["verify-blob", "--key", "sealift.pub", "--bundle", "b", "blob"]).assert_code(0);
}

#[test]
fn attestations_are_about_one_file_and_of_one_type() {
    let user = user();
    user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let attest = ["attest-blob", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json"];
    user.run(&[&attest[..], &["--output-attestation", "blob.att", "blob"]].concat()).assert_code(0);
    for (args, code) in [
        (&["blob"][..], 0),
        (&["--type", "spdxjson", "blob"], 0),
        (&["--signature", "blob.att", "blob"], 0),
        (&["--type", "vuln", "blob"], 12),
        (&["--bundle", "blob.sigstore.json", "changed"], 12),
    ] {
        user.run(&[&["verify-blob-attestation", "--key", "sealift.pub"], args].concat()).assert_code(code);
    }
    user.run(&["verify-blob", "--key", "sealift.pub", "blob"])
        .assert_code(12)
        .assert_stderr("verify-blob-attestation`");
    let verify = ["verify-blob-attestation", "--key", "sealift.pub", "-o", "json", "blob"];
    let verified = user.run(&verify).assert_code(0).json();
    assert_eq!(verified["predicateType"], "https://spdx.dev/Document");
    assert!(verified["envelope"]["payload"].is_string(), "{verified}");
    user.write("statement.json", r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"00"}}],"predicateType":"https://a.b/c","predicate":{}}"#);
    let stated = ["attest-blob", "--key", "sealift.key", "--statement", "statement.json", "--bundle", "s", "blob"];
    user.run(&stated).assert_code(2);
}

#[test]
fn both_cosigns_read_what_we_sign_and_we_what_they_do() {
    let Some(peers) = Peers::find() else { return };
    let user = user();
    user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let peer = |name: &str, args: &[&str]| user.run_command(user.command(peers.path(name)).args(args)).assert_code(0);
    user.run(&["sign-blob", "--key", "sealift.key", "--output-signature", "blob.sig", "blob"]).assert_code(0);
    let verify = ["verify-blob", "--key", "sealift.pub", "--insecure-ignore-tlog"];
    peer("cosign3", &[&verify[..], &["--bundle", "blob.sigstore.json", "blob"]].concat());
    peer("cosign2", &[&verify[..], &["--signature", "blob.sig", "blob"]].concat());
    let attest = ["attest-blob", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json"];
    user.run(&[&attest[..], &["--bundle", "att.json", "blob"]].concat()).assert_code(0);
    let verify = ["verify-blob-attestation", "--key", "sealift.pub", "--insecure-ignore-tlog", "--type", "spdxjson"];
    peer("cosign3", &[&verify[..], &["--bundle", "att.json", "blob"]].concat());

    peer("cosign3", &["signing-config", "create", "--out", "sc.json"]);
    peer("cosign3", &["trusted-root", "create", "--out", "tr.json"]);
    let config = ["--signing-config", "sc.json", "--trusted-root", "tr.json", "-y"];
    peer("cosign3", &[&["sign-blob", "--key", "sealift.key", "--bundle", "c3.json", "blob"], &config[..]].concat());
    user.run(&["verify-blob", "--key", "sealift.pub", "--bundle", "c3.json", "blob"]).assert_code(0);
    let attest = [&attest[..], &["--bundle", "c3-att.json", "blob"], &config].concat();
    peer("cosign3", &attest);
    let verify = ["verify-blob-attestation", "--key", "sealift.pub", "--type", "spdxjson", "--bundle"];
    user.run(&[&verify[..], &["c3-att.json", "blob"]].concat()).assert_code(0);

    let sign = ["sign-blob", "--key", "sealift.key", "--tlog-upload=false", "-y", "--output-signature", "c2.sig"];
    peer("cosign2", &[&sign[..], &["--bundle", "c2.json", "blob"]].concat());
    user.run(&["verify-blob", "--key", "sealift.pub", "--bundle", "c2.json", "blob"]).assert_code(0);
    user.run(&["verify-blob", "--key", "sealift.pub", "--signature", "c2.sig", "blob"]).assert_code(0);
    user.run(&["bundle", "inspect", "c2.json"]).assert_code(0).assert_stdout("before bundles were standardized");
    user.run(&["bundle", "upgrade", "c2.json"]).assert_code(1).assert_stderr("--artifact");
    let upgrade = ["bundle", "upgrade", "--key", "sealift.pub", "--artifact", "blob", "--out", "new.json", "c2.json"];
    user.run(&upgrade).assert_code(0);
    user.run(&["verify-blob", "--key", "sealift.pub", "--bundle", "new.json", "blob"]).assert_code(0);
    peer("cosign3", &["verify-blob", "--key", "sealift.pub", "--insecure-ignore-tlog", "--bundle", "new.json", "blob"]);
}

/// Files that the cosigns signed keyless, each in its own form and with either version of the log.
#[test]
fn keyless_signatures_of_both_cosigns_verify() {
    let Some(peers) = Peers::find() else { return };
    let services = Services::in_a_workflow();
    let user = &services.user;
    user.write("blob", "what is signed\n");
    user.write("changed", "what is not\n");
    let files = &services.files;
    for (number, config) in [&files.signing_config, &files.signing_config_v1].into_iter().enumerate() {
        let mut cosign = user.command(peers.path("cosign3"));
        cosign.args(["sign-blob", "-y", "blob", "--bundle", &format!("c3-{number}.json"), "--identity-token"]);
        user.run_command(cosign.arg(&files.token).arg("--signing-config").arg(config).args(services.trust()))
            .assert_code(0);
    }
    let urls = services.sigstore.urls();
    let mut cosign = user.command(peers.path("cosign2"));
    cosign.env("SIGSTORE_ROOT_FILE", &files.fulcio_chain).env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", &files.ct_log_key);
    cosign.env("SIGSTORE_REKOR_PUBLIC_KEY", &files.rekor_key).arg("--identity-token").arg(&files.token);
    cosign.args(["sign-blob", "-y", "blob", "--bundle", "c2.json"]);
    user.run_command(cosign.args(["--fulcio-url", &urls.fulcio, "--rekor-url", &urls.rekor_v1])).assert_code(0);
    for bundle in ["c3-0.json", "c3-1.json", "c2.json"] {
        for (blob, code) in [("blob", 0), ("changed", 12)] {
            let args = ["verify-blob", "--bundle", bundle, blob].map(str::to_owned);
            services.run(&[&args, &services.who(), &services.trust()]).assert_code(code);
        }
        user.run(&["bundle", "inspect", bundle]).assert_code(0).assert_stdout("build-trigger: push");
    }
    // Cosign 2 keeps the log's promise alone; the log gives the proof that version 0.3 demands.
    let upgrade = args(["bundle", "upgrade", "--artifact", "blob", "--out", "new.json", "c2.json"]);
    services.run(&[&upgrade, &services.trust()]).assert_code(0);
    let mut cosign = user.command(peers.path("cosign3"));
    cosign.args(["verify-blob", "--bundle", "new.json"]).args(services.who()).args(services.trust());
    user.run_command(cosign.arg("blob")).assert_code(0);
}

/// Bundles of versions 0.1 and 0.2 verify as they are and in version 0.3.
#[test]
fn an_upgraded_bundle_verifies_as_the_old_one_did() {
    let Some(cases) = shared("conformance/bundle-cases/upstream") else { return };
    let Some(root) = shared("conformance/trusted_root_public_good.json") else { return };
    let (user, root, artifact) = (User::new(), root.display().to_string(), cases.join("a.txt").display().to_string());
    let verify = |bundle: &str| {
        let repository = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/";
        let identity = ["--certificate-identity-regexp", &format!("{repository}.*"), "--certificate-oidc-issuer"];
        let issuer = "https://token.actions.githubusercontent.com";
        let args = ["verify-blob", "--offline", "--trusted-root", &root, "--bundle", bundle, &artifact];
        user.run(&[&args[..], &identity, &[issuer]].concat())
    };
    for case in ["happy-path-v0.1", "happy-path-v0.2", "happy-path-v0.3"] {
        let bundle = cases.join(case).join("bundle.sigstore.json").display().to_string();
        verify(&bundle).assert_code(0);
        user.run(&["bundle", "upgrade", "--out", "new.json", &bundle]).assert_code(0);
        verify("new.json").assert_code(0);
        let shown = user.run(&["bundle", "inspect", "-o", "json", "new.json"]).assert_code(0).json();
        assert_eq!(shown["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json", "{case}");
        assert_eq!(shown["certificate"]["issuers"], 0, "{case}");
    }
}
