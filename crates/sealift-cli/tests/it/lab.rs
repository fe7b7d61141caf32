//! A user beside the real peers, and the registries that they all work on.

use std::collections::BTreeSet;

use sealift_core::oci::Digest;
use sealift_sandbox::fixture::Fixture;
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Registry, RegistryOptions};

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
            Self::Distribution(DockerRegistry::start(peers).unwrap()),
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
        lab.user.write("sbom.json", SBOM);
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

    /// Returns `artifact` in `repository` of a registry.
    pub(crate) fn end(&self, place: &Place, repository: &str, artifact: &Fixture) -> End<'_> {
        End { lab: self, repository: format!("{}/{repository}", place.host()), artifact: artifact.clone() }
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

/// An artifact at one end of a promotion, as the peers see it.
pub(crate) struct End<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) repository: String,
    pub(crate) artifact: Fixture,
}

impl End<'_> {
    /// Its reference by digest.
    pub(crate) fn root(&self) -> String {
        self.by_digest(self.artifact.digest())
    }

    /// The reference of something beside it.
    pub(crate) fn by_digest(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.repository)
    }

    /// The reference of a tag beside it.
    pub(crate) fn tagged(&self, tag: &str) -> String {
        format!("{}:{tag}", self.repository)
    }

    /// Runs one of the peers, which must be content.
    pub(crate) fn peer(&self, name: &str, args: &[&str]) -> Outcome {
        self.lab.peer(name, args).assert_code(0)
    }

    /// Fails unless two peers read the same manifest here as in `other`.
    pub(crate) fn unchanged(&self, digest: &Digest, other: &Self) {
        let [here, there] = [self, other].map(|place| place.by_digest(digest));
        let crane = |reference: &str| self.peer("crane", &["manifest", reference]).stdout;
        assert_eq!(crane(&here), crane(&there));
        let skopeo = |reference: &str| {
            self.peer("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")]).stdout
        };
        assert_eq!(skopeo(&here), skopeo(&there));
        assert_eq!(Digest::sha256(skopeo(&here).as_bytes()), *digest);
    }

    /// Attaches the SBOM with oras.
    pub(crate) fn oras_attaches(&self, artifact_type: &str, subject: &Digest) -> Digest {
        let file = format!("sbom.json:{artifact_type}");
        let subject = self.by_digest(subject);
        let attach = ["attach", "--plain-http", "--format", "json", "--artifact-type", artifact_type, &subject, &file];
        self.peer("oras", &attach).json()["digest"].as_str().unwrap().parse().unwrap()
    }

    /// What oras finds attached to `subject`, at any depth.
    pub(crate) fn oras_discovers(&self, subject: &Digest) -> BTreeSet<Digest> {
        let discover = ["discover", "--plain-http", "--format", "json", &self.by_digest(subject)];
        let found = self.peer("oras", &discover).json();
        let (mut digests, mut nodes) = (BTreeSet::new(), vec![&found]);
        while let Some(node) = nodes.pop() {
            let referrers = node["referrers"].as_array().into_iter().flatten();
            nodes.extend(referrers.clone());
            digests.extend(referrers.map(|entry| entry["digest"].as_str().unwrap().parse::<Digest>().unwrap()));
        }
        digests
    }

    /// The only attachment of this type.
    pub(crate) fn attached(&self, artifact_type: &str) -> Digest {
        let discover = ["discover", "--plain-http", "--format", "json", "--artifact-type", artifact_type, &self.root()];
        let found = self.peer("oras", &discover).json();
        assert_eq!(found["referrers"].as_array().map(Vec::len), Some(1), "{found:#}");
        found["referrers"][0]["digest"].as_str().unwrap().parse().unwrap()
    }

    /// Fails unless oras pulls the SBOM out of `artifact`.
    pub(crate) fn oras_pulls_the_sbom(&self, artifact: &Digest) {
        let pull = ["pull", "--plain-http", "--output", "pulled", &self.by_digest(artifact)];
        self.peer("oras", &pull);
        let pulled = self.lab.user.path("pulled/sbom.json");
        assert_eq!(std::fs::read_to_string(&pulled).unwrap(), SBOM);
        std::fs::remove_file(pulled).unwrap();
    }
}

/// What `sbom.json` holds.
pub(crate) const SBOM: &str = r#"{"spdxVersion":"SPDX-2.3"}"#;
