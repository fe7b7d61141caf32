//! Many promotions in one run.

use std::path::PathBuf;

use sealift_promote::Shard;

/// Many promotions in one run
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options for many promotions")]
pub(crate) struct ManyArgs {
    /// Promote what this manifest says, `-` for standard input: YAML or JSON, a list `promotions` with
    /// `source` and `destinations` of each; docs/promotion-manifest.md has all fields. One that fails stops no other
    #[arg(long, visible_alias = "manifest", value_name = "FILE", conflicts_with_all = ["source", "destinations"])]
    pub(crate) from_file: Option<PathBuf>,

    /// Promote part I of N, counted from 0, such as `0/4`: of a manifest its promotions, of a pattern of tags its images.
    /// N machines, each with another I and everything else the same, promote each image once and need not know each other
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,

    /// Images promoted at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,

    /// Write the report as JUnit XML to this file too; it says that the run has not ended until it has
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}
