//! Flags for the two ends of a copy, where they differ.

use std::path::{Path, PathBuf};

/// Flags for the two ends of a copy, where they differ
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for one end")]
pub(crate) struct EndpointArgs {
    /// Speak plain HTTP with the source
    #[arg(long)]
    from_plain_http: bool,

    /// Speak plain HTTP with the destination
    #[arg(long)]
    to_plain_http: bool,

    /// User name at the source
    #[arg(long, value_name = "USER", requires = "from_secret")]
    from_username: Option<String>,

    /// Password at the source
    #[arg(long, value_name = "PASSWORD", requires = "from_username", group = "from_secret")]
    from_password: Option<String>,

    /// Read the password at the source from standard input
    #[arg(long, requires = "from_username", group = "from_secret", conflicts_with = "to_password_stdin")]
    from_password_stdin: bool,

    /// Bearer token for the source
    #[arg(long, value_name = "TOKEN", conflicts_with = "from_username")]
    from_token: Option<String>,

    /// User name at the destination
    #[arg(long, value_name = "USER", requires = "to_secret")]
    to_username: Option<String>,

    /// Password at the destination
    #[arg(long, value_name = "PASSWORD", requires = "to_username", group = "to_secret")]
    to_password: Option<String>,

    /// Read the password at the destination from standard input
    #[arg(long, requires = "to_username", group = "to_secret")]
    to_password_stdin: bool,

    /// Bearer token for the destination
    #[arg(long, value_name = "TOKEN", conflicts_with = "to_username")]
    to_token: Option<String>,

    /// Accept any TLS certificate of the source's registry
    #[arg(long)]
    from_insecure_skip_tls_verify: bool,

    /// Trust this PEM certificate authority for the source's registry, too
    #[arg(long, value_name = "FILE")]
    from_cacert: Option<PathBuf>,

    /// Present this PEM client certificate to the source's registry
    #[arg(long, value_name = "FILE", requires = "from_client_key")]
    from_client_cert: Option<PathBuf>,

    /// Private key of the client certificate for the source
    #[arg(long, value_name = "FILE", requires = "from_client_cert")]
    from_client_key: Option<PathBuf>,

    /// Certificates for the source's registry, instead of those of `certs.d`: `*.crt`, and `*.cert` with `*.key`
    #[arg(long, value_name = "FOLDER")]
    from_cert_dir: Option<PathBuf>,

    /// Accept any TLS certificate of the destination's registry
    #[arg(long)]
    to_insecure_skip_tls_verify: bool,

    /// Trust this PEM certificate authority for the destination's registry, too
    #[arg(long, value_name = "FILE")]
    to_cacert: Option<PathBuf>,

    /// Present this PEM client certificate to the destination's registry
    #[arg(long, value_name = "FILE", requires = "to_client_key")]
    to_client_cert: Option<PathBuf>,

    /// Private key of the client certificate for the destination
    #[arg(long, value_name = "FILE", requires = "to_client_cert")]
    to_client_key: Option<PathBuf>,

    /// Certificates for the destination's registry, instead of those of `certs.d`: `*.crt`, and `*.cert` with `*.key`
    #[arg(long, value_name = "FOLDER")]
    to_cert_dir: Option<PathBuf>,
}

/// What is said of one end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End<'a> {
    pub(crate) plain_http: bool,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    /// The password is on standard input.
    pub(crate) password_stdin: bool,
    pub(crate) token: Option<&'a str>,
    pub(crate) insecure_skip_tls_verify: bool,
    pub(crate) cacert: Option<&'a Path>,
    /// Certificate and private key.
    pub(crate) client: Option<(&'a Path, &'a Path)>,
    pub(crate) cert_dir: Option<&'a Path>,
}

impl EndpointArgs {
    /// Returns what is said of the source.
    pub(crate) fn source(&self) -> End<'_> {
        End {
            plain_http: self.from_plain_http,
            username: self.from_username.as_deref(),
            password: self.from_password.as_deref(),
            password_stdin: self.from_password_stdin,
            token: self.from_token.as_deref(),
            insecure_skip_tls_verify: self.from_insecure_skip_tls_verify,
            cacert: self.from_cacert.as_deref(),
            client: self.from_client_cert.as_deref().zip(self.from_client_key.as_deref()),
            cert_dir: self.from_cert_dir.as_deref(),
        }
    }

    /// Returns what is said of the destination.
    pub(crate) fn destination(&self) -> End<'_> {
        End {
            plain_http: self.to_plain_http,
            username: self.to_username.as_deref(),
            password: self.to_password.as_deref(),
            password_stdin: self.to_password_stdin,
            token: self.to_token.as_deref(),
            insecure_skip_tls_verify: self.to_insecure_skip_tls_verify,
            cacert: self.to_cacert.as_deref(),
            client: self.to_client_cert.as_deref().zip(self.to_client_key.as_deref()),
            cert_dir: self.to_cert_dir.as_deref(),
        }
    }
}
