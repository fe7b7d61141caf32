//! Whose word a check needs, and how many of them.

use std::fmt;
use std::num::NonZeroUsize;

use sealift_core::evidence::Effort;
use sealift_core::identity::{EmptyIdentity, Identity, IdentityMatcher};

/// Signers of whom some, or all, must have signed. Counts people, not signatures: what one signs twice counts once. Who
/// is the same, [`Identity::is_same_person`] says; where all are demanded, those named exactly are told apart by
/// [`Identity::is_same_signer`].
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

    /// Counts who signed, given the signer of each signature.
    pub fn count<'a>(&self, signatures: impl IntoIterator<Item = &'a Identity>) -> Count {
        // Whoever wrote the names of all knows whose they are; whom a pattern fits is nobody's choice.
        let named: Vec<&IdentityMatcher> = match self.threshold {
            Threshold::All => {
                self.signers.iter().map(|signer| &signer.identities).filter(|one| one.only_signer().is_some()).collect()
            }
            Threshold::AtLeast(_) => Vec::new(),
        };
        let is_named = |signer: &Identity| named.iter().any(|named| named.accepts(signer));
        let mut signatures: Vec<_> = signatures
            .into_iter()
            .filter(|signer| self.accepted.accepts(signer))
            .map(|signer| (!is_named(signer), signer))
            .collect();
        // Registries list signatures as they like; what is said of them, and recorded, must not depend on that. Those
        // named come first: whoever else is the same person joins one of them, and joins no two into one.
        signatures.sort_unstable();
        // Each person by all the certificates, since one may fit a description that another does not.
        let mut people: Vec<Vec<&Identity>> = Vec::new();
        for (is_unnamed, signer) in signatures {
            let is_same = if is_unnamed { Identity::is_same_person } else { Identity::is_same_signer };
            match people.iter_mut().find(|known| known.iter().any(|known| is_same(known, signer))) {
                Some(known) => known.push(signer),
                None => people.push(vec![signer]),
            }
        }
        let mut counted: Vec<Identity> =
            people.iter().filter_map(|person| person.first()).map(|signer| (*signer).clone()).collect();
        counted.sort_unstable();
        match self.threshold {
            Threshold::AtLeast(count) => Count { is_met: people.len() >= count.get(), counted, missing: Vec::new() },
            Threshold::All => {
                let missing = self.without_a_person(&people);
                Count { is_met: missing.is_empty(), counted, missing }
            }
        }
    }

    /// Gives each signer a person of its own as far as that is possible, and returns the signers left without one.
    fn without_a_person(&self, people: &[Vec<&Identity>]) -> Vec<String> {
        let fits = |signer: &Signer, person: &[&Identity]| person.iter().any(|one| signer.identities.accepts(one));
        let fits: Vec<Vec<usize>> = self
            .signers
            .iter()
            .map(|signer| (0..people.len()).filter(|person| fits(signer, &people[*person])).collect())
            .collect();
        let mut given: Vec<Option<usize>> = vec![None; people.len()];
        let mut missing = Vec::new();
        // Those named exactly first: whoever signed as one of them is not said to be missing for a pattern's sake.
        let mut order: Vec<(usize, &Signer)> = self.signers.iter().enumerate().collect();
        order.sort_by_key(|(_, signer)| signer.identities.only_signer().is_none());
        for (index, signer) in order {
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
    /// The people counted, each once and in the order of their identities.
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

#[cfg(test)]
mod tests {
    use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
    use sealift_core::identity::CertificateIdentity;
    use sealift_core::pattern::Pattern;
    use sealift_core::x509::{FulcioExtension, FulcioExtensions};

    use super::*;

    /// Keys of `a`, `b` and `c`, and signers named by the letters of those whose signature is theirs.
    struct People([PrivateKey; 3]);

    impl People {
        fn new() -> Self {
            Self(std::array::from_fn(|_| PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap()))
        }

        fn key(&self, letter: char) -> &PrivateKey {
            &self.0["abc".find(letter).unwrap()]
        }

        fn signers(&self, names: &[&str]) -> Vec<Signer> {
            let signer = |name: &&str| {
                let keys = name.chars().map(|letter| self.key(letter).public_key().clone()).collect();
                Signer { name: (*name).to_owned(), identities: IdentityMatcher::keys(keys).unwrap() }
            };
            names.iter().map(signer).collect()
        }

        fn count(&self, quorum: &Quorum, signatures: &str) -> Count {
            let signatures: Vec<Identity> =
                signatures.chars().map(|letter| Identity::of_key(self.key(letter).public_key())).collect();
            quorum.count(&signatures)
        }
    }

    #[test]
    fn people_are_counted_not_signatures() {
        let people = People::new();
        let two = NonZeroUsize::new(2).unwrap();
        for (names, signatures, is_met) in [
            (&["a", "b"][..], "ab", true),
            (&["a", "b"], "aaaa", false),
            (&["a", "b"], "ac", false),
            (&["a", "b", "c"], "cb", true),
            (&["abc"], "ab", true),
            (&["abc", "ab"], "aa", false),
            (&["a", "b"], "", false),
        ] {
            let quorum = Quorum::at_least(two, people.signers(names)).unwrap();
            assert_eq!(people.count(&quorum, signatures).is_met, is_met, "{quorum}: {signatures}");
        }
    }

    #[test]
    fn one_person_stands_for_one_signer_of_all() {
        let people = People::new();
        for (names, signatures, missing) in [
            (&["a", "b"][..], "ba", &[][..]),
            (&["a", "b"], "b", &["a"]),
            (&["ab", "a"], "ba", &[]),
            // Whoever comes first takes nobody away from those who fit less.
            (&["ab", "a"], "ab", &[]),
            (&["abc", "ab", "a"], "acb", &[]),
            (&["ab", "ab", "c"], "ac", &["ab"]),
            (&["a"], "a", &[]),
        ] {
            let quorum = Quorum::all(people.signers(names)).unwrap();
            let count = people.count(&quorum, signatures);
            assert_eq!(
                (count.missing, count.is_met),
                (missing.iter().map(ToString::to_string).collect(), missing.is_empty())
            );
        }
    }

    #[test]
    fn the_order_of_signatures_changes_nothing() {
        let people = People::new();
        let two = NonZeroUsize::new(2).unwrap();
        let signers = || people.signers(&["a", "b", "c"]);
        for quorum in [Quorum::at_least(two, signers()).unwrap(), Quorum::all(signers()).unwrap()] {
            for (signatures, others) in [("ab", "ba"), ("abc", "cab"), ("aab", "bba"), ("abc", "bca")] {
                assert_eq!(people.count(&quorum, signatures), people.count(&quorum, others), "{quorum}: {others}");
            }
        }
    }

    /// A person signs from several places; what a description demands may be in any of the certificates.
    #[test]
    fn a_person_is_all_the_certificates_of_that_name() {
        let certificate = |name: &str, environment: &str| Identity::Certificate {
            subject: name.to_owned(),
            issuer: Some("https://issuer.example".to_owned()),
            extensions: FulcioExtensions::from_iter([
                (FulcioExtension::Issuer, "https://issuer.example".to_owned()),
                (FulcioExtension::DeploymentEnvironment, environment.to_owned()),
            ]),
        };
        let signer = |name: &str, environment: Option<&str>| {
            let pattern = |text: &str| Pattern::exact(text.to_owned());
            let identity = CertificateIdentity::new(pattern(name), pattern("https://issuer.example"));
            let identity = match environment {
                Some(environment) => {
                    identity.with_extension(FulcioExtension::DeploymentEnvironment, pattern(environment))
                }
                None => identity,
            };
            let identities = IdentityMatcher::certificates(vec![identity]).unwrap();
            Signer { name: name.to_owned(), identities }
        };
        let quorum = Quorum::all(vec![signer("ann", Some("prod")), signer("bob", None)]).unwrap();
        let either = Quorum::all(vec![signer("ann", Some("prod")), signer("ann", None)]).unwrap();
        let (test, prod, bob) = (certificate("ann", "test"), certificate("ann", "prod"), certificate("bob", ""));
        for (signatures, missing) in [
            (vec![&test, &prod, &bob], vec![]),
            (vec![&prod, &test, &bob], vec![]),
            (vec![&test, &bob], vec!["ann".to_owned()]),
        ] {
            assert_eq!(quorum.count(signatures.clone()).missing, missing, "{signatures:?}");
            assert_eq!(either.count(signatures.clone()).counted.len(), 1);
            assert!(!either.count(signatures).is_met, "one person stands for one signer");
        }
        let first = Quorum::all(vec![signer("ann", None), signer("bob", None), signer("ann", Some("prod"))]).unwrap();
        assert!(!first.count([&test, &prod, &bob]).is_met);
    }

    /// Two who agree are two people: not one who signs in at two places, nor one workflow that runs on two branches.
    #[test]
    fn a_threshold_counts_no_person_twice() {
        let certificate = |name: &str, issuer: &str| Identity::Certificate {
            subject: name.to_owned(),
            issuer: Some(issuer.to_owned()),
            extensions: FulcioExtensions::from_iter([(FulcioExtension::Issuer, issuer.to_owned())]),
        };
        let anyone = CertificateIdentity::new(Pattern::glob("**"), Pattern::glob("**"));
        let identities = IdentityMatcher::certificates(vec![anyone]).unwrap();
        let signer = Signer { name: "anyone".to_owned(), identities };
        let two = Quorum::at_least(NonZeroUsize::new(2).unwrap(), vec![signer.clone()]).unwrap();
        let (a, b) = ("https://a.example", "https://b.example");
        let github = "https://github.com/acme/app/.github/workflows";
        let gitlab = "https://gitlab.com/acme/app//.gitlab-ci.yml";
        for (one, other, are_two) in [
            (("ann@example.com", a), ("ann@example.com", a), false),
            (("ann@example.com", a), ("Ann@Example.com", b), false),
            (("ann@example.com", a), ("bob@example.com", a), true),
            // A name is one person's only where it is vouched for, unless it is an address.
            (("ann", a), ("ann", b), true),
            (("spiffe://one/builder", a), ("spiffe://one/builder", b), true),
            ((&format!("{github}/r.yml@refs/heads/main"), a), (&format!("{github}/r.yml@refs/heads/x"), a), false),
            ((&format!("{github}/r.yaml@refs/heads/a@b"), a), (&format!("{github}/r.yaml@0123abc"), a), false),
            ((&format!("{github}/r.yml@refs/heads/main"), a), (&format!("{github}/r.yml@refs/tags/v1"), b), false),
            ((&format!("{github}/r.yml@refs/heads/main"), a), (&format!("{github}/s.yml@refs/heads/main"), a), true),
            ((&format!("{gitlab}@refs/heads/main"), a), (&format!("{gitlab}@refs/tags/v1"), a), false),
            ((&format!("{gitlab}@refs/heads/main"), a), (&format!("{github}/r.yml@refs/heads/main"), a), true),
        ] {
            let signatures = [certificate(one.0, one.1), certificate(other.0, other.1)];
            for signatures in [[&signatures[0], &signatures[1]], [&signatures[1], &signatures[0]]] {
                assert_eq!(two.count(signatures).is_met, are_two, "{signatures:?}");
            }
        }
        // Whoever lists both demands both.
        let listed = |name: &str| {
            let identity = CertificateIdentity::new(Pattern::exact(name.to_owned()), Pattern::exact(a.to_owned()));
            Signer { name: name.to_owned(), identities: IdentityMatcher::certificates(vec![identity]).unwrap() }
        };
        let names = ["main", "release"].map(|branch| format!("{github}/r.yml@refs/heads/{branch}"));
        let all = Quorum::all(names.iter().map(|name| listed(name)).collect()).unwrap();
        assert!(all.count(&names.clone().map(|name| certificate(&name, a))).is_met);
    }

    /// A pattern fits every branch that somebody pushes, so what one workflow signs stands for one signer, unless the
    /// signers are written out.
    #[test]
    fn of_all_patterns_each_needs_a_person_of_its_own() {
        let issuer = "https://issuer.example";
        let run = |workflow: &str, branch: &str| {
            format!("https://github.com/acme/{workflow}/.github/workflows/r.yml@refs/heads/{branch}")
        };
        let signer = |subject: Pattern| {
            let name = subject.to_string();
            let identity = CertificateIdentity::new(subject, Pattern::exact(issuer.to_owned()));
            Signer { name, identities: IdentityMatcher::certificates(vec![identity]).unwrap() }
        };
        let certificate = |subject: &str| Identity::Certificate {
            subject: subject.to_owned(),
            issuer: Some(issuer.to_owned()),
            extensions: FulcioExtensions::from_iter([(FulcioExtension::Issuer, issuer.to_owned())]),
        };
        let exact = |workflow: &str, branch: &str| signer(Pattern::exact(run(workflow, branch)));
        let regex = |text: &str| signer(Pattern::regex(text).unwrap());
        let glob = |text: &str| signer(Pattern::glob(text));
        let (app, acme) = ("https://github.com/acme/app/**", "https://github.com/acme/**");
        let (main, x, lib) = (("app", "main"), ("app", "a"), ("lib", "main"));
        let release = ("app", "release");
        for (signers, signatures, is_met) in [
            (vec![glob(app), glob(acme)], vec![main, x], false),
            (vec![glob(app), glob(acme)], vec![main, lib], true),
            (vec![regex(".*main"), regex(".*/a")], vec![main, x], false),
            (vec![exact("app", "main"), glob(acme)], vec![main, x], false),
            (vec![exact("app", "main"), glob(acme)], vec![main, lib], true),
            (vec![exact("app", "main"), glob(&run("app", "a"))], vec![main, x], true),
            (vec![exact("app", "main"), exact("app", "release"), glob(acme)], vec![main, release, x], false),
            (vec![exact("app", "main"), exact("app", "release"), glob(acme)], vec![main, release, x, lib], true),
            (vec![exact("app", "main"), exact("app", "release")], vec![main, x], false),
        ] {
            let quorum = Quorum::all(signers).unwrap();
            let mut signatures: Vec<_> =
                signatures.iter().map(|(workflow, branch)| certificate(&run(workflow, branch))).collect();
            let count = quorum.count(&signatures);
            assert_eq!(count.is_met, is_met, "{quorum}: {signatures:?}");
            assert!(count.counted.is_sorted());
            assert!(is_met || !count.missing.contains(&run("app", "main")), "who signed is not missing: {quorum}");
            signatures.reverse();
            assert_eq!(quorum.count(&signatures), count);
        }
    }

    #[test]
    fn nobody_is_no_quorum_and_one_signature_answers_only_who_needs_one() {
        let people = People::new();
        assert!(Quorum::all(Vec::new()).is_err() && Quorum::at_least(NonZeroUsize::MIN, Vec::new()).is_err());
        let any = Quorum::at_least(NonZeroUsize::MIN, people.signers(&["a", "b"])).unwrap();
        assert_eq!((any.effort(), any.to_string().as_str()), (Effort::FirstMatch, "any of a, b"));
        let all = Quorum::all(people.signers(&["a", "b"])).unwrap();
        assert_eq!((all.effort(), all.to_string().as_str()), (Effort::All, "all of a, b"));
        let one = Quorum::all(people.signers(&["a"])).unwrap();
        assert_eq!((one.effort(), one.to_string().as_str()), (Effort::FirstMatch, "a"));
    }
}
