//! Integration tests of `sealift-keyless`: the public interface alone, against real HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, not the functions they share")]

mod support;

mod ambient;
mod documents;
mod fulcio;
mod given;
mod keyless;
mod sign_in;
#[cfg(unix)]
mod spiffe;
mod tls;
mod transport;
mod trust;
mod tuf;
mod tuf_repository;
mod witness;
