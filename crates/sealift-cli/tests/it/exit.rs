//! The exit codes, as scripts see them.

use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Endpoint, RegistryOptions, RetryAfter, Rule};

use crate::support::{User, registry};

#[test]
fn an_unreachable_registry_is_no_answer() {
    let user = User::with_key();
    // Nothing listens on the discard port of loopback.
    let args = ["verify", "--key", "sealift.pub", "--timeout", "200ms", "--output", "json", "127.0.0.1:9/team/app:v1"];
    let outcome = user.run(&args).assert_code(22).assert_stderr("is 127.0.0.1:9 up?");
    assert_eq!(outcome.json()["error"]["code"], "UNAVAILABLE");
}

#[test]
fn answers_that_are_none_never_read_as_no() {
    for (effect, code) in [
        (Effect::Status(401), 21),
        (Effect::Status(403), 21),
        (Effect::Status(404), 11),
        (Effect::Status(429), 22),
        (Effect::Throttle(RetryAfter::Seconds(3600)), 22),
        (Effect::Status(500), 22),
        (Effect::Status(503), 22),
        (Effect::CutAfter(3), 22),
    ] {
        let (user, registry) = (User::with_key(), registry(RegistryOptions::default()));
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Manifest)]);
        let outcome = user.at(&registry, &["tree", "--timeout", "200ms", "@team/app:v1"]);
        assert_eq!(outcome.code, Some(code), "{effect:?}\n{}", outcome.stderr);
    }
}

#[test]
fn refused_and_undecided_subjects_have_their_own_codes() {
    let user = User::with_key();
    let open = registry(RegistryOptions::default());
    let closed = registry(RegistryOptions::default().with_auth(Auth::basic("a", "b")));
    open.add("team/app", &fixture::image(2), Some("unsigned")).unwrap();
    user.at(&open, &["sign", "--key", "sealift.key", "@team/app:v1"]).assert_code(0);
    let (good, unsigned, missing) =
        (open.reference("team/app:v1"), open.reference("team/app:unsigned"), open.reference("team/app:missing"));
    let (locked, down) = (closed.reference("team/app:v1"), "127.0.0.1:9/team/app:v1".to_owned());
    for (references, code) in [
        (vec![&good], 0),
        (vec![&good, &unsigned], 10),
        (vec![&unsigned, &missing], 19),
        (vec![&good, &locked], 21),
        (vec![&good, &down], 22),
        (vec![&locked, &down], 29),
        (vec![&locked, &unsigned], 10),
    ] {
        let mut args = vec!["verify", "--key", "sealift.pub", "--timeout", "200ms"];
        args.extend(references.iter().map(|reference| reference.as_str()));
        user.run(&args).assert_code(code);
    }
}
