//! One file for each command: its arguments, whose comments are its help, and `run`, which returns a result.

pub(crate) mod attach;
pub(crate) mod attest;
pub(crate) mod attest_blob;
pub(crate) mod bundle;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod docs;
pub(crate) mod download;
pub(crate) mod env;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod policy;
pub(crate) mod promote;
pub(crate) mod sign;
pub(crate) mod sign_blob;
pub(crate) mod tree;
pub(crate) mod triangulate;
pub(crate) mod verify;
pub(crate) mod verify_attestation;
pub(crate) mod verify_blob;
pub(crate) mod verify_blob_attestation;
pub(crate) mod version;
