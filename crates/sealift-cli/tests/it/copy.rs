//! `sealift copy`.

use sealift_core::oci::Tag;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::support::{User, registry};

#[test]
fn everything_attached_arrives_between_unlike_registries() {
    let kinds = || [RegistryOptions::default(), RegistryOptions::default().without_referrers_api()];
    for from in kinds() {
        for to in kinds() {
            let (user, source, destination) = (User::with_key(), registry(from.clone()), Registry::start(to).unwrap());
            let index = fixture::index(3, &["amd64", "arm64"]);
            source.add("team/multi", &index, Some("v1")).unwrap();
            let sign = ["sign", "--key", "sealift.key", "--recursive", "--format", "both", "@team/multi:v1"];
            user.at(&source, &sign).assert_code(0);
            let (from, to) = (source.reference("team/multi:v1"), destination.reference("mirror/multi"));
            user.run(&["copy", &from, &to]).assert_code(0).assert_stdout("nothing was verified");
            user.at(&destination, &["verify", "--key", "sealift.pub", "--recursive", "--all", "@mirror/multi:v1"])
                .assert_code(0);
            for manifest in index.manifests() {
                let digest = &manifest.descriptor().digest;
                assert_eq!(destination.referrers("mirror/multi", digest).len(), 1);
                let tag = Tag::cosign(digest, "sig");
                assert_eq!(
                    source.manifest("team/multi", tag.as_str()).unwrap().bytes(),
                    destination.manifest("mirror/multi", tag.as_str()).unwrap().bytes()
                );
            }
            user.run(&["copy", &from, &to]).assert_code(0).assert_stdout("0 objects copied");
        }
    }
}

#[test]
fn one_platform_is_copied_alone() {
    let (user, registry) = (User::new(), registry(RegistryOptions::default()));
    registry.add("team/multi", &fixture::index(3, &["amd64", "arm64"]), Some("v1")).unwrap();
    let to = registry.reference("team/arm:v1");
    user.at(&registry, &["copy", "--platform", "linux/arm64", "@team/multi:v1", &to]).assert_code(0);
    assert!(!registry.manifest("team/arm", "v1").unwrap().descriptor().media_type.is_index());
    user.at(&registry, &["copy", "--platform", "plan9/arm64", "@team/multi:v1", &to]).assert_code(2);
}

#[test]
fn without_referrers_only_the_artifact_is_copied() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let to = registry.reference("team/bare:v2");
    user.at(&registry, &["copy", "--referrers=false", "@team/app:v1", &to]).assert_code(0);
    assert!(registry.referrers("team/bare", fixture::image(1).digest()).is_empty());
}

#[test]
fn an_archive_without_a_tag_is_written_too() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let digest = fixture::image(1).digest().to_string();
    let source = registry.reference(&format!("team/app@{digest}"));
    for (command, archive) in [(&["copy"][..], "copied.tar"), (&["promote", "--key", "sealift.pub"], "promoted.tar")] {
        let destination = format!("oci-layout://{archive}");
        user.run(&[command, &[&source, &destination]].concat()).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", &format!("{destination}@{digest}")]).assert_code(0);
    }
}

#[test]
fn what_a_copy_leaves_behind_is_told() {
    let user = User::with_key();
    let (source, image) = (registry(RegistryOptions::distribution()), fixture::image(1));
    let squatted = Tag::referrers_fallback(image.digest());
    source.add("team/app", &image, Some(squatted.as_str())).unwrap();
    user.at(&source, &["copy", "@team/app:v1", "oci-layout://out:v1"])
        .assert_code(0)
        .assert_stdout("left behind the listing (fallback tag)");
    user.at(&source, &["copy", "--output", "json", "@team/app:v1", "oci-layout://out:v1"])
        .assert_code(0)
        .assert_stdout("\"left_behind\":[{\"storage\":");
}

#[test]
fn layouts_and_archives_are_written_and_read() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "--format", "both", "@team/app:v1"]).assert_code(0);
    for layout in ["oci-layout://out:v1", "oci-layout://out.tar:v1"] {
        user.at(&registry, &["copy", "@team/app:v1", layout]).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", "--all", layout])
            .assert_code(0)
            .assert_stdout("Sigstore bundle by")
            .assert_stdout("cosign signature by");
    }
    let back = registry.reference("team/back:v1");
    user.run(&["copy", "oci-layout://out.tar:v1", &back]).assert_code(0);
    user.run(&["verify", "--key", "sealift.pub", &back]).assert_code(0);
}
