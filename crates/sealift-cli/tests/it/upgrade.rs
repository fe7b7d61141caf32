//! `sealift bundle upgrade` of bundles that have a log's promise alone: the proof comes from the log, and nothing is
//! written that does not verify.

use std::net::{Ipv4Addr, TcpListener};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_sandbox::sigstore::{Fault, LogVersion, Service, Times};
use serde_json::{Value, json};

use crate::services::{Services, args, text};
use crate::support::Outcome;

/// A file with signatures as they are made today, and the same as they were made before there were proofs.
struct Archive {
    services: Services,
}

impl Archive {
    /// Signs `blob` without a key (`keyless.json`), with one (`keyed.json`), and attests it (`attested.json`), in a log
    /// of version 1 that holds another entry already. What is older is named `v01-` or `cosign-` so.
    fn new() -> Self {
        let services = Services::start();
        let user = &services.user;
        user.run(&["key", "generate"]).assert_code(0);
        for (name, content) in [("first", "another"), ("blob", "what is signed"), ("p.json", "{}")] {
            user.write(name, content);
        }
        let (signing, token) = (services.signing(&[LogVersion::V1]), services.token());
        let sign = |arguments: &[&str], who: &[String]| {
            let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            services.run(&[&arguments, who, &signing]).assert_code(0);
        };
        sign(&["sign-blob", "first"], &token);
        sign(&["sign-blob", "--bundle", "keyless.json", "blob"], &token);
        sign(&["sign-blob", "--bundle", "keyed.json", "blob"], &args(["--key", "sealift.key", "--yes"]));
        let attest = ["attest-blob", "--type", "https://example.com/p", "--predicate", "p.json"];
        sign(&[&attest[..], &["--bundle", "attested.json", "blob"]].concat(), &token);
        let archive = Self { services };
        for name in ["keyless.json", "keyed.json", "attested.json"] {
            archive.write(&format!("v01-{name}"), &in_version_0_1(&archive.read(name)));
        }
        for name in ["keyless.json", "keyed.json"] {
            archive.write(&format!("cosign-{name}"), &as_cosign_wrote_it(&archive.read(name)));
        }
        archive
    }

    fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.services.user.path(name)).unwrap()
    }

    fn write(&self, name: &str, json: &Value) {
        self.services.user.write(name, json.to_string());
    }

    /// Upgrades a bundle in its place.
    fn upgrade(&self, name: &str, flags: &[&str]) -> Outcome {
        let place = args(["bundle", "upgrade", "--out", name, name]);
        let key = if name.contains("keyed") { args(["--key", "sealift.pub"]) } else { args([]) };
        let artifact = if name.contains("cosign") { args(["--artifact", "blob"]) } else { args([]) };
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.services.run(&[&place, &key, &artifact, &flags])
    }

    /// Upgrades a bundle in its place, trusting the services.
    fn upgrade_trusting(&self, name: &str, flags: &[&str]) -> Outcome {
        self.upgrade(name, &[&["--trusted-root", &text(&self.services.files.trusted_root)], flags].concat())
    }

    /// Returns the questions put to the log.
    fn questions(&self) -> Vec<String> {
        let asked = self.services.sigstore.requests().into_iter();
        asked.filter(|request| request.service == Service::RekorV1).map(|request| request.path).collect()
    }
}

/// Returns a bundle as version 0.1 has it: the log's promise, and no proof.
fn in_version_0_1(bundle: &Value) -> Value {
    let mut old = bundle.clone();
    old["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    let material = old["verificationMaterial"].as_object_mut().unwrap();
    if let Some(certificate) = material.remove("certificate") {
        material.insert("x509CertificateChain".to_owned(), json!({ "certificates": [certificate] }));
    }
    for entry in material["tlogEntries"].as_array_mut().unwrap() {
        assert!(entry.as_object_mut().unwrap().remove("inclusionProof").is_some());
    }
    old
}

/// Returns a signature over a file as `cosign sign-blob --bundle` wrote it before bundles were standardized.
fn as_cosign_wrote_it(bundle: &Value) -> Value {
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let number = |field: &str| entry[field].as_str().unwrap_or("0").parse::<i64>().unwrap();
    let log_id: String = STANDARD
        .decode(entry["logId"]["keyId"].as_str().unwrap())
        .unwrap()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let certificate = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str();
    let pem = |der: &str| format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    json!({
        "base64Signature": bundle["messageSignature"]["signature"],
        "cert": certificate.map(|der| STANDARD.encode(pem(der))),
        "rekorBundle": {
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"],
                "integratedTime": number("integratedTime"),
                "logIndex": number("logIndex"),
                "logID": log_id,
            },
        },
    })
}

/// Returns an address at which nobody listens any more.
fn closed_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_missing_proof_comes_from_the_log() {
    let archive = Archive::new();
    let services = &archive.services;
    for name in ["v01-keyless.json", "v01-keyed.json", "v01-attested.json", "cosign-keyless.json", "cosign-keyed.json"]
    {
        let promised = archive.read(name);
        services.sigstore.clear_requests();
        archive.upgrade_trusting(name, &[]).assert_code(0);
        assert_eq!(archive.questions(), ["/api/v1/log/entries"], "{name} has one entry");
        let upgraded = archive.read(name);
        assert_eq!(upgraded["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json", "{name}");
        let entry = &upgraded["verificationMaterial"]["tlogEntries"][0];
        assert!(entry["inclusionProof"]["checkpoint"]["envelope"].is_string(), "{name}: {upgraded}");
        if name.starts_with("v01-") {
            let before = &promised["verificationMaterial"]["tlogEntries"][0];
            for kept in ["canonicalizedBody", "inclusionPromise", "integratedTime", "logIndex"] {
                assert_eq!(entry[kept], before[kept], "{name}: {kept}");
            }
        }
        let command = if name.contains("attested") { "verify-blob-attestation" } else { "verify-blob" };
        let verify = args([command, "--offline", "--require-inclusion-proof", "--tlog-threshold", "1"]);
        let who = if name.contains("keyed") { args(["--key", "sealift.pub"]) } else { services.who() };
        services.run(&[&verify, &who, &services.trust(), &args(["--bundle", name, "blob"])]).assert_code(0);
    }
}

#[test]
fn a_log_that_lies_or_is_silent_changes_nothing() {
    let archive = Archive::new();
    let sigstore = &archive.services.sigstore;
    for name in ["v01-attested.json", "cosign-keyless.json"] {
        let before = archive.bytes(name);
        for (fault, code, reason) in [
            (Fault::OtherEntry, 12, "the log's entry is not of this signature: its body differs"),
            (Fault::WrongProof, 22, "the log's inclusion proof does not hold"),
            (Fault::OldCheckpoint, 22, "the log's checkpoint is of "),
            (Fault::Status(404), 12, "did not give it"),
            (Fault::Status(403), 21, "did not give it"),
            (Fault::Status(400), 22, "did not give it"),
            (Fault::ForeignCheckpoint, 12, "does not verify, so it was not written"),
        ] {
            sigstore.inject(Service::RekorV1, fault, Times::Always);
            archive.upgrade_trusting(name, &[]).assert_code(code).assert_stderr(reason);
            assert_eq!(archive.bytes(name), before, "{name}: {fault:?}");
            sigstore.clear_faults();
        }
        archive.upgrade_trusting(name, &[]).assert_code(0);
    }
    let before = archive.bytes("v01-keyless.json");
    let closed = closed_address();
    let nobody = archive.upgrade_trusting("v01-keyless.json", &["--rekor-url", &closed]);
    nobody.assert_code(22).assert_stderr(&format!("{closed}/ did not give it"));
    // Trying again does not help with a setting.
    let plain = archive.upgrade_trusting("v01-keyless.json", &["--rekor-url", "http://log.example.com"]);
    plain.assert_code(20).assert_stderr("log.example.com is not reached over https");
    assert_eq!(archive.bytes("v01-keyless.json"), before);
    // The address by hand is one of the same log.
    let url = sigstore.urls().rekor_v1.clone();
    archive.upgrade_trusting("v01-keyless.json", &["--rekor-url", &url]).assert_code(0);
}

#[test]
fn nobody_is_asked_offline_nor_for_what_is_there() {
    let archive = Archive::new();
    let sigstore = &archive.services.sigstore;
    sigstore.clear_requests();
    for name in ["v01-keyless.json", "v01-keyed.json", "cosign-keyed.json"] {
        let before = archive.bytes(name);
        let offline = archive.upgrade_trusting(name, &["--offline"]);
        offline.assert_code(22).assert_stderr("has no inclusion proof, and `--offline` asks no log");
        assert_eq!(archive.bytes(name), before, "{name}");
    }
    for flags in [&[][..], &["--offline"], &["--rekor-url", &closed_address()]] {
        archive
            .services
            .run(&[
                &args(["bundle", "upgrade", "--out", "same.json", "keyless.json"]),
                &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(),
            ])
            .assert_code(0);
        assert_eq!(archive.read("same.json"), archive.read("keyless.json"), "{flags:?}");
    }
    let url = args(["bundle", "upgrade", "--rekor-url", &closed_address(), "keyless.json"]);
    archive.services.run(&[&url]).assert_code(0).assert_stderr("no log is asked: every log entry");
    assert!(sigstore.requests().is_empty(), "{:?}", sigstore.requests());
}

#[test]
fn only_what_verifies_is_upgraded() {
    let archive = Archive::new();
    let services = &archive.services;
    services.user.run(&["key", "generate", "--output-key-prefix", "other"]).assert_code(0);
    let stranger = ["--certificate-identity", "eve@example.com", "--certificate-oidc-issuer", &services.issuer()];
    services.sigstore.clear_requests();
    archive.upgrade_trusting("v01-keyless.json", &stranger).assert_code(12);
    archive.upgrade_trusting("keyless.json", &stranger).assert_code(12);
    // Somebody else's Sigstore vouches for nothing here.
    let elsewhere = Services::start();
    let foreign = text(&elsewhere.files.trusted_root);
    archive.upgrade("v01-keyless.json", &["--trusted-root", &foreign]).assert_code(12);
    archive.upgrade("v01-keyed.json", &["--trusted-root", &foreign]).assert_code(12);
    // A key is no name, so it has to be given, and the right one.
    let trust = services.trust();
    let keyed = args(["bundle", "upgrade", "v01-keyed.json"]);
    services.run(&[&keyed, &trust]).assert_code(2).assert_stderr("`--key`");
    services.run(&[&keyed, &trust, &args(["--key", "other.pub"])]).assert_code(12);
    // Another file than was signed.
    services.user.write("changed", "what is not");
    let changed = args(["bundle", "upgrade", "--artifact", "changed", "cosign-keyless.json"]);
    services.run(&[&changed, &trust]).assert_code(12);
    assert!(archive.questions().is_empty(), "no log is asked about what does not verify");
}

/// Says whether an upgrade ends with `code`, and writes something only if that is 0.
fn assert_upgrade(archive: &Archive, bundle: &str, flags: &[&str], code: i32) -> Outcome {
    let out = archive.services.user.path("out.json");
    let upgrade = [&["bundle", "upgrade", "--out", "out.json", bundle][..], flags].concat();
    let outcome = archive.services.user.run(&upgrade).assert_code(code);
    assert_eq!(std::fs::remove_file(out).is_ok(), code == 0, "{bundle} {flags:?}");
    outcome
}

#[test]
fn what_has_its_proofs_must_verify_where_flags_say_by_what() {
    let archive = Archive::new();
    let services = &archive.services;
    let root = text(&services.files.trusted_root);
    let elsewhere = Services::start();
    let foreign = text(&elsewhere.files.trusted_root);
    let mut forged = archive.read("keyless.json");
    forged["messageSignature"]["signature"] = archive.read("keyed.json")["messageSignature"]["signature"].clone();
    archive.write("forged.json", &forged);
    for (bundle, flags, code) in [
        ("keyless.json", &["--trusted-root", &root][..], 0),
        ("keyless.json", &["--trusted-root", &foreign], 12),
        ("keyless.json", &["--trusted-root", "missing.json"], 20),
        ("keyless.json", &["--instance", "public-good", "--offline"], 12),
        ("keyless.json", &["--trusted-root", &root, "--timestamp-threshold", "8"], 12),
        ("attested.json", &["--trusted-root", &root], 0),
        ("attested.json", &["--trusted-root", &foreign], 12),
        ("forged.json", &["--trusted-root", &root], 12),
        ("keyed.json", &["--trusted-root", &root], 2),
        ("keyed.json", &["--trusted-root", &root, "--key", "sealift.pub"], 0),
    ] {
        assert_upgrade(&archive, bundle, flags, code);
    }
}

#[test]
fn what_is_written_as_signed_was_signed() {
    let archive = Archive::new();
    let user = &archive.services.user;
    user.write("changed", "what is not");
    let other = format!("sha256:{}", "0".repeat(64));
    for bundle in ["keyless.json", "attested.json"] {
        assert_upgrade(&archive, bundle, &["--artifact", "blob"], 0);
        for artifact in ["changed", &other] {
            let refused = assert_upgrade(&archive, bundle, &["--artifact", artifact], 12);
            refused.assert_stderr("signed is another artifact: sha256:");
        }
    }
    // No log was asked to hold it, so there is no proof to miss, and it does not say what was signed.
    let mut unlogged = archive.read("cosign-keyed.json");
    unlogged.as_object_mut().unwrap().remove("rekorBundle");
    archive.write("unlogged.json", &unlogged);
    let key = ["--key", "sealift.pub"];
    assert_upgrade(&archive, "unlogged.json", &key, 1).assert_stderr("`--artifact`");
    assert_upgrade(&archive, "unlogged.json", &["--artifact", "blob"], 2).assert_stderr("`--key`");
    for (artifact, flags, code) in
        [("changed", &[][..], 12), ("blob", &["--tlog-threshold", "1"], 12), ("blob", &[], 0)]
    {
        assert_upgrade(&archive, "unlogged.json", &[&key[..], &["--artifact", artifact], flags].concat(), code);
    }
}
