//! Who decides at the two gates.

use std::fmt::Debug;

use async_trait::async_trait;
use sealift_core::oci::{Digest, RepositoryName};
use sealift_core::repository::ReadRepository;
use sealift_policy::Decision;

/// Decides about one digest at one place. A promotion asks at the source, and again about what arrived.
#[async_trait]
pub trait Judge: Debug + Send + Sync {
    /// Returns the decision of a policy about `subject` at `repository`, from what `repository` holds and nothing else.
    async fn judge(&self, repository: &dyn ReadRepository, subject: &Digest) -> Decision;

    /// Returns the decision about `subject` at `repository` where it is a "no" whatever `repository` holds, so that
    /// nothing is moved there in vain; `None` where it depends on that.
    fn foresee(&self, _repository: &RepositoryName, _subject: &Digest) -> Option<Decision> {
        None
    }
}
