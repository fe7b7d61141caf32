//! A person's machine: a home directory, keys, and every tool set up to work without a network.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_sandbox::peers::Peers;

use crate::Failure;
use crate::program;

/// Home, keys and tools.
pub(crate) struct Stage {
    home: tempfile::TempDir,
    peers: Peers,
}

impl Stage {
    /// Makes keys and the configuration that keeps cosign off the network.
    pub(crate) fn set(peers: Peers) -> Result<Self, Failure> {
        let stage = Self { home: tempfile::tempdir()?, peers };
        program::run(&mut stage.sealift(&["key", "generate"]))?;
        program::run(stage.command("cosign3").args(["signing-config", "create", "--out", "services.json"]))?;
        program::run(stage.command("cosign3").args(["trusted-root", "create", "--out", "trust.json"]))?;
        std::fs::write(stage.path("sbom.json"), r#"{"spdxVersion":"SPDX-2.3","name":"app"}"#)?;
        Ok(stage)
    }

    /// Returns the path of a file at home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the peers.
    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Returns a run of `sealift`.
    pub(crate) fn sealift(&self, args: &[&str]) -> Command {
        let mut command = self.at_home(Path::new(env!("CARGO_BIN_EXE_sealift")));
        command.args(args);
        command
    }

    /// Returns a run of a peer, without arguments.
    pub(crate) fn command(&self, peer: &str) -> Command {
        self.at_home(&self.peers.path(peer))
    }

    /// Returns a run of cosign 3 as a signer that asks nobody.
    pub(crate) fn cosign_sign(&self, verb: &str) -> Command {
        let mut command = self.command("cosign3");
        let args = ["--key", "sealift.key", "--signing-config", "services.json", "--trusted-root", "trust.json", "-y"];
        command.arg(verb).args(args);
        command
    }

    /// Returns a run of one of the machine's own programs, without arguments.
    pub(crate) fn plain(&self, program: &str) -> Command {
        self.at_home(Path::new(program))
    }

    #[expect(clippy::disallowed_methods, reason = "the programs compared are found by this process's path")]
    fn at_home(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("SEALIFT_PASSWORD", "benchmark").env("COSIGN_PASSWORD", "benchmark");
        command
    }
}
