//! The test client that the conformance suites drive: one verb per protocol, exit code 0 for yes, 1 for no.
//!
//! Not part of the product: it exists so that suites written for any Sigstore client run against the library. Protocols
//! of bundles, <https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md>, and of TUF,
//! <https://github.com/theupdateframework/tuf-conformance/blob/main/CLIENT-CLI.md>.

use std::process::ExitCode;

mod arguments;
mod demand;
mod error;
mod sign_bundle;
mod tuf;
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
    // The protocol of TUF has its verb behind the options.
    if arguments[0].starts_with("--") {
        return tuf::run(arguments);
    }
    let verb = arguments.remove(0);
    match verb.as_str() {
        "sign-bundle" => sign_bundle::run(arguments),
        "verify-bundle" => verify_bundle::run(arguments),
        "verify-image" => verify_image::run(arguments),
        _ => Err(ClientError::UnknownVerb { verb }),
    }
}

/// Returns what carries out requests.
fn runtime() -> Result<tokio::runtime::Runtime, ClientError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Runtime)
}

#[expect(clippy::disallowed_methods, reason = "the client's composition root")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
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
