//! A thousand images verified through one process against a registry that throttles: all answered, none wrong, and hardly
//! a request for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::evidence::{Effort, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, media_type};
use sealift_core::sign::{KeySigner, sign};
use sealift_core::statement::Statement;
use sealift_core::verify::{Claim, Requirements, Verifier};
use sealift_oci::Client;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Endpoint, Registry, RegistryOptions, Throttle};

use crate::support::{access_as, name, start};

const IMAGES: u64 = 1000;
const REPOSITORIES: u64 = 10;

/// What verifying an image should say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    OtherSigner,
    Signed,
    Unsigned,
}

impl Expected {
    fn of(number: u64) -> Self {
        match number % 10 {
            0 => Self::OtherSigner,
            1 => Self::Unsigned,
            _ => Self::Signed,
        }
    }
}

async fn add(registry: &Registry, number: u64, signer: &KeySigner, other: &KeySigner) -> (String, Digest, Expected) {
    let repository = format!("team/app{}", number % REPOSITORIES);
    let image = fixture::image(number);
    registry.add(&repository, &image, None).unwrap();
    let expected = Expected::of(number);
    let signer = match expected {
        Expected::OtherSigner => other,
        Expected::Signed => signer,
        Expected::Unsigned => return (repository, image.digest().clone(), expected),
    };
    let statement = Statement::image_signature(image.digest(), BTreeMap::new()).unwrap();
    let bundle = sign(&statement, signer, &[]).await.unwrap().to_json().unwrap();
    let bundle_type = media_type::SIGSTORE_BUNDLE_V03;
    let signature = fixture::artifact(bundle_type, bundle_type, bundle.as_ref(), Some(image.descriptor()));
    registry.add(&repository, &signature, None).unwrap();
    (repository, image.digest().clone(), expected)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_verifications_are_answered_by_a_registry_that_throttles() {
    let mut options = RegistryOptions::default().with_auth(Auth::token("user", "pass"));
    // A hundred requests each tenth of a second: ten times as fast as the limit that is meant, in a tenth of the time.
    options.quirks.throttle = Some(Throttle { requests: 100, window: Duration::from_millis(100), retry_after: None });
    let registry = start(options);
    let key = || PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let (key, other) = (key(), KeySigner::new(key()));
    let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).unwrap();
    let signer = KeySigner::new(key);
    let mut images = Vec::new();
    for number in 0..IMAGES {
        images.push(add(&registry, number, &signer, &other).await);
    }

    let client = Client::new(access_as(&registry, "user", "pass")).unwrap();
    let verifier = Verifier::new(Requirements::default());
    let (client, registry_ref, verifier, identity) = (&client, &registry, &verifier, &identity);
    let verdicts = stream::iter(images).map(|(repository, digest, expected)| async move {
        let opened = client.open_read(&name(registry_ref, &repository)).await.unwrap();
        let claim = Claim::ImageSignature;
        let evidence = gather(&*opened, &digest, verifier, identity, &claim, Effort::FirstMatch).await;
        assert!(evidence.undecided().is_empty(), "{digest}: {:?}", evidence.undecided());
        let found = match (evidence.verified().len(), evidence.rejected().len()) {
            (1, _) => Expected::Signed,
            (0, 1) => Expected::OtherSigner,
            _ => Expected::Unsigned,
        };
        (found == expected, digest)
    });
    let verdicts: Vec<_> = verdicts.buffer_unordered(64).collect().await;
    let wrong: Vec<_> = verdicts.iter().filter(|(is_right, _)| !is_right).collect();
    assert!(verdicts.len() as u64 == IMAGES && wrong.is_empty(), "{wrong:?}");

    let requests = registry.requests();
    let with_status = |status: u16| requests.iter().filter(|request| request.status == status).count();
    // Listing, manifest and bundle of an image that is signed; the fallback tag and cosign's of every other one, too.
    let useful: usize = (0..IMAGES)
        .map(|number| match Expected::of(number) {
            Expected::Signed => 3,
            Expected::OtherSigner => 5,
            Expected::Unsigned => 3,
        })
        .sum();
    // One token for each repository, however many wait for it.
    let tokens = requests.iter().filter(|request| request.endpoint == Endpoint::Token && request.status == 200);
    let tokens = tokens.count();
    assert_eq!(tokens as u64, REPOSITORIES);
    assert_eq!(with_status(200) + with_status(404) - tokens, useful);
    // No storms: as many refusals as there were requests under way, now and then, and not one for each request.
    let throttled = with_status(429);
    assert!(throttled <= useful / 10, "{throttled} of {} requests were throttled", requests.len());
    assert!(with_status(401) <= 64, "{} requests went without a token", with_status(401));
}
