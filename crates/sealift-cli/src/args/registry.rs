//! How registries are reached.

use std::path::PathBuf;
use std::time::Duration;

/// How registries are reached
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct RegistryArgs {
    /// Speak HTTPS with this registry, as `host[:port]`, also when it is on this machine; repeat for several
    #[arg(long, value_name = "HOST")]
    pub(crate) https: Vec<String>,

    /// Speak plain HTTP with this registry, as `host[:port]`; repeat for several
    #[arg(long, value_name = "HOST")]
    pub(crate) plain_http: Vec<String>,

    /// Speak plain HTTP with every registry that is named
    #[arg(long)]
    pub(crate) allow_http_registry: bool,

    /// Accept any TLS certificate of a registry
    #[arg(long, visible_alias = "allow-insecure-registry")]
    pub(crate) insecure_skip_tls_verify: bool,

    /// User name for the registry
    #[arg(long, value_name = "USER", requires = "registry_password")]
    pub(crate) registry_username: Option<String>,

    /// Password for the registry; `sealift login` keeps it out of the process list
    #[arg(long, value_name = "PASSWORD", requires = "registry_username")]
    pub(crate) registry_password: Option<String>,

    /// Bearer token for the registry
    #[arg(long, value_name = "TOKEN", conflicts_with = "registry_username")]
    pub(crate) registry_token: Option<String>,

    /// Keep signatures, and all else that is attached, in this repository instead of the artifact's own
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) signature_repository: Option<String>,

    /// Trust this PEM certificate authority for registries, besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_cacert: Option<PathBuf>,

    /// Present this PEM client certificate to registries
    #[arg(long, value_name = "FILE", requires = "registry_client_key")]
    pub(crate) registry_client_cert: Option<PathBuf>,

    /// Private key of the client certificate
    #[arg(long, value_name = "FILE", requires = "registry_client_cert")]
    pub(crate) registry_client_key: Option<PathBuf>,

    /// Certificates for the registries that are named, instead of those of `certs.d`: `*.crt`, and `*.cert` with `*.key`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cert_dir: Option<PathBuf>,

    /// Requests to one registry at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: u16,

    /// Wait this long for the answer to a request, and once more where none came, such as `90s` or `3m`
    #[arg(short = 't', long, value_name = "TIME", default_value = "3m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// Reads a time such as `500ms`, `90s`, `3m` or `1h`, at most a day.
pub(super) fn duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.filter(|ms| (1..=86_400_000).contains(ms)).map(Duration::from_millis).ok_or(DurationError)
}

/// Says that a text is not a time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected a time such as `90s` or `3m`, at most `24h`")]
pub(super) struct DurationError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("3m").unwrap(), Duration::from_secs(180));
        for text in ["", "3", "m", "0s", "25h", "99999999999999999999h", "1.5m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
