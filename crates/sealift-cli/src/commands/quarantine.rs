//! `sealift quarantine`.

use std::path::PathBuf;

use clap::Subcommand;
use sealift_oci::{QuarantineState, ScanDetails};

use crate::args::output::{Format, OutputArgs};
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::output::model::Quarantined;

/// See and change what a registry keeps in quarantine
///
/// A registry with a quarantine policy gives what was pushed to nobody until somebody passes it. Azure Container Registry
/// has such a policy.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift quarantine status --native myregistry.azurecr.io/app:1.0
  sealift quarantine release --native myregistry.azurecr.io/app@sha256:...")]
pub(crate) struct QuarantineArgs {
    #[command(subcommand)]
    pub(crate) command: QuarantineCommand,
}

/// What to do about it.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    Status(StatusArgs),

    /// Let everybody pull an image
    ///
    /// The state becomes `Passed`. The platforms of an index, and what refers to an image, are in quarantine each for
    /// themselves. The account needs the role `AcrQuarantineWriter`.
    #[command(after_help = "\
Examples:
  sealift quarantine release --native --details scan.json myregistry.azurecr.io/app@sha256:...")]
    Release(ChangeArgs),

    /// Keep an image back after it was looked at
    ///
    /// The state becomes `Failed`. The account needs the role `AcrQuarantineWriter`.
    #[command(after_help = "\
Examples:
  sealift quarantine fail --native --details scan.json myregistry.azurecr.io/app@sha256:...")]
    Fail(ChangeArgs),

    /// Put an image back into quarantine
    ///
    /// The state becomes `Quarantined`, as it is after a push. The account needs the role `AcrQuarantineWriter`.
    #[command(after_help = "\
Examples:
  sealift quarantine set --native myregistry.azurecr.io/app:1.0")]
    Set(ChangeArgs),
}

/// Show whether an image is in quarantine
///
/// The exit code is 0 when everybody may pull the image, and 17 when the registry keeps it back.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift quarantine status --native myregistry.azurecr.io/app:1.0")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

// Each command says for itself what it is for: help of this type would stand in its place.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// What a scanner found: JSON with `scanner`, `state`, `result` and `link`
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,

    #[command(flatten)]
    place: PlaceArgs,
}

/// Which image, and how.
#[derive(Clone, Debug, clap::Args)]
struct PlaceArgs {
    /// The image, with a tag or a digest
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Use the registry's own record, `/acr/v1` of Azure Container Registry
    #[arg(long, required = true)]
    native: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl QuarantineCommand {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        self.parts().0.output.output
    }

    /// Does what it says.
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, CliError> {
        let (place, change) = self.parts();
        let (reference, selector) = reference::parse_selecting(&place.reference)?;
        let client = context.client(&place.registry, &[&reference])?;
        let name = reference.repository();
        let found = match change {
            None => client.quarantine(&name, &selector).await,
            Some((state, args)) => {
                let details = args.read_details()?;
                client.set_quarantine(&name, &selector, state, details.as_ref()).await
            }
        };
        let found = found.map_err(|source| CliError::Quarantine { subject: reference.to_string(), source })?;
        let quarantined = Quarantined::new(&name, found);
        let exit = context.printer.report(place.output.output, &quarantined)?;
        // A change that was made is no refusal, whatever the state is now.
        Ok(if change.is_some() { Exit::Ok } else { exit })
    }

    fn parts(&self) -> (&PlaceArgs, Option<(QuarantineState, &ChangeArgs)>) {
        match self {
            Self::Status(args) => (&args.place, None),
            Self::Release(args) => (&args.place, Some((QuarantineState::Passed, args))),
            Self::Fail(args) => (&args.place, Some((QuarantineState::Failed, args))),
            Self::Set(args) => (&args.place, Some((QuarantineState::Quarantined, args))),
        }
    }
}

impl ChangeArgs {
    fn read_details(&self) -> Result<Option<ScanDetails>, CliError> {
        let Some(path) = &self.details else { return Ok(None) };
        let bytes = files::read(path, ScanDetails::MAX_BYTES)?;
        let details = ScanDetails::parse(&bytes);
        details.map(Some).map_err(|source| CliError::ScanDetails { path: path.clone(), source })
    }
}
