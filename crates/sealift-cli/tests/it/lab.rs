//! A user beside the real peers, and the registries that they all work on.

use sealift_sandbox::fixture::Fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions};

use crate::peers::{DockerRegistry, Peers};
use crate::support::{Outcome, User, write_layout};

/// A registry to test on: the sandbox with and without the referrers API, and CNCF distribution.
pub(crate) enum Place {
    Distribution(DockerRegistry),
    Sandbox(Registry),
}

impl Place {
    /// Starts one of each.
    pub(crate) fn all(peers: &Peers) -> Vec<Self> {
        vec![
            Self::Sandbox(Registry::start(RegistryOptions::default()).unwrap()),
            Self::Sandbox(Registry::start(RegistryOptions::default().without_referrers_api()).unwrap()),
            Self::Distribution(DockerRegistry::start(peers)),
        ]
    }

    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Distribution(registry) => registry.host(),
            Self::Sandbox(registry) => registry.host(),
        }
    }
}

/// A user with keys, the peers at hand, and what cosign needs to work without internet.
pub(crate) struct Lab {
    pub(crate) user: User,
    pub(crate) peers: Peers,
}

impl Lab {
    /// Returns nothing, having said so, where the peers are not installed.
    pub(crate) fn open() -> Option<Self> {
        let peers = Peers::find()?;
        let lab = Self { user: User::with_key(), peers };
        lab.peer("cosign3", &["signing-config", "create", "--out", "sc.json"]).assert_code(0);
        lab.peer("cosign3", &["trusted-root", "create", "--out", "tr.json"]).assert_code(0);
        Some(lab)
    }

    /// Runs one of the peers.
    pub(crate) fn peer(&self, name: &str, args: &[&str]) -> Outcome {
        self.user.run_command(self.user.command(self.peers.path(name)).args(args))
    }

    /// Copies as `cosign copy` does. It pushes an index beside its children, which docker-registry refuses whenever
    /// the index comes first; then it is told to try again.
    pub(crate) fn cosign_copies(&self, source: &str, destination: &str) {
        for _ in 0..10 {
            let copied = self.peer("cosign3", &["copy", "--force", source, destination]);
            if !copied.stderr.contains("MANIFEST_BLOB_UNKNOWN") {
                copied.assert_code(0);
                return;
            }
        }
        panic!("cosign copy lost its race ten times");
    }

    /// Runs `sealift`.
    pub(crate) fn sealift(&self, args: &[&str]) -> Outcome {
        self.user.run(args)
    }

    /// Pushes an image and returns its reference by digest.
    pub(crate) fn push(&self, place: &Place, repository: &str, image: &Fixture) -> String {
        let name = format!("{}/{repository}", place.host());
        let layout = format!("layout-{}", image.digest().hex());
        write_layout(&self.user.path(&layout), image, "v1");
        self.sealift(&["copy", &format!("oci-layout://{layout}:v1"), &format!("{name}:v1")]).assert_code(0);
        format!("{name}@{}", image.digest())
    }

    pub(crate) fn cosign3_verifies(&self, reference: &str) {
        self.peer("cosign3", &["verify", "--key", "sealift.pub", "--insecure-ignore-tlog", reference]).assert_code(0);
    }

    pub(crate) fn cosign2_verifies(&self, reference: &str) {
        let args = ["verify", "--key", "sealift.pub", "--insecure-ignore-tlog", "--private-infrastructure", reference];
        self.peer("cosign2", &args).assert_code(0);
    }

    pub(crate) fn cosign3_signs(&self, reference: &str) {
        let config = ["--signing-config", "sc.json", "--trusted-root", "tr.json", "-y"];
        self.peer("cosign3", &[&["sign", "--key", "sealift.key"], &config[..], &[reference]].concat()).assert_code(0);
    }

    /// Signs as the Notary Project does, with a certificate made for that.
    pub(crate) fn notation_signs(&self, reference: &str) {
        self.peer("notation", &["cert", "generate-test", "--default", "sealift.test"]).assert_code(0);
        let policy = r#"{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],
            "signatureVerification":{"level":"strict"},"trustStores":["ca:sealift.test"],"trustedIdentities":["*"]}]}"#;
        self.user.write("notation.json", policy);
        self.peer("notation", &["policy", "import", "notation.json"]).assert_code(0);
        self.peer("notation", &["sign", "--insecure-registry", reference]).assert_code(0);
    }

    pub(crate) fn notation_verifies(&self, reference: &str) {
        self.peer("notation", &["verify", "--insecure-registry", reference]).assert_code(0);
    }

    pub(crate) fn cosign2_signs(&self, reference: &str) {
        self.peer("cosign2", &["sign", "--key", "sealift.key", "--tlog-upload=false", "-y", reference]).assert_code(0);
    }
}
