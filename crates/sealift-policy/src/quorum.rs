//! Whose word a check needs, and how many of them.

use std::fmt;
use std::num::NonZeroUsize;

use sealift_core::evidence::Effort;
use sealift_core::identity::{EmptyIdentity, Identity, IdentityMatcher};
use sealift_core::verify::Verified;

/// Signers of whom some, or all, must have signed. Counts people, not signatures: what one signer signs twice counts
/// once.
#[derive(Clone, Debug)]
pub struct Quorum {
    signers: Vec<Signer>,
    threshold: Threshold,
    accepted: IdentityMatcher,
}

/// A signer as a policy names it: one key, or everyone whom a description of certificates fits.
#[derive(Clone, Debug)]
pub struct Signer {
    /// What findings call it.
    pub name: String,
    /// Whose signatures are this signer's.
    pub identities: IdentityMatcher,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Threshold {
    /// Each of the signers, by a signature of its own.
    All,
    /// This many distinct people.
    AtLeast(NonZeroUsize),
}

impl Quorum {
    /// Demands a signature by any of `identities`.
    pub fn any(identities: IdentityMatcher) -> Self {
        let signer = Signer { name: "an accepted signer".to_owned(), identities: identities.clone() };
        Self { signers: vec![signer], threshold: Threshold::AtLeast(NonZeroUsize::MIN), accepted: identities }
    }

    /// Demands signatures by at least `count` distinct people, each of whom is one of `signers`.
    ///
    /// # Errors
    /// [`EmptyIdentity`] without signers.
    pub fn at_least(count: NonZeroUsize, signers: Vec<Signer>) -> Result<Self, EmptyIdentity> {
        Self::new(signers, Threshold::AtLeast(count))
    }

    /// Demands a signature by each of `signers`. One person stands for one of them, whomever the descriptions fit.
    ///
    /// # Errors
    /// [`EmptyIdentity`] without signers.
    pub fn all(signers: Vec<Signer>) -> Result<Self, EmptyIdentity> {
        Self::new(signers, Threshold::All)
    }

    fn new(signers: Vec<Signer>, threshold: Threshold) -> Result<Self, EmptyIdentity> {
        let all = signers.iter().map(|signer| signer.identities.clone());
        let accepted = all.reduce(IdentityMatcher::or).ok_or(EmptyIdentity)?;
        Ok(Self { signers, threshold, accepted })
    }

    /// Returns everyone whose signature may count.
    pub fn accepted(&self) -> &IdentityMatcher {
        &self.accepted
    }

    /// Returns the signers named.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// Returns how much must be looked at for an answer.
    pub fn effort(&self) -> Effort {
        match self.threshold {
            Threshold::AtLeast(NonZeroUsize::MIN) => Effort::FirstMatch,
            Threshold::All if self.signers.len() == 1 => Effort::FirstMatch,
            _ => Effort::All,
        }
    }

    /// Counts who signed.
    pub fn count<'a>(&self, signatures: impl IntoIterator<Item = &'a Verified>) -> Count {
        let mut people: Vec<&Identity> = Vec::new();
        for signature in signatures {
            let signer = signature.signer();
            if self.accepted.accepts(signer) && !people.iter().any(|known| known.is_same_signer(signer)) {
                people.push(signer);
            }
        }
        let counted = people.iter().map(|person| (*person).clone()).collect();
        match self.threshold {
            Threshold::AtLeast(count) => Count { is_met: people.len() >= count.get(), counted, missing: Vec::new() },
            Threshold::All => {
                let missing = self.without_a_person(&people);
                Count { is_met: missing.is_empty(), counted, missing }
            }
        }
    }

    /// Gives each signer a person of its own as far as that is possible, and returns the signers left without one.
    fn without_a_person(&self, people: &[&Identity]) -> Vec<String> {
        let fits: Vec<Vec<usize>> = self
            .signers
            .iter()
            .map(|signer| (0..people.len()).filter(|person| signer.identities.accepts(people[*person])).collect())
            .collect();
        let mut given: Vec<Option<usize>> = vec![None; people.len()];
        let mut missing = Vec::new();
        for (index, signer) in self.signers.iter().enumerate() {
            if !assign(index, &fits, &mut given, &mut vec![false; people.len()]) {
                missing.push(signer.name.clone());
            }
        }
        missing
    }
}

/// Gives `signer` a person, moving others to theirs where that makes room: a step of bipartite matching. The depth is
/// bounded by the number of signers, which documents bound.
fn assign(signer: usize, fits: &[Vec<usize>], given: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &person in &fits[signer] {
        if std::mem::replace(&mut tried[person], true) {
            continue;
        }
        let is_free = match given[person] {
            None => true,
            Some(other) => assign(other, fits, given, tried),
        };
        if is_free {
            given[person] = Some(signer);
            return true;
        }
    }
    false
}

/// Who signed, of those a quorum names.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Count {
    /// Whether it is enough.
    pub is_met: bool,
    /// The people counted.
    pub counted: Vec<Identity>,
    /// Names of the signers who must have signed and did not; empty where any may.
    pub missing: Vec<String>,
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.signers.iter().map(|signer| signer.name.as_str()).collect();
        let names = names.join(", ");
        match self.threshold {
            _ if self.signers.len() == 1 && self.effort() == Effort::FirstMatch => f.write_str(&names),
            Threshold::All => write!(f, "all of {names}"),
            Threshold::AtLeast(NonZeroUsize::MIN) => write!(f, "any of {names}"),
            Threshold::AtLeast(count) => write!(f, "{count} distinct of {names}"),
        }
    }
}
