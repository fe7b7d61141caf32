//! Referrers listings: whole or an error, found where they are, and written without losing anything.

use std::sync::Arc;

use futures_util::future::join_all;
use sealift_core::attach::{CosignMerge, CosignSuffix, NewLayer, Scope, attach_cosign_tag, attachments};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{Pushed, ReferrersListing, Repository, RepositoryError, TagMove};
use sealift_oci::Client;
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use serde_json::json;

use crate::support::{access, count, kind, name, open, start, take_log};

const API: ReferrersListing = ReferrersListing::Api;
const FALLBACK: ReferrersListing = ReferrersListing::FallbackTag;

fn signature(number: usize, subject: &Fixture) -> Fixture {
    fixture::artifact(
        "application/x.sig",
        "application/x.layer",
        number.to_string().as_bytes(),
        Some(subject.descriptor()),
    )
}

/// Stores a manifest, as registries list only what they have, and returns its entry.
fn entry(registry: &Registry, number: usize) -> Descriptor {
    let artifact = fixture::artifact("application/x.sig", "application/x.layer", number.to_string().as_bytes(), None);
    registry.add("team/app", &artifact, None).unwrap();
    artifact.root().to_referrer_entry().unwrap()
}

fn with_signatures(options: RegistryOptions, count: usize) -> (Registry, Fixture) {
    let (registry, image) = (start(options), fixture::image(1));
    registry.add("team/app", &image, Some("v1")).unwrap();
    for number in 0..count {
        registry.add("team/app", &signature(number, &image), None).unwrap();
    }
    (registry, image)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_read() {
    for size in [1, 3, 7, 100] {
        let (registry, image) = with_signatures(RegistryOptions::default().with_page_size(size), 7);
        let repository = open(access(), &registry, "team/app").await;
        let listed = repository.referrers(image.digest(), API).await.unwrap().unwrap();
        assert_eq!(listed.len(), 7, "pages of {size}");
        assert_eq!(registry.requests().len(), 7_usize.div_ceil(size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_referrers_are_listed() {
    let (registry, image) = with_signatures(RegistryOptions::default().with_page_size(5_000), 0);
    let digests = (0..20_000).map(|number| {
        let body = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "layers": [],
            "artifactType": "application/x.sig", "subject": image.descriptor(), "annotations": {"n": number.to_string()}});
        let raw = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
        registry.add_manifest("team/app", &raw, None).unwrap();
        raw.descriptor().digest.clone()
    });
    let mut expected: Vec<Digest> = digests.collect();
    let repository = open(access(), &registry, "team/app").await;
    let listed = repository.referrers(image.digest(), API).await.unwrap().unwrap();
    let mut found: Vec<Digest> = listed.into_iter().map(|entry| entry.digest).collect();
    expected.sort();
    found.sort();
    assert!(found == expected, "{} of 20,000", found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_is_an_error() {
    for (effect, expected) in [
        (Effect::Status(500), "unavailable"),
        (Effect::Status(429), "throttled"),
        (Effect::Status(403), "denied"),
        (Effect::Status(401), "unauthenticated"),
        (Effect::Status(404), "malformed"),
        (Effect::Status(405), "malformed"),
        (Effect::header("content-type", "text/html"), "malformed"),
        (Effect::CutAfter(20), "unavailable"),
        (Effect::Body("{".into()), "malformed"),
        (Effect::Endless, "too large"),
    ] {
        let (registry, image) = with_signatures(RegistryOptions::default().with_page_size(2), 5);
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Referrers).page(2)]);
        let listed = repository.referrers(image.digest(), API).await;
        assert_eq!(kind(&listed), expected, "{effect:?}");
    }
}

/// What cannot be read may be the signature that is looked for, so there is no listing, and no fallback to a tag either.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_with_an_entry_that_cannot_be_read_is_an_error() {
    let entry = r#"{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"blake3:00","size":1}]}"#;
    let array = r#"[2,[]]"#;
    for (body, media_type, expected) in [
        (entry, media_type::IMAGE_INDEX, "entry 1 of the listing cannot be read"),
        (entry, "application/json", "entry 1 of the listing cannot be read"),
        (array, media_type::IMAGE_INDEX, "not a JSON object"),
    ] {
        let (registry, image) = with_signatures(RegistryOptions::default(), 1);
        let repository = open(access(), &registry, "team/app").await;
        let effects = [Effect::Body(body.into()), Effect::header("content-type", media_type)];
        registry.set_faults(effects.map(|effect| Rule::new(effect).on(Endpoint::Referrers)));
        for _ in 0..2 {
            let listed = repository.referrers(image.digest(), API).await;
            assert_eq!(kind(&listed), "malformed", "{body} {media_type}: {listed:?}");
            assert!(listed.unwrap_err().to_string().contains(expected), "{body} {media_type}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_nowhere_else_and_end() {
    let (registry, image) = with_signatures(RegistryOptions::default(), 1);
    let elsewhere = start(RegistryOptions::default());
    let repository = open(access(), &registry, "team/app").await;
    let path = format!("/v2/team/app/referrers/{}", image.digest());
    for next in [format!("<{}{path}>; rel=\"next\"", elsewhere.url()), format!("<{path}?page=2>; rel=next")] {
        registry.set_faults([Rule::new(Effect::header("link", &next))]);
        assert_eq!(kind(&repository.referrers(image.digest(), API).await), "malformed", "{next}");
    }
    assert!(elsewhere.requests().is_empty());
    // Two pages that follow each other for ever.
    registry.set_faults([
        Rule::new(Effect::header("link", &format!("<{path}?page=2>; rel=next"))).page(1),
        Rule::new(Effect::header("link", &format!("<{path}?page=1>; rel=next"))).page(2),
    ]);
    assert_eq!(kind(&repository.referrers(image.digest(), API).await), "too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_the_api_is_asked_once() {
    for effect in
        [Effect::Status(404), Effect::Status(400), Effect::Status(405), Effect::Status(406), Effect::Status(501)]
    {
        let (registry, image) = with_signatures(RegistryOptions::default(), 1);
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Referrers)]);
        for _ in 0..3 {
            assert_eq!(repository.referrers(image.digest(), API).await.unwrap(), None, "{effect:?}");
        }
        assert_eq!(registry.requests().len(), 1, "{effect:?}");
    }
}

/// A portal, a gateway, a web server that answers every path: what is no listing settles nothing alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_odd_answer_is_no_listing_only_where_it_is_a_habit() {
    let odd = || {
        let body = |text: &'static str, media_type| {
            vec![Effect::Body(text.into()), Effect::header("content-type", media_type)]
        };
        [
            body("<html>log in</html>", "text/html"),
            body("{}", "application/json"),
            body("", "application/octet-stream"),
            vec![Effect::Redirect("http://portal.invalid".to_owned())],
        ]
    };
    for effects in odd() {
        // As a habit: asked about nothing, too, then known.
        let (registry, image) = with_signatures(RegistryOptions::default(), 1);
        let repository = open(access(), &registry, "team/app").await;
        registry.set_faults(effects.iter().map(|effect| Rule::new(effect.clone()).on(Endpoint::Referrers)));
        for _ in 0..3 {
            assert_eq!(repository.referrers(image.digest(), API).await.unwrap(), None, "{effects:?}");
        }
        assert_eq!(registry.requests().len(), 2, "{effects:?}");
        // Once, at first, or later: the API hides something.
        for asked_before in [false, true] {
            let (registry, image) = with_signatures(RegistryOptions::default(), 1);
            let repository = open(access(), &registry, "team/app").await;
            if asked_before {
                repository.referrers(&Digest::sha256(b"another"), API).await.unwrap();
            }
            let digest = image.digest().to_string();
            let rules = effects.iter().map(|effect| Rule::new(effect.clone()).on(Endpoint::Referrers));
            registry.set_faults(rules.map(|rule| rule.reference(&digest)));
            assert_eq!(kind(&repository.referrers(image.digest(), API).await), "malformed", "{effects:?}");
            registry.clear_faults();
            assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_listed_before_cannot_take_it_back() {
    for status in [404, 405, 501] {
        let (registry, image) = with_signatures(RegistryOptions::default(), 1);
        let repository = open(access(), &registry, "team/app").await;
        assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 1);
        registry.set_faults([Rule::new(Effect::Status(status)).on(Endpoint::Referrers)]);
        assert_eq!(kind(&repository.referrers(image.digest(), API).await), "malformed", "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_under_a_type_that_says_nothing_is_a_listing() {
    for media_type in ["application/json", "application/octet-stream", "text/plain; charset=utf-8"] {
        let mut options = RegistryOptions::default().with_page_size(2);
        options.quirks.listing_type = Some(media_type);
        let (registry, image) = with_signatures(options, 5);
        let repository = open(access(), &registry, "team/app").await;
        assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 5, "{media_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_listing_that_leaves_out_what_is_there_is_not_believed() {
    let (registry, image) = with_signatures(RegistryOptions::default(), 0);
    let repository = open(access(), &registry, "team/app").await;
    let v1 = Selector::Tag("v1".parse().unwrap());
    let stale = || Rule::new(Effect::Body(r#"{"name":"team/app","tags":["old"]}"#.into())).on(Endpoint::Tags);
    registry.set_faults([stale()]);
    assert_eq!(repository.tags().await.unwrap().len(), 1, "nothing is known yet that it could contradict");
    repository.resolve(&v1).await.unwrap();
    assert_eq!(kind(&repository.tags().await), "malformed");
    // Every tag is named that it leaves out.
    registry.add("team/app", &fixture::image(2), Some("v2")).unwrap();
    repository.resolve(&Selector::Tag("v2".parse().unwrap())).await.unwrap();
    let problem = repository.tags().await.unwrap_err().to_string();
    assert!(problem.contains("`v1`, `v2`"), "{problem}");
    let other = open(access(), &registry, "team/app").await;
    other.delete(&Selector::Tag("v2".parse().unwrap())).await.unwrap();
    // What somebody deleted is no contradiction.
    open(access(), &registry, "team/app").await.delete(&v1).await.unwrap();
    assert_eq!(repository.tags().await.unwrap().len(), 1);
    // Nor does a listing hide what is attached to the very manifest asked about.
    let signature = signature(1, &image);
    let tag = CosignSuffix::Signature.tag(image.digest());
    registry.add("team/app", &signature, Some(tag.as_str())).unwrap();
    let found = attachments(repository.as_read(), image.digest(), Scope::Nested).await.unwrap();
    assert_eq!(found.found.len(), 2, "listed by the API, and under the tag: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_listing_that_leaves_out_very_many_is_not_looked_into_without_end() {
    let (registry, image) = with_signatures(RegistryOptions::default(), 0);
    let repository = open(access(), &registry, "team/app").await;
    let tags: Vec<Tag> = (0..250).map(|number| format!("t{number}").parse().unwrap()).collect();
    for tag in &tags {
        repository.tag(image.root(), tag).await.unwrap();
    }
    let other = open(access(), &registry, "team/app").await;
    for tag in &tags {
        other.delete(&Selector::Tag(tag.clone())).await.unwrap();
    }
    for rest in [150, 50] {
        registry.clear_requests();
        let listed = repository.tags().await;
        assert_eq!(kind(&listed), "malformed");
        assert!(listed.unwrap_err().to_string().contains(&format!("{rest} tags more than are looked for")));
        assert_eq!(registry.requests().len(), 101, "the listing, and 100 tags");
    }
    assert_eq!(repository.tags().await.unwrap().len(), 1, "what is known to be deleted is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_says_nothing_about_the_api() {
    let (registry, image) = with_signatures(RegistryOptions::default(), 1);
    let repository = open(access(), &registry, "team/app").await;
    let missing = br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#.as_slice();
    registry.set_faults([
        Rule::new(Effect::Status(404)).on(Endpoint::Referrers).times(1),
        Rule::new(Effect::Body(missing.into())).on(Endpoint::Referrers).times(1),
    ]);
    assert_eq!(repository.referrers(image.digest(), API).await.unwrap(), None);
    assert_eq!(repository.referrers(image.digest(), API).await.unwrap().unwrap().len(), 1);
}

async fn push_signature(repository: &dyn Repository, signature: &Fixture) -> Pushed {
    for (descriptor, blob) in signature.blobs() {
        repository.push(descriptor, blob.content()).await.unwrap();
    }
    repository.push(signature.descriptor(), signature.root().bytes().clone().into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_says_of_subjects_is_probed_once() {
    let liar = RegistryOptions { claims_subject: true, ..RegistryOptions::distribution() };
    for (options, expected, probes) in [
        (RegistryOptions::default(), Pushed::Stored, 1),
        (RegistryOptions::distribution(), Pushed::Unlisted, 0),
        (liar, Pushed::Unlisted, 1),
    ] {
        let (registry, image) = with_signatures(options, 0);
        let repository = open(access(), &registry, "team/app").await;
        for number in 0..3 {
            assert_eq!(push_signature(&*repository, &signature(number, &image)).await, expected);
        }
        let asked = registry.requests().iter().filter(|r| r.endpoint == Endpoint::Referrers).count();
        assert_eq!(asked, probes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_links_lose_nothing() {
    let subject = Digest::sha256(b"subject");
    let registry = start(RegistryOptions::distribution());
    let repository = open(access(), &registry, "team/app").await;
    let entries: Vec<Descriptor> = (0..16).map(|number| entry(&registry, number)).collect();
    let linked = join_all(entries.chunks(1).map(|entry| repository.link_referrers(&subject, entry))).await;
    assert!(linked.iter().all(Result::is_ok), "{linked:?}");
    let listed = repository.referrers(&subject, FALLBACK).await.unwrap().unwrap();
    assert_eq!(listed.len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_several_processes_lose_nothing_where_conditions_hold() {
    let subject = Digest::sha256(b"subject");
    let options = RegistryOptions { conditional_writes: true, ..RegistryOptions::distribution() };
    let registry = start(options);
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let mut patient = access();
    patient.retry.budget = std::time::Duration::from_secs(60);
    // Each client stands for a process; the first answer shows it that the registry has entity tags.
    let writers = join_all((0..8).map(|number| {
        let (access, registry, subject) = (patient.clone(), &registry, &subject);
        async move {
            let repository = open(access, registry, "team/app").await;
            repository.resolve(&Selector::Tag("v1".parse().unwrap())).await.unwrap();
            repository.link_referrers(subject, &[entry(registry, number)]).await
        }
    }));
    let linked = writers.await;
    assert!(linked.iter().all(Result::is_ok), "{linked:?}");
    let repository = open(access(), &registry, "team/app").await;
    let listed = repository.referrers(&subject, FALLBACK).await.unwrap().unwrap();
    assert_eq!(listed.len(), 8);
}

#[tokio::test]
async fn a_tag_moves_only_from_what_it_is_expected_to_hold() {
    for conditional_writes in [false, true] {
        let registry = start(RegistryOptions { conditional_writes, ..RegistryOptions::distribution() });
        let [old, new, other] = [1, 2, 3].map(fixture::image);
        for image in [&old, &new, &other] {
            registry.add("team/app", image, None).unwrap();
        }
        let repository = open(access(), &registry, "team/app").await;
        let tag = "v1".parse().unwrap();
        assert_eq!(repository.move_tag(old.root(), &tag, None).await.unwrap(), TagMove::Done);
        let holds = |image: &Fixture| TagMove::Holds(Some(image.digest().clone()));
        assert_eq!(repository.move_tag(new.root(), &tag, None).await.unwrap(), holds(&old));
        assert_eq!(repository.move_tag(new.root(), &tag, Some(other.digest())).await.unwrap(), holds(&old));
        assert_eq!(registry.manifest("team/app", "v1").unwrap(), *old.root());
        assert_eq!(repository.move_tag(new.root(), &tag, Some(old.digest())).await.unwrap(), TagMove::Done);
        assert_eq!(registry.manifest("team/app", "v1").unwrap(), *new.root());
        // A registry whose tags are immutable says what it says when somebody was faster.
        let refusal = Rule::new(Effect::Refusal(412, "PRECONDITION")).method("PUT").on(Endpoint::Manifest);
        registry.set_faults([refusal]);
        let refused = repository.move_tag(old.root(), &tag, Some(new.digest())).await;
        assert!(matches!(refused, Err(RepositoryError::Registry { status: 412, .. })), "{refused:?}");
        let conditions = registry
            .requests()
            .into_iter()
            .filter(|request| request.headers.iter().any(|(name, _)| matches!(*name, "if-match" | "if-none-match")));
        // The two that follow a look at what the tag holds.
        assert_eq!(conditions.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_gained_an_entry_is_not_deleted_with_it() {
    let subject = Digest::sha256(b"subject");
    let options = RegistryOptions { conditional_writes: true, ..RegistryOptions::distribution() };
    let registry = start(options);
    let (one, other) = (entry(&registry, 1), entry(&registry, 2));
    let repository = open(access(), &registry, "team/app").await;
    repository.link_referrers(&subject, std::slice::from_ref(&one)).await.unwrap();
    registry.clear_requests();
    // While the deletion of the emptied tag is on its way, another process links something.
    let delay = Effect::Delay(std::time::Duration::from_secs(2));
    registry.set_faults([Rule::new(delay).method("DELETE").on(Endpoint::Manifest)]);
    let removed = [one.digest.clone()];
    let unlink = repository.unlink_referrers(&subject, &removed);
    let link = async {
        while count(&registry, "GET", Endpoint::Manifest) == 0 {
            tokio::task::yield_now().await;
        }
        let rival = open(access(), &registry, "team/app").await;
        rival.link_referrers(&subject, std::slice::from_ref(&other)).await
    };
    let (unlinked, linked) = futures_util::future::join(unlink, link).await;
    unlinked.unwrap();
    linked.unwrap();
    let listed = repository.referrers(&subject, FALLBACK).await.unwrap().unwrap_or_default();
    let listed: Vec<_> = listed.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(listed, [other.digest], "the rival's entry stays, the other is gone");
    assert!(take_log(&registry).contains(&"DELETE manifest 412".to_owned()), "the deletion was refused at first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_blob_is_being_written_again_is_sent_again() {
    let registry = start(RegistryOptions::distribution());
    let image = fixture::image(1);
    registry.add("team/app", &image, None).unwrap();
    let repository = open(access(), &registry, "team/app").await;
    let refusal = || Rule::new(Effect::Refusal(400, "DIGEST_INVALID")).method("PUT").on(Endpoint::Manifest);
    registry.set_faults([refusal().times(2)]);
    repository.tag(image.root(), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(take_log(&registry), ["PUT manifest 400", "PUT manifest 400", "PUT manifest 201"]);
    registry.set_faults([refusal()]);
    assert_eq!(kind(&repository.tag(image.root(), &"v2".parse().unwrap()).await), "registry", "not for ever");
    registry.set_faults([Rule::new(Effect::Refusal(400, "MANIFEST_INVALID")).on(Endpoint::Manifest)]);
    registry.clear_requests();
    assert_eq!(kind(&repository.tag(image.root(), &"v3".parse().unwrap()).await), "registry");
    assert_eq!(take_log(&registry), ["PUT manifest 400"], "another refusal is final");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_got_lost_is_made_again() {
    let subject = Digest::sha256(b"subject");
    let registry = start(RegistryOptions::distribution());
    let repository = open(access(), &registry, "team/app").await;
    // When it is looked at again there is no tag, as if another writer had taken it away.
    registry.set_faults([Rule::new(Effect::Status(404)).method("GET").on(Endpoint::Manifest).times(2)]);
    repository.link_referrers(&subject, &[entry(&registry, 1)]).await.unwrap();
    repository.settle().await.unwrap();
    let expected = ["GET manifest 404", "PUT manifest 201", "GET manifest 404", "PUT manifest 201", "GET manifest 200"];
    assert_eq!(take_log(&registry)[1..], expected, "after the question whether the API exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_settles_waits_for_its_own_tags_and_what_two_wait_for_is_read_once() {
    let registry = start(RegistryOptions::distribution());
    let client = Client::new(access()).unwrap();
    let name = name(&registry, "team/app");
    let (one, other) = (client.open(&name).await.unwrap(), client.open(&name).await.unwrap());
    let subjects = [b"one", b"two"].map(|text| Digest::sha256(text));
    one.link_referrers(&subjects[0], &[entry(&registry, 1)]).await.unwrap();
    other.link_referrers(&subjects[1], &[entry(&registry, 2)]).await.unwrap();
    take_log(&registry);
    one.settle().await.unwrap();
    assert_eq!(take_log(&registry), ["GET manifest 200"]);
    one.link_referrers(&subjects[1], &[entry(&registry, 3)]).await.unwrap();
    take_log(&registry);
    let (first, second) = tokio::join!(one.settle(), other.settle());
    assert_eq!(first.unwrap().len() + second.unwrap().len(), 1);
    assert_eq!(take_log(&registry), ["GET manifest 200"]);
    one.settle().await.unwrap();
    assert!(take_log(&registry).is_empty(), "nothing is open any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_writer_wrote_over_is_merged_again() {
    let subject = Digest::sha256(b"subject");
    let registry = start(RegistryOptions::distribution());
    let entries: Vec<Descriptor> = (0..4).map(|number| entry(&registry, number)).collect();
    let (early, slow) = (open(access(), &registry, "team/app").await, open(access(), &registry, "team/app").await);
    slow.link_referrers(&subject, &entries[..2]).await.unwrap();
    early.link_referrers(&subject, &entries[2..3]).await.unwrap();
    // Somebody who read the tag before all that, and writes only now.
    let stale = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries[3..]});
    let stale = RawManifest::new(media_type::IMAGE_INDEX, stale.to_string());
    slow.tag(&stale, &Tag::referrers_fallback(&subject)).await.unwrap();
    early.settle().await.unwrap();
    let listed = early.referrers(&subject, FALLBACK).await.unwrap().unwrap();
    let mut found: Vec<_> = listed.into_iter().map(|entry| entry.digest).collect();
    found.sort();
    let mut expected: Vec<_> = entries.into_iter().map(|entry| entry.digest).collect();
    expected.sort();
    assert_eq!(found, expected, "its own, what it saw of the others, and the slow writer's");
    // What was deleted meanwhile is not put back.
    early.link_referrers(&subject, &[entry(&registry, 5)]).await.unwrap();
    slow.delete(&Selector::Digest(expected[0].clone())).await.unwrap();
    slow.unlink_referrers(&subject, &expected[..1]).await.unwrap();
    early.settle().await.unwrap();
    let listed = early.referrers(&subject, FALLBACK).await.unwrap().unwrap();
    assert!(listed.len() == 4 && listed.iter().all(|entry| entry.digest != expected[0]), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_an_entry_away_still_watches_over_the_others() {
    for deletes in [true, false] {
        let registry = start(RegistryOptions { deletes, ..RegistryOptions::distribution() });
        let subject = Digest::sha256(b"subject");
        let tag = Tag::referrers_fallback(&subject);
        let entries: Vec<Descriptor> = (0..3).map(|number| entry(&registry, number)).collect();
        let repository = open(access(), &registry, "team/app").await;
        let listed = async || -> Vec<Digest> {
            let listed = repository.referrers(&subject, FALLBACK).await.unwrap().unwrap_or_default();
            listed.into_iter().map(|entry| entry.digest).collect()
        };
        repository.link_referrers(&subject, &entries[..1]).await.unwrap();
        repository.link_referrers(&subject, &entries[1..2]).await.unwrap();
        repository.unlink_referrers(&subject, &[entries[1].digest.clone()]).await.unwrap();
        assert_eq!(listed().await, [entries[0].digest.clone()]);
        // A slow writer comes, who knew nothing of the first, and of the second that it was there.
        let stale = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries[1..]});
        let stale = RawManifest::new(media_type::IMAGE_INDEX, stale.to_string());
        registry.add_manifest("team/app", &stale, Some(tag.as_str())).unwrap();
        repository.settle().await.unwrap();
        let mut expected = [entries[0].digest.clone(), entries[2].digest.clone()];
        expected.sort();
        let mut found = listed().await;
        found.sort();
        assert_eq!(found, expected);
        // What was linked and taken away before it settled stays away, and nobody waits for it.
        let other = Digest::sha256(b"other");
        repository.link_referrers(&other, &entries[..1]).await.unwrap();
        repository.unlink_referrers(&other, &[entries[0].digest.clone()]).await.unwrap();
        repository.settle().await.unwrap();
        assert!(repository.referrers(&other, FALLBACK).await.unwrap().unwrap_or_default().is_empty());
        // The last who links it has the word.
        repository.link_referrers(&other, &entries[..1]).await.unwrap();
        repository.settle().await.unwrap();
        assert_eq!(repository.referrers(&other, FALLBACK).await.unwrap().unwrap().len(), 1);
    }
}

/// Makes a manifest of cosign's with one layer in each of several repositories, and returns them with their blobs in
/// `team/app`.
async fn promoted_signatures(registry: &Registry, subject: &Digest, count: u8) -> Vec<RawManifest> {
    let destination = open(access(), registry, "team/app").await;
    let mut manifests = Vec::new();
    for number in 0..count {
        let source = open(access(), registry, &format!("source/{number}")).await;
        let layer = NewLayer::new("application/x.signature", vec![number]);
        let made = attach_cosign_tag(&*source, subject, CosignSuffix::Signature, &layer).await.unwrap();
        let manifest = source.manifest(&Selector::Digest(made.digest)).await.unwrap();
        for child in manifest.parse().unwrap().children() {
            destination.transfer(child, source.as_read()).await.unwrap();
        }
        manifests.push(manifest);
    }
    manifests
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_to_one_tag_of_cosign_lose_no_layer() {
    let subject = Digest::sha256(b"subject");
    let tag = CosignSuffix::Signature.tag(&subject);
    for conditional_writes in [true, false] {
        let registry = start(RegistryOptions { conditional_writes, ..RegistryOptions::distribution() });
        let arriving = promoted_signatures(&registry, &subject, 6).await;
        let layers = async || {
            let held = registry.manifest("team/app", tag.as_str()).unwrap().parse().unwrap();
            held.layers.len()
        };
        // Each as a process of its own.
        let writes = arriving[..5].iter().map(async |manifest| {
            let repository = open(access(), &registry, "team/app").await;
            repository.revise_tag(&tag, Arc::new(CosignMerge::new(&tag, manifest))).await.unwrap();
            repository.settle().await.unwrap();
        });
        join_all(writes).await;
        assert_eq!(layers().await, 5, "{conditional_writes}");
        // One that read the tag before all that writes only now, while another still watches.
        let watching = open(access(), &registry, "team/app").await;
        watching.revise_tag(&tag, Arc::new(CosignMerge::new(&tag, &arriving[5]))).await.unwrap();
        assert_eq!(layers().await, 6);
        if !conditional_writes {
            registry.add_manifest("team/app", &arriving[0], Some(tag.as_str())).unwrap();
            watching.settle().await.unwrap();
            assert_eq!(layers().await, 6, "its own, and those it saw");
        }
        // What has all of them is taken over as it is, and nothing is written twice.
        let whole = registry.manifest("team/app", tag.as_str()).unwrap();
        registry.add_manifest("team/app", &arriving[0], Some(tag.as_str())).unwrap();
        let last = open(access(), &registry, "team/app").await;
        for _ in 0..2 {
            let held = last.revise_tag(&tag, Arc::new(CosignMerge::new(&tag, &whole))).await.unwrap();
            assert_eq!(held.unwrap().descriptor().digest, whole.descriptor().digest);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_conditions_are_honoured_is_tried_once_and_then_relied_on() {
    for (conditional_writes, first, second) in [
        (
            true,
            vec!["GET manifest 404", "PUT manifest 412", "PUT manifest 201"],
            vec!["GET manifest 200", "PUT manifest 201"],
        ),
        (
            false,
            vec!["GET manifest 404", "PUT manifest 201", "GET manifest 200"],
            vec!["GET manifest 200", "PUT manifest 201", "GET manifest 200"],
        ),
    ] {
        let registry = start(RegistryOptions { conditional_writes, ..RegistryOptions::distribution() });
        registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
        let (one, other) = (entry(&registry, 1), entry(&registry, 2));
        let repository = open(access(), &registry, "team/app").await;
        // The question whether the API exists, and an entity tag.
        repository.referrers(&one.digest, API).await.unwrap();
        repository.resolve(&Selector::Tag("v1".parse().unwrap())).await.unwrap();
        for (linked, expected) in [(&one, first), (&other, second)] {
            registry.clear_requests();
            repository.link_referrers(&Digest::sha256(b"subject"), std::slice::from_ref(linked)).await.unwrap();
            repository.settle().await.unwrap();
            assert_eq!(take_log(&registry), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_another_reason_does_not_show_that_conditions_are_honoured() {
    let registry = start(RegistryOptions::distribution());
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(access(), &registry, "team/app").await;
    repository.resolve(&Selector::Tag("v1".parse().unwrap())).await.unwrap();
    // Harbor says so where tags are immutable, and ignores conditions.
    let refusal = Rule::new(Effect::Refusal(412, "PRECONDITION")).method("PUT").on(Endpoint::Manifest);
    registry.set_faults([refusal.times(2)]);
    repository.link_referrers(&Digest::sha256(b"subject"), &[entry(&registry, 1)]).await.unwrap();
    registry.clear_requests();
    repository.settle().await.unwrap();
    assert_eq!(take_log(&registry), ["GET manifest 200"], "such a write is watched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_no_listing_is_left_alone() {
    let (image, index) = (fixture::image(1), fixture::index(2, &["amd64", "arm64"]));
    let unrelated = fixture::index(3, &["amd64"]);
    for (subject, squatter) in [(&image, &image), (&index, &index), (&image, &unrelated), (&index, &image)] {
        let registry = start(RegistryOptions::distribution());
        let tag = Tag::referrers_fallback(subject.digest());
        registry.add("team/app", squatter, Some(tag.as_str())).unwrap();
        let repository = open(access(), &registry, "team/app").await;
        assert_eq!(kind(&repository.referrers(subject.digest(), FALLBACK).await), "squatted");
        assert_eq!(kind(&repository.link_referrers(subject.digest(), &[entry(&registry, 1)]).await), "squatted");
        assert_eq!(registry.manifest("team/app", tag.as_str()).unwrap(), *squatter.root());
    }
}
