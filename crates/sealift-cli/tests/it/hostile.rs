//! Registries, token services and files that attack the reader: the answer is right, or that there is none, within
//! bounds of time and memory.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealift_core::oci::{Descriptor, Digest, RawManifest, annotation, media_type};
use sealift_core::statement::predicate;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Registry, RegistryOptions, RetryAfter, Rule, TokenAuth};
use serde_json::Value;

use crate::support::{User, both_kinds, registry};

/// The most memory that any reading may take.
const MOST_MEMORY: u64 = 100 * 1024 * 1024;
/// A net under attacks that would never end; says nothing about speed.
const NET: Duration = Duration::from_secs(120);
/// A time limit that attacks run into soon.
const SHORT: &str = "1s";
const MANY: usize = 20_000;

/// An image and a good signature for it, in a registry that then turns hostile.
struct Scene {
    user: User,
    registry: Registry,
    /// What the registry's list of signatures is asked for as.
    listing: Endpoint,
    signature: Descriptor,
}

impl Scene {
    fn new(options: RegistryOptions) -> Self {
        let listing = if options.referrers_api { Endpoint::Referrers } else { Endpoint::Manifest };
        let (user, registry) = (User::with_key(), registry(options));
        user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
        let [signature] = registry.referrers("team/app", fixture::image(1).digest()).try_into().unwrap();
        Self { user, registry, listing, signature }
    }

    /// Returns a rule for whatever lists the signatures.
    fn on_listing(&self, effect: Effect) -> Rule {
        let rule = Rule::new(effect).on(self.listing).method("GET");
        if self.listing == Endpoint::Manifest { rule.reference("sha256-*") } else { rule }
    }

    /// Returns a rule for the manifest of the signature.
    fn on_manifest(&self, effect: Effect) -> Rule {
        Rule::new(effect).on(Endpoint::Manifest).method("GET").reference(&self.signature.digest.to_string())
    }

    /// Makes the registry list this, and nothing else.
    fn list(&self, body: String) {
        let no_digest = self.on_listing(Effect::no_header("docker-content-digest"));
        self.registry.set_faults([self.on_listing(Effect::Body(body.into())), no_digest]);
    }

    /// Runs `sealift verify`, and fails unless it ends with `code` by itself, in little memory.
    #[track_caller]
    fn verify(&self, name: &str, code: i32) {
        self.verify_within(SHORT, name, code);
    }

    #[track_caller]
    fn verify_within(&self, limit: &str, name: &str, code: i32) {
        let image = format!("{}@{}", self.registry.reference("team/app"), fixture::image(1).digest());
        let args = ["verify", "--key", "sealift.pub", "--timeout", limit, "--output", "json", &image];
        let told = bounded(&self.user, name, &args, code);
        match code {
            0 => assert_eq!(
                told[0]["critical"]["image"]["docker-manifest-digest"],
                fixture::image(1).digest().to_string()
            ),
            _ => assert_eq!(told["error"]["code"], name_of(code), "{name}: {told}"),
        }
    }
}

fn name_of(code: i32) -> &'static str {
    match code {
        10 => "NO_SIGNATURE",
        12 => "NO_MATCHING_SIGNATURE",
        20 => "CONFIGURATION",
        21 => "UNAUTHORIZED",
        22 => "UNAVAILABLE",
        _ => "",
    }
}

/// Runs `sealift`, and fails unless it ends with `code` by itself and in little memory; returns the last of its JSON.
#[track_caller]
fn bounded(user: &User, name: &str, args: &[&str], code: i32) -> Value {
    // On a busy machine a run may be over before it is looked at; not every time.
    (0..10).find_map(|_| measured(user, name, args, code)).unwrap_or_else(|| panic!("{name}: nothing measured"))
}

/// Does so once; returns nothing where it was over too soon to be measured.
#[track_caller]
fn measured(user: &User, name: &str, args: &[&str], code: i32) -> Option<Value> {
    let mut command = user.command(env!("CARGO_BIN_EXE_sealift"));
    let (out, err) = (user.path("stdout"), user.path("stderr"));
    command.args(args).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).stdin(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_memory(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > NET {
            child.kill().unwrap();
            panic!("{name}: still running after {NET:?}, with {peak} bytes");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (out, err) = (std::fs::read_to_string(out).unwrap(), std::fs::read_to_string(err).unwrap());
    assert_eq!(status.code(), Some(code), "{name}\n{out}{err}");
    assert!(peak < MOST_MEMORY, "{name}: {peak} bytes\n{out}{err}");
    let last = out.lines().last().unwrap_or_default();
    let told = serde_json::from_str(last).or_else(|_| serde_json::from_str(&out)).unwrap_or(Value::Null);
    (peak > 0).then_some(told)
}

/// Returns the most memory that a process has had, in bytes; 0 once it is over. The kernel's figure for a child that
/// has ended would count the memory of this process from before the program was loaded.
fn peak_memory(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Returns an index of these entries.
fn index_of(entries: impl IntoIterator<Item = String>) -> String {
    let entries: Vec<String> = entries.into_iter().collect();
    let (media_type, entries) = (media_type::IMAGE_INDEX, entries.join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{entries}]}}"#)
}

/// Returns the entry of a manifest that does not exist, of this type.
fn invented(number: usize, fields: &str) -> String {
    let digest = Digest::sha256(&number.to_be_bytes());
    format!(r#"{{"mediaType":"{}","digest":"{digest}","size":9,{fields}}}"#, media_type::IMAGE_MANIFEST)
}

/// Returns the fields of an entry that says to be an image's signature.
fn of_signature() -> String {
    let annotations = format!(r#"{{"{}":"{}"}}"#, annotation::BUNDLE_PREDICATE_TYPE, predicate::IMAGE_SIGNATURE);
    format!(r#""artifactType":"{}","annotations":{annotations}"#, media_type::SIGSTORE_BUNDLE_V03)
}

fn drip() -> Effect {
    Effect::Drip { bytes: 1, pause: Duration::from_millis(50) }
}

#[test]
fn bodies_that_never_end_come_drop_by_drop_or_lie_about_their_length() {
    for (kind, options) in both_kinds() {
        let scene = Scene::new(options);
        let lie = |length: &str| Effect::header("content-length", length);
        for (what, effect) in [
            ("an endless body", Effect::Endless),
            ("drops", drip()),
            ("no answer", Effect::Hang),
            ("a cut body", Effect::CutAfter(40)),
            ("a bomb", Effect::GzipBomb(1 << 30)),
            ("a length too long", lie("100000")),
            ("a length of a terabyte", lie("1000000000000")),
            ("a length too short", lie("40")),
            ("a huge body", Effect::Body(vec![b' '; 64 * 1024 * 1024].into())),
            ("other bytes", Effect::Corrupt),
            ("throttling for a day", Effect::Throttle(RetryAfter::Seconds(86_400))),
            ("a redirect to itself", Effect::Redirect(scene.registry.url())),
        ] {
            for (part, rule) in [
                ("listing", scene.on_listing(effect.clone())),
                ("manifest", scene.on_manifest(effect.clone())),
                ("signature", Rule::new(effect.clone()).on(Endpoint::Blob).method("GET")),
            ] {
                scene.registry.set_faults([rule]);
                scene.verify(&format!("{kind}: {what} as {part}"), 22);
            }
        }
        let endless_drops = [scene.on_listing(Effect::Endless), scene.on_listing(drip())];
        scene.registry.set_faults(endless_drops);
        scene.verify(&format!("{kind}: endless drops"), 22);
        let gushes = Effect::Drip { bytes: 4096, pause: Duration::from_millis(100) };
        scene.registry.set_faults([scene.on_listing(Effect::Endless), scene.on_listing(gushes)]);
        scene.verify_within("200ms", &format!("{kind}: a listing that never ends nor stops"), 22);
        scene.registry.clear_faults();
        scene.verify(kind, 0);
    }
}

#[test]
fn pages_that_never_end_or_hold_garbage() {
    let scene = Scene::new(RegistryOptions::default().with_page_size(1));
    // The good signature is on the second page.
    let other =
        fixture::artifact("application/vnd.example", "text/plain", b"other", Some(fixture::image(1).descriptor()));
    scene.registry.add("team/app", &other, None).unwrap();
    let page = |body: String| Rule::new(Effect::Body(body.into())).on(Endpoint::Referrers).page(1);
    let good = serde_json::to_string(&scene.signature).unwrap();
    let second = Rule::new(Effect::Body(index_of([good]).into())).on(Endpoint::Referrers).page(2);
    let listing = Endpoint::Referrers;
    let itself = format!("</v2/team/app/referrers/{}>; rel=next", fixture::image(1).digest());
    for (what, rules, code) in [
        ("another artifact first", vec![second.clone()], 0),
        // Nobody can say what they are.
        (
            "garbage entries first",
            vec![page(index_of([r#"{"a":[1]}"#.to_owned(), "7".to_owned()])), second.clone()],
            22,
        ),
        ("a web page first", vec![page("<html></html>".to_owned()), second.clone()], 22),
        ("a second page of garbage", vec![page(index_of([])), Rule::new(Effect::Corrupt).on(listing).page(2)], 22),
        (
            "a second page that is missing",
            vec![page(index_of([])), Rule::new(Effect::Status(404)).on(listing).page(2)],
            22,
        ),
        ("a page after every page", vec![Rule::new(Effect::EndlessPages).on(listing)], 22),
        ("a page after itself", vec![Rule::new(Effect::header("link", &itself)).on(listing)], 22),
    ] {
        scene.registry.set_faults(rules);
        scene.verify(what, code);
    }
}

#[test]
fn twenty_thousand_referrers() {
    for (kind, options) in both_kinds() {
        let scene = Scene::new(options);
        let good = serde_json::to_string(&scene.signature).unwrap();
        let other = r#""artifactType":"a/b""#.to_owned();
        for (what, fields, code) in
            [("other artifacts", other, 0), ("signatures that do not exist", of_signature(), 22)]
        {
            let entries = (0..MANY).map(|number| invented(number, &fields)).chain([good.clone()]);
            scene.list(index_of(entries));
            scene.verify(&format!("{kind}: {what}"), code);
        }
    }
}

#[test]
fn manifests_and_listings_that_take_more_memory_than_bytes() {
    for (kind, options) in both_kinds() {
        let scene = Scene::new(options);
        let good = serde_json::to_value(&scene.signature).unwrap();
        // A page may take more bytes than a manifest, which the index under a tag is.
        let is_page = scene.listing == Endpoint::Referrers;
        let room = if is_page { 15 } else { 3 } * 1024 * 1024;
        for (what, piece, code) in [
            ("numbers", "0,", 0),
            ("lists", "[],", 0),
            ("objects", r#"{"a":1},"#, if is_page { 22 } else { 0 }),
            ("texts", r#""a","#, 22),
        ] {
            let junk = format!("[{}0]", piece.repeat(room / piece.len()));
            let entry = format!(r#"{},"junk":{junk}}}"#, good.to_string().trim_end_matches('}'));
            scene.list(index_of([entry]));
            scene.verify(&format!("{kind}: an entry with {what}"), code);
        }
        let many = (0..MANY).map(|number| (number.to_string(), Value::from("")));
        let (mut annotated, mut extended) = (good.clone(), good);
        annotated["annotations"].as_object_mut().unwrap().extend(many.clone());
        extended.as_object_mut().unwrap().extend(many);
        for (what, entry) in [("annotations", annotated), ("fields", extended)] {
            scene.list(index_of([entry.to_string()]));
            scene.verify(&format!("{kind}: an entry with {MANY} {what}"), 0);
        }
        scene.registry.clear_faults();
    }
}

#[test]
fn manifests_of_signatures_that_take_more_memory_than_bytes() {
    let scene = Scene::new(RegistryOptions::default());
    let layer = scene.registry.add_blob("team/app", "{}".into()).unwrap();
    let subject = serde_json::to_string(fixture::image(1).descriptor()).unwrap();
    for (what, piece) in [("objects", r#"{"a":1},"#), ("annotations", "")] {
        for number in 0..16 {
            let junk = match piece {
                "" => format!(
                    r#""annotations":{{{}"x":""}}"#,
                    (0..150_000).map(|n| format!(r#""{n}":"","#)).collect::<String>()
                ),
                piece => format!(r#""junk":[{}{number}]"#, piece.repeat(3_900_000 / piece.len())),
            };
            let manifest = format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","artifactType":"{bundle}","config":{{"mediaType":"{}","digest":"{layer}","size":2}},"layers":[{{"mediaType":"{bundle}","digest":"{layer}","size":2,{junk}}}],"subject":{subject},"annotations":{{"n":"{number}","{}":"{}"}}}}"#,
                media_type::IMAGE_MANIFEST,
                media_type::EMPTY,
                annotation::BUNDLE_PREDICATE_TYPE,
                predicate::IMAGE_SIGNATURE,
                bundle = media_type::SIGSTORE_BUNDLE_V03,
            );
            let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, manifest);
            scene.registry.add_manifest("team/app", &manifest, None).unwrap();
        }
        scene.verify(what, 0);
    }
}

#[test]
fn token_services_that_attack() {
    let auth = TokenAuth { anonymous_pull: true, ..TokenAuth::default() };
    let scene = Scene::new(RegistryOptions::default());
    let guarded = registry(RegistryOptions::default().with_auth(Auth::Token(auth)));
    let image = guarded.reference("team/app:v1");
    for (what, effect) in [
        ("an endless token", Effect::Endless),
        ("drops", drip()),
        ("no answer", Effect::Hang),
        ("a huge token", Effect::Body(format!(r#"{{"token":"{}"}}"#, "a".repeat(64 * 1024 * 1024)).into())),
    ] {
        guarded.set_faults([Rule::new(effect).on(Endpoint::Token)]);
        let args = ["verify", "--key", "sealift.pub", "--timeout", SHORT, "--output", "json", &image];
        let told = bounded(&scene.user, what, &args, 22);
        assert_eq!(told["error"]["code"], "UNAVAILABLE", "{what}: {told}");
    }
}

#[test]
fn files_that_attack() {
    let user = User::with_key();
    user.write("blob", "content");
    File::create(user.path("zeros")).unwrap().set_len(1 << 30).unwrap();
    user.write("deep", "[".repeat(10_000_000));
    user.write("deep-field", format!(r#"{{"mediaType":{}1{}}}"#, r#"{"a":"#.repeat(500_000), "}".repeat(500_000)));
    user.write("wide", format!(r#"{{"verificationMaterial":[{}0]}}"#, r#"{"a":1},"#.repeat(2_000_000)));
    for (file, verified, inspected) in [("zeros", 20, 20), ("deep", 12, 1), ("deep-field", 12, 1), ("wide", 12, 1)] {
        let verify = ["verify-blob", "--key", "sealift.pub", "--output", "json", "--bundle", file, "blob"];
        let told = bounded(&user, &format!("verify-blob of {file}"), &verify, verified);
        assert_eq!(told["error"]["code"], name_of(verified), "{file}: {told}");
        bounded(&user, &format!("inspect of {file}"), &["bundle", "inspect", file], inspected);
        bounded(&user, &format!("upgrade of {file}"), &["bundle", "upgrade", file], inspected);
        let who = ["--certificate-identity", "a", "--certificate-oidc-issuer", "b", "--bundle", "blob", "blob"];
        let trust = [&["verify-blob", "--trusted-root", file][..], &who].concat();
        bounded(&user, &format!("trust root {file}"), &trust, 20);
        let key = ["verify-blob", "--key", file, "--bundle", "blob", "blob"];
        bounded(&user, &format!("key {file}"), &key, 20);
    }
}
