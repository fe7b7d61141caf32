//! Tests of the public interface, one module a topic.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, not the functions they share")]

mod completeness;
mod endorse;
mod failure;
mod faults;
mod gates;
mod http;
mod request_plan;
mod sharing;
mod sparse;
mod support;
