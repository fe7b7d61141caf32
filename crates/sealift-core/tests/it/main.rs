//! Tests of the public interface, one module a topic.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, not the functions they share")]

mod attachments;
mod author_2022;
mod certificates;
mod conformance;
mod copy;
mod cosign_files;
mod evidence;
mod keys;
mod memory;
mod parsers;
mod signed;
mod support;
mod tampering;
mod verification;
