//! The public suites and vectors, run against the library and its test client.

mod author;
mod bundles;
mod shared;
mod special;
mod vectors;
