//! Scopes: which repositories, and what is demanded of what is there.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use jiff::Timestamp;
use sealift_core::document::{DocumentError, Entry};
use sealift_core::oci::Reference;
use sealift_core::pattern::Pattern;

use super::requirement::{Requirement, read_signers};
use super::signer::KeyReader;
use super::{MAX_REQUIREMENTS, bounded, fields, host_pattern};
use crate::age::Duration;
use crate::check::{Attested, EndOfLife, SignedBy};
use crate::lifecycle::MarkerKind;
use crate::policy::Policy;
use crate::quorum::{Quorum, Signer};

/// What is demanded of the content of some repositories.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) pattern: Pattern,
    pub(super) specificity: Specificity,
    signatures: Vec<Requirement>,
    attestations: Vec<(String, Requirement)>,
    end_of_life: Option<EndOfLifeRule>,
}

/// That what is past its end of life is denied.
#[derive(Debug)]
struct EndOfLifeRule {
    path: String,
    grace: Option<Duration>,
    /// Whose markers count; without, anyone's.
    signers: Option<Quorum>,
    /// Which artifacts are markers, besides Microsoft's.
    marker: Option<MarkerKind>,
}

/// How much a pattern says: of patterns that fit, the greatest decides.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Specificity {
    is_exact: bool,
    /// Bytes before the first wildcard.
    prefix: usize,
    /// Bytes that are no wildcards.
    literal: usize,
}

impl Scope {
    pub(super) fn read(
        entry: &Entry<'_>,
        signers: &BTreeMap<String, Signer>,
        read_key: &mut KeyReader<'_>,
    ) -> Result<Self, DocumentError> {
        let scope = entry.fields(fields::SCOPE)?;
        let (pattern, specificity) = read_pattern(&scope.required("repository")?)?;
        let (signatures, attestations) = (scope.optional("signatures"), scope.optional("attestations"));
        if signatures.is_none() && attestations.is_none() {
            // Which would mean "anything", and nobody writes that by accident only.
            scope.one(&["signatures", "attestations"])?;
        }
        let mut read =
            Self { pattern, specificity, signatures: Vec::new(), attestations: Vec::new(), end_of_life: None };
        for entry in list(signatures, "signatures")? {
            let fields = entry.fields(fields::SIGNATURE)?;
            read.signatures.push(Requirement::read(&entry, &fields, signers, read_key)?);
        }
        for entry in list(attestations, "attestations")? {
            let fields = entry.fields(fields::ATTESTATION)?;
            let predicate_type = super::requirement::read_type(&fields.required("type")?)?;
            read.attestations.push((predicate_type, Requirement::read(&entry, &fields, signers, read_key)?));
        }
        if let Some(entry) = scope.optional("endOfLife") {
            read.end_of_life = Some(EndOfLifeRule::read(&entry, signers, read_key)?);
        }
        Ok(read)
    }

    /// Adds what is demanded here to `policy`.
    pub(super) fn demand(&self, policy: &mut Policy, now: Option<Timestamp>) {
        for Requirement { path, quorum, max_age } in &self.signatures {
            let age = max_age.map(|limit| crate::AgeLimit::new(limit, now));
            policy.add(path, Box::new(SignedBy::of(quorum.clone(), age)));
        }
        for (predicate_type, Requirement { path, quorum, max_age }) in &self.attestations {
            let age = max_age.map(|limit| crate::AgeLimit::new(limit, now));
            policy.add(path, Box::new(Attested::of(predicate_type, quorum.clone(), age)));
        }
        if let Some(EndOfLifeRule { path, grace, signers, marker }) = &self.end_of_life {
            let check = EndOfLife::new(*grace, now).marked_by(signers.clone()).marked_as(marker.clone());
            policy.add(path, Box::new(check));
        }
    }
}

impl EndOfLifeRule {
    fn read(
        entry: &Entry<'_>,
        named: &BTreeMap<String, Signer>,
        read_key: &mut KeyReader<'_>,
    ) -> Result<Self, DocumentError> {
        let fields = entry.fields(fields::END_OF_LIFE)?;
        let grace = fields.optional("grace").map(|entry| entry.parsed("a span of time, such as `7d`")).transpose()?;
        let signers = match fields.optional("anyOf") {
            Some(entry) => {
                let signers = read_signers(&entry, named, read_key)?;
                let quorum = Quorum::at_least(NonZeroUsize::MIN, signers);
                Some(quorum.map_err(|error| entry.refused("nobody can satisfy it", error))?)
            }
            None => None,
        };
        let marker = fields.optional("marker").map(|entry| read_marker(&entry)).transpose()?;
        Ok(Self { path: entry.path().to_owned(), grace, signers, marker })
    }
}

fn read_marker(entry: &Entry<'_>) -> Result<MarkerKind, DocumentError> {
    let fields = entry.fields(fields::MARKER)?;
    let artifact_type = fields.required("type")?;
    let date = fields.required("date")?;
    Ok(MarkerKind::new(artifact_type.text("an artifact type")?, date.text("the key of an annotation")?))
}

fn list<'a>(entry: Option<Entry<'a>>, what: &str) -> Result<Vec<Entry<'a>>, DocumentError> {
    entry.map_or(Ok(Vec::new()), |entry| entry.list(what, MAX_REQUIREMENTS))
}

/// Reads a repository's name or a pattern of names, spelled as names of repositories are spelled everywhere else:
/// Docker Hub by one name, registries in lower case.
fn read_pattern(entry: &Entry<'_>) -> Result<(Pattern, Specificity), DocumentError> {
    const EXPECTED: &str = "a repository with its registry, such as `ghcr.io/acme/app` or `ghcr.io/acme/**`";
    let text = bounded(entry, EXPECTED)?;
    if !text.contains(['*', '?']) {
        let reference: Reference = entry.parsed(EXPECTED)?;
        if reference.selector().is_some() {
            return Err(entry.expected(format!("{EXPECTED}, without tag and digest")));
        }
        let name = reference.repository().to_string();
        let (prefix, literal) = (name.len(), name.len());
        return Ok((Pattern::exact(name), Specificity { is_exact: true, prefix, literal }));
    }
    let text = match text.split_once('/') {
        Some((host, rest)) if !text.contains("://") => {
            format!("{}/{rest}", host_pattern(entry, host, EXPECTED)?)
        }
        // Every repository's name has a `/`, so a pattern without can only mean all of them.
        None if text != "**" => return Err(entry.expected(EXPECTED)),
        _ => text.to_owned(),
    };
    let prefix = text.find(['*', '?']).unwrap_or(text.len());
    let literal = text.bytes().filter(|byte| !matches!(byte, b'*' | b'?')).count();
    Ok((Pattern::glob(text), Specificity { is_exact: false, prefix, literal }))
}
