//! Where the shared test data is: beside the workspace, or where `VECTORS_DIR` says.

use std::path::{Path, PathBuf};

/// Returns a folder of the shared test data. Without it a test prints that it was skipped; where `CI` is `true`, it
/// fails, so that a missing mount is not mistaken for a pass.
pub(crate) fn folder(path: &str) -> Option<PathBuf> {
    existing(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/testkit")).join(path))
}

/// Returns a folder of the vectors.
pub(crate) fn vectors(path: &str) -> Option<PathBuf> {
    match environment("VECTORS_DIR") {
        Some(folder) => existing(Path::new(&folder).join(path)),
        None => folder(&format!("conformance/vectors/{path}")),
    }
}

/// Returns another tool's program, which CI installs first.
pub(crate) fn peer(program: &str) -> Option<PathBuf> {
    existing(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers")).join(program))
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    assert_ne!(environment("CI").as_deref(), Some("true"), "{} is missing", path.display());
    say(&format!("skipped: {} is missing", path.display()));
    None
}

/// Prints what somebody who reads the test's output wants to know.
#[expect(clippy::print_stdout, reason = "a test's output is its report")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "where the test data is can only be said from outside")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8(read(path)).expect("test data is UTF-8")
}

/// Returns the entries of a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry is readable").path()).collect();
    paths.sort();
    paths
}

/// Returns every file below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let nested = entries(folder).into_iter().map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    nested.flatten().collect()
}

pub(crate) fn json(path: impl AsRef<Path>) -> serde_json::Value {
    serde_json::from_slice(&read(path)).expect("test data is JSON")
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

pub(crate) fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}
