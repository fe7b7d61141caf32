//! Shows the whole job on this machine, against two registries and a Sigstore that it starts itself.
//!
//! Every command is run as a person would run it, with the real `sealift`; any step that does not end as it should ends
//! the demo with an error.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use sealift_sandbox::sigstore::{Sigstore, SigstoreOptions};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("\nThe demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let stage = Stage::set()?;
    let (staging, prod) = (&stage.staging, &stage.prod);
    say(&format!(
        "Two registries run on this machine: staging at {} lists referrers by API, prod at {} by fallback tag only.",
        staging.host(),
        prod.host()
    ));

    chapter("Keys, of those who build and of production: cosign reads and writes the same files");
    stage.sealift(&["key", "generate"], 0)?;
    stage.sealift(&["key", "generate", "--output-key-prefix", "prod"], 0)?;

    chapter("An image, built as an OCI layout, goes to staging");
    write_layout(&stage.path("build"), &fixture::index(1, &["amd64", "arm64"]))?;
    stage.sealift(&["copy", "oci-layout://build:1.0", "STAGING/shop/app:1.0"], 0)?;

    chapter("Sign it, platforms included, in the form of cosign 3 and in that of cosign 2");
    stage.sealift(
        &[
            "sign",
            "--key",
            "sealift.key",
            "--recursive",
            "--format",
            "both",
            "-a",
            "build=1234",
            "STAGING/shop/app:1.0",
        ],
        0,
    )?;

    chapter("Attest its SBOM");
    std::fs::write(stage.path("sbom.json"), r#"{"spdxVersion":"SPDX-2.3","name":"shop/app"}"#)?;
    stage.sealift(
        &["attest", "--key", "sealift.key", "--type", "spdxjson", "--predicate", "sbom.json", "STAGING/shop/app:1.0"],
        0,
    )?;

    chapter("Verify: what counts, and where it is stored");
    stage.sealift(&["verify", "--key", "sealift.pub", "--all", "-a", "build=1234", "STAGING/shop/app:1.0"], 0)?;
    stage.sealift(&["verify-attestation", "--key", "sealift.pub", "--type", "spdxjson", "STAGING/shop/app:1.0"], 0)?;

    chapter("Promote: verified at staging, moved with all evidence, verified again at prod, and only then tagged");
    stage.sealift(&["promote", "--key", "sealift.pub", "--dry-run", "STAGING/shop/app:1.0", "PROD/shop/app:1.0"], 0)?;
    let record = ["promote", "--key", "sealift.pub", "--sign-key", "prod.key", "--resign"];
    stage.sealift(&[&record[..], &["STAGING/shop/app:1.0", "PROD/shop/app:1.0"]].concat(), 0)?;

    chapter("At prod: the same digest, the same evidence, production's own signatures and its record of the promotion");
    stage.sealift(&["verify", "--key", "sealift.pub", "--recursive", "PROD/shop/app:1.0"], 0)?;
    stage.sealift(&["verify", "--key", "prod.pub", "--recursive", "PROD/shop/app:1.0"], 0)?;
    stage.sealift(&["verify-attestation", "--key", "prod.pub", "--type", "promotion", "PROD/shop/app:1.0"], 0)?;
    stage.sealift(&["tree", "PROD/shop/app:1.0"], 0)?;

    chapter("Somebody moves the tag at staging to an image that nobody signed: refused, and prod keeps what it has");
    let tampered = fixture::index(666, &["amd64", "arm64"]);
    staging.add("shop/app", &tampered, Some("1.0"))?;
    stage.sealift(&["verify", "--key", "sealift.pub", "STAGING/shop/app:1.0"], 10)?;
    let args = ["promote", "--key", "sealift.pub", "--overwrite-tag", "STAGING/shop/app:1.0", "PROD/shop/app:1.0"];
    stage.sealift(&args, 10)?;
    stage.sealift(&["verify", "--key", "sealift.pub", "PROD/shop/app:1.0"], 0)?;

    chapter("Somebody signs it with a key of their own: still refused, for another reason");
    stage.sealift(&["key", "generate", "--output-key-prefix", "mallory"], 0)?;
    stage.sealift(&["sign", "--key", "mallory.key", "STAGING/shop/app:1.0"], 0)?;
    stage.sealift(&["promote", "--key", "sealift.pub", "STAGING/shop/app:1.0", "PROD/shop/app:2.0"], 12)?;
    if prod.tags("shop/app").iter().any(|tag| tag == "2.0") {
        return Err("a refused promotion left a tag".into());
    }

    without_a_key(&stage)?;

    say("\nEverything ended as it should. `sealift --help` explains the commands.");
    Ok(())
}

/// The same job without a key, with the services of a Sigstore on loopback.
fn without_a_key(stage: &Stage) -> Result<(), Failure> {
    chapter("Without a key: an identity provider says who signs, and logs and a timestamp authority say when");
    stage.sigstore.write_files(&stage.path("sigstore"))?;
    write_layout(&stage.path("web"), &fixture::index(2, &["amd64", "arm64"]))?;
    stage.sealift(&["copy", "oci-layout://web:1.0", "STAGING/shop/web:1.0"], 0)?;
    let instance = ["--instance", "sigstore/trust_config.json"];
    let token = ["--identity-token", "sigstore/token", "--yes"];
    stage.sealift(&[&["sign"], &instance[..], &token, &["--recursive", "STAGING/shop/web:1.0"]].concat(), 0)?;

    chapter("Verify who signed, promote, and verify it at prod: no key anywhere");
    let signer = ["--certificate-identity", "dev@example.com", "--certificate-oidc-issuer", "ISSUER"];
    let verify = |what: &[&str], code| stage.sealift(&[&what[..1], &instance, &signer, &what[1..]].concat(), code);
    verify(&["verify", "--recursive", "STAGING/shop/web:1.0"], 0)?;
    verify(&["promote", "STAGING/shop/web:1.0", "PROD/shop/web:1.0"], 0)?;
    verify(&["verify", "--recursive", "--offline", "PROD/shop/web:1.0"], 0)?;

    chapter("Somebody else's word does not count");
    let other = ["--certificate-identity", "eve@example.com", "--certificate-oidc-issuer", "ISSUER"];
    stage.sealift(&[&["verify"], &instance[..], &other, &["PROD/shop/web:1.0"]].concat(), 12)
}

/// A directory, two registries, a Sigstore and a built `sealift`.
struct Stage {
    directory: tempfile::TempDir,
    binary: PathBuf,
    staging: Registry,
    prod: Registry,
    sigstore: Sigstore,
}

impl Stage {
    fn set() -> Result<Self, Failure> {
        Ok(Self {
            directory: tempfile::tempdir()?,
            binary: build()?,
            staging: Registry::start(RegistryOptions::default())?,
            prod: Registry::start(RegistryOptions::default().without_referrers_api())?,
            sigstore: Sigstore::start(SigstoreOptions::default())?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Shows and runs a command, which must end with `code`; `STAGING` and `PROD` stand for the registries, and
    /// `ISSUER` for the identity provider.
    fn sealift(&self, args: &[&str], code: i32) -> Result<(), Failure> {
        let (staging, prod) = (self.staging.host(), self.prod.host());
        let issuer = &self.sigstore.urls().oidc;
        let put_in = |arg: &&str| arg.replace("STAGING", &staging).replace("PROD", &prod).replace("ISSUER", issuer);
        let args: Vec<_> = args.iter().map(put_in).collect();
        say(&format!("\n$ sealift {}", args.join(" ")));
        let status = Command::new(&self.binary)
            .args(&args)
            .current_dir(self.directory.path())
            .env("SEALIFT_PASSWORD", "demo")
            .env("DOCKER_CONFIG", self.path("docker"))
            .stdin(Stdio::null())
            .status()?;
        if code != 0 {
            say(&format!("(exit code {})", status.code().unwrap_or(-1)));
        }
        match status.code() == Some(code) {
            true => Ok(()),
            false => Err(format!("`sealift {}` ended with {status}, not with exit code {code}", args.join(" ")).into()),
        }
    }
}

/// Builds `sealift` the way this demo was built, and returns where it is.
#[expect(clippy::disallowed_methods, reason = "cargo says by a variable which cargo it is")]
fn build() -> Result<PathBuf, Failure> {
    let example = std::env::current_exe()?;
    let profile = example.parent().and_then(Path::parent).ok_or("the demo is not in a target directory")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "sealift-cli", "--bin", "sealift"]);
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    if !cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        return Err("`sealift` does not build".into());
    }
    Ok(profile.join("sealift").with_extension(std::env::consts::EXE_EXTENSION))
}

/// Writes an image index as a build tool would.
fn write_layout(directory: &Path, image: &fixture::Fixture) -> Result<(), Failure> {
    let blobs = directory.join("blobs").join("sha256");
    std::fs::create_dir_all(&blobs)?;
    for (descriptor, blob) in image.blobs() {
        let content = blob.content();
        let bytes = content.as_bytes().ok_or("the image's blobs are small and at hand")?;
        std::fs::write(blobs.join(descriptor.digest.hex()), bytes)?;
    }
    for manifest in image.manifests() {
        std::fs::write(blobs.join(manifest.descriptor().digest.hex()), manifest.bytes())?;
    }
    let root = image.descriptor();
    let index = serde_json::json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": root.media_type, "digest": root.digest, "size": root.size,
            "annotations": { "org.opencontainers.image.ref.name": "1.0" },
        }],
    });
    std::fs::write(directory.join("index.json"), index.to_string())?;
    Ok(std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?)
}

fn chapter(title: &str) {
    say(&format!("\n== {title}"));
}

#[expect(clippy::print_stdout, reason = "the demo talks to a person")]
fn say(text: &str) {
    println!("{text}");
}
