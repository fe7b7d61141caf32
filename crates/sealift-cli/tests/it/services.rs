//! A user beside a whole Sigstore on loopback, whose configuration files are in the user's directory.

use std::path::{Path, PathBuf};

use sealift_sandbox::external::installed;
use sealift_sandbox::sigstore::{Identity, LogVersion, Sigstore, SigstoreFiles, SigstoreOptions};

use crate::support::{Outcome, User};

/// A user, a Sigstore, and the identity that it vouches for.
pub(crate) struct Services {
    pub(crate) user: User,
    pub(crate) sigstore: Sigstore,
    pub(crate) files: SigstoreFiles,
    pub(crate) identity: Identity,
}

impl Services {
    /// Starts the services, which vouch for `dev@example.com`.
    pub(crate) fn start() -> Self {
        Self::with(SigstoreOptions::default())
    }

    /// Starts the services that vouch for a workflow of `acme/app`.
    pub(crate) fn in_a_workflow() -> Self {
        Self::with(SigstoreOptions { identity: Identity::workflow("acme/app"), ..SigstoreOptions::default() })
    }

    /// Starts services.
    pub(crate) fn with(options: SigstoreOptions) -> Self {
        let (user, identity) = (User::new(), options.identity.clone());
        let sigstore = Sigstore::start(options).unwrap();
        let files = sigstore.write_files(&user.path("config")).unwrap();
        Self { user, sigstore, files, identity }
    }

    /// Returns the issuer that vouches.
    pub(crate) fn issuer(&self) -> String {
        self.sigstore.issuer(&self.identity)
    }

    /// Returns the flags that name exactly the identity.
    pub(crate) fn who(&self) -> Vec<String> {
        let flags = ["--certificate-identity", &self.identity.subject(), "--certificate-oidc-issuer", &self.issuer()];
        flags.map(str::to_owned).to_vec()
    }

    /// Returns the flag that trusts the services.
    pub(crate) fn trust(&self) -> Vec<String> {
        vec!["--trusted-root".to_owned(), text(&self.files.trusted_root)]
    }

    /// Returns the flags that sign with the sandbox's services, with either or one version of the log.
    pub(crate) fn signing(&self, logs: &[LogVersion]) -> Vec<String> {
        self.user.write("signing_config.json", self.sigstore.signing_config(logs));
        args(["--signing-config", "signing_config.json", "--trusted-root", &text(&self.files.trusted_root)])
    }

    /// Returns the flags that sign as the identity, unasked.
    pub(crate) fn token(&self) -> Vec<String> {
        args(["--identity-token", &text(&self.files.token), "--yes"])
    }

    /// Runs `sealift` with flags put together.
    pub(crate) fn run(&self, parts: &[&[String]]) -> Outcome {
        let args = parts.concat();
        self.user.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// Returns the path of sigstore-python, or nothing, having said so, where it is not installed.
pub(crate) fn sigstore_python() -> Option<PathBuf> {
    installed("venv/bin/sigstore")
}

/// Returns the path of the program around sigstore-js, or nothing, having said so, where it is not installed.
pub(crate) fn sigstore_js() -> Option<PathBuf> {
    installed("javascript/sigstore.js")
}

/// Returns arguments as owned text.
pub(crate) fn args<const N: usize>(args: [&str; N]) -> Vec<String> {
    args.map(str::to_owned).to_vec()
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
