//! References as users type them.

use sealift_core::oci::{Reference, ReferenceError, Selector};

use crate::error::{CliError, UsageError};

/// What references look like, for the help of every command that takes one.
pub(crate) const REFERENCE_HELP: &str = "\
References:
  registry.example.com/app:1.0              a tag, resolved once
  registry.example.com/app@sha256:...       a digest
  alpine:3, docker.io/library/alpine:3      Docker Hub
  oci://registry.example.com/charts/app:1   a Helm chart
  oci-layout://./out:1.0                    an OCI layout, a directory or a .tar file
A tag or a digest is always needed; `latest` is never assumed.";

/// Reads a reference.
///
/// # Errors
/// [`CliError::Reference`] naming the text.
pub(crate) fn parse(text: &str) -> Result<Reference, CliError> {
    let reference = text.parse().map_err(|source| CliError::Reference { text: text.to_owned(), source });
    match reference {
        // `127.0.0.1:5000` alone parses as a Docker Hub name, which nobody means.
        Ok(Reference::Registry(_)) if looks_like_host(text) => {
            Err(CliError::Reference { text: text.to_owned(), source: ReferenceError::Repository(text.to_owned()) })
        }
        reference => reference,
    }
}

/// Reads a reference that names content: one with a tag or a digest.
pub(crate) fn parse_selecting(text: &str) -> Result<(Reference, Selector), CliError> {
    let reference = parse(text)?;
    let selector = selector(&reference)?;
    Ok((reference, selector))
}

/// Returns what a reference selects.
///
/// # Errors
/// [`UsageError::NoSelector`] when it names a place alone.
pub(crate) fn selector(reference: &Reference) -> Result<Selector, CliError> {
    let none = || UsageError::NoSelector { reference: reference.to_string() };
    reference.selector().ok_or_else(|| none().into())
}

fn looks_like_host(text: &str) -> bool {
    !text.contains('/') && !text.contains('@') && text.rsplit_once(':').is_some_and(|(host, _)| host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_assumed() {
        assert!(matches!(parse_selecting("ghcr.io/o/app"), Err(CliError::Usage(UsageError::NoSelector { .. }))));
        assert!(matches!(parse("127.0.0.1:5000"), Err(CliError::Reference { .. })));
        assert!(parse_selecting("alpine:3.20").is_ok());
    }
}
