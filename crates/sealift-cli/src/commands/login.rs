//! `sealift login`.

use std::io::IsTerminal as _;

use sealift_core::oci::RegistryHost;
use sealift_oci::LoginCheck;
use sealift_oci::keychain::{Credential, CredentialStore, Stored};
use sealift_oci::redact::Secret;

use crate::args::registry::RegistryArgs;
use crate::context::{self, Context};
use crate::error::{CliError, UsageError};
use crate::output::model::Document;

/// Log in to a registry
///
/// The credentials are tried before they are stored, where docker, podman, oras and cosign find them too: in docker's
/// `config.json`, or in the credential helper that it names.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift login -u alice registry.example.com
  echo \"$TOKEN\" | sealift login -u ci --password-stdin ghcr.io
  aws ecr get-login-password | sealift login -u AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com")]
pub(crate) struct LoginArgs {
    /// The registry, as `host[:port]`
    #[arg(value_name = "REGISTRY")]
    host: String,

    /// User name
    #[arg(short, long, value_name = "USER")]
    username: String,

    /// Password; visible to other users of this machine, so prefer `--password-stdin`
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    registry: RegistryArgs,
}

/// Tries the credentials and stores them.
pub(crate) async fn run(args: &LoginArgs, context: &Context) -> Result<Document, CliError> {
    let host: RegistryHost =
        args.host.parse().map_err(|source| CliError::Reference { text: args.host.clone(), source })?;
    let credential = Credential::from_pair(args.username.clone(), password(args)?);
    let client = context.client_of_host(&args.registry, &host)?;
    let failed = |source| CliError::Repository { task: "log in to", subject: host.to_string(), source };
    match client.check_login(&host, &credential).await.map_err(failed)? {
        LoginCheck::Accepted => {}
        LoginCheck::NotAsked => {
            context.printer.warning(format_args!("{host} asks for no credentials; these were not tried"));
        }
    }
    let store = CredentialStore::new(&context.keychain_sources()).map_err(CliError::Keychain)?;
    let stored = store.store(&host, &credential).await.map_err(CliError::Keychain)?;
    Ok(Document::line(format_args!("logged in to {host}, stored {}", place(&stored))))
}

/// Says where credentials are.
pub(crate) fn place(stored: &Stored) -> String {
    match stored {
        Stored::File(path) => format!("in {}, not encrypted", path.display()),
        Stored::Helper(program) => format!("by {program}"),
    }
}

fn password(args: &LoginArgs) -> Result<Secret, CliError> {
    if let Some(password) = &args.password {
        return Ok(Secret::from(password.clone()));
    }
    if !args.password_stdin && !std::io::stdin().is_terminal() {
        return Err(UsageError::NoPassword.into());
    }
    if !args.password_stdin {
        return context::prompt("Password: ").map(|password| Secret::from(password.as_str()));
    }
    context::password_from_standard_input()
}
