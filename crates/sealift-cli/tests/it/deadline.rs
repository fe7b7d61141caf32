//! Registries that keep the time of each request, and draw out the whole: verifying has an end, and no answer.

use std::time::Duration;

use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, RegistryOptions, Rule};

use crate::support::{User, registry};

const POLICY: &str = "version: 1\nscopes: [{repository: '**', signatures: [{anyOf: [{key: sealift.pub}]}]}]\n";

#[test]
fn a_registry_that_draws_it_out_gets_no_yes_and_no_no() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.write("policy.yaml", POLICY);
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let image = format!("{}@{}", registry.reference("team/app"), fixture::image(1).digest());
    let verifications = [
        &["verify", "--key", "sealift.pub"][..],
        &["verify", "--policy", "policy.yaml"],
        &["verify-attestation", "--key", "sealift.pub"],
    ];
    for verify in verifications {
        for effect in [Effect::Hang, Effect::Drip { bytes: 1, pause: Duration::from_millis(50) }] {
            registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Referrers)]);
            let args = [verify, &["--deadline", "1s", "--output", "json", &image]].concat();
            let told = user.run(&args).assert_code(22);
            let (line, host) = (told.stdout.clone() + &told.stderr, registry.host());
            let is_told = line.contains(&format!("the time for everything, 1s, is over, and {host}/team/app"));
            assert!(is_told && line.contains("`list referrers`"), "{verify:?} {effect:?}: {line}");
            assert!(line.contains("--deadline"), "{verify:?} {effect:?}: {line}");
        }
        registry.clear_faults();
    }
    user.run(&["verify", "--key", "sealift.pub", "--deadline", "10m", &image]).assert_code(0);
}

#[test]
fn what_counts_already_is_not_undone_by_the_end_of_the_time() {
    let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
    user.at(&registry, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let image = format!("{}@{}", registry.reference("team/app"), fixture::image(1).digest());
    // Asked for everything, it also looks under the tags, which never answer.
    registry.set_faults([Rule::new(Effect::Hang).on(Endpoint::Manifest).reference("sha256-*")]);
    let verify = ["verify", "--key", "sealift.pub", "--all", "--deadline", "3s", &image];
    user.run(&verify).assert_code(0).assert_stdout("the time for everything, 3s, is over");
}
