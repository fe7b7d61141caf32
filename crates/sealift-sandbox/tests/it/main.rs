//! The registry as its clients see it: every behaviour of the specification, over HTTP.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, not the functions they share")]

mod support;

mod auth;
mod binary;
mod discovery;
mod fault;
mod management;
mod pull;
mod push;
mod storage;
