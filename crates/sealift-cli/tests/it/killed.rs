//! `sealift promote`, killed at every request: the old tag, or the new one with everything behind it.
//!
//! What is at the destination is read from the registry's store, and not by what is being tested.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use sealift_core::oci::{Digest, Tag};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions, Storage};

use crate::support::User;

/// Promotions at once.
const TRIALS: usize = 4;
const SOURCE: &str = "team/app";
const DESTINATION: &str = "prod/app";

#[test]
fn a_promotion_killed_at_any_request_to_a_registry_with_the_api() {
    let (from, to) = (RegistryOptions::distribution(), RegistryOptions::default());
    kill_at_every(1, &Setting::prepare(from, to, Before::Nothing));
}

/// Every third request: without the API each write of a listing waits for other writers.
#[test]
fn a_promotion_killed_at_requests_to_a_registry_without_the_api() {
    let (from, to) = (RegistryOptions::default(), RegistryOptions::distribution());
    kill_at_every(3, &Setting::prepare(from, to, Before::OldImage));
}

fn kill_at_every(step: usize, setting: &Setting) {
    let (outcome, all) = setting.promote_and_kill_at(usize::MAX);
    assert_eq!(outcome, Outcome::Ended);
    assert!(all > 50, "{all} requests");
    let (next, killed) = (AtomicUsize::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TRIALS {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(step, Ordering::SeqCst);
                    if nth > all {
                        break;
                    }
                    if setting.promote_and_kill_at(nth).0 == Outcome::Killed {
                        killed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    // Requests made side by side come to a few more or less.
    let (killed, wanted) = (killed.into_inner(), all.div_ceil(step));
    assert!(killed + 5 > wanted, "{killed} of {wanted}");
}

/// What the destination's tag holds before a promotion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Before {
    Nothing,
    OldImage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Ended,
    Killed,
}

/// A source with platforms, nested referrers and tags of cosign's, and where it goes.
struct Setting {
    user: User,
    from: RegistryOptions,
    to: RegistryOptions,
    before: Before,
    root: Digest,
}

impl Setting {
    /// Fills the source, which is kept in a folder for every trial to open.
    fn prepare(from: RegistryOptions, to: RegistryOptions, before: Before) -> Self {
        let user = User::with_key();
        let from = from.with_storage(Storage::Folder(user.path("source")));
        let source = Registry::start(from.clone()).unwrap();
        let index = fixture::index(3, &["amd64", "arm64"]);
        source.add(SOURCE, &index, Some("v1")).unwrap();
        let by_digest = |digest: &str| source.reference(&format!("{SOURCE}@{digest}"));
        let image = source.reference(&format!("{SOURCE}:v1"));
        let sign = |format: &str, reference: &str| {
            user.run(&["sign", "--key", "sealift.key", "--format", format, reference]).assert_code(0);
        };
        sign("both", &image);
        sign("bundle", &by_digest(&index.manifests().next().unwrap().descriptor().digest.to_string()));
        user.write("sbom.json", "{}");
        let attach = ["attach", "--type", "application/spdx+json", "--output", "json", &image, "sbom.json"];
        let sbom = user.run(&attach).assert_code(0).json()["digest"].as_str().unwrap().to_owned();
        sign("bundle", &by_digest(&sbom));
        Self { user, from, to, before, root: index.digest().clone() }
    }

    /// Promotes with a process of its own, kills it when request `nth` of both registries together was carried out and
    /// is not yet answered, and promotes again. Returns how it ended, and the number of requests until then.
    fn promote_and_kill_at(&self, nth: usize) -> (Outcome, usize) {
        let (gate, events, holder) = Gate::at(nth);
        let (source, destination) = (gate.start(self.from.clone()), gate.start(self.to.clone()));
        let old = fixture::image(7);
        if self.before == Before::OldImage {
            destination.add(DESTINATION, &old, Some("v1")).unwrap();
        }
        let before = tagged(&destination);
        let (from, to) = (source.reference("team/app:v1"), destination.reference("prod/app:v1"));
        let promote = ["promote", "--key", "sealift.pub", "--overwrite-tag", &from, &to];

        let report = self.user.path(&format!("report-{nth}.xml"));
        std::fs::write(&report, "of an earlier run").unwrap();
        let mut sealift = self.user.command(env!("CARGO_BIN_EXE_sealift"));
        let sealift = sealift.args(promote).arg("--junit").arg(&report);
        let mut sealift = sealift.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = sealift.stdout.take().unwrap();
        let ended = gate.events.clone();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = output.read_to_string(&mut text);
            let _ = ended.send(Outcome::Ended);
            text
        });
        let outcome = events.recv().unwrap();
        let requests = gate.seen.load(Ordering::SeqCst);
        if outcome == Outcome::Killed {
            sealift.kill().unwrap();
        }
        let status = sealift.wait().unwrap();
        let text = reader.join().unwrap();
        assert_eq!(status.success(), outcome == Outcome::Ended, "request {nth}: {text}");
        let report = std::fs::read_to_string(report).unwrap();
        assert_eq!(report.contains("type=\"UNFINISHED\""), outcome == Outcome::Killed, "request {nth}: {report}");

        // Once while the registry holds the answer, and once more: what was sent before the end may arrive after it.
        self.check(&source, &destination, before.as_ref(), nth);
        drop(holder);
        if self.check(&source, &destination, before.as_ref(), nth) {
            self.verify(&destination);
        }
        self.user.run(&promote).assert_code(0).assert_stdout("0 missing");
        assert!(self.check(&source, &destination, before.as_ref(), nth), "request {nth}");
        self.verify(&destination);
        (outcome, requests)
    }

    /// Fails unless the tag is the old one, or the new one with everything that the source has. Says whether it is the
    /// new one.
    fn check(&self, source: &Registry, destination: &Registry, before: Option<&Digest>, nth: usize) -> bool {
        let now = tagged(destination);
        if now.as_ref() != Some(&self.root) {
            assert_eq!(now.as_ref(), before, "request {nth}");
            return false;
        }
        let expected = everything(source, SOURCE, &self.root, self.from.referrers_api);
        let manifests = expected.values().filter(|kind| **kind == Kind::Manifest).count();
        assert_eq!(
            manifests,
            3 + 3 + 1 + 1,
            "an index and two platforms, three bundles, an SBOM, `.sig`: {expected:?}"
        );
        assert_eq!(everything(destination, DESTINATION, &self.root, self.to.referrers_api), expected, "request {nth}");
        true
    }

    fn verify(&self, destination: &Registry) {
        let image = destination.reference("prod/app:v1");
        self.user.run(&["verify", "--key", "sealift.pub", "--all", &image]).assert_code(0);
    }
}

fn tagged(registry: &Registry) -> Option<Digest> {
    registry.manifest(DESTINATION, "v1").map(|manifest| manifest.descriptor().digest.clone())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Blob,
    Manifest,
}

/// Everything that belongs to `root`, by digest, what cosign's tags hold included; fails when anything that is named
/// is not there.
fn everything(registry: &Registry, repository: &str, root: &Digest, has_api: bool) -> BTreeMap<String, Kind> {
    let mut found = BTreeMap::new();
    let mut names = vec![root.to_string()];
    while let Some(name) = names.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let manifest = registry.manifest(repository, &name);
        let manifest = manifest.unwrap_or_else(|| panic!("{name} is named and not there"));
        let digest = manifest.descriptor().digest.clone();
        let parsed = manifest.parse().unwrap();
        for blob in parsed.config.iter().chain(&parsed.layers) {
            assert!(registry.has_blob(repository, &blob.digest), "blob {} of {name}", blob.digest);
            found.insert(blob.digest.to_string(), Kind::Blob);
        }
        names.extend(parsed.manifests.iter().map(|entry| entry.digest.to_string()));
        names.extend(listed(registry, repository, &digest, has_api));
        for suffix in ["sig", "att", "sbom"] {
            let held = registry.manifest(repository, Tag::cosign(&digest, suffix).as_str());
            names.extend(held.map(|held| held.descriptor().digest.to_string()));
        }
        found.insert(name, Kind::Manifest);
    }
    found
}

/// What a client finds listed under `subject`.
fn listed(registry: &Registry, repository: &str, subject: &Digest, has_api: bool) -> Vec<String> {
    let entries = if has_api {
        registry.referrers(repository, subject)
    } else {
        let index = registry.manifest(repository, Tag::referrers_fallback(subject).as_str());
        index.map(|index| index.parse().unwrap().manifests).unwrap_or_default()
    };
    entries.into_iter().map(|entry| entry.digest.to_string()).collect()
}

/// Counts the requests of several registries, and holds the answer to the chosen one back.
struct Gate {
    nth: usize,
    seen: AtomicUsize,
    events: Sender<Outcome>,
    release: Mutex<Receiver<()>>,
}

impl Gate {
    /// Returns a gate, what it tells when the request was carried out, and what holds the answer until it is dropped.
    fn at(nth: usize) -> (Arc<Self>, Receiver<Outcome>, Sender<()>) {
        let ((events, told), (holder, release)) = (channel(), channel());
        (Arc::new(Self { nth, seen: AtomicUsize::new(0), events, release: Mutex::new(release) }), told, holder)
    }

    fn start(self: &Arc<Self>, options: RegistryOptions) -> Registry {
        let gate = Arc::clone(self);
        Registry::start_observed(options, move |_| gate.pass()).unwrap()
    }

    fn pass(&self) {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.nth {
            let _ = self.events.send(Outcome::Killed);
            // Ends with an error, when nobody holds it any more.
            let _ = self.release.lock().unwrap().recv();
        }
    }
}
