//! The other tools, as `crates/sealift-cli/tests/peers/install` puts them under `target/peers`.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::external;

/// The peers' programs.
#[derive(Debug)]
pub struct Peers {
    directory: PathBuf,
}

impl Peers {
    /// Returns the peers, or nothing, having said so, where they are not installed.
    ///
    /// # Panics
    /// Where they are not installed and `CI` is `true`.
    pub fn find() -> Option<Self> {
        let cosign = external::installed("bin/cosign3")?;
        cosign.parent().map(|directory| Self { directory: directory.to_owned() })
    }

    /// Returns the path of a program.
    ///
    /// # Panics
    /// When it is not among the peers.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        assert!(path.exists(), "{name} is not among the peers; run crates/sealift-cli/tests/peers/install");
        path
    }
}

/// CNCF distribution on a free port of loopback, stopped when dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    child: Child,
    address: String,
    folder: TempDir,
}

impl DockerRegistry {
    /// Starts the registry and waits until it listens.
    ///
    /// # Errors
    /// Fails when it does not start.
    pub fn start(peers: &Peers) -> io::Result<Self> {
        Self::start_with(peers, |_| String::new())
    }

    /// Starts a registry whose configuration has what `configure` adds, given the folder that it may put files into.
    ///
    /// # Errors
    /// Fails when it does not start.
    pub fn start_with(peers: &Peers, configure: impl FnOnce(&Path) -> String) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let (config, data, added) =
            (folder.path().join("config.yml"), folder.path().join("data"), configure(folder.path()));
        let http =
            if added.lines().any(|line| line.starts_with("http:")) { "" } else { "http: {addr: \"127.0.0.1:0\"}" };
        let storage = format!("{{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}", data.display());
        std::fs::write(&config, format!("version: 0.1\nlog: {{level: info}}\nstorage: {storage}\n{http}\n{added}\n"))?;
        let mut command = Command::new(peers.path("docker-registry"));
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let log = child.stderr.take().ok_or_else(|| io::Error::other("the registry has no log"))?;
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("listening on ")?.1.split(['"', ' ', ',']).next()?.to_owned()));
        // The log must be read on, or the registry stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.ok_or_else(|| io::Error::other("the registry does not say where it listens"))?;
        Ok(Self { child, address, folder })
    }

    /// Returns host and port.
    pub fn host(&self) -> String {
        self.address.clone()
    }

    /// Returns the folder of its configuration and content.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
