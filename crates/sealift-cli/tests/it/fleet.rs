//! Two hundred images in one run, as a nightly job promotes them.

use std::fmt::Write as _;

use sealift_core::oci::Digest;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, Registry, RegistryOptions, Rule};
use serde_json::Value;

use crate::lab::Lab;
use crate::many::tags;
use crate::support::{Outcome, User};

const IMAGES: u64 = 200;
/// The one whose own layer the source does not hold as it should.
const BROKEN: u64 = 77;
/// Repositories that they are in, in turn.
const REPOSITORIES: u64 = 8;
/// Layers that all of them share.
const SHARED: usize = 3;
/// Bytes of each of those.
const SHARED_BYTES: u64 = 2000;
/// The most requests for each of them at first; 20 in the mean when this was written.
///
/// To verify and plan 6: the tag, what refers to it, the signature's manifest and its blob, the tags that cosign would have
/// used, and what refers to the signature. To look at the destination 2: the tag and what refers to it. To move 5: its own
/// layer and its configuration, read and written, and the signature's blob, written. The two manifests. To prove and
/// judge 3: the manifest, what refers to it, and the signature's blob. The tag 2: written, and read back. The rest is its
/// part of the layers that all share.
const REQUESTS: u64 = 21;
/// The most requests for one by itself, which brings the layers that it shares along. Its signature may have arrived before
/// it failed; then it is looked up, too.
const REQUESTS_ALONE: u64 = 28;
/// The most requests for one that is there already: the 6 to verify and plan, the tag and the listing there, and the
/// signature's blob, which is read where it arrived.
const REQUESTS_AGAIN: u64 = 9;

/// A user, and two registries: one with all images, signed, and one without.
struct Fleet {
    user: User,
    staging: Registry,
    prod: Registry,
    /// The layers that all images have.
    shared: [Digest; SHARED],
    /// The layer of [`BROKEN`] that no other image has.
    layer: Digest,
}

impl Fleet {
    fn launch() -> Self {
        let [staging, prod] = registries();
        let user = User::with_key();
        let base: [_; SHARED] = std::array::from_fn(|seed| fixture::layer(seed as u64, SHARED_BYTES));
        let mut sign = vec!["sign".to_owned(), "--key".to_owned(), "sealift.key".to_owned()];
        let mut manifest = "version: 1\npromotions:\n".to_owned();
        for seed in 0..IMAGES {
            let repository = format!("app{}", seed % REPOSITORIES);
            staging.add(&format!("staging/{repository}"), &fixture::image_on(&base, seed), Some(&tag(seed))).unwrap();
            let source = staging.reference(&format!("staging/{repository}:{}", tag(seed)));
            let destination = prod.reference(&format!("prod/{repository}"));
            writeln!(manifest, "- {{source: '{source}', destinations: ['{destination}']}}").unwrap();
            sign.push(source);
        }
        user.write("promotions.yaml", manifest);
        user.run(&sign.iter().map(String::as_str).collect::<Vec<_>>()).assert_code(0);
        let layer = fixture::image_on(&base, BROKEN).blobs().last().unwrap().0.digest.clone();
        let shared = base.map(|(layer, _)| layer.digest);
        Self { user, staging, prod, shared, layer }
    }

    /// Promotes everything; returns how it ended and how many requests it took.
    fn promote(&self) -> (Outcome, usize) {
        let mut outcome = None;
        let run = ["promote", "--key", "sealift.pub", "--from-file", "promotions.yaml", "--junit", "report.xml"];
        let run = [&run[..], &["--output", "json"]].concat();
        let requests = requests([&self.staging, &self.prod], || outcome = Some(self.user.run(&run)));
        (outcome.unwrap(), requests)
    }
}

fn registries() -> [Registry; 2] {
    [(); 2].map(|()| Registry::start(RegistryOptions::default()).unwrap())
}

fn tag(seed: u64) -> String {
    format!("v{seed}")
}

/// Returns how many requests two registries got while something ran.
fn requests(registries: [&Registry; 2], run: impl FnOnce()) -> usize {
    registries.into_iter().for_each(Registry::clear_requests);
    run();
    registries.map(|registry| registry.requests().len()).into_iter().sum()
}

/// Returns what the summary says about this.
fn told(outcome: &Outcome, what: &str) -> Value {
    outcome.json_lines().last().unwrap()["summary"][what].clone()
}

#[test]
fn two_hundred_images_arrive_but_for_a_broken_one_and_arriving_again_costs_little() {
    let fleet = Fleet::launch();
    let broken = fleet.layer.to_string();
    fleet.staging.set_faults([Rule::new(Effect::Corrupt).on(Endpoint::Blob).reference(&broken)]);
    let (outcome, requests) = fleet.promote();
    let outcome = outcome.assert_code(22);
    assert_eq!(["promoted", "failed"].map(|how| told(&outcome, how)), [IMAGES - 1, 1].map(Value::from));
    let errors: Vec<_> = outcome.json_lines().into_iter().filter(|line| !line["error"].is_null()).collect();
    let source = fleet.staging.reference(&format!("staging/app{}:{}", BROKEN % REPOSITORIES, tag(BROKEN)));
    assert_eq!(errors.iter().map(|line| &line["source"]).collect::<Vec<_>>(), [&source]);
    assert!(errors[0].to_string().contains(&format!("copying {broken} failed at the source")), "{errors:?}");
    let report = std::fs::read_to_string(fleet.user.path("report.xml")).unwrap();
    assert!(report.contains("tests=\"200\" failures=\"0\" errors=\"1\""), "{report}");
    assert!(report.contains(&format!("classname=\"{source}\"")) && report.matches("<error ").count() == 1, "{report}");
    let arrived: usize = (0..REPOSITORIES).map(|number| tags(&fleet.prod, &format!("prod/app{number}")).len()).sum();
    assert_eq!(arrived as u64, IMAGES - 1);
    assert_at_most(requests, REQUESTS * IMAGES);
    // Whoever needs a layer that is on its way already waits for it, and mounts it from there.
    let asked = fleet.staging.requests();
    let reads = |layer: &Digest| asked.iter().filter(|request| request.path.ends_with(&layer.to_string())).count();
    assert_eq!(fleet.shared.each_ref().map(reads), [1; SHARED]);
    // All signatures share the empty blob.
    assert_eq!(told(&outcome, "mounted")["objects"], (REPOSITORIES - 1) * (SHARED as u64 + 1));

    fleet.staging.clear_faults();
    let (outcome, requests) = fleet.promote();
    let outcome = outcome.assert_code(0);
    assert_eq!(["promoted", "unchanged"].map(|how| told(&outcome, how)), [1, IMAGES - 1].map(Value::from));
    assert_at_most(requests, REQUESTS_ALONE + REQUESTS_AGAIN * (IMAGES - 1));
}

#[track_caller]
fn assert_at_most(requests: usize, bound: u64) {
    assert!(requests as u64 <= bound, "{requests} requests, more than {bound}");
}

#[test]
fn a_repeat_asks_less_than_half_of_what_peers_ask_to_be_as_sure() {
    let Some(lab) = Lab::open() else { return };
    let [staging, prod] = registries();
    staging.add("app", &fixture::image(1), Some("v1")).unwrap();
    let (from, to) = (staging.reference("app:v1"), prod.reference("app:v1"));
    lab.sealift(&["sign", "--key", "sealift.key", &from]).assert_code(0);
    let promote = || drop(lab.sealift(&["promote", "--key", "sealift.pub", &from, &to]).assert_code(0));
    let copy = ["copy", "-r", "--from-plain-http", "--to-plain-http", &from, &to];
    let peers = || {
        lab.cosign3_verifies(&from);
        lab.peer("oras", &copy).assert_code(0);
        lab.cosign3_verifies(&to);
    };
    promote();
    let [ours, theirs] = [&promote as &dyn Fn(), &peers].map(|run| requests([&staging, &prod], run));
    assert!(2 * ours < theirs, "{ours} requests, and {theirs} by peers");
}
