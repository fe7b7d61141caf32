//! A user with a home directory, keys and registries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_sandbox::fixture::{self, Fixture};
use sealift_sandbox::registry::{Registry, RegistryOptions};
use serde_json::Value;
use tempfile::TempDir;

/// The passphrase of every key in the tests.
pub(crate) const PASSPHRASE: &str = "test only";

/// Someone who runs `sealift` in a directory of their own, away from this machine's logins and variables.
pub(crate) struct User {
    home: TempDir,
}

impl User {
    /// Returns a user without keys.
    pub(crate) fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    /// Returns a user with `sealift.key` and `sealift.pub`.
    pub(crate) fn with_key() -> Self {
        let user = Self::new();
        user.run(&["key", "generate"]).assert_code(0);
        user
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs `sealift`.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_command(self.command(env!("CARGO_BIN_EXE_sealift")).args(args))
    }

    /// Runs `sealift` with the registry host put in for `@` at the beginning of arguments, as in `@team/app:v1`.
    pub(crate) fn at(&self, registry: &Registry, args: &[&str]) -> Outcome {
        let host = registry.host();
        let args: Vec<String> = args
            .iter()
            .map(|arg| arg.strip_prefix('@').map_or((*arg).to_owned(), |rest| format!("{host}/{rest}")))
            .collect();
        self.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Returns another program, to be run as this user.
    #[expect(clippy::disallowed_methods, reason = "other programs are found by this process's path")]
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("SEALIFT_PASSWORD", PASSPHRASE).env("COSIGN_PASSWORD", PASSPHRASE);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run_command(&self, command: &mut Command) -> Outcome {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Outcome {
            line: format!("{command:?}"),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails with everything that was printed unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}{}", self.line, self.stdout, self.stderr);
        self
    }

    /// Fails unless standard output has `text`.
    #[track_caller]
    pub(crate) fn assert_stdout(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "no `{text}` in the output of {}\n{}{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails unless standard error has `text`.
    #[track_caller]
    pub(crate) fn assert_stderr(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no `{text}` in the errors of {}\n{}{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Returns each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The two kinds of registries: with the referrers API, and with the fallback tag only.
pub(crate) fn both_kinds() -> [(&'static str, RegistryOptions); 2] {
    [
        ("referrers API", RegistryOptions::default()),
        ("fallback tag", RegistryOptions::default().without_referrers_api()),
    ]
}

/// Starts a registry that holds the image `team/app:v1`.
pub(crate) fn registry(options: RegistryOptions) -> Registry {
    let registry = Registry::start(options).unwrap();
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    registry
}

/// Writes a fixture as an OCI layout with a tag, as a build tool would.
pub(crate) fn write_layout(directory: &Path, fixture: &Fixture, tag: &str) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for (descriptor, blob) in fixture.blobs() {
        let bytes = blob.content().as_bytes().cloned().expect("small fixtures are at hand");
        std::fs::write(blobs.join(descriptor.digest.hex()), bytes).unwrap();
    }
    for manifest in fixture.manifests() {
        std::fs::write(blobs.join(manifest.descriptor().digest.hex()), manifest.bytes()).unwrap();
    }
    let root = fixture.descriptor();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": root.media_type, "digest": root.digest, "size": root.size,
            "annotations": { "org.opencontainers.image.ref.name": tag },
        }],
    });
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
}
