//! Requirements: how many of which signers, and how old it may be.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use sealift_core::document::{DocumentError, Entry, Fields};
use sealift_core::identity::{Identity, IdentityMatcher};
use sealift_core::statement::predicate;

use super::MAX_SIGNERS_OF_ONE;
use super::signer::{KeyReader, read_reference};
use crate::age::Duration;
use crate::quorum::{Quorum, Signer};

/// What must be signed, by whom, and how lately.
#[derive(Debug)]
pub(super) struct Requirement {
    /// Where the document demands it.
    pub(super) path: String,
    pub(super) quorum: Quorum,
    pub(super) max_age: Option<Duration>,
}

impl Requirement {
    pub(super) fn read(
        entry: &Entry<'_>,
        fields: &Fields<'_>,
        named: &BTreeMap<String, Signer>,
        read_key: &mut KeyReader<'_>,
    ) -> Result<Self, DocumentError> {
        let (form, listed) = fields.one(&["anyOf", "allOf"])?;
        let signers = read_signers(&listed, named, read_key)?;
        let quorum = match (form, fields.optional("threshold")) {
            ("allOf", Some(threshold)) => return Err(threshold.expected("no threshold beside `allOf`")),
            ("allOf", None) => Quorum::all(signers),
            (_, None) => Quorum::at_least(NonZeroUsize::MIN, signers),
            (_, Some(threshold)) => Quorum::at_least(read_threshold(&threshold, &signers)?, signers),
        };
        let quorum = quorum.map_err(|error| listed.refused("nobody can satisfy it", error))?;
        let max_age = fields.optional("maxAge").map(|entry| entry.parsed("an age, such as `30d`")).transpose()?;
        Ok(Self { path: entry.path().to_owned(), quorum, max_age })
    }
}

/// Reads a list of signers, each of whom is there once.
pub(super) fn read_signers(
    listed: &Entry<'_>,
    named: &BTreeMap<String, Signer>,
    read_key: &mut KeyReader<'_>,
) -> Result<Vec<Signer>, DocumentError> {
    let mut signers = Vec::new();
    for entry in listed.list("signers", MAX_SIGNERS_OF_ONE)? {
        let signer = read_reference(&entry, named, read_key)?;
        if signers.iter().any(|known| is_same(known, &signer)) {
            return Err(entry.expected("a signer that is not listed already"));
        }
        signers.push(signer);
    }
    Ok(signers)
}

/// Reads an attestation's type: a short name, or the URI itself.
pub(super) fn read_type(entry: &Entry<'_>) -> Result<String, DocumentError> {
    let expected = || {
        let names: Vec<&str> = predicate::SHORT_NAMES.iter().map(|(name, _)| *name).collect();
        format!("an attestation's type: a URI, or one of {}", names.join(", "))
    };
    let text = entry.text(&expected())?;
    match predicate::from_short_name(text) {
        Some(predicate_type) => Ok(predicate_type.to_owned()),
        None if text.contains([':', '/']) => Ok(text.to_owned()),
        None => Err(entry.expected(expected())),
    }
}

/// Reads how many must sign. More than there are people can never be met, unless patterns, which many people may fit,
/// are among the signers.
fn read_threshold(entry: &Entry<'_>, signers: &[Signer]) -> Result<NonZeroUsize, DocumentError> {
    let exact: Option<Vec<Identity>> = signers.iter().map(|signer| signer.identities.only_signer()).collect();
    let most = if exact.is_some() { signers.len() } else { MAX_SIGNERS_OF_ONE };
    let count = entry.number(1, most)?;
    let mut people: Vec<Identity> = Vec::new();
    for signer in exact.into_iter().flatten() {
        if !people.iter().any(|known| known.is_same_person(&signer)) {
            people.push(signer);
        }
    }
    if !people.is_empty() && count > people.len() {
        return Err(entry.expected(format!("at most {}, as many distinct people as the signers are", people.len())));
    }
    NonZeroUsize::new(count).ok_or_else(|| entry.expected("at least 1"))
}

/// Says whether two signers are one: the same name, or the same key under two names.
fn is_same(one: &Signer, other: &Signer) -> bool {
    let fingerprints = |identities: &IdentityMatcher| -> Vec<String> {
        identities.accepted_keys().iter().map(sealift_core::crypto::PublicKey::fingerprint).collect()
    };
    let shares_key = fingerprints(&one.identities).iter().any(|key| fingerprints(&other.identities).contains(key));
    one.name == other.name || shares_key
}
