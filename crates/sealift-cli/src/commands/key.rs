//! `sealift key`, and cosign's names for its parts.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};

use crate::args::key::{KeySource, PassphraseArgs};
use crate::args::output::{Format, OutputArgs};
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};
use crate::output::model::KeyPair;

/// Make, take over and show keys
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// What to do with keys.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeyCommand {
    Generate(GenerateArgs),
    Import(ImportArgs),
    Public(PublicArgs),
}

/// Make a key pair
///
/// Writes PREFIX.key, encrypted with a passphrase and readable by its owner only, and PREFIX.pub. Both are cosign's
/// formats and work in cosign 2 and 3. An empty passphrase is allowed. Existing files are never overwritten without
/// `--yes`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift key generate
  sealift key generate --output-key-prefix release --algorithm ecdsa-p384
  SEALIFT_PASSWORD=\"$SECRET\" sealift key generate --output-key-prefix ci")]
pub(crate) struct GenerateArgs {
    /// Kind of key: ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = "ALGORITHM", default_value = "ecdsa-p256")]
    algorithm: KeyAlgorithm,

    #[command(flatten)]
    target: KeyTarget,
}

/// Take over an existing private key
///
/// Reads a PEM private key (PKCS#1, SEC1, PKCS#8, or a key file of cosign) of type RSA, ECDSA or Ed25519, and writes
/// it as PREFIX.key, encrypted with a passphrase, with PREFIX.pub beside it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift key import --key corporate-rsa4096.pem --output-key-prefix corporate
  sealift key import --key env://SIGNING_KEY_PEM")]
pub(crate) struct ImportArgs {
    /// Private key to take over: a PEM file or `env://VARIABLE`
    #[arg(long, visible_alias = "in", value_name = "KEY")]
    key: KeySource,

    #[command(flatten)]
    target: KeyTarget,
}

/// Where a new key pair goes
#[derive(Clone, Debug, clap::Args)]
struct KeyTarget {
    /// Write PREFIX.key and PREFIX.pub; default: `sealift`, and `cosign` for cosign's command names
    #[arg(long, visible_alias = "out", value_name = "PREFIX")]
    output_key_prefix: Option<PathBuf>,

    /// Overwrite existing files
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Show the public key of a key
///
/// Takes a private key, asking for its passphrase, or a public key, and prints the public key as PEM.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift key public --key sealift.key > sealift.pub
  sealift key public --key sealift.pub --output json")]
pub(crate) struct PublicArgs {
    /// Key: a PEM file or `env://VARIABLE`
    #[arg(long, value_name = "KEY")]
    key: KeySource,

    /// Write the public key to this file instead
    #[arg(long, visible_alias = "outfile", value_name = "FILE")]
    output_file: Option<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    #[command(flatten)]
    output: OutputArgs,
}

impl KeyCommand {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Generate(args) => args.format(),
            Self::Import(args) => args.format(),
            Self::Public(args) => args.format(),
        }
    }

    /// Does what it says.
    pub(crate) fn run(&self, context: &Context) -> Result<KeyPair, CliError> {
        match self {
            Self::Generate(args) => generate(args, PREFIX, context),
            Self::Import(args) => import(args, PREFIX, context),
            Self::Public(args) => public(args, context),
        }
    }
}

impl GenerateArgs {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        self.target.output.output
    }
}

impl ImportArgs {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        self.target.output.output
    }
}

impl PublicArgs {
    /// Returns how to write the result.
    pub(crate) fn format(&self) -> Format {
        self.output.output
    }
}

/// Makes a key pair, named `prefix` unless the arguments say otherwise.
pub(crate) fn generate(args: &GenerateArgs, prefix: &str, context: &Context) -> Result<KeyPair, CliError> {
    write_pair(&args.target, prefix, context, || {
        PrivateKey::generate(args.algorithm).map_err(|source| CliError::Key {
            key: "the new key".to_owned(),
            passphrase: None,
            source,
        })
    })
}

/// Takes over a key, named `prefix` unless the arguments say otherwise.
pub(crate) fn import(args: &ImportArgs, prefix: &str, context: &Context) -> Result<KeyPair, CliError> {
    write_pair(&args.target, prefix, context, || context.private_key(&args.key, &args.target.passphrase))
}

/// Shows a public key.
pub(crate) fn public(args: &PublicArgs, context: &Context) -> Result<KeyPair, CliError> {
    let public_key = context.any_public_key(&args.key, &args.passphrase)?;
    if let Some(path) = &args.output_file {
        files::write(path, public_key.to_pem().as_bytes(), Readers::Everyone, Overwrite::Allowed)?;
    }
    Ok(KeyPair { private: None, public: args.output_file.clone(), public_key })
}

fn write_pair(
    target: &KeyTarget,
    prefix: &str,
    context: &Context,
    key: impl FnOnce() -> Result<PrivateKey, CliError>,
) -> Result<KeyPair, CliError> {
    let overwrite = if target.yes { Overwrite::Allowed } else { Overwrite::Refused };
    let prefix = target.output_key_prefix.as_deref().unwrap_or(Path::new(prefix));
    let (private, public) = (with_suffix(prefix, "key"), with_suffix(prefix, "pub"));
    // Before the passphrase is asked for, not after.
    if overwrite == Overwrite::Refused
        && let Some(path) = [&private, &public].into_iter().find(|path| path.exists())
    {
        return Err(UsageError::FileExists { path: path.clone() }.into());
    }
    let key = key()?;
    let passphrase = context.new_passphrase(&target.passphrase)?;
    let encrypted = key.to_encrypted_pem(&passphrase).map_err(|source| CliError::Key {
        key: private.display().to_string(),
        passphrase: None,
        source,
    })?;
    let public_key = key.public_key().clone();
    files::write(&private, encrypted.as_bytes(), Readers::Owner, overwrite)?;
    files::write(&public, public_key.to_pem().as_bytes(), Readers::Everyone, overwrite)?;
    Ok(KeyPair { private: Some(private), public: Some(public), public_key })
}

/// What `sealift key` names its files after.
const PREFIX: &str = "sealift";
/// What cosign's commands name their files after.
pub(crate) const COSIGN_PREFIX: &str = "cosign";

/// Appends a suffix; `with_extension` would replace `.1` of `release-1.1`.
fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}
