//! The test client that the conformance suites drive: one verb per protocol, exit code 0 for yes, 1 for no.
//!
//! Not part of the product: it exists so that suites written for any Sigstore client run against the library. Protocol
//! of bundles: <https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md>.

use std::process::ExitCode;

mod arguments;
mod demand;
mod error;
mod verify_bundle;
mod verify_image;

use error::ClientError;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<(), ClientError> {
    if arguments.is_empty() {
        return Err(ClientError::NoVerb);
    }
    let verb = arguments.remove(0);
    match verb.as_str() {
        "verify-bundle" => verify_bundle::run(arguments),
        "verify-image" => verify_image::run(arguments),
        _ => Err(ClientError::UnknownVerb { verb }),
    }
}

#[expect(clippy::print_stderr, reason = "the suites show what a client says about a refusal")]
fn report(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
}
