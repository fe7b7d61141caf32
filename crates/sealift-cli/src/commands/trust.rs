//! `sealift trust`.

use std::path::PathBuf;

use clap::Subcommand;
use sealift_core::oci::Digest;
use sealift_keyless::trust::Instance;
use url::Url;

use crate::args::keyless::InstanceName;
use crate::args::output::{Format, OutputArgs};
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::exit::Exit;
use crate::files;
use crate::output::model::{Document, Trusted};
use crate::sigstore::{InstanceUse, Network};

/// Say which Sigstore installations are known, and whom they consist of
///
/// The public-good installation and GitHub's are built in. What an installation consists of is fetched from its
/// repository, verified, kept, and asked for again when it is a day old; `--offline` asks nobody.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift trust show
  sealift trust init --url https://tuf.example.com --root root.json
  sealift verify --instance https://tuf.example.com --certificate-identity dev@example.com \\
    --certificate-oidc-issuer https://issuer.example.com $IMAGE")]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    command: TrustCommand,
}

/// What to do about trust.
#[derive(Clone, Debug, Subcommand)]
enum TrustCommand {
    Init(InitArgs),
    Show(ShowArgs),
}

/// Make an installation of your own known, by the address of its TUF repository and its first root
///
/// Whoever has the first root is trusted, so it must come from somewhere that is; everything later is signed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift trust init --url https://tuf.example.com --root root.json
  sealift trust init --url https://tuf.example.com --root root.json --root-checksum sha256:...")]
struct InitArgs {
    /// Address of the TUF repository
    #[arg(long, visible_alias = "mirror", value_name = "URL")]
    url: Url,

    /// The first root, a file
    #[arg(long, value_name = "FILE")]
    root: PathBuf,

    /// SHA-256 that the root must have
    #[arg(long, value_name = "DIGEST")]
    root_checksum: Option<String>,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show whom an installation consists of, how that is known, and until when each is trusted
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift trust show --offline
  sealift trust show --instance github
  sealift trust show --raw > trusted_root.json")]
struct ShowArgs {
    /// Which: `public-good`, `github`, or the URL given to `sealift trust init`; default: `SEALIFT_INSTANCE`, else
    /// `public-good`
    #[arg(long, value_name = "INSTANCE")]
    instance: Option<InstanceName>,

    /// Ask nobody: show what is kept or built in
    #[arg(long)]
    offline: bool,

    /// Print `trusted_root.json` as it is signed
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// Runs one.
pub(crate) async fn run(args: &TrustArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.command {
        TrustCommand::Init(args) => context.printer.report(args.output.output, &init(args, context).await?),
        TrustCommand::Show(args) => show(args, context).await,
    }
}

impl TrustArgs {
    pub(crate) fn format(&self) -> Format {
        match &self.command {
            TrustCommand::Init(args) => args.output.output,
            TrustCommand::Show(args) => args.output.output,
        }
    }
}

async fn init(args: &InitArgs, context: &Context) -> Result<Trusted, CliError> {
    let root = files::read(&args.root, MAX_ROOT_BYTES)?;
    if let Some(expected) = &args.root_checksum {
        let found = Digest::sha256(&root);
        let is_same = *expected == found.hex() || *expected == found.to_string();
        if !is_same {
            return Err(UsageError::RootChecksum { expected: expected.clone(), found }.into());
        }
    }
    let store = context.trust_store()?;
    let instance = Instance::custom(&args.url, root).map_err(CliError::Trust)?;
    store.initialise(&instance).map_err(CliError::Trust)?;
    let material = context.material_of(&store, &instance, Network::Allowed).await?;
    Ok(Trusted::of(instance.url(), &material))
}

async fn show(args: &ShowArgs, context: &Context) -> Result<Exit, CliError> {
    let name = args.instance.clone().map_or_else(|| context.default_instance(InstanceUse::Trusting), Ok)?;
    let network = if args.offline { Network::Forbidden } else { Network::Allowed };
    let material = context.trust_material(&name, network).await?;
    if args.raw {
        return context.printer.report(Format::Text, &Document::new(material.trusted_root_json.to_vec()));
    }
    context.printer.report(args.output.output, &Trusted::of(&name.to_string(), &material))
}

/// The largest root read.
const MAX_ROOT_BYTES: u64 = 1024 * 1024;
