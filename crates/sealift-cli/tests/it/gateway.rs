//! What stands before a registry answers in its place, or a listing says less than there is: never "unsigned", and nothing
//! is left behind in silence.

use sealift_core::oci::{RawManifest, Tag, media_type};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use serde_json::{Value, json};

use crate::support::{User, registry};

const VERIFY: [&str; 4] = ["verify", "--key", "sealift.pub", "@team/app:v1"];

fn by_digest(registry: &Registry) -> String {
    format!("{}@{}", registry.reference("team/app"), fixture::image(1).digest())
}

#[test]
fn a_page_where_signatures_would_be_is_no_answer() {
    for (media_type, body) in
        [("text/html", "<html>session expired</html>"), ("application/json", r#"{"error":"session expired"}"#)]
    {
        let (user, registry) = (User::with_key(), registry(RegistryOptions::distribution()));
        let page = |hidden: &str| {
            let page = Effect::answer(200, media_type, body);
            registry.set_faults(page.map(|effect| Rule::new(effect).on(Endpoint::Manifest).reference(hidden)));
        };
        user.at(&registry, &VERIFY).assert_code(10);
        for hidden in ["sha256-*", "sha256-*.sig"] {
            page(hidden);
            user.at(&registry, &VERIFY).assert_code(22);
        }
        registry.clear_faults();
        user.at(&registry, &["sign", "--key", "sealift.key", "--format", "both", "@team/app:v1"]).assert_code(0);
        for hidden in ["sha256-*", "sha256-*.sig"] {
            page(hidden);
            let to = registry.reference("mirror/app:v1");
            user.at(&registry, &["copy", "@team/app:v1", &to]).assert_code(22);
            user.run(&["copy", &by_digest(&registry), &to]).assert_code(22);
            assert!(registry.manifest("mirror/app", "v1").is_none(), "{hidden} {body}");
        }
    }
}

#[test]
fn an_entry_without_a_media_type_or_with_another_hides_no_signature() {
    for wrong in [None, Some(""), Some("application/json"), Some(media_type::IMAGE_LAYER_GZIP), Some("text/html")] {
        let (user, registry) = (User::with_key(), registry(RegistryOptions::distribution()));
        user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        let tag = Tag::referrers_fallback(fixture::image(1).digest());
        let mut index: Value =
            serde_json::from_slice(registry.manifest("team/app", tag.as_str()).unwrap().bytes()).unwrap();
        let entry = index["manifests"][0].as_object_mut().unwrap();
        entry.remove("mediaType");
        entry.extend(wrong.map(|wrong| ("mediaType".to_owned(), json!(wrong))));
        let index = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
        registry.add_manifest("team/app", &index, Some(tag.as_str())).unwrap();

        user.at(&registry, &VERIFY).assert_code(0);
        let to = registry.reference("prod/app:v1");
        user.at(&registry, &["promote", "--key", "sealift.pub", "@team/app:v1", &to]).assert_code(0);
        user.run(&["verify", "--key", "sealift.pub", &to]).assert_code(0);
        // What is wrong with the list is told, and mended.
        user.at(&registry, &["referrers", "repair", "@team/app:v1"]).assert_code(0);
        let [mended] =
            registry.manifest("team/app", tag.as_str()).unwrap().parse().unwrap().manifests.try_into().unwrap();
        assert_eq!(mended.media_type.as_str(), media_type::IMAGE_MANIFEST, "{wrong:?}");
        user.at(&registry, &VERIFY).assert_code(0);
    }
}

#[test]
fn a_listing_of_no_tags_leaves_nothing_behind() {
    for body in [
        "{}",
        r#"{"name":"team/app"}"#,
        r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
        r#"{"tags":[]}"#,
        r#"{"tags":null}"#,
        "<html></html>",
    ] {
        let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
        user.at(&registry, &["sign", "--key", "sealift.key", "--format", "legacy", "@team/app:v1"]).assert_code(0);
        let listing = Effect::answer(200, "application/json", body);
        registry.set_faults(listing.map(|effect| Rule::new(effect).on(Endpoint::Tags)));
        let to = registry.reference("mirror/app:v1");
        user.run(&["copy", &by_digest(&registry), &to]).assert_code(0);
        registry.clear_faults();
        user.run(&["verify", "--key", "sealift.pub", &to]).assert_code(0);
    }
}

#[test]
fn one_refusal_of_a_load_balancer_is_no_answer() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let to = registry.reference("mirror/app:v1");
    for args in [&VERIFY[..], &["copy", "@team/app:v1", &to]] {
        let refusal = Effect::answer(404, "text/plain", "404 page not found\n");
        registry.set_faults(refusal.map(|effect| Rule::new(effect).on(Endpoint::Referrers).times(1)));
        user.at(&registry, args).assert_code(22);
        registry.clear_faults();
        user.at(&registry, args).assert_code(0);
    }
}
