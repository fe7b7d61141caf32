//! Diagnostics of the libraries on standard error, for `--verbose`.

use tracing_subscriber::EnvFilter;

/// Starts writing diagnostics if they are asked for, by the flag or by a filter.
pub(crate) fn start(verbosity: u8, filter: Option<&str>) {
    let Some(filter) = self::filter(verbosity, filter) else { return };
    // A second start, which does not happen, would only leave the first in place.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}

/// Returns which diagnostics are written; none when nobody asks for any.
pub(crate) fn filter(verbosity: u8, filter: Option<&str>) -> Option<&str> {
    match (filter, verbosity) {
        (Some(filter), _) if !filter.is_empty() => Some(filter),
        (_, 0) => None,
        (_, 1) => Some("sealift=info,sealift_core=info,sealift_oci=info,sealift_promote=info"),
        (_, 2) => Some("sealift=debug,sealift_core=debug,sealift_oci=debug,sealift_promote=debug"),
        _ => Some("sealift=trace,sealift_core=trace,sealift_oci=trace,sealift_promote=trace,hyper_util=debug"),
    }
}
