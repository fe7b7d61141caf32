//! The architecture's invariants that a compiler does not check: see docs/ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_sandbox::external::existing;
use serde_json::Value;

/// What each crate may depend on, of ours: arrows point down only.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("sealift-core", &[]),
    ("sealift-oci", &["sealift-core"]),
    ("sealift-keyless", &["sealift-core"]),
    ("sealift-policy", &["sealift-core"]),
    ("sealift-promote", &["sealift-core", "sealift-policy"]),
    ("sealift-sandbox", &["sealift-core"]),
    ("sealift-conformance", &["sealift-core", "sealift-keyless", "sealift-oci"]),
    ("sealift-cli", &["sealift-core", "sealift-keyless", "sealift-oci", "sealift-policy", "sealift-promote"]),
];

/// Packages with one owner, so that what they do is done in one way.
const OWNERS: [(&str, &[&str]); 8] = [
    ("reqwest", &["sealift-keyless", "sealift-oci"]),
    ("clap", &["sealift-cli", "sealift-sandbox"]),
    ("p256", &["sealift-core"]),
    // The sandbox shares no cryptography with what it tests.
    ("aws-lc-rs", &["sealift-core", "sealift-oci", "sealift-sandbox"]),
    ("axum", &["sealift-sandbox"]),
    // When to try again is decided in one place.
    ("httpdate", &["sealift-core"]),
    ("rustls-webpki", &["sealift-core"]),
    // Every document people write is read in one strict way.
    ("saphyr-parser", &["sealift-core"]),
];

/// The longest file, in lines without its tests.
const MAX_FILE_LINES: usize = 800;
/// 90 % of files are at most this long.
const USUAL_FILE_LINES: usize = 450;

#[test]
fn dependencies_point_down_only() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    for (name, dependencies) in normal_dependencies() {
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table of crates"));
        for dependency in dependencies.iter().filter(|dependency| dependency.starts_with("sealift-")) {
            assert!(may.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn packages_have_their_owner() {
    let all = normal_dependencies();
    for (package, owners) in OWNERS {
        for (name, dependencies) in &all {
            let may = owners.contains(&name.as_str());
            assert!(may || !dependencies.contains(package), "{name} may not depend on {package}: {owners:?} own it");
        }
    }
}

#[test]
fn files_keep_their_size_budget() {
    let mut sizes: Vec<(usize, PathBuf)> =
        sources().into_iter().map(|path| (lines_without_tests(&path), path)).collect();
    sizes.sort();
    let (longest, path) = sizes.last().expect("there are sources");
    assert!(*longest <= MAX_FILE_LINES, "{} has {longest} lines; split it by what it holds", path.display());
    let usual = &sizes[sizes.len() * 9 / 10];
    assert!(
        usual.0 <= USUAL_FILE_LINES,
        "more than 10 % of files are over {USUAL_FILE_LINES} lines, as {}",
        usual.1.display()
    );
}

#[test]
fn only_a_reason_silences_a_lint() {
    for path in sources() {
        let text = read(&path);
        assert!(!text.contains("#[allow("), "{}: use #[expect(.., reason = \"..\")]", path.display());
        assert!(!text.contains("todo!(") && !text.contains("unimplemented!("), "{} is unfinished", path.display());
    }
}

/// A client that follows redirects takes credentials along, and one that unpacks is filled by a bomb.
#[test]
fn http_clients_are_built_in_one_place_of_a_crate_and_are_strict() {
    let strict = [".redirect(reqwest::redirect::Policy::none())", ".referer(false)", ".no_gzip()", ".no_deflate()"];
    let mut places = Vec::new();
    for path in sources() {
        let text = read(&path);
        for (_, chain) in text.match_indices("Client::builder()").map(|(start, _)| text.split_at(start)) {
            let (chain, _) = chain.split_once("\n}").unwrap_or((chain, ""));
            for call in strict {
                assert!(chain.contains(call), "{}: a client is built without `{call}`", path.display());
            }
            places.extend(path.strip_prefix(root()).ok().map(Path::to_owned));
        }
        for other in ["Client::new()", "ClientBuilder::new", "ClientBuilder::default", "reqwest::get("] {
            let is_there = text.contains(&format!("reqwest::{other}")) || text.contains(&format!(" {other}"));
            assert!(!is_there, "{}: a client is built by `{other}`", path.display());
        }
    }
    places.sort();
    let expected = ["crates/sealift-keyless/src/transport/mod.rs", "crates/sealift-oci/src/clients.rs"].map(Path::new);
    assert_eq!(places, expected, "one place makes the clients of a crate");
}

#[test]
fn every_advisory_in_the_documents_has_its_tests() {
    let text = read(&root().join("docs/SECURITY.md"));
    let (_, table) = text.split_once("## Past vulnerabilities").expect("SECURITY.md has the table");
    let named: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    assert!(named.len() > 20, "the table names its tests");
    let tests: String = rust_files("tests").iter().map(|path| read(path)).collect();
    for name in named {
        assert!(tests.contains(&format!("fn {name}()")), "docs/SECURITY.md names a test that is not there: {name}");
    }
}

#[test]
fn no_advisory_of_the_collection_is_left_out() {
    let Some(collection) = existing(root().join("../shared/reference/advisories.md")) else { return };
    let text = read(&root().join("docs/SECURITY.md"));
    let (_, told) = text.split_once("## Past vulnerabilities").expect("SECURITY.md has the table");
    let mut rows = 0;
    for row in read(&collection).lines().filter(|line| line.starts_with("| ") && !line.starts_with("| id |")) {
        let first = row.split('|').nth(1).unwrap_or_default();
        let words = || first.split([' ', ',', ';', '/']);
        let numbers: Vec<&str> = words().filter(|word| word.starts_with("CVE-")).collect();
        // Other names stand for what has no number, or beside the number for the same.
        let is_named = |word: &str| ["GHSA-", "RUSTSEC-", "TOB-", "#"].iter().any(|prefix| word.starts_with(prefix));
        let is_told = match numbers.is_empty() {
            true => words().any(|word| is_named(word) && told.contains(word)),
            false => numbers
                .iter()
                .all(|number| told.split(|c: char| c != '-' && !c.is_alphanumeric()).any(|word| word == *number)),
        };
        assert!(is_told, "docs/SECURITY.md says nothing of {first}");
        rows += 1;
    }
    assert!(rows > 30, "the collection has its rows");
}

/// As CVE-2026-44310 was: a verifier that panicked, went on, and ended with 0.
#[test]
fn no_panic_is_survived() {
    let manifest = read(&root().join("Cargo.toml"));
    let (_, release) = manifest.split_once("[profile.release]").expect("there is a release profile");
    let release = release.split("\n[").next().unwrap_or_default();
    assert!(release.contains("panic = \"abort\""), "{release}");
    for path in sources() {
        assert!(!read(&path).contains("catch_unwind"), "{} survives a panic", path.display());
    }
}

fn normal_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("it lists packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a package lists dependencies");
            let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a name is text").to_owned()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn sources() -> Vec<PathBuf> {
    rust_files("src")
}

/// Returns the Rust files below `folder` of every crate.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let crates = std::fs::read_dir(root().join("crates")).expect("there are crates");
    let folders = crates.map(|entry| entry.expect("a crate is readable").path().join(folder));
    let mut open: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a source directory is readable") {
            let path = entry.expect("an entry is readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source is UTF-8")
}

fn lines_without_tests(path: &Path) -> usize {
    let text = read(path);
    text.split("#[cfg(test)]\nmod tests {").next().map_or(0, |code| code.lines().count())
}
