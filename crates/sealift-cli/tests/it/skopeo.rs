//! The policies of podman and skopeo: what the destination signs in its own name is what they ask for there.

use std::path::PathBuf;

use sealift_sandbox::external::installed;
use sealift_sandbox::fixture;
use serde_json::{Value, json};

use crate::lab::{Lab, Place};
use crate::support::Outcome;

/// Row `destination identity` of the scenarios.
#[test]
fn a_policy_that_matches_the_repository_passes_after_a_promotion_that_signs() {
    let Some(lab) = Lab::open() else { return };
    let Some(skopeo) = Skopeo::find(&lab) else { return };
    lab.sealift(&["key", "generate", "--output-key-prefix", "prod"]).assert_code(0);
    for (number, place) in Place::all(&lab.peers).iter().enumerate() {
        let image = fixture::index(1, &["amd64", "arm64"]);
        let (from, to) = (lab.end(place, "team/app", &image), lab.end(place, "prod/app", &image));
        lab.push(place, "team/app", &image);
        for manifest in image.manifests() {
            lab.cosign2_signs(&from.by_digest(&manifest.descriptor().digest));
        }
        let pulls = |repository: &str, key: &str, identity: Value| {
            skopeo.pulls(place, &format!("{}/{repository}:v1", place.host()), key, &identity, number)
        };
        let matching = || json!({ "type": "matchRepository" });

        let promote = ["promote", "--key", "sealift.pub", &from.root()];
        // The source's signatures arrive, but they name the source.
        lab.sealift(&[&promote[..], &[&to.tagged("v1")]].concat()).assert_code(0);
        pulls("prod/app", "sealift.pub", matching()).assert_code(1).assert_stderr("is not accepted");
        pulls("prod/app", "prod.pub", matching()).assert_code(1).assert_stderr("signature verification failed");

        let sign = [&promote[..], &["--sign-key", "prod.key", "--resign", "--sign-identity"]].concat();
        lab.sealift(&[&sign[..], &[&to.repository, &to.tagged("v1")]].concat()).assert_code(0);
        pulls("prod/app", "prod.pub", matching()).assert_code(0);
        pulls("prod/app", "sealift.pub", matching()).assert_code(1).assert_stderr("is not accepted");

        // A registry that is known by another name from outside.
        let name = "registry.example.com/prod/app";
        let behind = format!("{}/edge/app:v1", place.host());
        lab.sealift(&[&sign[..], &[name, &behind]].concat()).assert_code(0);
        let exact = |name: &str| json!({ "type": "exactRepository", "dockerRepository": name });
        pulls("edge/app", "prod.pub", exact(name)).assert_code(0);
        pulls("edge/app", "prod.pub", exact("registry.example.com/other")).assert_code(1);
        pulls("edge/app", "prod.pub", matching()).assert_code(1).assert_stderr("is not accepted");
    }
}

/// A skopeo that reads signatures of Sigstore.
struct Skopeo<'a> {
    lab: &'a Lab,
    program: PathBuf,
}

impl<'a> Skopeo<'a> {
    fn find(lab: &'a Lab) -> Option<Self> {
        installed("bin/skopeo-sigstore").map(|program| Self { lab, program })
    }

    /// Pulls an index and all its platforms under a policy that demands a signature by `key` in the name of `identity`.
    fn pulls(&self, place: &Place, reference: &str, key: &str, identity: &Value, number: usize) -> Outcome {
        let user = &self.lab.user;
        let demand = json!([{ "type": "sigstoreSigned", "keyPath": key, "signedIdentity": identity }]);
        let policy = json!({
            "default": [{ "type": "reject" }],
            "transports": { "docker": { (place.host()): demand } },
        });
        user.write("policy.json", policy.to_string());
        let folder = format!("registries-{number}.d");
        std::fs::create_dir_all(user.path(&folder)).unwrap();
        let attachments = format!("docker:\n  {}:\n    use-sigstore-attachments: true\n", place.host());
        user.write(&format!("{folder}/sandbox.yaml"), attachments);
        let mut skopeo = user.command(&self.program);
        skopeo.args(["--policy", "policy.json", "--registries.d", &folder, "copy", "--src-tls-verify=false"]);
        skopeo.args(["--all", "--remove-signatures", &format!("docker://{reference}"), "oci:pulled"]);
        user.run_command(&mut skopeo)
    }
}
