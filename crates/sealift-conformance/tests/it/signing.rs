//! `sign-bundle`, against the sandbox; what it makes is verified by this client and by three other implementations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sealift_core::entity::{Bundle, BundleVersion, MaterialKey, SignedContent};
use sealift_core::oci::Digest;
use sealift_sandbox::sigstore::TrustedRootVersion;
use sealift_sandbox::sigstore::{Fault, Identity, LogVersion, Service, Sigstore, SigstoreOptions, Times};

use sealift_sandbox::external::installed;
use sigstore_verify::VerificationPolicy;

use crate::second_opinion;
use crate::shared::{read, text};

const CLIENT: &str = env!("CARGO_BIN_EXE_sealift-conformance");
const EMAIL: &str = "dev@example.com";

struct World {
    sigstore: Sigstore,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let sigstore = Sigstore::start(SigstoreOptions::default()).expect("a sandbox starts");
        let directory = tempfile::tempdir().expect("a directory");
        let world = Self { sigstore, directory };
        world.write("root.json", world.sigstore.trusted_root(TrustedRootVersion::default()).as_bytes());
        world.write("artifact", b"artifact");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    fn sign(&self, logs: &[LogVersion], more: &[&str], file: &Path) -> Output {
        let config = self.write("config.json", self.sigstore.signing_config(logs).as_bytes());
        let token = self.sigstore.mint(&Identity::email(EMAIL)).expect("a token");
        let mut command = Command::new(CLIENT);
        command.arg("sign-bundle").args(more).args(["--identity-token", &token]);
        command.arg("--bundle").arg(self.path("bundle.json")).arg("--trusted-root").arg(self.path("root.json"));
        command.arg("--signing-config").arg(config).arg(file).output().expect("the client starts")
    }

    fn verify(&self, identity: &str, artifact: &str) -> Option<i32> {
        let issuer = self.sigstore.issuer(&Identity::email(EMAIL));
        let mut command = Command::new(CLIENT);
        command.arg("verify-bundle").arg("--bundle").arg(self.path("bundle.json"));
        command.args(["--certificate-identity", identity, "--certificate-oidc-issuer", &issuer]);
        command.arg("--trusted-root").arg(self.path("root.json")).arg(artifact);
        command.output().expect("the client starts").status.code()
    }

    /// Has sigstore-rust, sigstore-python and cosign 3 verify the bundle, with all their checks on.
    fn ask_others(&self, digest: &Digest, predicate_type: Option<String>) {
        let issuer = self.sigstore.issuer(&Identity::email(EMAIL));
        let policy = VerificationPolicy::new(EMAIL.to_owned(), issuer.clone());
        let (root, bundle) = (text(self.path("root.json")), text(self.path("bundle.json")));
        second_opinion::verdict(&root, &bundle, &digest.to_string(), &policy).expect("sigstore-rust agrees");

        if let Some(python) = installed("venv/bin/sigstore") {
            let trust = self.sigstore.trust_config(&[LogVersion::V1]);
            let mut command = self.peer(&python);
            command.arg("--trust-config").arg(self.write("trust.json", trust.as_bytes()));
            command.args(["verify", "identity", "--bundle", "bundle.json", "--cert-identity", EMAIL]);
            succeeds(&command.args(["--cert-oidc-issuer", &issuer, "artifact"]).output().expect("python starts"));
        }
        if let Some(cosign) = installed("bin/cosign3") {
            let mut command = self.peer(&cosign);
            match &predicate_type {
                Some(predicate_type) => command.args(["verify-blob-attestation", "--type", predicate_type]),
                None => command.arg("verify-blob"),
            };
            command.args(["--bundle", "bundle.json", "--trusted-root", "root.json", "--use-signed-timestamps"]);
            command.args(["--certificate-identity", EMAIL, "--certificate-oidc-issuer", &issuer, "artifact"]);
            succeeds(&command.output().expect("cosign starts"));
        }
    }

    /// Returns a call that sees neither this user's settings nor this machine's.
    fn peer(&self, program: &Path) -> Command {
        let program = std::path::absolute(program).expect("a path");
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env_clear().env("HOME", self.directory.path());
        command
    }

    fn bundle(&self) -> Bundle {
        Bundle::parse(&read(self.path("bundle.json"))).expect("a bundle")
    }
}

#[test]
fn files_and_statements_are_signed_and_verified() {
    let world = World::new();
    let artifact = world.path("artifact");
    let digest = Digest::sha256(b"artifact");
    // Not what a serialiser would write: the payload must be the file, byte for byte.
    let statement = format!(
        "{{ \"_type\":\"https://in-toto.io/Statement/v1\",  \"subject\":[{{\"name\":\"a\",\"digest\":\
         {{\"sha256\":\"{}\"}}}}],\"predicateType\":\"https://example.com/p\",\"predicate\":{{}}}}\n",
        digest.hex()
    );
    let statement = world.write("statement.json", statement.as_bytes());
    for logs in [&[LogVersion::V1][..], &[LogVersion::V2], &[LogVersion::V2, LogVersion::V1]] {
        for (more, file) in [(&[][..], &artifact), (&["--in-toto"], &statement)] {
            succeeds(&world.sign(logs, more, file));
            let bundle = world.bundle();
            assert_eq!(bundle.version(), BundleVersion::V03);
            let MaterialKey::Certificates(certificates) = &bundle.material().key else { panic!("{bundle:?}") };
            assert_eq!(certificates.len(), 1, "neither issuers nor root");
            assert_eq!(bundle.material().log_entries.len(), 1);
            assert_eq!(bundle.material().timestamps.len(), 1);
            if let SignedContent::Envelope(envelope) = bundle.content() {
                assert_eq!(envelope.payload()[..], read(&statement));
            }
            assert_eq!(world.verify(EMAIL, &digest.to_string()), Some(0));
            assert_eq!(world.verify(EMAIL, &artifact.display().to_string()), Some(0));
            assert_eq!(world.verify("eve@example.com", &digest.to_string()), Some(1));
            assert_eq!(world.verify(EMAIL, &Digest::sha256(b"other").to_string()), Some(1));
            world.ask_others(&digest, bundle.statement().map(|statement| statement.predicate_type().to_owned()));
        }
    }
}

#[test]
fn nothing_is_written_that_does_not_verify() {
    let world = World::new();
    let artifact = world.path("artifact");
    for (service, fault, reason) in [
        (Service::CtLog, Fault::WrongPromise, "transparency timestamp"),
        (Service::RekorV1, Fault::WrongPromise, "signed entry timestamp of log entry 0"),
        (Service::Timestamp, Fault::ExpiredCertificate, "timestamp authority"),
        (Service::RekorV1, Fault::Status(400), "HTTP 400"),
    ] {
        world.sigstore.inject(service, fault, Times::Always);
        let output = world.sign(&[LogVersion::V1], &[], &artifact);
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(output.status.code() == Some(1) && said.contains(&reason.to_lowercase()), "{reason}: {said}");
        assert!(!world.path("bundle.json").exists(), "{said}");
        world.sigstore.clear_faults();
    }
    let statement = world.write("statement.json", b"{}");
    assert_eq!(world.sign(&[LogVersion::V1], &["--in-toto"], &statement).status.code(), Some(1));
    succeeds(&world.sign(&[LogVersion::V1], &[], &artifact));
}

fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
