//! The artifact manifest that image-spec dropped before 1.1: oras 0.16 and others attached with it, and registries keep it.

use sealift_core::oci::{Digest, RawManifest, Tag, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::Registry;
use serde_json::json;

use crate::support::{User, both_kinds, registry};

const SBOM: &str = r#"{"spdxVersion":"SPDX-2.3"}"#;

/// Attaches an SBOM as oras 0.16 did, to an image at `team/app:v1`, and to that SBOM a note in the same form.
fn attach(registry: &Registry, has_api: bool) -> [RawManifest; 2] {
    let image = fixture::image(1);
    let sbom = artifact(registry, "application/spdx+json", SBOM, image.root(), has_api);
    let note = artifact(registry, "application/x.note", "seen", &sbom, has_api);
    [sbom, note]
}

fn artifact(
    registry: &Registry,
    artifact_type: &str,
    content: &str,
    subject: &RawManifest,
    has_api: bool,
) -> RawManifest {
    let blob = registry.add_blob("team/app", content.to_owned().into()).unwrap();
    // In an order, and with spaces, that nobody would write again.
    let manifest = json!({
        "blobs": [{ "mediaType": artifact_type, "digest": blob, "size": content.len() }],
        "subject": subject.descriptor(),
        "artifactType": artifact_type,
        "annotations": { "org.opencontainers.artifact.created": "2022-11-30T00:00:00Z" },
        "mediaType": media_type::ARTIFACT_MANIFEST,
    });
    let manifest = RawManifest::new(media_type::ARTIFACT_MANIFEST, format!("{manifest:#}\n"));
    registry.add_manifest("team/app", &manifest, None).unwrap();
    if !has_api {
        let entry = json!({
            "mediaType": media_type::ARTIFACT_MANIFEST,
            "digest": manifest.descriptor().digest,
            "size": manifest.descriptor().size,
            "artifactType": artifact_type,
        });
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": [entry] });
        let tag = Tag::referrers_fallback(&subject.descriptor().digest);
        let index = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
        registry.add_manifest("team/app", &index, Some(tag.as_str())).unwrap();
    }
    manifest
}

#[test]
fn it_is_shown_read_and_promoted_as_it_is() {
    for (kind, from) in both_kinds() {
        for (_, to) in both_kinds() {
            let has_api = from.referrers_api;
            let (user, source) = (User::with_key(), registry(from.clone()));
            let [sbom, note] = attach(&source, has_api);
            user.at(&source, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
            let [sbom_digest, note_digest] = [&sbom, &note].map(|manifest| manifest.descriptor().digest.clone());
            user.at(&source, &["sign", "--key", "sealift.key", &format!("@team/app@{sbom_digest}")]).assert_code(0);

            let tree = user.at(&source, &["tree", "@team/app:v1"]).assert_code(0);
            let tree = tree.assert_stdout("application/spdx+json").assert_stdout("application/x.note");
            tree.assert_stdout("signature, Sigstore bundle");
            let download = ["download", "sbom", "@team/app:v1"];
            assert_eq!(user.at(&source, &download).assert_code(0).stdout.trim(), SBOM, "{kind}");

            let destination = Registry::start(to.clone()).unwrap();
            let (image, layout) = (source.reference("team/app:v1"), "oci-layout://carried:v1");
            let prod = destination.reference("prod/app:v1");
            user.run(&["copy", &image, layout]).assert_code(0);
            for (source, target) in [(layout, destination.reference("edge/app:v1")), (&image, prod.clone())] {
                let promote = ["promote", "--key", "sealift.pub", "--output", "json", source, &target];
                let report = user.run(&promote).assert_code(0).json();
                // The image, the SBOM with a note and a signature, and the image's own.
                assert_eq!(report["completeness"]["arrived"].as_array().unwrap().len(), 5, "{kind}: {report:#}");
            }
            for repository in ["prod/app", "edge/app"] {
                for manifest in [&sbom, &note] {
                    let digest = manifest.descriptor().digest.to_string();
                    assert_eq!(destination.manifest(repository, &digest).as_ref(), Some(manifest), "{kind}");
                }
                assert!(destination.has_blob(repository, &Digest::sha256(SBOM.as_bytes())));
            }
            let tree = user.run(&["tree", "--output", "json", &prod]).assert_code(0);
            tree.assert_stdout(&sbom_digest.to_string()).assert_stdout(&note_digest.to_string());
            user.run(&["referrers", "check", "--recursive", &prod]).assert_code(0);
            user.run(&["verify", "--key", "sealift.pub", &destination.reference(&format!("prod/app@{sbom_digest}"))])
                .assert_code(0);
            drop(std::fs::remove_dir_all(user.path("carried")));
        }
    }
}
