//! Where the shared test data is: beside the workspace, or where `VECTORS_DIR` says.

use std::path::{Path, PathBuf};

use sealift_sandbox::external;

/// Returns a folder of the vectors.
pub(crate) fn vectors(path: &str) -> Option<PathBuf> {
    match vectors_folder() {
        Some(folder) => external::existing(folder.join(path)),
        None => external::shared(&format!("conformance/vectors/{path}")),
    }
}

/// Prints what somebody who reads the test's output wants to know.
#[expect(clippy::print_stdout, reason = "a test's output is its report")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests names the folder")]
fn vectors_folder() -> Option<PathBuf> {
    std::env::var_os("VECTORS_DIR").map(PathBuf::from)
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
