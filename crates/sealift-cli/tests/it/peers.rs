//! The other tools, as `tests/peers/install` puts them under `target/peers`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::say;

/// The peers' programs.
pub(crate) struct Peers {
    directory: PathBuf,
}

impl Peers {
    /// Returns the peers, or nothing, having said so, where they are not installed; in CI they must be.
    pub(crate) fn find() -> Option<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/bin");
        if directory.join("cosign3").exists() {
            return Some(Self { directory: directory.canonicalize().unwrap() });
        }
        assert!(std::env::var_os("CI").is_none(), "CI runs crates/sealift-cli/tests/peers/install first");
        say(&format!("skipped: no peers in {}", directory.display()));
        None
    }

    /// Returns the path of a program.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        assert!(path.exists(), "{name} is not among the peers; run crates/sealift-cli/tests/peers/install");
        path
    }
}

/// CNCF distribution on a free port of loopback, stopped when dropped.
pub(crate) struct DockerRegistry {
    child: Child,
    address: String,
    _storage: TempDir,
}

impl DockerRegistry {
    /// Starts the registry and waits until it listens.
    pub(crate) fn start(peers: &Peers) -> Self {
        Self::start_with(peers, |_| String::new())
    }

    /// Starts a registry whose configuration has what `configure` adds for its folder.
    pub(crate) fn start_with(peers: &Peers, configure: impl FnOnce(&Path) -> String) -> Self {
        let storage = TempDir::new().unwrap();
        let config = storage.path().join("config.yml");
        let root = storage.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n{}",
            root.display(),
            configure(storage.path())
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(peers.path("docker-registry"))
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("listening on ")?.1.split(['"', ' ']).next()?.to_owned()));
        // The log must be read on, or the registry stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("the registry says where it listens"), _storage: storage }
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        self.address.clone()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
