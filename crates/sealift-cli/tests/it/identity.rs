//! Verifying by identities instead of keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::oci::{MediaType, RawManifest, annotation, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use serde_json::Value;

use sealift_sandbox::external::shared;
use sealift_sandbox::peers::Peers;

use crate::services::{Services, args, text};
use crate::support::{User, registry};

/// Services of a workflow, and an image that cosign signed there.
fn signed_by_cosign() -> Option<(Services, Registry, String)> {
    let peers = Peers::find()?;
    let (services, registry) = (Services::in_a_workflow(), registry(RegistryOptions::default()));
    let image = registry.reference(&format!("team/app@{}", fixture::image(1).digest()));
    let mut cosign = services.user.command(peers.path("cosign3"));
    cosign.args(["sign", "-y", &image, "--identity-token"]).arg(&services.files.token);
    cosign.arg("--signing-config").arg(&services.files.signing_config_v1);
    services.user.run_command(cosign.args(services.trust())).assert_code(0);
    Some((services, registry, image))
}

#[test]
fn identities_are_exact_patterns_or_expressions_over_the_whole_name() {
    let Some((services, _registry, image)) = signed_by_cosign() else { return };
    let (name, issuer) = (services.identity.subject(), services.issuer());
    let (name, issuer) = (name.as_str(), issuer.as_str());
    let prefix = name.split_once("@").unwrap().0;
    let any_version = format!("{prefix}@**");
    let unanchored = format!("^{prefix}");
    let anchored = format!("{prefix}@.*");
    let exact = ["--certificate-identity", name, "--certificate-oidc-issuer", issuer];
    let with = |more: [&'static str; 2]| exact.iter().copied().chain(more).map(str::to_owned).collect::<Vec<_>>();
    let github = "--certificate-github-workflow-repository";
    for (identity, code) in [
        (args(exact), 0),
        (args(["--certificate-identity", "eve", "--certificate-oidc-issuer", issuer]), 12),
        (args(["--certificate-identity", name, "--certificate-oidc-issuer", "https://evil.example"]), 12),
        (args(["--certificate-identity", "", "--certificate-oidc-issuer", issuer]), 12),
        (args(["--certificate-identity-glob", &any_version, "--certificate-oidc-issuer-glob", "http://**"]), 0),
        (args(["--certificate-identity-glob", prefix, "--certificate-oidc-issuer", issuer]), 12),
        (args(["--certificate-identity-regexp", &anchored, "--certificate-oidc-issuer-regexp", "http://.*"]), 0),
        (args(["--certificate-identity-regexp", &unanchored, "--certificate-oidc-issuer", issuer]), 12),
        ([args(exact), args(["--certificate-identity", "eve"])].concat(), 0),
        (with([github, "acme/app"]), 0),
        (with([github, "acme/other"]), 12),
        (with(["--certificate-claim", "build-trigger=push"]), 0),
        (with(["--certificate-claim", "build-trigger=pus"]), 12),
        (with(["--certificate-claim", "deployment-environment=prod"]), 12),
        (with(["--certificate-claim-regexp", "source-repository-uri=https://github.com/acme/.*"]), 0),
        (with(["--certificate-claim-regexp", "source-repository-uri=acme"]), 12),
        (args(["--certificate-identity", name]), 2),
        (args(["--certificate-claim", "build-trigger=push"]), 2),
    ] {
        services.run(&[&args(["verify"]), &identity, &services.trust(), &args([&image])]).assert_code(code);
    }
    // Whoever knows the signer can paste the flags.
    let eve = args(["--certificate-identity", "eve", "--certificate-oidc-issuer", issuer]);
    let refused = services.run(&[&args(["verify"]), &eve, &services.trust(), &args([&image])]).assert_code(12);
    refused
        .assert_stderr(&format!("\n  --certificate-identity '{name}' --certificate-oidc-issuer '{issuer}'\n"))
        .assert_stderr("nothing says yet that it signed this")
        .assert_stderr("means trusting it wherever it signs; beside others, every name counts by every issuer");
}

#[test]
fn the_signer_its_claims_log_entry_and_time_are_shown() {
    let Some((services, registry, image)) = signed_by_cosign() else { return };
    let verify = |output: &str| {
        let flags = args(["verify", "--offline", "--output", output]);
        services.run(&[&flags, &services.who(), &services.trust(), &args([&image])]).assert_code(0)
    };
    verify("text")
        .assert_stdout(&format!("{} (by {})", services.identity.subject(), services.issuer()))
        .assert_stdout("claim build-trigger=push")
        .assert_stdout(&format!("log entry 0 of {}", services.sigstore.urls().rekor_v1));
    let signature = &verify("json").json()[0];
    assert_eq!(signature["critical"]["identity"]["docker-reference"], image);
    let optional = &signature["optional"];
    assert_eq!(optional["Subject"], services.identity.subject());
    assert_eq!(optional["Issuer"], services.issuer());
    assert_eq!(optional["githubWorkflowRepository"], "acme/app");
    assert_eq!(optional["Bundle"]["Payload"]["logIndex"], 0);
    assert!(optional["Bundle"]["Payload"]["integratedTime"].as_i64().is_some());
    drop(registry);
}

#[test]
fn what_signatures_come_with_can_be_demanded() {
    let Some((services, _registry, image)) = signed_by_cosign() else { return };
    let other = Services::start();
    for (flags, code) in [
        (args([]), 0),
        (args(["--tlog-threshold", "1", "--timestamp-threshold", "1"]), 0),
        (args(["--use-signed-timestamps", "--require-inclusion-proof"]), 0),
        (args(["--use-signed-timestamps=false"]), 0),
        (args(["--tlog-threshold", "2"]), 12),
        (args(["--timestamp-threshold", "2"]), 12),
        (args(["--sct-threshold", "2"]), 12),
        (args(["--insecure-ignore-tlog", "--insecure-ignore-sct"]), 0),
        (args(["--trusted-root", &text(&other.files.trusted_root)]), 0),
    ] {
        let all = services.run(&[&args(["verify"]), &services.who(), &services.trust(), &flags, &args([&image])]);
        all.assert_code(code);
    }
    // Another installation's trust root alone, and an authority by hand, whose certificates no log knows.
    let chain = text(&services.files.fulcio_chain);
    for (trust, code) in [
        (other.trust(), 12),
        // The public one, which is built in.
        (args(["--offline"]), 12),
        (args(["--certificate-chain", &chain]), 12),
        (args(["--certificate-chain", &chain, "--insecure-ignore-tlog", "--insecure-ignore-sct"]), 12),
    ] {
        services.run(&[&args(["verify"]), &services.who(), &trust, &args([&image])]).assert_code(code);
    }
}

#[test]
fn a_key_does_not_stand_in_for_a_certificate_nor_the_reverse() {
    let Some((services, registry, image)) = signed_by_cosign() else { return };
    services.user.run(&["key", "generate"]).assert_code(0);
    let by_key = args(["verify", "--key", "sealift.pub"]);
    services.run(&[&by_key, &args([&image])]).assert_code(12).assert_stderr("it was signed keyless");
    services.run(&[&by_key, &services.who(), &services.trust(), &args([&image])]).assert_code(0);
    registry.add("team/keyed", &fixture::image(2), Some("v1")).unwrap();
    let keyed = args([&registry.reference("team/keyed:v1")]);
    services.run(&[&args(["sign", "--key", "sealift.key"]), &keyed]).assert_code(0);
    let outcome = services.run(&[&args(["verify", "-o", "json"]), &services.who(), &services.trust(), &keyed]);
    assert_eq!(outcome.assert_code(13).json()["error"]["code"], "NO_CERTIFICATE");
}

#[test]
fn both_gates_of_a_promotion_take_identities() {
    let Some((services, _registry, image)) = signed_by_cosign() else { return };
    let prod = Registry::start(RegistryOptions::default().without_referrers_api()).unwrap();
    let ends = args([&image, &prod.reference("team/app:v1")]);
    let eve = args(["--certificate-identity", "eve", "--certificate-oidc-issuer", &services.issuer()]);
    services.run(&[&args(["promote"]), &eve, &services.trust(), &ends]).assert_code(12);
    assert!(prod.tags("team/app").is_empty());
    services.run(&[&args(["promote"]), &services.who(), &services.trust(), &ends]).assert_code(0);
    let arrived = args([&prod.reference("team/app:v1")]);
    services.run(&[&args(["verify"]), &services.who(), &services.trust(), &arrived]).assert_code(0);
}

/// With an authority of one's own and no proof of time, a certificate must be valid now: a variable that makes builds
/// reproducible does not bring an expired one back.
#[test]
fn the_clock_and_nothing_else_says_what_time_it_is() {
    let services = Services::start();
    services.user.write("blob", "content");
    let sign = args(["sign-blob", "--yes", "--identity-token", &text(&services.files.token), "--signing-config"]);
    let config = args([&text(&services.files.signing_config_v1), "--output-signature", "blob.sig", "blob"]);
    services.run(&[&sign, &config, &services.trust()]).assert_code(0);
    let bundle: Value =
        serde_json::from_slice(&std::fs::read(services.user.path("blob.sigstore.json")).unwrap()).unwrap();
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap();
    services.user.write("blob.pem", format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"));
    let alone =
        ["--signature", "blob.sig", "--certificate", "blob.pem", "--insecure-ignore-tlog", "--insecure-ignore-sct"];
    for epoch in [None, Some("1"), Some("4102444800")] {
        let mut verify = services.user.command(env!("CARGO_BIN_EXE_sealift"));
        verify.arg("verify-blob").args(alone).args(services.who()).arg("--certificate-chain");
        verify.arg(&services.files.fulcio_chain).arg("blob");
        if let Some(epoch) = epoch {
            verify.env("SOURCE_DATE_EPOCH", epoch);
        }
        services.user.run_command(&mut verify).assert_code(0);
    }
}

/// That a certificate of one's own authority is valid now says nothing about when it signed: no limit of age is kept.
#[test]
fn the_clock_makes_no_signature_young() {
    let services = Services::start();
    let registry = crate::support::registry(RegistryOptions::default());
    let digest = registry.manifest("team/app", "v1").unwrap().descriptor().digest.clone();
    let payload = serde_json::json!({
        "critical": {
            "identity": { "docker-reference": "" }, "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature"
        },
        "optional": null
    });
    services.user.write("payload", payload.to_string());
    let sign = args(["sign-blob", "--yes", "--identity-token", &text(&services.files.token), "--signing-config"]);
    let config = args([&text(&services.files.signing_config_v1), "--output-signature", "payload.sig", "payload"]);
    services.run(&[&sign, &config, &services.trust()]).assert_code(0);
    let bundle: Value =
        serde_json::from_slice(&std::fs::read(services.user.path("payload.sigstore.json")).unwrap()).unwrap();
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    let image = registry.reference("team/app:v1");
    let certificate = format!("{}={pem}", annotation::COSIGN_CERTIFICATE);
    let attach =
        ["attach", "signature", "--signature", "payload.sig", "--payload", "payload", "-a", &certificate, &image];
    services.user.run(&attach).assert_code(0);

    let chain = text(&services.files.fulcio_chain);
    let trust = args(["--certificate-chain", &chain, "--insecure-ignore-tlog", "--insecure-ignore-sct"]);
    let verify = args(["verify", "--output", "json"]);
    let json = services.run(&[&verify, &services.who(), &trust, &args([&image])]).assert_code(0).json();
    assert_eq!(json[0]["optional"].get("Times"), None, "{json}");
    services
        .run(&[&args(["verify"]), &services.who(), &trust, &args([&image])])
        .assert_code(0)
        .assert_stdout("no proven time; its certificate is valid now");
    for (age, code) in [("", 0), (", maxAge: 1d", 14)] {
        let identity = format!("{{subject: {}, issuer: {}}}", services.identity.subject(), services.issuer());
        services.user.write(
            "p.yaml",
            format!(
                "version: 1\nscopes: [{{repository: {}/**, signatures: [{{anyOf: [{{identity: {identity}}}]{age}}}]}}]\n",
                registry.host()
            ),
        );
        let verify = args(["verify", "--policy", "p.yaml"]);
        let outcome = services.run(&[&verify, &trust, &args([&image])]).assert_code(code);
        if code != 0 {
            outcome.assert_stdout("nothing proves when it was made");
        }
    }
}

/// Row 8 of the scenarios: signatures made in 2022 with a certificate whose issuer is in the deprecated extension, and
/// logged with a promise alone.
#[test]
fn keyless_signatures_of_2022_verify_offline() {
    let Some(author) = shared("author-2022") else { return };
    let Some(root) = shared("conformance/trusted_root_public_good.json") else { return };
    let root = text(&root);
    let tsa = authority_chain(&root);
    for name in ["v1.json", "v2.json", "v3.json"] {
        let printed: Value = serde_json::from_slice(&std::fs::read(author.join(name)).unwrap()).unwrap();
        let (user, registry) = (User::new(), Registry::start(RegistryOptions::default()).unwrap());
        let digest = attach_printed(&registry, &printed[0]);
        let image = registry.reference(&format!("flasksample@{digest}"));
        for (signer, issuer, code) in [
            ("toddysm_dev1@outlook.com", "https://github.com/login/oauth", 0),
            ("toddysm_dev2@outlook.com", "https://github.com/login/oauth", 12),
            ("toddysm_dev1@outlook.com", "https://accounts.google.com", 12),
        ] {
            let identity = ["--certificate-identity", signer, "--certificate-oidc-issuer", issuer];
            let verify = ["verify", "--offline", "--trusted-root", &root];
            user.run(&[&verify[..], &identity, &[&image]].concat()).assert_code(code);
            // As the hint on cosign's variables for authorities says: one more authority, beside the whole installation.
            user.write("tsa.pem", &tsa);
            let beside =
                ["verify", "--offline", "--instance", "public-good", "--timestamp-certificate-chain", "tsa.pem"];
            user.run(&[&beside[..], &identity, &[&image]].concat()).assert_code(code);
        }
    }
}

/// Returns the certificates of a trusted root's first timestamp authority, as PEM.
fn authority_chain(root: &str) -> String {
    let root: Value = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
    let certificates = root["timestampAuthorities"][0]["certChain"]["certificates"].as_array().unwrap();
    let pem = certificates.iter().map(|certificate| {
        let bytes = certificate["rawBytes"].as_str().unwrap().as_bytes();
        let lines: Vec<_> = bytes.chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    });
    pem.collect()
}

/// Stores a signature as cosign 1 did, from what `cosign verify` printed; returns the digest it is about.
fn attach_printed(registry: &Registry, printed: &Value) -> String {
    let critical = &printed["critical"];
    let digest = critical["image"]["docker-manifest-digest"].as_str().unwrap();
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":{}}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#,
        critical["identity"]["docker-reference"]
    );
    let bundle = &printed["optional"]["Bundle"];
    let body = STANDARD.decode(bundle["Payload"]["body"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let signature = &body["spec"]["signature"];
    let certificate = STANDARD.decode(signature["publicKey"]["content"].as_str().unwrap()).unwrap();
    let layer = registry.add_blob("flasksample", payload.clone().into()).unwrap();
    let config = registry.add_blob("flasksample", "{}".into()).unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": layer,
            "size": payload.len(),
            "annotations": {
                (annotation::COSIGN_SIGNATURE): signature["content"],
                (annotation::COSIGN_CERTIFICATE): String::from_utf8(certificate).unwrap(),
                (annotation::COSIGN_BUNDLE): bundle.to_string(),
            },
        }],
    });
    let manifest = RawManifest::new(MediaType::from_static(media_type::IMAGE_MANIFEST), manifest.to_string());
    let tag = format!("{}.sig", digest.replace(':', "-"));
    registry.add_manifest("flasksample", &manifest, Some(&tag)).unwrap();
    digest.to_owned()
}
