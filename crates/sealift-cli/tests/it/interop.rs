//! The real peers on the same registries: what each side writes, the other reads.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::peers::DockerRegistry;
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::lab::{Lab, Place};

#[test]
fn what_we_sign_both_cosigns_verify() {
    let Some(lab) = Lab::open() else { return };
    lab.user.write("p.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    for place in Place::all(&lab.peers) {
        for (number, format) in (0..).zip(["bundle", "legacy", "both"]) {
            let reference = lab.push(&place, &format!("team/{format}"), &fixture::image(number));
            lab.sealift(&["sign", "--key", "sealift.key", "--format", format, "-a", "a=b", &reference]).assert_code(0);
            lab.cosign3_verifies(&reference);
            if format != "bundle" {
                lab.cosign2_verifies(&reference);
            }
            let attest =
                ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "p.json", "--format", format];
            lab.sealift(&[&attest[..], &[&reference]].concat()).assert_code(0);
            let verify = ["verify-attestation", "--key", "sealift.pub", "--insecure-ignore-tlog", "--type", "spdxjson"];
            lab.peer("cosign3", &[&verify[..], &[&reference]].concat()).assert_code(0);
            if format != "bundle" {
                lab.peer("cosign2", &[&verify[..], &["--private-infrastructure", &reference]].concat()).assert_code(0);
            }
        }
    }
}

#[test]
fn what_the_cosigns_sign_we_verify() {
    let Some(lab) = Lab::open() else { return };
    lab.user.write("p.json", r#"{"builder":{"id":"https://ci.example"},"buildType":"https://ci.example/build"}"#);
    for place in Place::all(&lab.peers) {
        let bundle = lab.push(&place, "team/bundle", &fixture::image(1));
        lab.cosign3_signs(&bundle);
        let legacy = lab.push(&place, "team/legacy", &fixture::image(2));
        lab.cosign2_signs(&legacy);
        for reference in [&bundle, &legacy] {
            lab.sealift(&["verify", "--key", "sealift.pub", reference]).assert_code(0);
            lab.sealift(&["verify-attestation", "--key", "sealift.pub", reference]).assert_code(10);
        }
        let common = ["attest", "--key", "sealift.key", "-y", "--predicate", "p.json", "--type", "slsaprovenance"];
        let config = ["--signing-config", "sc.json", "--trusted-root", "tr.json"];
        lab.peer("cosign3", &[&common[..], &config[..], &[&bundle]].concat()).assert_code(0);
        lab.peer("cosign2", &[&common[..], &["--tlog-upload=false", &legacy]].concat()).assert_code(0);
        for reference in [&bundle, &legacy] {
            let args = ["verify-attestation", "--key", "sealift.pub", "--type", "slsaprovenance", reference];
            lab.sealift(&args).assert_code(0);
            lab.sealift(&["verify", "--key", "sealift.pub", reference]).assert_code(0);
        }
        let only_attested = lab.push(&place, "team/attested", &fixture::image(3));
        lab.peer("cosign3", &[&common[..], &config[..], &[&only_attested]].concat()).assert_code(0);
        lab.sealift(&["verify", "--key", "sealift.pub", &only_attested]).assert_code(10);
    }
}

#[test]
fn key_files_are_the_same_on_both_sides() {
    let Some(lab) = Lab::open() else { return };
    for cosign in ["cosign2", "cosign3"] {
        let ours = lab.peer(cosign, &["public-key", "--key", "sealift.key"]).assert_code(0).stdout;
        assert_eq!(ours.trim(), std::fs::read_to_string(lab.user.path("sealift.pub")).unwrap().trim());
        lab.peer(cosign, &["generate-key-pair", "--output-key-prefix", cosign]).assert_code(0);
        let theirs = lab.sealift(&["key", "public", "--key", &format!("{cosign}.key")]).assert_code(0).stdout;
        assert_eq!(theirs, std::fs::read_to_string(lab.user.path(&format!("{cosign}.pub"))).unwrap());
    }
}

#[test]
fn oras_discovers_what_we_attach() {
    let Some(lab) = Lab::open() else { return };
    for place in Place::all(&lab.peers) {
        let reference = lab.push(&place, "team/app", &fixture::image(1));
        lab.sealift(&["sign", "--key", "sealift.key", &reference]).assert_code(0);
        lab.user.write("sbom.json", "{}");
        let attach = ["attach", "--type", "application/spdx+json", "-a", "producer=test", &reference, "sbom.json"];
        lab.sealift(&attach).assert_code(0);
        let discovered = lab.peer("oras", &["discover", "--plain-http", "--format", "json", &reference]).assert_code(0);
        for text in [
            "\"application/spdx+json\"",
            "\"producer\": \"test\"",
            "\"application/vnd.dev.sigstore.bundle.v0.3+json\"",
            "\"dev.sigstore.bundle.predicateType\": \"https://sigstore.dev/cosign/sign/v1\"",
        ] {
            assert!(discovered.stdout.contains(text), "no {text} in {}", discovered.stdout);
        }
    }
}

#[test]
fn after_a_promotion_both_cosigns_verify_and_skopeo_pulls() {
    let Some(lab) = Lab::open() else { return };
    for from in Place::all(&lab.peers) {
        for to in Place::all(&lab.peers) {
            let image = fixture::image(1);
            let source = lab.push(&from, "team/app", &image);
            lab.cosign3_signs(&source);
            lab.cosign2_signs(&source);
            lab.user.write("sbom.json", "{}");
            lab.peer("cosign2", &["attach", "sbom", "--sbom", "sbom.json", &source]).assert_code(0);
            let destination = format!("{}/prod/app", to.host());
            lab.sealift(&["promote", "--key", "sealift.pub", &source, &format!("{destination}:v1")]).assert_code(0);
            let arrived = format!("{destination}@{}", image.digest());
            lab.cosign3_verifies(&arrived);
            lab.cosign2_verifies(&arrived);
            let sbom = format!("{destination}:{}", Tag::cosign(image.digest(), "sbom"));
            lab.peer("crane", &["manifest", &sbom]).assert_code(0);
            let skopeo = ["copy", "--src-tls-verify=false", "--insecure-policy"];
            let pulled = [&format!("docker://{destination}:v1"), "oci:pulled"];
            lab.user.run_command(lab.user.command(lab.peers.path("skopeo")).args(skopeo).args(pulled)).assert_code(0);
        }
    }
}

#[test]
fn an_image_that_cosign_copied_is_read_as_what_it_is() {
    let Some(lab) = Lab::open() else { return };
    let place = Place::Distribution(DockerRegistry::start(&lab.peers).unwrap());
    let reference = lab.push(&place, "team/app", &fixture::index(1, &["amd64", "arm64"]));
    lab.cosign2_signs(&reference);
    let copy = format!("{}/copied/app", place.host());
    lab.cosign_copies(&reference, &format!("{copy}:v1"));
    // `cosign copy` has tagged the image `sha256-<its digest>`, which is the tag of its referrers.
    lab.sealift(&["verify", "--key", "sealift.pub", "--all", &format!("{copy}:v1")])
        .assert_code(0)
        .assert_stdout("no referrers index");
    let unsigned = lab.push(&place, "team/unsigned", &fixture::index(2, &["amd64"]));
    lab.cosign_copies(&unsigned, &format!("{copy}:v2"));
    lab.sealift(&["verify", "--key", "sealift.pub", &format!("{copy}:v2")]).assert_code(10);
    lab.sealift(&["sign", "--key", "sealift.key", &format!("{copy}:v2")]).assert_code(22).assert_stderr("cosign copy");
    lab.sealift(&["sign", "--key", "sealift.key", "--format", "legacy", &format!("{copy}:v2")]).assert_code(0);
    lab.sealift(&["verify", "--key", "sealift.pub", &format!("{copy}:v2")]).assert_code(0);
}

#[test]
fn an_archive_carries_everything_over_an_air_gap() {
    let Some(lab) = Lab::open() else { return };
    let source = Place::Sandbox(Registry::start(RegistryOptions::default()).unwrap());
    let (app, web) = (fixture::index(1, &["amd64", "arm64"]), fixture::image(2));
    let [app_reference, web_reference] = [("team/app", &app), ("team/web", &web)].map(|(name, image)| {
        lab.push(&source, name, image);
        format!("{}/{name}:v1", source.host())
    });
    let by_digest = |name: &str, digest: &str| format!("{}/{name}@{digest}", source.host());
    let app_by_digest = by_digest("team/app", &app.digest().to_string());
    lab.cosign3_signs(&app_by_digest);
    lab.cosign2_signs(&app_by_digest);
    lab.notation_signs(&app_by_digest);
    lab.cosign3_signs(&by_digest("team/web", &web.digest().to_string()));
    lab.user.write("sbom.json", "{}");
    let attach = ["attach", "--type", "application/spdx+json", "--output", "json", &app_reference, "sbom.json"];
    let sbom = lab.sealift(&attach).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
    lab.sealift(&["sign", "--key", "sealift.key", &by_digest("team/app", &sbom)]).assert_code(0);
    lab.user.write("policy.yaml", "version: 1\n");
    let companions = ["--trusted-root", "tr.json", "--policy", "policy.yaml"];
    let save = [&["save", "--to", "gap.tar"], &companions[..], &[&app_reference, &web_reference]].concat();
    lab.sealift(&save).assert_code(0).assert_stdout("complete");
    lab.sealift(&save).assert_code(2).assert_stderr("exists");
    drop(source);

    // On the way: nothing but the file is there.
    for name in ["app-v1".to_owned(), "web-v1".to_owned()] {
        lab.sealift(&["verify", "--key", "sealift.pub", &format!("oci-layout://gap.tar:{name}")]).assert_code(0);
    }
    for digest in [&app.digest().to_string(), &sbom] {
        lab.sealift(&["verify", "--key", "sealift.pub", &format!("oci-layout://gap.tar@{digest}")]).assert_code(0);
    }
    let skopeo = ["copy", "--insecure-policy", "oci-archive:gap.tar:web-v1", "oci:unpacked:v1"];
    lab.peer("skopeo", &skopeo).assert_code(0);

    let inside = Place::Distribution(DockerRegistry::start(&lab.peers).unwrap());
    let [app_inside, web_inside] = ["prod/app", "prod/web"].map(|name| format!("{}/{name}", inside.host()));
    std::fs::create_dir(lab.user.path("trust")).unwrap();
    let targets = [&format!("{app_inside}:v1"), &web_inside];
    let load = ["load", "--files", "trust", "--output", "json", "gap.tar", targets[0], targets[1]];
    let loaded = lab.sealift(&load).assert_code(0).json();
    // Two platforms and their index; two bundles, a signature of notation, an SBOM with a bundle; cosign 2's tag.
    let arrived = |image: usize| loaded["images"][image]["completeness"]["arrived"].as_array().unwrap().len();
    assert_eq!((arrived(0), arrived(1)), (8, 2), "{loaded:#}");
    for (file, original) in [("trusted_root.json", "tr.json"), ("policy.yaml", "policy.yaml")] {
        let read = |path: &str| std::fs::read(lab.user.path(path)).unwrap();
        assert_eq!(read(&format!("trust/{file}")), read(original));
    }
    lab.cosign3_verifies(&format!("{app_inside}:v1"));
    lab.cosign2_verifies(&format!("{app_inside}:v1"));
    lab.cosign3_verifies(&format!("{web_inside}:web-v1"));
    lab.notation_verifies(&format!("{app_inside}@{}", app.digest()));
    lab.sealift(&["verify", "--key", "sealift.pub", &format!("{app_inside}@{sbom}")]).assert_code(0);
    lab.sealift(&["referrers", "check", "-r", &format!("{app_inside}:v1")]).assert_code(0);
}
