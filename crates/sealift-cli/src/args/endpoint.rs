//! Flags for the two ends of a copy, where they differ.

/// Flags for the two ends of a copy, where they differ
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for one end")]
pub(crate) struct EndpointArgs {
    /// Speak plain HTTP with the source
    #[arg(long)]
    pub(crate) from_plain_http: bool,

    /// Speak plain HTTP with the destination
    #[arg(long)]
    pub(crate) to_plain_http: bool,

    /// User name at the source
    #[arg(long, value_name = "USER", requires = "from_password")]
    pub(crate) from_username: Option<String>,

    /// Password at the source
    #[arg(long, value_name = "PASSWORD", requires = "from_username")]
    pub(crate) from_password: Option<String>,

    /// User name at the destination
    #[arg(long, value_name = "USER", requires = "to_password")]
    pub(crate) to_username: Option<String>,

    /// Password at the destination
    #[arg(long, value_name = "PASSWORD", requires = "to_username")]
    pub(crate) to_password: Option<String>,
}
