//! The protocol of TUF: repositories of other implementations, served as files, and that of the sandbox.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealift_sandbox::external::shared;
use sealift_sandbox::sigstore::{Role, Sigstore, SigstoreOptions};

use crate::shared::read;

const CLIENT: &str = env!("CARGO_BIN_EXE_sealift-conformance");

/// A directory of metadata, one of files, and what the client is told.
struct Run {
    directory: tempfile::TempDir,
    metadata_url: String,
    targets_url: String,
}

impl Run {
    fn new(metadata_url: String, targets_url: String) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["metadata", "targets"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Self { directory, metadata_url, targets_url }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn client(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(CLIENT);
        command.arg("--metadata-dir").arg(self.path("metadata")).args(arguments).output().expect("the client starts")
    }

    fn init(&self, root: &Path) -> Output {
        self.client(&["init", &root.display().to_string()])
    }

    fn refresh(&self) -> Output {
        self.client(&["--metadata-url", &self.metadata_url, "refresh"])
    }

    fn download(&self, names: &[&str]) -> Output {
        let targets = self.path("targets").display().to_string();
        let mut arguments = vec!["--metadata-url", &self.metadata_url, "--target-base-url", &self.targets_url];
        arguments.extend(["--target-dir", &targets]);
        for name in names {
            arguments.extend(["--target-name", name]);
        }
        arguments.push("download");
        self.client(&arguments)
    }

    /// Returns the files downloaded.
    fn downloaded(&self) -> Vec<Vec<u8>> {
        crate::shared::files(&self.path("targets")).iter().map(read).collect()
    }
}

#[test]
fn repositories_of_other_implementations() {
    // Keys ECDSA, with consistent snapshots; and RSA-PSS and Ed25519, without. Both delegate.
    for (name, root, targets) in [
        ("tuf-on-ci-0.11", "initial_root.json", vec!["delegatedrole/artifact"]),
        ("tuf-reference-impl", "metadata/1.root.json", vec!["file1.txt", "file2.txt", "file3.txt"]),
    ] {
        let Some(repository) = shared(&format!("conformance/tuf/{name}")) else { return };
        let server = serve(repository.clone());
        let run = Run::new(format!("{server}/metadata/"), format!("{server}/targets/"));
        succeeds(&run.init(&repository.join(root)));
        succeeds(&run.refresh());
        assert!(run.downloaded().is_empty());
        succeeds(&run.download(&targets));
        let mut expected: Vec<_> = crate::shared::files(&repository.join("targets")).iter().map(read).collect();
        let mut found = run.downloaded();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        refuses(&run.download(&["no-such-file"]), "no trusted metadata names `no-such-file`");
        for file in ["root.json", "timestamp.json", "snapshot.json", "targets.json"] {
            assert!(run.path("metadata").join(file).exists(), "{name} {file}");
        }
        // What is there already is not asked for again.
        let unreachable = Run { targets_url: "http://127.0.0.1:1/".to_owned(), ..run };
        succeeds(&unreachable.download(&targets));
    }
}

#[test]
fn the_repository_of_the_sandbox() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).expect("a sandbox starts");
    let url = sigstore.urls().tuf.clone();
    let run = Run::new(url.clone(), format!("{url}/targets"));
    let root = run.path("first.json");
    std::fs::write(&root, sigstore.tuf_root()).expect("a file");
    refuses(&run.refresh(), "`root.json` is malformed");
    succeeds(&run.init(&root));
    assert!(sigstore.requests().is_empty(), "init asks nobody");
    succeeds(&run.refresh());
    succeeds(&run.download(&["trusted_root.json", "signing_config.v0.2.json"]));
    assert_eq!(run.downloaded().len(), 2);
    sigstore.rotate_root().expect("a new root");
    sigstore.publish().expect("new versions");
    succeeds(&run.refresh());
    sigstore.rollback();
    refuses(&run.refresh(), "rolled back: version 1 after version 2");
    sigstore.set_lifetime(Role::Timestamp, jiff::SignedDuration::from_hours(-1)).expect("an expired timestamp");
    refuses(&run.refresh(), "`timestamp.json` has expired at ");
}

#[test]
fn a_root_that_nobody_signed_is_not_trusted() {
    let run = Run::new(String::new(), String::new());
    let root = run.path("first.json");
    for content in ["", "{}", r#"{"signed":{},"signatures":[]}"#] {
        std::fs::write(&root, content).expect("a file");
        refuses(&run.init(&root), "`root.json` is malformed");
    }
    for arguments in [&["init"][..], &["refresh"], &["delete"], &["--metadata-url"]] {
        assert_eq!(run.client(arguments).status.code(), Some(1), "{arguments:?}");
    }
}

fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refuses(output: &Output, reason: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(reason), "{said}");
}

/// Serves the files of a folder on loopback until the test program ends.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away is not the server's concern.
            let _ = stream.and_then(|stream| answer(stream, &folder));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (status, body) = match std::fs::read(folder.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}
