//! `sealift registry`.

use clap::Subcommand;
use sealift_core::oci::{Reference, RegistryHost};
use sealift_oci::probe::WriteTest;

use crate::args::output::{Format, OutputArgs};
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::model::{Authentication, Capabilities};

/// Find out how a registry authenticates, and what it can do
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift registry auth ghcr.io/acme/app
  sealift registry probe registry.example.com/acme/app:1.0")]
pub(crate) struct RegistryCommandArgs {
    #[command(subcommand)]
    pub(crate) command: RegistryCommand,
}

/// What to find out.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    Auth(AuthArgs),
    Probe(ProbeArgs),
}

/// Show how a registry authenticates
///
/// Asks the registry's root, its API, its catalog and, if one is named, a repository: without credentials, then with what
/// the challenges make of those that are found. Shows where the credentials come from, which token service is named,
/// whether it gives a token, for how long, and whether the registry takes it. No secret is shown. The exit code is 0
/// when the last of these places can be read.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift registry auth ghcr.io
  sealift registry auth registry.example.com/acme/app --output json")]
pub(crate) struct AuthArgs {
    /// The registry, as `host[:port]`, or a repository in it
    #[arg(value_name = "HOST[/REPOSITORY]")]
    place: String,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show what a registry can do
///
/// Whether it lists referrers, filters and pages listings, tells its limits, mounts blobs, takes chunks, honours conditions,
/// keeps tags, deletes. Changes nothing, and so leaves much open, unless `--write-test` allows a few small blobs and
/// manifests under a tag of their own, which are removed again as far as the registry lets. With a tag or a digest more
/// can be asked.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift registry probe registry.example.com/acme/app:1.0
  sealift registry probe --write-test registry.example.com/scratch/probe --output json")]
pub(crate) struct ProbeArgs {
    /// The repository, with or without a tag or a digest
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// Push small blobs and manifests, too, and remove them again
    #[arg(long)]
    write_test: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl RegistryCommand {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Auth(args) => args.output.output,
            Self::Probe(args) => args.output.output,
        }
    }

    /// Does what it says.
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Auth(args) => context.printer.report(self.format(), &auth(args, context).await?),
            Self::Probe(args) => context.printer.report(self.format(), &probe(args, context).await?),
        }
    }
}

async fn auth(args: &AuthArgs, context: &Context) -> Result<Authentication, CliError> {
    let failed = |source| CliError::Repository { task: "probe", subject: args.place.clone(), source };
    if args.place.contains('/') {
        let reference = reference::parse(&args.place)?;
        let client = context.client(&args.registry, &[&reference])?;
        let name = reference.repository();
        let Some((host, path)) = name.host().zip(name.path()) else { return Err(not_a_registry(&reference)) };
        return client.probe_auth(host, Some(path)).await.map(Authentication::from).map_err(failed);
    }
    let host: RegistryHost =
        args.place.parse().map_err(|source| CliError::Reference { text: args.place.clone(), source })?;
    let client = context.client_of_host(&args.registry, &host)?;
    client.probe_auth(&host, None).await.map(Authentication::from).map_err(failed)
}

async fn probe(args: &ProbeArgs, context: &Context) -> Result<Capabilities, CliError> {
    let reference = reference::parse(&args.reference)?;
    let client = context.client(&args.registry, &[&reference])?;
    let write_test = if args.write_test { WriteTest::Allowed } else { WriteTest::Refused };
    let report = client.probe(&reference.repository(), reference.selector().as_ref(), write_test).await;
    report.map(Capabilities::from).map_err(|source| CliError::Repository {
        task: "probe",
        subject: reference.to_string(),
        source,
    })
}

fn not_a_registry(reference: &Reference) -> CliError {
    let source = sealift_core::repository::RepositoryError::Unsupported {
        repository: reference.repository(),
        operation: "authenticating",
    };
    CliError::Repository { task: "probe", subject: reference.to_string(), source }
}
