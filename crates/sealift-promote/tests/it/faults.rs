//! Whole promotions over HTTP in which something goes wrong at one request: each in turn, in every way.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use sealift_core::attach::{AttachmentKind, Storage};
use sealift_promote::{PromoteError, Promoted, SignatureForm, TagRule};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, Endpoint, LoggedRequest, Registry, RegistryOptions, RetryAfter, Rule};

use crate::http::{SWIFT_KINDS, found, in_a_hurry, modest_image, open_with, tagged};
use crate::support::{Person, of, target};

#[tokio::test]
async fn any_fault_from_the_api_to_the_fallback_tag_leaves_no_tag_that_is_incomplete() {
    strike_everywhere(&Setting::new(SWIFT_KINDS[0], SWIFT_KINDS[1], Signing::Nothing), 1).await;
}

#[tokio::test]
async fn any_fault_from_the_fallback_tag_to_the_api_leaves_no_tag_that_is_incomplete() {
    strike_everywhere(&Setting::new(SWIFT_KINDS[1], SWIFT_KINDS[0], Signing::Nothing), 3).await;
}

/// As docker-registry does, which gives entity tags and takes every write.
#[tokio::test]
async fn any_fault_at_a_destination_that_ignores_conditions_leaves_no_tag_that_is_incomplete() {
    strike_everywhere(&Setting::new(SWIFT_KINDS[0], RegistryOptions::distribution, Signing::Nothing), 4).await;
}

#[tokio::test]
async fn any_fault_leaves_no_tag_without_what_the_destination_signs() {
    strike_everywhere(&Setting::new(SWIFT_KINDS[0], RegistryOptions::distribution, Signing::Everything), 6).await;
    strike_everywhere(&Setting::new(SWIFT_KINDS[1], SWIFT_KINDS[0], Signing::Everything), 5).await;
}

/// Signatures and the record are linked into a list that the promotion has written and read back before.
#[tokio::test]
async fn a_list_that_lags_behind_when_signatures_are_linked_loses_nothing_that_came_along() {
    let setting = Setting::new(SWIFT_KINDS[0], RegistryOptions::distribution, Signing::Everything);
    let source = setting.source().await;
    let lists = |prod: &Registry| {
        let is_list = |it: &&LoggedRequest| {
            it.method == "GET" && it.endpoint == Endpoint::Manifest && it.path.contains("/sha256-")
        };
        prod.requests().iter().filter(is_list).count() as u64
    };
    let prod = Registry::start((setting.to)()).unwrap();
    setting.promote(&source, &prod, None).await.unwrap();
    let (whole, reads) = (attached(&prod, &source).await, lists(&prod));
    assert!(reads > 8, "{reads}");
    for nth in 1..=reads {
        let prod = Registry::start((setting.to)()).unwrap();
        let lag = Rule::new(Effect::OmitEntry).on(Endpoint::Manifest).method("GET").reference("sha256-*");
        prod.set_faults([lag.nth(nth).times(1)]);
        let outcome = setting.promote(&source, &prod, None).await;
        prod.clear_faults();
        match tagged(&prod) {
            Some(_) => assert_eq!(attached(&prod, &source).await, whole, "read {nth}: {outcome:?}"),
            None => assert!(outcome.is_err(), "read {nth}"),
        }
    }
}

/// What goes wrong, and what may come of it.
struct Fault {
    effect: Effect,
    /// How often it may strike.
    times: u64,
    outcome: Outcome,
    sides: &'static [Side],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    MayFail,
    MustSucceed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Source,
    Destination,
}

fn faults() -> Vec<Fault> {
    use Outcome::{MayFail, MustSucceed};
    let fault = |effect, times, outcome| Fault { effect, times, outcome, sides: &[Side::Source, Side::Destination] };
    vec![
        fault(Effect::Status(503), u64::MAX, MayFail),
        fault(Effect::LoseReply, 1, MayFail),
        fault(Effect::CutAfter(1), 1, MayFail),
        fault(Effect::CutUploadAfter(1), 1, MayFail),
        fault(Effect::Delay(Duration::from_millis(3)), 1, MustSucceed),
        fault(Effect::Throttle(RetryAfter::Seconds(0)), 1, MustSucceed),
        fault(Effect::Corrupt, 1, MayFail),
        fault(Effect::Hang, 1, MayFail),
        fault(Effect::Redirect("http://127.0.0.1:1".to_owned()), 1, MayFail),
        // What a source leaves out of all its listings nobody can know of.
        Fault { sides: &[Side::Destination], ..fault(Effect::OmitEntry, 1, MayFail) },
        Fault { sides: &[Side::Destination], ..fault(Effect::OmitEntry, u64::MAX, MayFail) },
    ]
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signing {
    /// In both forms, and a record.
    Everything,
    Nothing,
}

/// Between which kinds of registries, and what is signed at the destination.
struct Setting {
    from: fn() -> RegistryOptions,
    to: fn() -> RegistryOptions,
    signing: Signing,
    person: Person,
    enterprise: Person,
}

/// Cases at once: some of them wait.
const CASES: usize = 10;

/// Strikes with every fault at every `step`th request of each side: with another fault at another of them, so that every
/// request is struck.
async fn strike_everywhere(setting: &Setting, step: usize) {
    let (source, destination) = (setting.source().await, Registry::start((setting.to)()).unwrap());
    source.registry.clear_requests();
    setting.promote(&source, &destination, None).await.unwrap();
    let requests = [source.registry.requests().len(), destination.requests().len()];
    let whole = attached(&destination, &source).await;
    let expected = if setting.signing == Signing::Everything { 4 + 4 } else { 4 };
    // A bundle for each of the two, one more `.sig`, and the record.
    assert_eq!(whole.len(), expected, "{whole:?}");

    let faults = faults();
    assert!(faults.len() >= step);
    let cases = faults.iter().enumerate();
    let cases = cases.flat_map(|(number, fault)| fault.sides.iter().map(move |side| (number, fault, *side)));
    let failures = stream::iter(cases).map(|(number, fault, side)| {
        let whole = &whole;
        async move {
            let (source, mut failures) = (setting.source().await, 0);
            // What went wrong may make a few requests more.
            let all = requests[side as usize] + 3;
            for nth in (1..=all).filter(|nth| nth % step == number % step) {
                failures += usize::from(setting.strike(&source, fault, side, nth as u64, whole).await.is_err());
            }
            failures
        }
    });
    let failures: usize = failures.buffer_unordered(CASES).collect::<Vec<_>>().await.into_iter().sum();
    assert!(failures > 20, "{failures}");
}

/// A source of its own for each case, because the faults are the registry's.
struct Source {
    registry: Registry,
    image: sealift_core::oci::Descriptor,
}

impl Setting {
    fn new(from: fn() -> RegistryOptions, to: fn() -> RegistryOptions, signing: Signing) -> Self {
        Self { from, to, signing, person: Person::new(), enterprise: Person::new() }
    }

    async fn source(&self) -> Source {
        let registry = Registry::start((self.from)()).unwrap();
        let image = modest_image(&registry, &self.person).await;
        Source { registry, image }
    }

    async fn strike(
        &self,
        source: &Source,
        fault: &Fault,
        side: Side,
        nth: u64,
        whole: &[(AttachmentKind, Storage)],
    ) -> Result<Promoted, PromoteError> {
        let prod = Registry::start((self.to)()).unwrap();
        let old = prod.add("prod/app", &fixture::image(3), Some("v1")).unwrap().digest;
        let faulty = if side == Side::Source { &source.registry } else { &prod };
        faulty.set_faults([Rule::new(fault.effect.clone()).nth(nth).times(fault.times)]);
        let outcome = self.promote(source, &prod, Some(fault)).await;
        faulty.clear_faults();

        let place = format!("{:?} at request {nth} of the {side:?}: {outcome:?}", fault.effect);
        assert!(outcome.is_ok() || fault.outcome == Outcome::MayFail, "{place}");
        match tagged(&prod).unwrap() {
            now if now == source.image.digest => assert_eq!(attached(&prod, source).await, whole, "{place}"),
            // The reply to the last write may be what got lost.
            now => assert!(now == old && outcome.is_err(), "{place}"),
        }
        outcome
    }

    async fn promote(&self, source: &Source, prod: &Registry, fault: Option<&Fault>) -> Result<Promoted, PromoteError> {
        let mut access = in_a_hurry();
        if fault.is_some_and(|fault| matches!(fault.effect, Effect::Hang)) {
            access.timeouts.answer = PATIENCE;
        }
        let staging = open_with(access.clone(), &source.registry, "team/app").await;
        let prod = open_with(access, prod, "prod/app").await;
        let (promotion, to) = (of(source.image.clone()), target("v1", TagRule::Move));
        match self.signing {
            Signing::Nothing => self.person.promote_to(staging.as_read(), &*prod, &promotion, to).await,
            Signing::Everything => {
                let forms = [SignatureForm::Bundle, SignatureForm::CosignTag];
                let (enterprise, staging) = (&self.enterprise, staging.as_read());
                self.person.promote_endorsed(enterprise, staging, &*prod, &promotion, to, &forms).await
            }
        }
    }
}

/// How long an answer is waited for that never comes.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a stranger finds attached at the destination, whatever the digests are of what was signed there.
async fn attached(prod: &Registry, source: &Source) -> Vec<(AttachmentKind, Storage)> {
    let mut found = found(prod, &source.image).await;
    found.sort_by_key(|attachment| format!("{attachment:?}"));
    found
}
