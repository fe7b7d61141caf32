//! How signatures are published, for `sign` and `attest`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::NO_HEADING;

/// How signatures are stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum SignatureFormat {
    /// A Sigstore bundle that refers to the artifact; cosign 3 reads it
    #[default]
    Bundle,
    /// A layer under the tag `sha256-<hex>.sig` or `.att`; cosign 2 and podman read it
    Legacy,
    /// Both
    Both,
}

impl SignatureFormat {
    /// Says whether a bundle is stored.
    pub(crate) fn has_bundle(self) -> bool {
        matches!(self, Self::Bundle | Self::Both)
    }

    /// Says whether a `.sig` or `.att` tag is stored.
    pub(crate) fn has_legacy(self) -> bool {
        matches!(self, Self::Legacy | Self::Both)
    }
}

/// How signatures are published
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct PublishArgs {
    /// Sign every manifest of an index too: each platform, at any depth
    #[arg(short, long)]
    pub(crate) recursive: bool,

    /// How to store what is signed
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: SignatureFormat,

    /// Write the bundle to this file as well; for one reference
    #[arg(long, value_name = "FILE", conflicts_with = "recursive")]
    pub(crate) bundle: Option<PathBuf>,

    /// Store nothing in the repository; with `--bundle`, sign detached
    #[arg(long, requires = "bundle")]
    pub(crate) no_upload: bool,

    /// Refuse references without a digest
    #[arg(long)]
    pub(crate) require_digest: bool,

    /// Note in this file what is stored, and leave out what it says is and still verifies: an interrupted batch continues
    #[arg(long, value_name = "FILE", conflicts_with = "no_upload")]
    pub(crate) state: Option<PathBuf>,
}
