//! `sealift logout`.

use sealift_core::oci::RegistryHost;
use sealift_oci::keychain::{CredentialStore, DockerConfigKeychain, Keychain as _, Resource};

use crate::commands::login::place;
use crate::context::Context;
use crate::error::CliError;
use crate::output::model::Document;

/// Erase the stored credentials of a registry
///
/// They are erased where `sealift login` and `docker login` store them; what another place still holds for the registry
/// is said.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift logout registry.example.com
  sealift logout docker.io")]
pub(crate) struct LogoutArgs {
    /// The registry, as `host[:port]`
    #[arg(value_name = "REGISTRY")]
    host: String,
}

/// Erases the credentials.
pub(crate) async fn run(args: &LogoutArgs, context: &Context) -> Result<Document, CliError> {
    let host: RegistryHost =
        args.host.parse().map_err(|source| CliError::Reference { text: args.host.clone(), source })?;
    let sources = context.keychain_sources();
    let store = CredentialStore::new(&sources).map_err(CliError::Keychain)?;
    let erased = store.erase(&host).await.map_err(CliError::Keychain)?;
    let resource = Resource { host: host.clone(), path: None };
    let left = DockerConfigKeychain::new(sources).resolve(&resource).await.map_err(CliError::Keychain)?;
    if !left.is_anonymous() {
        context.printer.warning(format_args!("{} still has credentials for {host}", left.origin()));
    }
    Ok(Document::line(match erased {
        Some(stored) => format!("logged out of {host}, which was stored {}", place(&stored)),
        None => format!("not logged in to {host}"),
    }))
}
