//! Runs the built `sealift` as people do: transcripts, and whole jobs against registries on loopback.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod apart;
mod attach;
mod attest;
mod blob;
mod completeness;
mod config;
mod copy;
mod documents;
mod exit;
mod hostile;
mod identity;
mod interop;
mod keyless;
mod killed;
mod lab;
mod lifecycle;
mod login;
mod many;
mod migrate;
mod network;
mod policy;
mod promote;
mod quarantine;
mod record;
mod referrers;
mod registries;
mod scenarios;
mod services;
mod sign;
mod structure;
mod support;
mod transcripts;
mod tree;
mod verify;
mod writers;
