//! Commands that need no registry, as readable files: `tests/cmd/<command>/<sentence>.toml`.

use std::path::Path;

use sealift_sandbox::fixture;

use crate::support::{PASSPHRASE, write_layout};

#[test]
fn transcripts_hold() {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcript-layout");
    let _ = std::fs::remove_dir_all(&base);
    write_layout(&base.join("image"), &fixture::image(1), "v1");
    trycmd::TestCases::new()
        .env("SEALIFT_PASSWORD", PASSPHRASE)
        .env("HOME", "/nonexistent")
        .env("NO_COLOR", "1")
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .case("tests/cmd/*/*.toml")
        .case("tests/cmd/*/*.trycmd");
}
