//! Rows of the scenarios that promotion is made for, played whole, with the peers in their roles.

use sealift_core::oci::Digest;
use sealift_sandbox::fixture;
use sealift_sandbox::peers::DockerRegistry;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use serde_json::json;

use crate::lab::{End, Lab, Place};
use crate::support::Outcome;

/// What the author of the scenarios attaches.
const ATTACHED: [&str; 3] = ["application/vnd.cyclonedx+json", "application/spdx+json", "application/sarif+json"];
const LIFECYCLE: &str = "application/vnd.microsoft.artifact.lifecycle";

/// Row 9: from staging to production by one command, verified before and after, with everything that is attached, each of
/// which is signed itself.
#[test]
fn a_signed_image_with_signed_artifacts_goes_to_production() {
    let Some(lab) = Lab::open() else { return };
    let image = fixture::index(1, &["amd64", "arm64"]);
    for (staging, production) in [(sandbox(), distribution(&lab)), (distribution(&lab), sandbox())] {
        let (from, to) = (lab.end(&staging, "staging/app", &image), lab.end(&production, "prod/app", &image));
        lab.push(&staging, "staging/app", &image);
        write_policy(&lab, &[&from, &to]);
        let artifacts = ATTACHED.map(|artifact_type| from.oras_attaches(artifact_type, image.digest()));
        let promote = ["promote", "--policy", "p.yaml", &from.root(), &to.tagged("v1")];
        lab.sealift(&promote).assert_code(14).assert_stdout("scopes[0].signatures[0]");
        assert_ne!(lab.peer("crane", &["digest", &to.tagged("v1")]).code, Some(0), "nothing got there");

        let signed: Vec<_> = std::iter::once(image.digest()).chain(&artifacts).collect();
        for digest in &signed {
            cosign(&from, &["sign", "--key", "sealift.key", "--registry-referrers-mode", "oci-1-1"], digest);
        }
        lab.cosign2_signs(&from.root());
        lab.cosign3_signs(&from.root());
        // The image, two platforms, three artifacts; four signatures of cosign's experiment, `.sig` and a bundle.
        lab.sealift(&promote).assert_code(0).assert_stdout("complete: the source had 12, 12 arrived");
        for digest in signed {
            let verify = ["verify", "--key", "sealift.pub", "--insecure-ignore-tlog", "--experimental-oci11"];
            cosign(&to, &verify, digest);
            lab.sealift(&["verify", "--key", "sealift.pub", &to.by_digest(digest)]).assert_code(0);
            to.unchanged(digest, &from);
        }
        lab.cosign2_verifies(&to.root());
        lab.cosign3_verifies(&to.tagged("v1"));
        lab.sealift(&["verify", "--policy", "p.yaml", &to.tagged("v1")]).assert_code(0);
    }
}

/// Runs cosign 3 on `digest` as it was when its way to keep signatures as referrers was an experiment.
fn cosign(end: &End<'_>, command: &[&str], digest: &Digest) {
    let flags: &[&str] = match command[0] {
        "sign" => &["--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "-y"],
        _ => &["--new-bundle-format=false"],
    };
    let mut cosign = end.lab.user.command(end.lab.peers.path("cosign3"));
    cosign.env("COSIGN_EXPERIMENTAL", "1").args(command).args(flags).arg(end.by_digest(digest));
    end.lab.user.run_command(&mut cosign).assert_code(0);
}

/// Row 12: what is signed is deployed from approved registries only, whoever copied it elsewhere.
#[test]
fn a_good_signature_in_an_unapproved_registry_is_refused_before_deployment() {
    let Some(lab) = Lab::open() else { return };
    let (approved, unapproved, image) = (sandbox(), distribution(&lab), fixture::image(1));
    let (here, elsewhere) = (lab.end(&approved, "team/app", &image), lab.end(&unapproved, "team/app", &image));
    lab.push(&approved, "team/app", &image);
    let verify = |end: &End<'_>| lab.sealift(&["verify", "--policy", "p.yaml", "--output", "json", &end.root()]);
    write_policy(&lab, &[&here]);
    let reason = |outcome: Outcome| outcome.json()["manifests"][0]["findings"].to_string();
    let unsigned = reason(verify(&here).assert_code(14));
    assert!(unsigned.contains("unmet"), "{unsigned}");
    lab.cosign3_signs(&here.root());
    verify(&here).assert_code(0);
    let copy = ["copy", "-r", "--from-plain-http", "--to-plain-http", &here.tagged("v1"), &elsewhere.tagged("v1")];
    here.peer("oras", &copy);
    lab.cosign3_verifies(&elsewhere.root());
    let refused = reason(verify(&elsewhere).assert_code(14));
    assert!(refused.contains("not an approved registry"), "{refused}");
}

/// Row 19: markers of the end of life stay behind, and are told; they travel when asked to, and another type of them
/// stays when told to.
#[test]
fn markers_of_the_end_of_life_stay_in_staging() {
    let Some(lab) = Lab::open() else { return };
    let (staging, production, image) = (sandbox(), distribution(&lab), fixture::image(1));
    let own = "application/vnd.myorganization.image.lifecycle.metadata";
    let from = lab.end(&staging, "team/app", &image);
    lab.push(&staging, "team/app", &image);
    lab.cosign3_signs(&from.root());
    let attach = |artifact_type: &str, annotation: &str| -> Digest {
        let attach = ["attach", "--plain-http", "--format", "json", "--artifact-type", artifact_type];
        let marker = from.peer("oras", &[&attach[..], &["--annotation", annotation, &from.root()]].concat()).json();
        marker["digest"].as_str().unwrap().parse().unwrap()
    };
    let microsoft = attach(LIFECYCLE, "vnd.microsoft.artifact.lifecycle.end-of-life.date=2023-07-10");
    let custom = attach(own, "vnd.myorganization.image.end-of-life=2023-07-10T00:00:00-08:00");
    for (number, (flags, arrive)) in [
        (&[][..], &[&custom][..]),
        (&["--exclude", own], &[]),
        (&["--include", LIFECYCLE], &[&custom, &microsoft]),
        (&["--include-lifecycle", "--exclude", own], &[&microsoft]),
    ]
    .into_iter()
    .enumerate()
    {
        let to = lab.end(&production, &format!("prod/app{number}"), &image);
        let promote = ["promote", "--key", "sealift.pub", "--output", "json", &from.root(), &to.tagged("v1")];
        let report = lab.sealift(&[&promote[..], flags].concat()).assert_code(0).json();
        let found = to.oras_discovers(image.digest());
        assert_eq!(found.len(), 1 + arrive.len(), "the signature and {arrive:?}");
        for marker in [&microsoft, &custom] {
            let is_told = report["completeness"]["excluded"]
                .as_array()
                .unwrap()
                .iter()
                .any(|skipped| (&skipped["digest"], &skipped["reason"]) == (&json!(marker), &json!("excluded")));
            assert_eq!((found.contains(marker), is_told), (arrive.contains(&marker), !arrive.contains(&marker)));
        }
    }
}

/// Row 22: what is attached to attachments moves between unlike registries and back, byte for byte, and is deleted with
/// what it hangs on.
#[test]
fn a_deep_hierarchy_goes_to_an_unlike_registry_and_back_and_is_deleted_whole() {
    let Some(lab) = Lab::open() else { return };
    let (api, fallback, image) = (sandbox(), distribution(&lab), fixture::image(1));
    let from = lab.end(&api, "team/app", &image);
    lab.push(&api, "team/app", &image);
    lab.cosign3_signs(&from.root());
    let mut last = image.digest().clone();
    for artifact_type in ATTACHED {
        last = from.oras_attaches(artifact_type, &last);
        lab.cosign3_signs(&from.by_digest(&last));
    }
    let all = from.oras_discovers(image.digest());
    assert_eq!(all.len(), 1 + 3 * 2);
    let tree = lab.sealift(&["tree", &from.root()]).assert_code(0).stdout;
    assert_eq!(tree.matches("signature, Sigstore bundle").count(), 4, "{tree}");

    let (over, back) = (lab.end(&fallback, "prod/app", &image), lab.end(&api, "back/app", &image));
    for (from, to) in [(&from, &over), (&over, &back)] {
        lab.sealift(&["promote", "--key", "sealift.pub", &from.root(), &to.tagged("v1")]).assert_code(0);
        assert_eq!(to.oras_discovers(image.digest()), all);
        for digest in all.iter().chain([image.digest()]) {
            to.unchanged(digest, from);
        }
        lab.cosign3_verifies(&to.by_digest(&last));
    }
    for end in [over, back] {
        lab.sealift(&["delete", "--yes", "--referrers", &end.tagged("v1")]).assert_code(0);
        for digest in all.iter().chain([image.digest()]) {
            let gone = lab.peer("oras", &["manifest", "fetch", "--plain-http", &end.by_digest(digest)]);
            assert_eq!(gone.code, Some(1), "{gone:?}");
        }
        // docker-registry deletes no tag: lists of referrers stay behind, and list nothing.
        let tags = lab.peer("oras", &["repo", "tags", "--plain-http", &end.repository]).stdout;
        for tag in tags.lines() {
            assert_eq!(end.peer("crane", &["manifest", &end.tagged(tag)]).json()["manifests"], json!([]), "{tag}");
        }
    }
}

/// Writes `p.yaml`, which approves of the registries of `ends` and demands the user's signature in their repositories.
fn write_policy(lab: &Lab, ends: &[&End<'_>]) {
    let signed = "signatures: [{anyOf: [{key: sealift.pub}]}]";
    let host = |end: &End<'_>| end.repository.split('/').next().unwrap().to_owned();
    let registries: Vec<_> = ends.iter().map(|end| format!("'{}'", host(end))).collect();
    let scopes: Vec<_> =
        ends.iter().map(|end| format!("  - {{repository: '{}', {signed}}}\n", end.repository)).collect();
    let text = format!("version: 1\nregistries: [{}]\nscopes:\n{}", registries.join(", "), scopes.concat());
    lab.user.write("p.yaml", text);
}

fn sandbox() -> Place {
    Place::Sandbox(Registry::start(RegistryOptions::default()).unwrap())
}

fn distribution(lab: &Lab) -> Place {
    Place::Distribution(DockerRegistry::start(&lab.peers).unwrap())
}
