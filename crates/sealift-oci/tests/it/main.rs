//! Tests of the crate's public side, one topic a file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod layout;
mod support;
