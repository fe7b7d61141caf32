//! What probes find out about registries of every kind, and that they leave nothing behind.

use sealift_core::oci::Selector;
use sealift_oci::Client;
use sealift_oci::probe::{Capability as C, Place, ProbeReport, TokenOutcome, Verdict, WriteTest};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Emulation, Endpoint, Registry, RegistryOptions, RetryAfter, Rule};

use crate::support::{access, access_as, host, kind, name, start};

fn emulated(emulation: Emulation) -> Registry {
    let registry = start(emulation.options());
    registry.add("docker-local/app", &fixture::image(1), Some("v1")).unwrap();
    registry
}

async fn probe(registry: &Registry, emulation: Emulation, write_test: WriteTest) -> ProbeReport {
    let client = Client::new(access_as(registry, emulation.user(), Emulation::PASSWORD)).unwrap();
    let v1 = Selector::Tag("v1".parse().unwrap());
    let report = client.probe(&name(registry, "docker-local/app"), Some(&v1), write_test).await;
    report.unwrap_or_else(|error| panic!("{emulation}: {error}"))
}

fn verdict(report: &ProbeReport, capability: C) -> Verdict {
    report.finding(capability).unwrap_or_else(|| panic!("nothing about {capability:?}")).verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn every_registry_is_found_as_it_is() {
    use Emulation as E;
    use Verdict::{No, Yes};
    for (emulation, api, subject, immutable, mounts, single_post, cancels, deletes) in [
        (E::Acr, Yes, Yes, No, Yes, Yes, Yes, Yes),
        (E::Artifactory, Yes, Yes, No, Yes, Yes, Yes, Yes),
        (E::Distribution, No, No, No, Yes, No, Yes, Yes),
        (E::DockerHub, Yes, Yes, No, Yes, Yes, Yes, No),
        (E::DockerHub2024, No, No, No, Yes, Yes, Yes, No),
        (E::Ecr, Yes, Yes, No, No, Yes, Yes, Yes),
        (E::EcrImmutable, Yes, Yes, Yes, No, Yes, Yes, Yes),
        (E::EcrPublic, Yes, Yes, No, No, Yes, Yes, Yes),
        (E::Gar, Yes, Yes, No, Yes, Yes, Yes, Yes),
        (E::Ghcr, No, No, No, Yes, No, No, No),
        (E::GhcrRedirecting, No, No, No, Yes, No, No, No),
        (E::Gitlab, No, No, No, Yes, No, Yes, Yes),
        (E::Harbor, Yes, Yes, Yes, Yes, No, Yes, Yes),
        (E::Quay, Yes, Yes, No, Yes, No, Yes, Yes),
        (E::Zot, Yes, Yes, No, Yes, Yes, Yes, Yes),
    ] {
        let registry = emulated(emulation);
        let before = (registry.tags("docker-local/app"), registry.manifest("docker-local/app", "v1"));
        let reading = probe(&registry, emulation, WriteTest::Refused).await;
        // GHCR answers 404 MANIFEST_UNKNOWN, which it also answers about what is not there.
        let api_seen = if emulation == E::Ghcr { Verdict::Unknown } else { api };
        assert_eq!(verdict(&reading, C::ReferrersApi), api_seen, "{emulation}: {reading:#?}");
        assert_eq!(verdict(&reading, C::Mount), Verdict::NotTried);
        assert!(registry.requests().iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")));

        let report = probe(&registry, emulation, WriteTest::Allowed).await;
        for (capability, expected) in [
            (C::ReferrersApi, api_seen),
            (C::SubjectHeader, subject),
            (C::ImmutableTags, immutable),
            (C::Mount, mounts),
            (C::SinglePost, single_post),
            (C::UploadCancel, cancels),
            (C::DeleteManifest, deletes),
            (C::DeleteTag, deletes),
            (C::LargeManifest, Yes),
            (C::RateLimit, if matches!(emulation, E::DockerHub | E::DockerHub2024) { Yes } else { No }),
            (C::FallbackAlias, if emulation == E::Gitlab { Yes } else { No }),
            (C::ChunkedUpload, if matches!(emulation, E::Ghcr | E::GhcrRedirecting) { No } else { Yes }),
        ] {
            assert_eq!(verdict(&report, capability), expected, "{emulation} {capability:?}: {report:#?}");
        }
        let after = (registry.tags("docker-local/app"), registry.manifest("docker-local/app", "v1"));
        if deletes == Yes {
            assert_eq!(report.left_behind, [""; 0], "{emulation}");
            assert_eq!(after, before, "{emulation} is as it was");
        } else {
            assert!(report.left_behind[0].starts_with("sealift-probe-"), "{emulation}: {:?}", report.left_behind);
            assert_eq!(after.1, before.1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_and_pages_are_told_apart() {
    for (conditional_writes, page_size) in [(false, None), (true, Some(1))] {
        let registry = start(RegistryOptions { conditional_writes, page_size, ..RegistryOptions::default() });
        let image = fixture::image(1);
        registry.add("docker-local/app", &image, Some("v1")).unwrap();
        registry.add("docker-local/app", &image, Some("v2")).unwrap();
        let report = probe(&registry, Emulation::Zot, WriteTest::Allowed).await;
        let expected = if conditional_writes { Verdict::Yes } else { Verdict::No };
        assert_eq!(verdict(&report, C::ConditionalWrites), expected, "{report:#?}");
        // The sandbox honours `n` even where it cuts nothing itself.
        assert_eq!(verdict(&report, C::TagPaging), Verdict::Yes);
        assert_eq!(verdict(&report, C::EntityTags), Verdict::Yes);
        assert_eq!(verdict(&report, C::ReferrersFilter), Verdict::Yes);
        assert_eq!(registry.tags("docker-local/app"), ["v1", "v2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_are_survived() {
    use Verdict::{No, Unknown};
    let page = || vec![Effect::Body("<html>".into()), Effect::header("content-type", "text/html")];
    for (effects, expected) in [
        (vec![Effect::Status(404)], No),
        (vec![Effect::Status(405)], No),
        (vec![Effect::Redirect("http://elsewhere.invalid".to_owned())], No),
        (page(), No),
        (vec![Effect::Throttle(RetryAfter::Seconds(3600))], Unknown),
        (vec![Effect::Status(403)], Unknown),
        (vec![Effect::Status(500)], Unknown),
        (vec![Effect::Endless], Unknown),
        (vec![Effect::CutAfter(3)], Unknown),
    ] {
        let registry = start(RegistryOptions::default());
        registry.add("docker-local/app", &fixture::image(1), Some("v1")).unwrap();
        registry.set_faults(effects.iter().map(|effect| Rule::new(effect.clone()).on(Endpoint::Referrers)));
        let report = probe(&registry, Emulation::Zot, WriteTest::Allowed).await;
        assert_eq!(verdict(&report, C::ReferrersApi), expected, "{effects:?}: {report:#?}");
        assert_eq!(report.left_behind, [""; 0], "{effects:?}");
        assert_eq!(registry.tags("docker-local/app"), ["v1"]);
    }
    // Whatever fails while writing, what was written is removed.
    for (endpoint, method) in [(Endpoint::Upload, "POST"), (Endpoint::Upload, "PUT"), (Endpoint::Manifest, "PUT")] {
        for nth in [1, 2, 3, 5] {
            let registry = start(RegistryOptions::default());
            registry.add("docker-local/app", &fixture::image(1), Some("v1")).unwrap();
            registry.set_faults([Rule::new(Effect::Status(403)).on(endpoint).method(method).nth(nth).times(1)]);
            let report = probe(&registry, Emulation::Zot, WriteTest::Allowed).await;
            assert_eq!(report.left_behind, [""; 0], "{endpoint:?} {method} {nth}");
            assert_eq!(registry.tags("docker-local/app"), ["v1"], "{endpoint:?} {method} {nth}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_without_an_answer_is_removed_or_told() {
    for (deletes, left) in [(true, 0), (false, 2)] {
        let registry = start(RegistryOptions { deletes, ..RegistryOptions::default() });
        registry.add("docker-local/app", &fixture::image(1), Some("v1")).unwrap();
        registry.set_faults([Rule::new(Effect::LoseReply).on(Endpoint::Manifest).method("PUT")]);
        let report = probe(&registry, Emulation::Zot, WriteTest::Allowed).await;
        let manifests: Vec<_> =
            report.left_behind.iter().filter(|left| registry.manifest("docker-local/app", left).is_some()).collect();
        assert_eq!(manifests.len(), left, "the tag and its manifest: {:?}", report.left_behind);
        assert_eq!(registry.tags("docker-local/app").len(), 1 + left / 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authentication_is_shown_at_four_places_without_secrets() {
    for (emulation, anonymous, authorized) in [
        (Emulation::Acr, [404, 401, 401, 401], [200, 200, 200]),
        (Emulation::DockerHub, [301, 401, 401, 401], [200, 401, 200]),
        (Emulation::Ecr, [404, 401, 401, 401], [200, 200, 200]),
        (Emulation::Ghcr, [200, 401, 401, 401], [200, 200, 200]),
        (Emulation::Artifactory, [404, 401, 401, 401], [200, 200, 200]),
        (Emulation::GhcrRedirecting, [200, 401, 401, 401], [200, 200, 200]),
    ] {
        let registry = emulated(emulation);
        let client = Client::new(access_as(&registry, emulation.user(), Emulation::PASSWORD)).unwrap();
        let report = client.probe_auth(&host(&registry), Some("docker-local/app")).await.unwrap();
        let places: Vec<_> = report.probes.iter().map(|probe| probe.place).collect();
        assert_eq!(places, [Place::Root, Place::Api, Place::Catalog, Place::Repository]);
        let found: Vec<_> = report.probes.iter().map(|probe| probe.anonymous.clone().unwrap()).collect();
        assert_eq!(found, anonymous, "{emulation}");
        let found: Vec<_> =
            report.probes.iter().filter_map(|probe| probe.authorized.clone()).map(Result::unwrap).collect();
        assert_eq!(found, authorized, "{emulation}: {report:#?}");
        assert_eq!(report.credential, format!("password of {}", emulation.user()));
        assert_eq!(report.origin, "the command line");
        let shown = format!("{report:?}");
        assert!(!shown.contains(Emulation::PASSWORD) && !shown.contains("access-"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_refused_hostile_or_without_an_end_are_told() {
    let registry = emulated(Emulation::Ghcr);
    let client = Client::new(access()).unwrap();
    let report = client.probe_auth(&host(&registry), Some("docker-local/app")).await.unwrap();
    let token = |place: usize| report.probes[place].token.clone().unwrap();
    let TokenOutcome::Granted { scopes, lifetime } = token(1) else { panic!("{report:#?}") };
    assert_eq!((scopes.as_str(), lifetime), ("", None), "for nothing, and nobody says for how long");
    let TokenOutcome::Refused { scopes, reason } = token(3) else { panic!("{report:#?}") };
    assert_eq!(scopes, "repository:docker-local/app:pull");
    assert!(reason.contains("refuses anonymous access (HTTP 403)"), "{reason}");

    let hostile = "Bearer realm=\"https://user:secret@169.254.169.254/token?key=secret\",service=\"x\"";
    registry.set_faults([Rule::new(Effect::header("www-authenticate", hostile))]);
    let report = client.probe_auth(&host(&registry), None).await.unwrap();
    assert!(!format!("{report:?}").contains("secret"), "{report:#?}");
    assert!(matches!(report.probes[1].token, Some(TokenOutcome::Refused { .. })), "{report:#?}");
    drop(registry);
    let gone = start(RegistryOptions::default());
    let address = host(&gone);
    drop(gone);
    assert_eq!(kind(&client.probe_auth(&address, None).await), "unavailable");
}
