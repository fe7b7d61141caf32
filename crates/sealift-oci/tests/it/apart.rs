//! Signatures in another repository: what neither place has, and what one of them could not tell.

use sealift_core::oci::{Descriptor, Selector};
use sealift_oci::Client;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Effect, RegistryOptions, Rule};

use crate::support::{access, kind, name, start};

#[tokio::test]
async fn what_one_place_could_not_tell_is_not_absent() {
    let (artifacts, signatures) = (start(RegistryOptions::default()), start(RegistryOptions::default()));
    artifacts.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    signatures.add("team/signatures", &fixture::image(2), Some("v1")).unwrap();
    let mut access = access();
    access.signatures = Some(name(&signatures, "team/signatures"));
    let client = Client::new(access).unwrap();
    let repository = client.open_signatures_read(&name(&artifacts, "team/app")).await.unwrap();
    let nothing = Descriptor::of("application/x", b"nowhere");
    let selector = Selector::Digest(nothing.digest.clone());
    for (fault, expected) in [(None, "not found"), (Some(403), "denied"), (Some(503), "unavailable")] {
        signatures.set_faults(fault.map(|status| Rule::new(Effect::Status(status))));
        assert_eq!(kind(&repository.resolve(&selector).await), expected);
        assert_eq!(kind(&repository.manifest(&selector).await), expected);
        assert_eq!(kind(&repository.fetch(&nothing).await), expected);
    }
}
