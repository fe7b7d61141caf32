//! The command line's root: every command, in the order of `sealift --help`.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::args::global::GlobalArgs;
use crate::commands::{
    attach, attest, attest_blob, bundle, completions, copy, delete, docs, download, env, inspect, key, lifecycle, load,
    login, logout, man, migrate, policy, promote, quarantine, referrers, registry, save, sign, sign_blob, tree,
    triangulate, trust, verify, verify_attestation, verify_blob, verify_blob_attestation, version,
};
use crate::exit::Exit;
use crate::other_tools::{self, Unread};

/// Sign, verify and promote container images and other OCI artifacts, with all their evidence
///
/// sealift signs what is in a registry or an OCI layout, verifies it before it is used, and promotes it between
/// registries with every signature, SBOM and attestation it has. It reads and writes what cosign reads and writes.
#[derive(Debug, Parser)]
#[command(name = "sealift", version, propagate_version = false, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "\
Start here:
  sealift key generate
  sealift sign --key sealift.key registry.example.com/app:1.0
  sealift verify --key sealift.pub registry.example.com/app:1.0
  sealift promote --key sealift.pub registry.example.com/app:1.0 prod.example.com/app:1.0
`sealift COMMAND --help` explains each command. Only exit code 0 is a yes: see docs/exit-codes.md.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line. What is wrong with it, and the help it asks for, is written.
    ///
    /// # Errors
    /// How the process ends, where there is nothing to run.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let matches = other_tools::read(Self::command, words.into_iter().collect());
        let read = matches.and_then(|matches| {
            let read = Self::from_arg_matches(&matches);
            read.map_err(|error| Unread::Parser(Box::new(error.format(&mut Self::command()))))
        });
        read.map_err(|unread| match unread {
            Unread::Parser(said) => {
                let _ = said.print();
                if said.use_stderr() { Exit::Usage } else { Exit::Ok }
            }
            Unread::Refused(failure) => {
                let _ = failure.write_text(&mut anstream::stderr().lock());
                Exit::Usage
            }
        })
    }
}

/// Every command. The arguments of those that are not asked for take as long to describe as it takes to verify.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    Key(key::KeyArgs),
    Sign(sign::SignArgs),
    Verify(verify::VerifyArgs),
    Attest(attest::AttestArgs),
    VerifyAttestation(verify_attestation::VerifyAttestationArgs),
    SignBlob(sign_blob::SignBlobArgs),
    VerifyBlob(verify_blob::VerifyBlobArgs),
    AttestBlob(attest_blob::AttestBlobArgs),
    VerifyBlobAttestation(verify_blob_attestation::VerifyBlobAttestationArgs),
    Bundle(bundle::BundleArgs),
    Trust(trust::TrustArgs),
    Promote(Box<promote::PromoteArgs>),
    Policy(policy::PolicyCommandArgs),
    Lifecycle(lifecycle::LifecycleArgs),
    Copy(copy::CopyArgs),
    Save(save::SaveArgs),
    Load(load::LoadArgs),
    Tree(tree::TreeArgs),
    Inspect(inspect::InspectArgs),
    Attach(attach::AttachArgs),
    Download(download::DownloadArgs),
    Delete(delete::DeleteArgs),
    Migrate(migrate::MigrateArgs),
    Referrers(referrers::ReferrersArgs),
    Triangulate(triangulate::TriangulateArgs),
    Quarantine(quarantine::QuarantineArgs),
    Registry(registry::RegistryCommandArgs),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    #[command(visible_alias = "completion")]
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Env(env::EnvArgs),
    Version(version::VersionArgs),
    /// Make a key pair; the same as `sealift key generate`
    GenerateKeyPair(key::GenerateArgs),
    /// Take over an existing private key; the same as `sealift key import`
    ImportKeyPair(key::ImportArgs),
    /// Show the public key of a key; the same as `sealift key public`
    PublicKey(key::PublicArgs),
    #[command(hide = true)]
    Docs(docs::DocsArgs),
}
