//! Tests of the crate's public side, one topic a file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apart;
mod auth;
mod cloud;
mod conformance;
mod distribution;
mod faults;
mod gateway;
mod hostile;
mod keychain;
mod layout;
mod layout_corpus;
mod layout_faults;
mod layout_names;
mod load;
mod mirror;
mod probe;
mod quarantine;
mod quirks;
mod redirect;
mod referrers;
mod support;
mod tee;
mod tls;
mod transfer;
