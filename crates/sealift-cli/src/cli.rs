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
use crate::other_tools::{self, CommandLineError};

/// Sign, verify and promote container images and other OCI artifacts, with all their evidence
///
/// sealift signs what is in a registry or an OCI layout, verifies it before it is used, and promotes it between
/// registries with every signature, SBOM and attestation it has. It reads and writes what cosign reads and writes.
#[derive(Debug, Parser)]
#[command(name = "sealift", version, propagate_version = false, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = START, after_long_help = format!("{START}

{}Only 0 is a yes; 10 to 19 say no, 20 to 29 that no answer was reached.

Documents that are named as docs/... are beside the source of this program, in its folder `docs`.", Exit::help()))]
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
            read.map_err(|error| CommandLineError::Parser(Box::new(error.format(&mut Self::command()))))
        });
        read.map_err(|error| match error {
            CommandLineError::Parser(said) => {
                let _ = said.print();
                if said.use_stderr() { Exit::Usage } else { Exit::Ok }
            }
            CommandLineError::Foreign(failure) => {
                let _ = failure.write_text(&mut anstream::stderr().lock());
                Exit::Usage
            }
        })
    }
}

/// The first steps.
const START: &str = "\
Start here:
  sealift key generate
  sealift sign --key sealift.key registry.example.com/app:1.0
  sealift verify --key sealift.pub registry.example.com/app:1.0
  sealift promote --key sealift.pub registry.example.com/app:1.0 prod.example.com/app:1.0
`sealift COMMAND --help` explains each command, `sealift --help` the exit codes: only 0 is a yes.";

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every heading of the help and the flags below it. All other flags are a command's own, below `Options`.
    const HEADINGS: [(&str, &str); 13] = [
        ("Global options", "verbose quiet config no-progress"),
        (
            "Identity options",
            "certificate-identity certificate-identity-regexp certificate-identity-glob certificate-oidc-issuer \
             certificate-oidc-issuer-regexp certificate-oidc-issuer-glob certificate-github-workflow-name \
             certificate-github-workflow-ref certificate-github-workflow-repository certificate-github-workflow-sha \
             certificate-github-workflow-trigger certificate-claim certificate-claim-regexp",
        ),
        (
            "Trust options",
            "instance trusted-root ca-roots ca-intermediates certificate-chain timestamp-certificate-chain \
             tlog-threshold timestamp-threshold sct-threshold require-inclusion-proof use-signed-timestamps \
             insecure-ignore-tlog insecure-ignore-sct offline",
        ),
        ("Policy options", "policy policy-repository"),
        (
            "Signer options",
            "identity-token fulcio-auth-flow oidc-provider oidc-disable-ambient-providers oidc-issuer oidc-client-id \
             oidc-client-secret-file oidc-redirect-port",
        ),
        (
            "Service options",
            "instance trusted-root signing-config fulcio-url rekor-url rekor-api-version timestamp-server-url \
             tlog-upload",
        ),
        (
            "Registry options",
            "https plain-http allow-http-registry insecure-skip-tls-verify registry-username registry-password \
             registry-token signature-repository cert-dir registry-cacert registry-client-cert registry-client-key concurrency \
             timeout deadline",
        ),
        ("Output options", "output"),
        ("Options for many promotions", "from-file shard jobs junit"),
        (
            "Options for one end",
            "from-plain-http to-plain-http from-username from-password from-password-stdin from-token to-username \
             to-password to-password-stdin to-token from-insecure-skip-tls-verify from-cacert from-client-cert \
             from-client-key from-cert-dir to-insecure-skip-tls-verify to-cacert to-client-cert to-client-key \
             to-cert-dir",
        ),
        ("Selection options", "exclude include include-lifecycle platform"),
        ("Tag options", "tag overwrite-tag expect-previous"),
        (
            "Signing options",
            "sign-key sign-keyless record no-record resign sign-format sign-identity passphrase-file sign-instance \
             sign-trusted-root yes",
        ),
    ];

    /// Flags that commands have by themselves, though a group of another has one of that name.
    const OWN: [(&str, &str); 15] = [
        ("bundle upgrade", "rekor-url"),
        ("copy", "platform"),
        ("delete", "yes"),
        ("key", "passphrase-file yes"),
        ("lifecycle latest", "tag"),
        ("lifecycle set", "passphrase-file yes"),
        ("policy explain", "policy"),
        ("save", "policy trusted-root yes"),
        ("sign", "passphrase-file sign-identity yes"),
        ("attest", "passphrase-file yes"),
        ("sign-blob", "passphrase-file yes"),
        ("attest-blob", "passphrase-file yes"),
        ("trust show", "instance offline"),
        ("verify", "junit platform"),
        ("public-key", "passphrase-file"),
    ];

    #[test]
    fn every_flag_stands_below_its_heading() {
        let mut root = Cli::command();
        root.build();
        let mut wrong = BTreeSet::new();
        let is_own = |command: &str, flag: &str| {
            // cosign's names for the commands of `key` have the same flags.
            let command = if command.ends_with("-key-pair") { "key" } else { command };
            let is_command = |own: &str| command == own || own == "key" && command.starts_with("key ");
            OWN.iter().any(|(own, flags)| is_command(own) && flags.split(' ').any(|one| one == flag))
        };
        visit(&root, &mut |command, flag, heading| {
            let listed = |name: &str| {
                HEADINGS.iter().any(|(heading, flags)| *heading == name && flags.split(' ').any(|one| one == flag))
            };
            match heading {
                Some(heading) if listed(heading) => {}
                None if !HEADINGS.iter().any(|(heading, _)| listed(heading)) => {}
                None if is_own(command, flag) => {}
                _ => drop(wrong.insert(format!("{command} --{flag}: {heading:?}"))),
            }
        });
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn visit(command: &clap::Command, found: &mut impl FnMut(&str, &str, Option<&str>)) {
        let path = command.get_bin_name().unwrap_or_default().trim_start_matches("sealift ");
        for arg in command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()) {
            found(path, arg.get_long().unwrap_or_default(), arg.get_help_heading());
        }
        command.get_subcommands().for_each(|command| visit(command, found));
    }
}
