//! The public suites and vectors, run against the library and its test client.

mod advisories;
mod author;
mod bundles;
mod images;
mod maker;
mod mutation;
mod parsers;
mod second_opinion;
mod shared;
mod signing;
mod special;
mod tuf;
mod vectors;
