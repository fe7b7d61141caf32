//! What a check asks for, and what it is given.

use sealift_core::evidence::{self, Effort, Evidence};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::Digest;
use sealift_core::repository::ReadRepository;
use sealift_core::verify::{Claim, Verifier};

use crate::lifecycle::{self, MarkerKind, Markers};

/// What must be known before a check can judge.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Demand<'a> {
    /// The end-of-life markers attached to the subject; those of `signers` only, where there are any.
    Lifecycle {
        /// Whose markers count; without, anyone's.
        signers: Option<&'a IdentityMatcher>,
        /// Which artifacts are markers.
        kinds: &'a [MarkerKind],
    },
    /// Nothing but what the policy says already.
    Nothing,
    /// What speaks for a claim about the subject.
    Signatures {
        /// The claim.
        claim: Claim,
        /// Whose signatures count.
        identities: &'a IdentityMatcher,
        /// How much must be looked at: one signature cannot answer a check that counts them.
        effort: Effort,
    },
}

/// What is known about a subject at a place, as one check demanded it.
#[derive(Debug, Default)]
pub struct Facts {
    evidence: Option<Evidence>,
    markers: Option<Markers>,
}

impl Facts {
    pub(crate) async fn gather(
        demand: Demand<'_>,
        repository: &dyn ReadRepository,
        subject: &Digest,
        verifier: &Verifier,
        least: Effort,
    ) -> Self {
        let mut facts = Self::default();
        match demand {
            Demand::Lifecycle { signers, kinds } => {
                let signers = signers.map(|signers| (verifier, signers));
                facts.markers = Some(lifecycle::read(repository, subject, signers, kinds).await);
            }
            Demand::Nothing => {}
            Demand::Signatures { claim, identities, effort } => {
                let effort = if least == Effort::All { least } else { effort };
                let evidence = evidence::gather(repository, subject, verifier, identities, &claim, effort).await;
                facts.evidence = Some(evidence);
            }
        }
        facts
    }

    /// Returns every signature found for the claim demanded, and what became of it.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// Returns the end-of-life markers found.
    pub fn markers(&self) -> Option<&Markers> {
        self.markers.as_ref()
    }
}
