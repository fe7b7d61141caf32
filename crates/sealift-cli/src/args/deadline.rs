//! How long verifying may take.

use std::time::Duration;

use crate::args::registry::duration;

/// How long verifying may take
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct DeadlineArgs {
    /// Give up on an artifact after this time, however its requests go, such as `90s` or `10m`
    #[arg(long, value_name = "TIME", default_value = DEADLINE, value_parser = duration)]
    pub(crate) deadline: Duration,
}

/// Time for all requests about one artifact. Stops a registry that answers each just in time: with its retries, pages and
/// objects it would hold up a pipeline for hours.
const DEADLINE: &str = "5m";
