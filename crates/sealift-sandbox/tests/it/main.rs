//! Registry and Sigstore as their clients see them, over HTTP.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, not the functions they share")]

mod support;

mod auth;
mod binary;
mod discovery;
mod emulation;
mod fault;
mod management;
mod pull;
mod push;
mod sigstore_bundles;
mod sigstore_client;
mod sigstore_peers;
mod sigstore_services;
mod storage;
