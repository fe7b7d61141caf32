//! `sealift promote`, killed at every request: the old tag, or the new one with everything behind it.
//!
//! What is at the destination is read from the registry's store, and not by what is being tested.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use sealift_core::oci::{Descriptor, Digest, Manifest, Tag, annotation};
use sealift_core::statement::predicate::{IMAGE_SIGNATURE, PROMOTION};
use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Registry, RegistryOptions, Storage};

use crate::support::User;

/// Promotions at once: without the API a promotion mostly waits for other writers.
const TRIALS: usize = 6;
const SOURCE: &str = "team/app";
const DESTINATION: &str = "prod/app";
/// How the destination signs what arrives.
const RESIGN: [&str; 5] = ["--sign-key", "prod.key", "--resign", "--sign-format", "both"];

#[test]
fn a_promotion_killed_at_any_request_to_a_registry_with_the_api() {
    kill_at_every_request(&Setting::prepare(without_api(), with_api(), Before::Nothing));
}

#[test]
fn a_promotion_killed_at_any_request_to_a_registry_without_the_api() {
    kill_at_every_request(&Setting::prepare(with_api(), without_api(), Before::OldImage));
}

#[test]
fn a_promotion_that_signs_killed_at_any_request_to_a_registry_with_the_api() {
    kill_at_every_request(&Setting::prepare_to_sign(without_api(), with_api(), Before::OldImage));
}

#[test]
fn a_promotion_that_signs_killed_at_any_request_to_a_registry_without_the_api() {
    kill_at_every_request(&Setting::prepare_to_sign(with_api(), without_api(), Before::Nothing));
}

fn with_api() -> RegistryOptions {
    RegistryOptions::default()
}

fn without_api() -> RegistryOptions {
    RegistryOptions::distribution()
}

fn kill_at_every_request(setting: &Setting) {
    let (outcome, all) = setting.promote_and_kill_at(usize::MAX);
    assert_eq!(outcome, Outcome::Ended);
    assert!(all > 50, "{all} requests");
    let (next, killed) = (AtomicUsize::new(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TRIALS {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::SeqCst);
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
    let killed = killed.into_inner();
    assert!(killed + 5 > all, "{killed} of {all}");
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

/// A source with nested referrers and tags of cosign's, and where it goes.
struct Setting {
    user: User,
    from: RegistryOptions,
    to: RegistryOptions,
    before: Before,
    /// What the destination is told to sign.
    signing: &'static [&'static str],
    artifact: Fixture,
    sbom: Digest,
    /// Everything at the source.
    there: BTreeSet<(String, Part)>,
}

impl Setting {
    /// Fills the source with an index, which is kept in a folder for every trial to open.
    fn prepare(from: RegistryOptions, to: RegistryOptions, before: Before) -> Self {
        Self::of(fixture::index(3, &["amd64", "arm64"]), from, to, before)
    }

    /// Has the destination sign an image, which is signed with fewer requests than an index.
    fn prepare_to_sign(from: RegistryOptions, to: RegistryOptions, before: Before) -> Self {
        Self { signing: &RESIGN, ..Self::of(fixture::image(3), from, to, before) }
    }

    fn of(artifact: Fixture, from: RegistryOptions, to: RegistryOptions, before: Before) -> Self {
        let user = User::with_key();
        let from = from.with_storage(Storage::Folder(user.path("source")));
        let source = Registry::start(from.clone()).unwrap();
        source.add(SOURCE, &artifact, Some("v1")).unwrap();
        let by_digest = |digest: &Digest| source.reference(&format!("{SOURCE}@{digest}"));
        let sign = |format: &str, digest: &Digest| {
            user.run(&["sign", "--key", "sealift.key", "--format", format, &by_digest(digest)]).assert_code(0);
        };
        let root = artifact.digest();
        sign("both", root);
        if let Some(platform) = first_platform(&artifact) {
            sign("bundle", platform);
        }
        user.write("sbom.json", "{}");
        let image = by_digest(root);
        let attach = ["attach", "--type", "application/spdx+json", "--output", "json", &image, "sbom.json"];
        let sbom = user.run(&attach).assert_code(0).json()["digest"].as_str().unwrap().parse().unwrap();
        sign("bundle", &sbom);
        // No passphrase: deriving a key takes longer than everything else that a trial does.
        user.write("prod.key", include_bytes!("../../../../testdata/keys/openssl/ecdsa-p256.sec1.pem"));
        let there = everything(&source, SOURCE, root, from.referrers_api);
        let setting = Self { user, from, to, before, signing: &[], artifact, sbom, there };
        assert_eq!(claims(setting.there.iter()), setting.evidence());
        setting
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
        let promote = [&promote[..], self.signing].concat();

        let report = self.user.path(&format!("report-{nth}.xml"));
        std::fs::write(&report, "of an earlier run").unwrap();
        let mut sealift = self.user.command(env!("CARGO_BIN_EXE_sealift"));
        let sealift = sealift.args(&promote).arg("--junit").arg(&report);
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
        self.check(&destination, before.as_ref(), nth);
        drop(holder);
        if self.check(&destination, before.as_ref(), nth) {
            self.user.run(&["verify", "--key", "sealift.pub", "--all", &to]).assert_code(0);
        }
        self.user.run(&promote).assert_code(0).assert_stdout("0 missing");
        assert!(self.check(&destination, before.as_ref(), nth), "request {nth}");
        (outcome, requests)
    }

    /// Fails unless the tag is the old one, or the new one with everything that the source has and everything that is
    /// to be signed. Says whether it is the new one.
    fn check(&self, destination: &Registry, before: Option<&Digest>, nth: usize) -> bool {
        let (now, root) = (tagged(destination), self.artifact.digest());
        if now.as_ref() != Some(root) {
            assert_eq!(now.as_ref(), before, "request {nth}");
            return false;
        }
        let here = everything(destination, DESTINATION, root, self.to.referrers_api);
        let missing: Vec<_> = self.there.difference(&here).collect();
        assert!(missing.is_empty(), "request {nth}: {missing:?}");
        assert_eq!(claims(here.difference(&self.there)), self.signed(), "request {nth}");
        true
    }

    /// What is claimed at the source.
    fn evidence(&self) -> BTreeSet<Part> {
        let root = self.artifact.digest();
        let signed = [root, &self.sbom].into_iter().chain(first_platform(&self.artifact));
        let signed = signed.map(|subject| Part::claim(IMAGE_SIGNATURE, subject));
        signed.chain([Part::claim("application/spdx+json", root), Part::claim("sig", root)]).collect()
    }

    /// What the destination adds: two signatures for each manifest and for the SBOM, and the record.
    fn signed(&self) -> BTreeSet<Part> {
        if self.signing.is_empty() {
            return BTreeSet::new();
        }
        let manifests = self.artifact.manifests().map(|manifest| &manifest.descriptor().digest);
        let signed = manifests.chain([&self.sbom]);
        let signed = signed.flat_map(|subject| [IMAGE_SIGNATURE, "sig"].map(|kind| Part::claim(kind, subject)));
        signed.chain([Part::claim(PROMOTION, self.artifact.digest())]).collect()
    }
}

fn first_platform(artifact: &Fixture) -> Option<&Digest> {
    artifact.manifests().map(|manifest| &manifest.descriptor().digest).find(|digest| *digest != artifact.digest())
}

fn tagged(registry: &Registry) -> Option<Digest> {
    registry.manifest(DESTINATION, "v1").map(|manifest| manifest.descriptor().digest.clone())
}

/// What something is at an end.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Part {
    /// A manifest without subject, or a blob.
    Content,
    /// What is claimed of which subject: a type, or the suffix of cosign's tag.
    Claim(String, String),
}

impl Part {
    fn claim(kind: &str, subject: &Digest) -> Self {
        Self::Claim(kind.to_owned(), subject.to_string())
    }

    fn of(manifest: &Manifest) -> Self {
        let Some(subject) = &manifest.subject else { return Self::Content };
        let predicate = manifest.annotations.get(annotation::BUNDLE_PREDICATE_TYPE).map(String::as_str);
        Self::claim(predicate.or(manifest.artifact_type()).unwrap_or_default(), &subject.digest)
    }
}

fn claims<'a>(parts: impl Iterator<Item = &'a (String, Part)>) -> BTreeSet<Part> {
    parts.map(|(_, part)| part.clone()).filter(|part| *part != Part::Content).collect()
}

/// Everything that belongs to `root`, by digest; of cosign's tags, which are merged, the layers. Fails when anything
/// that is named is not there.
fn everything(registry: &Registry, repository: &str, root: &Digest, has_api: bool) -> BTreeSet<(String, Part)> {
    let mut found = BTreeSet::new();
    let (mut names, mut seen) = (vec![root.to_string()], BTreeSet::new());
    let held = |blob: &Descriptor, of: &str| {
        assert!(registry.has_blob(repository, &blob.digest), "blob {} of {of}", blob.digest);
        blob.digest.to_string()
    };
    while let Some(name) = names.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let manifest = registry.manifest(repository, &name);
        let manifest = manifest.unwrap_or_else(|| panic!("{name} is named and not there"));
        let digest = manifest.descriptor().digest.clone();
        let parsed = manifest.parse().unwrap();
        found.extend(parsed.config.iter().chain(&parsed.layers).map(|blob| (held(blob, &name), Part::Content)));
        names.extend(parsed.manifests.iter().map(|entry| entry.digest.to_string()));
        names.extend(listed(registry, repository, &digest, has_api));
        for suffix in ["sig", "att", "sbom"] {
            let tag = Tag::cosign(&digest, suffix);
            let Some(parsed) = registry.manifest(repository, tag.as_str()).map(|it| it.parse().unwrap()) else {
                continue;
            };
            held(parsed.config.as_ref().unwrap(), tag.as_str());
            let part = Part::claim(suffix, &digest);
            found.extend(parsed.layers.iter().map(|layer| (held(layer, tag.as_str()), part.clone())));
        }
        found.insert((name, Part::of(&parsed)));
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
