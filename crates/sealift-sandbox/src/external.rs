//! What tests need and the repository does not hold: programs of others, and data that developers share.
//!
//! Where it is missing, a test says so and passes; where `CI` is `true` it fails, so that a missing mount is not
//! mistaken for a pass.

use std::path::{Path, PathBuf};

/// Returns a file or folder of the data that developers share, `shared/testkit` beside the workspace.
///
/// # Panics
/// Where it is missing and `CI` is `true`.
pub fn shared(path: &str) -> Option<PathBuf> {
    existing(workspace().join("../shared/testkit").join(path))
}

/// Returns a file that was installed below `target/peers`, such as `bin/cosign3`, by one of the programs in
/// `crates/sealift-cli/tests/peers`.
///
/// # Panics
/// Where it is missing and `CI` is `true`.
pub fn installed(path: &str) -> Option<PathBuf> {
    existing(workspace().join("target/peers").join(path))
}

/// Returns the path, absolute; or nothing, having said so, where nothing is there.
///
/// # Panics
/// Where it is missing and `CI` is `true`.
#[expect(clippy::disallowed_methods, reason = "continuous integration says so by a variable")]
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub fn existing(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(std::path::absolute(&path).unwrap_or(path));
    }
    let is_required = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_required, "{} is missing; crates/sealift-cli/tests/peers has what installs peers", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
