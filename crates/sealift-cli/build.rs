//! Links `sealift` for Linux at a fixed address.
//!
//! A position-independent program has 25,000 pointers rewritten each time it starts, a tenth to a quarter of the time that
//! verifying a bundle takes. What that gives up, the random address of the program's own code, is said in
//! docs/SECURITY.md; stack, heap and libraries stay at random addresses.

use std::env;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by variables")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release && target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
