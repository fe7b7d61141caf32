//! A key pair that was made, or a public key that was asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sealift_core::crypto::PublicKey;
use serde::Serialize;

use crate::output::{Report, json_line};

/// A key pair that was made, or a public key that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    /// Where the private key was written.
    pub(crate) private: Option<PathBuf>,
    /// Where the public key was written; nowhere means to standard output.
    pub(crate) public: Option<PathBuf>,
    pub(crate) public_key: PublicKey,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_file: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_file: Option<&'a Path>,
    algorithm: String,
    key_id: String,
    fingerprint: String,
    public_key: String,
}

impl Report for KeyPair {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(path) = &self.private {
            writeln!(out, "wrote {}", path.display())?;
        }
        match &self.public {
            Some(path) => writeln!(out, "wrote {}", path.display()),
            None => write!(out, "{}", self.public_key.to_pem()),
        }
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let key = &self.public_key;
        json_line(
            out,
            &Line {
                private_key_file: self.private.as_deref(),
                public_key_file: self.public.as_deref(),
                algorithm: key.algorithm().to_string(),
                key_id: key.key_id(),
                fingerprint: key.fingerprint(),
                public_key: key.to_pem(),
            },
        )
    }
}
