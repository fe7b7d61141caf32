//! `sealift migrate`: what it makes, the cosigns verify.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::peers::Peers;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use sealift_sandbox::sigstore::{Fault, LogVersion, Service, Times};

use crate::lab::{Lab, Place};
use crate::services::{Services, args, text};
use crate::support::{Outcome, User, both_kinds, registry};

#[test]
fn what_is_migrated_the_cosigns_verify_with_a_key() {
    let Some(lab) = Lab::open() else { return };
    lab.user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let verify = ["verify-attestation", "--key", "sealift.pub", "--insecure-ignore-tlog", "--type", "spdxjson"];
    for place in Place::all(&lab.peers) {
        let old = lab.push(&place, "team/old", &fixture::image(1));
        let attest = ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json"];
        lab.peer("cosign2", &[&attest[..], &["--tlog-upload=false", "-y", &old]].concat()).assert_code(0);
        let migrate = |to: &str, reference: &str, code: i32| {
            let args = ["migrate", "--key", "sealift.pub", "--output", "json", "--to", to, reference];
            lab.sealift(&args).assert_code(code).json()
        };
        let converted = migrate("bundle", &old, 0);
        assert_eq!(converted["signatures"][0]["outcome"], "converted", "{converted}");
        assert_eq!(migrate("both", &old, 0)["signatures"][0]["outcome"], "present", "a second time");
        // Without cosign 2's tag the bundle stands alone.
        let digest = old.rsplit_once('@').unwrap().1.replace(':', "-");
        let tag = format!("{}/team/old:{digest}.att", place.host());
        lab.sealift(&["delete", "--yes", &tag]).assert_code(0);
        lab.peer("cosign3", &[&verify[..], &[&old]].concat()).assert_code(0);
        lab.sealift(&["verify-attestation", "--key", "sealift.pub", "--type", "spdxjson", &old]).assert_code(0);

        let new = lab.push(&place, "team/new", &fixture::image(2));
        lab.sealift(&[&attest[..], &["--format", "bundle", &new]].concat()).assert_code(0);
        migrate("legacy", &new, 0);
        lab.peer("cosign2", &[&verify[..], &["--private-infrastructure", &new]].concat()).assert_code(0);
        // A signature of the image has no other form, and stays what it is.
        lab.cosign2_signs(&new);
        let left = migrate("bundle", &new, 1);
        assert!(left.to_string().contains("cosign's own payload"), "{left}");
        let anew = format!("sealift sign --format bundle --key sealift.key {new}");
        assert!(left["signatures"].as_array().unwrap().iter().any(|left| left["instead"] == anew), "{left}");
        lab.cosign2_verifies(&new);
    }
}

#[test]
fn what_is_migrated_the_cosigns_verify_without_a_key() {
    let Some(peers) = Peers::find() else { return };
    let services = Services::start();
    services.user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let attest = ["attest", "--type", "spdxjson", "--predicate", "p.json"];
    let verify = ["verify-attestation", "--type", "spdxjson"];
    for (_, options) in both_kinds() {
        let registry = Registry::start(options).unwrap();
        let image = |repository: &str, seed| {
            let image = fixture::image(seed);
            registry.add(repository, &image, Some("v1")).unwrap();
            (registry.reference(&format!("{repository}@{}", image.digest())), image.digest().clone())
        };
        let cosign = |program: &str, arguments: &[&str], more: &[String]| -> Outcome {
            let mut cosign = services.user.command(peers.path(program));
            cosign.args(arguments).args(more);
            if program == "cosign2" {
                let files = &services.files;
                cosign
                    .env("SIGSTORE_ROOT_FILE", &files.fulcio_chain)
                    .env("SIGSTORE_REKOR_PUBLIC_KEY", &files.rekor_key);
                cosign.env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", &files.ct_log_key);
            }
            services.user.run_command(&mut cosign)
        };
        let migrate = |to: &str, reference: &str| {
            let migrate = args(["migrate", "--output", "json", "--to", to, reference]);
            services.run(&[&migrate, &services.who(), &services.trust()]).assert_code(0).json()
        };
        let urls = services.sigstore.urls();

        // What cosign 2 attested, as a bundle, without the tag it comes from.
        let (old, digest) = image("team/old", 1);
        let token = args(["--identity-token", &text(&services.files.token)]);
        let at = args(["-y", "--fulcio-url", &urls.fulcio, "--rekor-url", &urls.rekor_v1, &old]);
        cosign("cosign2", &attest, &[token, at].concat()).assert_code(0);
        // The tag has the log's promise, and a bundle the proof, which only the log gives.
        let unproven = |flags: &[&str], reason: &str| {
            let migrate = args(["migrate", "--to", "bundle", &old]);
            let refused = services.run(&[
                &migrate,
                &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(),
                &services.who(),
                &services.trust(),
            ]);
            refused.assert_code(22).assert_stdout("undecided").assert_stdout(reason);
            assert!(registry.referrers("team/old", &digest).is_empty(), "{reason}");
        };
        unproven(&["--offline"], "asks no log");
        services.sigstore.inject(Service::RekorV1, Fault::Status(400), Times::Always);
        unproven(&[], "did not give it");
        services.sigstore.clear_faults();
        let converted = migrate("bundle", &old);
        assert_eq!(converted["signatures"][0]["outcome"], "converted", "{converted}");
        let tag = registry.reference(&format!("team/old:{}", Tag::cosign(&digest, "att")));
        services.user.run(&["delete", "--yes", &tag]).assert_code(0);
        cosign("cosign3", &verify, &[services.who(), services.trust(), vec![old.clone()]].concat()).assert_code(0);
        services.run(&[&args(verify), &services.who(), &services.trust(), std::slice::from_ref(&old)]).assert_code(0);
        let stranger =
            args(["--certificate-identity", "eve@example.com", "--certificate-oidc-issuer", &services.issuer()]);
        let refused = cosign("cosign3", &verify, &[stranger, services.trust(), vec![old]].concat());
        assert_ne!(refused.code, Some(0), "{refused:?}");

        // What we attest as a bundle, under the tag.
        let (new, _) = image("team/new", 2);
        let signing = services.signing(&[LogVersion::V1]);
        services.run(&[&args(attest), &services.token(), &signing, &args(["--format", "bundle", &new])]).assert_code(0);
        let converted = migrate("legacy", &new);
        assert_eq!(converted["signatures"][0]["outcome"], "converted", "{converted}");
        let at = args(["--rekor-url", &urls.rekor_v1, &new]);
        cosign("cosign2", &verify, &[services.who(), at].concat()).assert_code(0);
    }
}

#[test]
fn what_no_log_has_proven_is_undecided() {
    let services = Services::start();
    services.user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    services.user.run(&["key", "generate"]).assert_code(0);
    let registry = registry(RegistryOptions::default());
    registry.add("team/web", &fixture::image(2), Some("v1")).unwrap();
    let (app, web) = (registry.reference("team/app:v1"), registry.reference("team/web:v1"));
    let attest = args(["attest", "--type", "spdxjson", "--predicate", "p.json", "--format", "legacy"]);
    let signing = services.signing(&[LogVersion::V1]);
    services.run(&[&attest, &services.token(), &signing, &args([&app])]).assert_code(0);
    let migrate = |flags: &[&str], code: i32| -> Vec<String> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let migrate = args(["migrate", "--output", "json", "--to", "bundle"]);
        let report = services.run(&[&migrate, &flags]).assert_code(code).json();
        let signatures = report["signatures"].as_array().unwrap().iter();
        signatures.map(|signature| signature["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let known = [services.who(), services.trust(), vec![app.clone()]].concat();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(migrate(&[&known[..], &["--offline"]].concat(), 22), ["undecided"]);
    for (status, outcome, code) in [(404, "impossible", 1), (403, "undecided", 21)] {
        services.sigstore.inject(Service::RekorV1, Fault::Status(status), Times::Always);
        assert_eq!(migrate(&known, code), [outcome], "{status}");
        services.sigstore.clear_faults();
    }
    // Beside what has no other form, there are two reasons.
    services.user.run(&["sign", "--key", "sealift.key", "--format", "legacy", &app]).assert_code(0);
    let mut both = migrate(&[&known[..], &["--offline"]].concat(), 29);
    both.sort();
    assert_eq!(both, ["impossible", "undecided"]);
    let mut rest = migrate(&known, 1);
    rest.sort();
    assert_eq!(rest, ["converted", "impossible"]);
    // Whom to ask, no trust root says here.
    services.run(&[&attest, &args(["--key", "sealift.key", "--yes"]), &signing, &args([&web])]).assert_code(0);
    assert_eq!(migrate(&["--key", "sealift.pub", &web], 20), ["undecided"]);
}

#[test]
fn a_platform_that_cannot_be_read_does_not_end_the_others() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    let index = fixture::index(3, &["amd64", "arm64"]);
    registry.add("team/multi", &index, Some("v1")).unwrap();
    user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let platforms: Vec<_> = index.root().parse().unwrap().manifests.into_iter().map(|entry| entry.digest).collect();
    for platform in &platforms {
        let attest = ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json"];
        let platform = format!("@team/multi@{platform}");
        user.at(&registry, &[&attest[..], &["--format", "legacy", &platform]].concat()).assert_code(0);
    }
    registry.set_faults([Rule::new(Effect::Status(500)).on(Endpoint::Referrers).reference(&platforms[0].to_string())]);
    let migrate = ["migrate", "--key", "sealift.pub", "--to", "bundle", "--timeout", "200ms"];
    let migrate = |more: &[&str]| user.at(&registry, &[&migrate[..], more].concat());
    let told = migrate(&["-r", "--output", "json", "@team/multi:v1"]).assert_code(22).json();
    assert_eq!(told["unfinished"][0]["subject"], platforms[0].to_string(), "{told}");
    assert_eq!(told["signatures"][0]["subject"], platforms[1].to_string(), "{told}");
    assert_eq!(told["signatures"][0]["outcome"], "converted", "{told}");
    assert_eq!(told["signatures"].as_array().unwrap().len(), 1, "{told}");
    migrate(&["-r", "@team/multi:v1"]).assert_code(22).assert_stdout("unfinished").assert_stdout("present");
    registry.clear_faults();
    migrate(&["-r", "@team/multi:v1"]).assert_code(0).assert_stdout("converted");

    // An image's signature is made anew, in either direction.
    user.at(&registry, &["sign", "--key", "sealift.key", "--format", "bundle", "@team/app:v1"]).assert_code(0);
    let to_legacy = ["migrate", "--key", "sealift.pub", "--to", "legacy", "@team/app:v1"];
    let told = user.at(&registry, &to_legacy).assert_code(1).stdout;
    let command = told.lines().find_map(|line| line.trim().strip_prefix("sign anew: sealift ")).unwrap();
    user.run(&command.split(' ').collect::<Vec<_>>()).assert_code(0);
    assert!(registry.tags("team/app").iter().any(|tag| tag.ends_with(".sig")));
}
