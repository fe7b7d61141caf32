//! Images that this process works on under several tags: read and judged once, and delivered to one place by one at a
//! time.
//!
//! Remembers a few that passed the first gate, so that a run over many images stays small; never a refusal, nor what
//! could not be told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::lock::{Mutex as AsyncMutex, OwnedMutexGuard};
use sealift_core::locked;
use sealift_core::oci::{Digest, RepositoryName};
use sealift_promote::{AdmittedPlan, Gate, PromoteError};

use crate::promoter::Demand;

/// The most images remembered.
const MAX_ADMITTED: usize = 64;
/// The most bytes of the manifests of one image that is remembered.
const MAX_IMAGE_BYTES: u64 = 512 * 1024;

/// An image of a repository, and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) repository: RepositoryName,
    pub(crate) digest: Digest,
    pub(crate) platforms: Vec<String>,
    pub(crate) demand: Arc<Demand>,
}

impl Candidate {
    fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.repository == other.repository
            && self.platforms == other.platforms
            && Arc::ptr_eq(&self.demand, &other.demand)
    }
}

/// What passed the first gate; nothing while it is being judged.
type Admission = Arc<AsyncMutex<Option<AdmittedPlan>>>;

/// The turn to deliver an image to a repository.
type Turn = Arc<AsyncMutex<()>>;

/// The images that passed the first gate, and who delivers what where.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    admitted: Mutex<VecDeque<(Candidate, Admission)>>,
    deliveries: Mutex<HashMap<(RepositoryName, Digest), Turn>>,
}

impl Admissions {
    /// Returns what `candidate` was admitted with before, else what `admit` says.
    pub(crate) async fn admit(
        &self,
        candidate: Candidate,
        admit: impl Future<Output = Result<Gate<AdmittedPlan>, PromoteError>>,
    ) -> Result<Gate<AdmittedPlan>, PromoteError> {
        let admission = self.admission(candidate);
        let mut admission = admission.lock().await;
        if let Some(admitted) = &*admission {
            return Ok(Gate::Passed(admitted.clone()));
        }
        let gate = admit.await?;
        if let Gate::Passed(admitted) = &gate {
            let manifests = admitted.plan().objects().iter().map(|object| object.manifest.descriptor().size);
            *admission = (manifests.sum::<u64>() <= MAX_IMAGE_BYTES).then(|| admitted.clone());
        }
        Ok(gate)
    }

    /// Waits until nobody else delivers this image to any of `repositories`.
    ///
    /// Whoever comes second finds everything there and signs nothing twice.
    pub(crate) async fn deliver<'r>(
        &self,
        digest: &Digest,
        repositories: impl IntoIterator<Item = &'r RepositoryName>,
    ) -> Vec<OwnedMutexGuard<()>> {
        let mut repositories: Vec<_> = repositories.into_iter().collect();
        // In one order, so that nobody waits in a circle.
        repositories.sort_unstable();
        let mut turns = Vec::new();
        for repository in repositories {
            let turn = {
                let mut deliveries = locked(&self.deliveries);
                deliveries.retain(|_, turn| Arc::strong_count(turn) > 1);
                Arc::clone(deliveries.entry((repository.clone(), digest.clone())).or_default())
            };
            turns.push(turn.lock_owned().await);
        }
        turns
    }

    fn admission(&self, candidate: Candidate) -> Admission {
        let mut admitted = locked(&self.admitted);
        if let Some((_, known)) = admitted.iter().find(|(known, _)| known.is_same(&candidate)) {
            return Arc::clone(known);
        }
        if admitted.len() == MAX_ADMITTED {
            admitted.pop_front();
        }
        let admission = Admission::default();
        admitted.push_back((candidate, Arc::clone(&admission)));
        admission
    }
}
