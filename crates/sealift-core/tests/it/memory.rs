//! The repository in memory keeps the contract, in each of its modes.

use sealift_core::repository::{MemoryRepository, ReferrersSupport};
use sealift_sandbox::conformance;

#[tokio::test]
async fn lists_referrers_by_itself() {
    conformance::repository(&MemoryRepository::new("api").requiring_children()).await;
}

#[tokio::test]
async fn leaves_referrers_to_the_fallback_tag() {
    let repository = MemoryRepository::new("fallback").with_referrers(ReferrersSupport::FallbackTagOnly);
    conformance::repository(&repository.requiring_children()).await;
}
