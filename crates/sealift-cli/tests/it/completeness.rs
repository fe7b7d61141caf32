//! Whatever other tools lose when they copy, a promotion carries; and it is the peers who say so, where it arrived.

use std::collections::BTreeSet;

use sealift_core::oci::{Digest, Tag};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::peers::DockerRegistry;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use serde_json::Value;

use crate::lab::{End, Lab, Place, SBOM};

#[test]
fn to_docker_registry_everything_is_promoted_that_the_peers_look_for() {
    let Some(lab) = Lab::open() else { return };
    promote_every_row(&lab, &sandbox(), &distribution(&lab));
}

#[test]
fn to_a_registry_with_the_api_everything_is_promoted_that_the_peers_look_for() {
    let Some(lab) = Lab::open() else { return };
    promote_every_row(&lab, &distribution(&lab), &sandbox());
}

/// An air gap ends at a registry of either kind: what a layout holds is listed there for everybody.
#[test]
fn out_of_a_layout_everything_is_promoted_that_the_peers_look_for() {
    let Some(lab) = Lab::open() else { return };
    lab.user.write("predicate.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    let (source, artifact) = (sandbox(), fixture::index(2, &["amd64", "arm64", "riscv64", "s390x"]));
    lab.push(&source, "team/app", &artifact);
    let from = lab.end(&source, "team/app", &artifact);
    lab.cosign3_signs(&from.root());
    attach_eleven(&from);
    attach_with_cosign2(&from);
    lab.sealift(&["copy", &from.tagged("v1"), "oci-layout://carried:v1"]).assert_code(0);
    for destination in [sandbox(), distribution(&lab)] {
        let to = lab.end(&destination, "prod/app", &artifact);
        let promote = ["promote", "--key", "sealift.pub", "--output", "json", "oci-layout://carried:v1"];
        let report = lab.sealift(&[&promote[..], &[&to.tagged("v1")]].concat()).assert_code(0).json();
        let arrived = report["completeness"]["arrived"].as_array().unwrap();
        assert_eq!(arrived.len(), 1 + 4 + 11 + 3, "{report:#}");
        assert_eq!(report["completeness"]["excluded"], Value::Array(Vec::new()));
        platforms(&to, &from);
        lab.cosign3_verifies(&to.root());
        eleven(&to, &from);
        cosign3_finds_an_attestation(&to, &from);
        cosign2_finds_everything(&to, &from);
    }
}

/// What can get lost: an artifact, what the peers attach to it, and how they find it again.
struct Row {
    name: &'static str,
    artifact: Fixture,
    attach: fn(&End<'_>),
    judge: fn(&End<'_>, &End<'_>),
    /// Manifests that arrive.
    manifests: usize,
}

fn rows() -> Vec<Row> {
    let image = || fixture::image(1);
    let row = |name, artifact, attach, judge, manifests| Row { name, artifact, attach, judge, manifests };
    let nothing: fn(&End<'_>) = |_| {};
    vec![
        row("platforms", fixture::index(1, &["amd64", "arm64", "riscv64", "s390x"]), nothing, platforms, 1 + 4 + 1),
        row("docker-types", fixture::docker_index(1, &["amd64", "arm64"]), nothing, platforms, 1 + 2 + 1),
        row("referrers", fixture::index(2, &["amd64", "arm64", "riscv64", "s390x"]), attach_eleven, eleven, 1 + 4 + 11),
        row("bundles", image(), attest_with_cosign3, cosign3_finds_an_attestation, 1 + 2),
        row("tags", image(), attach_with_cosign2, cosign2_finds_everything, 1 + 1 + 3),
        row("schemes", image(), attach_in_every_scheme, every_scheme_is_found, 1 + 2 + 1 + 3),
        row("signed-sbom", image(), attach_a_signed_sbom, the_sbom_is_signed, 1 + 1 + 2),
        row("notation", image(), notation_signs, notation_finds_its_signature, 1 + 1 + 1),
        row("chart", fixture::chart_with_provenance("app", "0.1.0", "app:v1"), nothing, the_chart_is_whole, 1 + 1),
        row("foreign-layer", fixture::foreign_image(1, FOREIGN_URL), nothing, nothing_is_left_but_the_layer, 1 + 1),
        row("no-layers", fixture::bare_artifact("application/x.flag", None), nothing, oras_sees_no_layer, 1 + 1),
    ]
}

fn promote_every_row(lab: &Lab, source: &Place, destination: &Place) {
    lab.user.write("predicate.json", r#"{"spdxVersion":"SPDX-2.3"}"#);
    for row in rows() {
        lab.push(source, &format!("team/{}", row.name), &row.artifact);
        let at = |place, folder: &str| lab.end(place, &format!("{folder}/{}", row.name), &row.artifact);
        let (from, to) = (at(source, "team"), at(destination, "prod"));
        lab.cosign3_signs(&from.root());
        (row.attach)(&from);
        let promote = ["promote", "--key", "sealift.pub", "--output", "json", &from.root(), &to.tagged("v1")];
        let report = lab.sealift(&promote).assert_code(0).json();
        let arrived = report["completeness"]["arrived"].as_array().unwrap();
        assert_eq!(arrived.len(), row.manifests, "{}: {report:#}", row.name);
        assert_eq!(report["completeness"]["excluded"], Value::Array(Vec::new()), "{}", row.name);

        let digest = to.peer("crane", &["digest", &to.tagged("v1")]).stdout;
        assert_eq!(digest.trim(), row.artifact.digest().to_string(), "{}", row.name);
        to.unchanged(row.artifact.digest(), &from);
        lab.cosign3_verifies(&to.root());
        (row.judge)(&to, &from);
    }
}

fn platforms(to: &End<'_>, from: &End<'_>) {
    to.peer("crane", &["validate", "--remote", &to.tagged("v1")]);
    for manifest in to.artifact.manifests() {
        to.unchanged(&manifest.descriptor().digest, from);
    }
    let folder = format!("dir:copied-{}", to.artifact.digest().hex());
    let copy = ["copy", "--all", "--preserve-digests", "--src-tls-verify=false"];
    to.peer("skopeo", &[&copy[..], &[&format!("docker://{}", to.tagged("v1")), &folder]].concat());
}

/// Attaches eleven things with the first signature: to the index, its platforms, and each other, three levels deep.
fn attach_eleven(from: &End<'_>) {
    attest_with_cosign3(from);
    let sbom = from.oras_attaches("application/spdx+json", from.artifact.digest());
    from.oras_attaches("application/sarif+json", from.artifact.digest());
    from.lab.cosign3_signs(&from.by_digest(&sbom));
    let note = from.oras_attaches("application/x.note", &sbom);
    from.oras_attaches("application/x.note", &note);
    for platform in from.artifact.manifests().take(4) {
        from.lab.cosign3_signs(&from.by_digest(&platform.descriptor().digest));
    }
}

fn eleven(to: &End<'_>, from: &End<'_>) {
    let discovered = |place: &End<'_>| -> BTreeSet<Digest> {
        let subjects = place.artifact.manifests().map(|manifest| &manifest.descriptor().digest);
        subjects.flat_map(|subject| place.oras_discovers(subject)).collect()
    };
    let arrived = discovered(to);
    assert_eq!((arrived.len(), &arrived), (11, &discovered(from)));
    for referrer in &arrived {
        to.unchanged(referrer, from);
    }
    for platform in to.artifact.manifests().take(4) {
        to.lab.cosign3_verifies(&to.by_digest(&platform.descriptor().digest));
    }
    let sbom = to.attached("application/spdx+json");
    to.lab.cosign3_verifies(&to.by_digest(&sbom));
    to.oras_pulls_the_sbom(&sbom);
}

fn attest_with_cosign3(from: &End<'_>) {
    let config = ["--signing-config", "sc.json", "--trusted-root", "tr.json"];
    from.peer("cosign3", &[&ATTEST[..], &config, &[&from.root()]].concat());
}

fn cosign3_finds_an_attestation(to: &End<'_>, _: &End<'_>) {
    to.peer("cosign3", &[&VERIFY_ATTESTATION[..], &[&to.root()]].concat());
}

fn attach_with_cosign2(from: &End<'_>) {
    from.lab.cosign2_signs(&from.root());
    from.peer("cosign2", &[&ATTEST[..], &["--tlog-upload=false", &from.root()]].concat());
    from.peer("cosign2", &["attach", "sbom", "--sbom", "sbom.json", &from.root()]);
}

fn cosign2_finds_everything(to: &End<'_>, from: &End<'_>) {
    to.lab.cosign2_verifies(&to.root());
    to.peer("cosign2", &[&VERIFY_ATTESTATION[..], &["--private-infrastructure", &to.root()]].concat());
    assert_eq!(to.peer("cosign2", &["download", "sbom", &to.root()]).stdout.trim(), SBOM);
    for suffix in ["sig", "att", "sbom"] {
        let [here, there] = [to, from].map(|place| {
            let tag = place.tagged(Tag::cosign(place.artifact.digest(), suffix).as_str());
            place.peer("crane", &["manifest", &tag]).stdout
        });
        assert_eq!(here, there, ".{suffix}");
    }
}

/// Attaches in the tags of cosign 2, as bundles, and as cosign's experiment with OCI 1.1 did.
fn attach_in_every_scheme(from: &End<'_>) {
    attach_with_cosign2(from);
    attest_with_cosign3(from);
    let flags = ["--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "-y"];
    let mut cosign = from.lab.user.command(from.lab.peers.path("cosign3"));
    cosign.env("COSIGN_EXPERIMENTAL", "1").args(["sign", "--key", "sealift.key"]).args(flags);
    cosign.args(["--registry-referrers-mode", "oci-1-1", &from.root()]);
    from.lab.user.run_command(&mut cosign).assert_code(0);
}

fn every_scheme_is_found(to: &End<'_>, from: &End<'_>) {
    cosign2_finds_everything(to, from);
    cosign3_finds_an_attestation(to, from);
    let mut cosign = to.lab.user.command(to.lab.peers.path("cosign3"));
    cosign.env("COSIGN_EXPERIMENTAL", "1").args(["verify", "--key", "sealift.pub", "--insecure-ignore-tlog"]);
    cosign.args(["--experimental-oci11", "--new-bundle-format=false", &to.root()]);
    to.lab.user.run_command(&mut cosign).assert_code(0);
    // Without the tag, what it finds is the referrer.
    let tag = to.tagged(Tag::cosign(to.artifact.digest(), "sig").as_str());
    to.lab.sealift(&["delete", "--yes", &tag]).assert_code(0);
    to.lab.user.run_command(&mut cosign).assert_code(0);
}

fn attach_a_signed_sbom(from: &End<'_>) {
    let sbom = from.oras_attaches("application/spdx+json", from.artifact.digest());
    from.lab.cosign3_signs(&from.by_digest(&sbom));
}

fn the_sbom_is_signed(to: &End<'_>, from: &End<'_>) {
    let sbom = to.attached("application/spdx+json");
    to.unchanged(&sbom, from);
    to.lab.cosign3_verifies(&to.by_digest(&sbom));
    to.oras_pulls_the_sbom(&sbom);
}

fn notation_signs(from: &End<'_>) {
    from.lab.notation_signs(&from.root());
}

fn notation_finds_its_signature(to: &End<'_>, from: &End<'_>) {
    to.lab.notation_verifies(&to.root());
    let signature = to.attached("application/vnd.cncf.notary.signature");
    let listed = to.peer("notation", &["ls", "--insecure-registry", &to.root()]).stdout;
    assert!(listed.contains(&signature.to_string()), "{listed}");
    to.unchanged(&signature, from);
}

fn the_chart_is_whole(to: &End<'_>, _: &End<'_>) {
    let manifest = to.artifact.root().parse().unwrap();
    let types: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    assert!(types.iter().any(|it| it.ends_with(".prov")), "{types:?}");
    for blob in manifest.config.iter().chain(&manifest.layers) {
        let fetched = to.peer("crane", &["blob", &to.by_digest(&blob.digest)]).stdout;
        assert!(blob.media_type.as_str().ends_with("gzip") || Digest::sha256(fetched.as_bytes()) == blob.digest);
        assert!(!fetched.is_empty(), "{blob:?}");
    }
}

fn nothing_is_left_but_the_layer(to: &End<'_>, _: &End<'_>) {
    let manifest = to.artifact.root().parse().unwrap();
    let (foreign, own) = (&manifest.layers[0], &manifest.layers[1]);
    to.peer("crane", &["blob", &to.by_digest(&own.digest)]);
    let nowhere = to.lab.peer("crane", &["blob", &to.by_digest(&foreign.digest)]);
    assert_ne!(nowhere.code, Some(0), "the source does not hold it either: {nowhere:?}");
}

fn oras_sees_no_layer(to: &End<'_>, _: &End<'_>) {
    let fetch = ["manifest", "fetch", "--plain-http", &to.root()];
    assert_eq!(to.peer("oras", &fetch).json()["layers"], Value::Array(Vec::new()));
    to.peer("oras", &["pull", "--plain-http", "--output", "pulled", &to.root()]);
}

fn sandbox() -> Place {
    Place::Sandbox(Registry::start(RegistryOptions::default()).unwrap())
}

/// docker-registry takes layers with URLs only when told from where.
fn distribution(lab: &Lab) -> Place {
    let allow = |_: &std::path::Path| "validation: {manifests: {urls: {allow: [\"^https://\"]}}}".to_owned();
    Place::Distribution(DockerRegistry::start_with(&lab.peers, allow).unwrap())
}

const FOREIGN_URL: &str = "https://layers.example.com/base.tar.gz";
const ATTEST: [&str; 8] =
    ["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "predicate.json", "-y"];
const VERIFY_ATTESTATION: [&str; 6] =
    ["verify-attestation", "--key", "sealift.pub", "--insecure-ignore-tlog", "--type", "spdxjson"];
