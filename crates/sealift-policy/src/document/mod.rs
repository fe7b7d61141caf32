//! Policy documents: what somebody demands of the content of repositories, in YAML. docs/policy.md describes them for
//! people, docs/policy.schema.json for editors.
//!
//! A document is read whole and strictly before anything is judged: what it does not say clearly is an error, never a
//! rule left out.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use sealift_core::document::{Document, DocumentError, Entry};
use sealift_core::oci::{Digest, RegistryHost, RepositoryName};
use sealift_core::pattern::Pattern;

use crate::check::{ApprovedRegistry, Unmatched};
use crate::policy::{Policy, PolicySource};

mod requirement;
mod scope;
mod signer;

use scope::Scope;

/// A policy document: scopes, each of which says what is demanded of some repositories.
#[derive(Debug)]
pub struct PolicyDocument {
    file: String,
    digest: Digest,
    registries: Option<(String, Vec<Pattern>)>,
    scopes: Vec<Scope>,
}

impl PolicyDocument {
    /// Reads a document. `file` is what errors call it; `read_key` reads the key files it names, relative to wherever
    /// the caller keeps them.
    ///
    /// # Errors
    /// [`DocumentError`] naming file, line, path inside, what was expected and what was found.
    pub fn parse(
        bytes: &[u8],
        file: impl Into<String>,
        read_key: &mut dyn FnMut(&Path) -> Result<Vec<u8>, KeyFileError>,
    ) -> Result<Self, DocumentError> {
        let file = file.into();
        let document = Document::parse(bytes, file.as_str())?;
        let root = document.root().fields(fields::POLICY)?;
        let version = root.required("version")?;
        version.number(VERSION, VERSION)?;
        let registries = root.optional("registries").map(|entry| read_registries(&entry)).transpose()?;
        let signers = match root.optional("signers") {
            Some(entry) => signer::read_named(&entry, read_key)?,
            None => BTreeMap::new(),
        };
        let mut scopes = Vec::new();
        for entry in root.required("scopes")?.list("scopes", MAX_SCOPES)? {
            scopes.push(Scope::read(&entry, &signers, read_key)?);
        }
        Ok(Self { file, digest: Digest::sha256(bytes), registries, scopes })
    }

    /// Returns what the document demands of content in `repository`, `now` being the time that limits of age are
    /// counted from; without it, rules that have one are undecided.
    ///
    /// The most specific scope applies: one without wildcards before all others, else the one with the longest text
    /// before its first wildcard, then the one with the longest text altogether. Of several equally specific ones, all
    /// apply. Where no scope fits, everything is denied.
    pub fn policy_for(&self, repository: &RepositoryName, now: Option<Timestamp>) -> Policy {
        let name = repository.to_string();
        let fitting: Vec<&Scope> = self.scopes.iter().filter(|scope| scope.pattern.matches(&name)).collect();
        let most = fitting.iter().map(|scope| scope.specificity).max();
        let applying: Vec<&Scope> = fitting.into_iter().filter(|scope| Some(scope.specificity) == most).collect();
        let mut policy = Policy::from(PolicySource {
            file: self.file.clone(),
            digest: self.digest.clone(),
            scopes: applying.iter().map(|scope| scope.pattern.to_string()).collect(),
        });
        if let Some((path, approved)) = &self.registries {
            policy.add(path, Box::new(ApprovedRegistry::new(repository.clone(), approved.clone())));
        }
        if applying.is_empty() {
            let scopes = self.scopes.iter().map(|scope| scope.pattern.to_string()).collect();
            policy.add("scopes", Box::new(Unmatched::new(scopes)));
        }
        for scope in applying {
            scope.demand(&mut policy, now);
        }
        policy
    }

    /// Returns the file's name, as errors have it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the digest of the document's bytes, which names it in records.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the patterns of its scopes, in the document's order, each with the policy it makes.
    pub fn scopes(&self) -> impl Iterator<Item = (String, Policy)> {
        self.scopes.iter().map(|scope| {
            let pattern = scope.pattern.to_string();
            let scopes = vec![pattern.clone()];
            let mut policy =
                Policy::from(PolicySource { file: self.file.clone(), digest: self.digest.clone(), scopes });
            scope.demand(&mut policy, None);
            (pattern, policy)
        })
    }

    /// Returns the patterns of the registries approved; `None` when any is.
    pub fn registries(&self) -> Option<Vec<String>> {
        self.registries.as_ref().map(|(_, approved)| approved.iter().map(ToString::to_string).collect())
    }
}

fn read_registries(entry: &Entry<'_>) -> Result<(String, Vec<Pattern>), DocumentError> {
    const EXPECTED: &str = "a registry, such as `ghcr.io`";
    let hosts = entry.list("registries", MAX_REGISTRIES)?;
    let patterns = hosts.iter().map(|host| host_pattern(host, bounded(host, EXPECTED)?, EXPECTED).map(Pattern::glob));
    Ok((entry.path().to_owned(), patterns.collect::<Result<_, DocumentError>>()?))
}

/// Returns a registry, or a pattern of registries, as names of repositories spell them: one that they never have would
/// match nothing, and leave its registries to a scope that says less.
fn host_pattern(entry: &Entry<'_>, text: &str, expected: &str) -> Result<String, DocumentError> {
    if !text.contains(['*', '?']) {
        let host = text.parse::<RegistryHost>().map(|host| host.to_string());
        return host.map_err(|error| entry.refused(format!("expected {expected}"), error));
    }
    // Whether a name keeps the port depends on the host, which a pattern leaves open; and without the port, its
    // wildcards would take in any port.
    if text.rsplit_once(':').is_some_and(|(_, port)| port.parse() == Ok(HTTPS_PORT)) {
        return Err(entry.expected(format!(
            "{expected}; beside wildcards no port {HTTPS_PORT}, which most names leave out, so write each registry \
             whole, or the pattern without the port, which fits any port where it ends in `*`"
        )));
    }
    Ok(text.to_ascii_lowercase())
}

/// Reads a text that becomes a pattern.
fn bounded<'a>(entry: &Entry<'a>, expected: &str) -> Result<&'a str, DocumentError> {
    let text = entry.text(expected)?;
    if text.len() > MAX_PATTERN_BYTES {
        return Err(entry.expected(format!("{expected}, of at most {MAX_PATTERN_BYTES} bytes")));
    }
    Ok(text)
}

/// Says why a key file could not be read.
pub type KeyFileError = Box<dyn std::error::Error + Send + Sync>;

/// The one version there is.
const VERSION: usize = 1;
/// The port of HTTPS where none is written.
const HTTPS_PORT: u16 = 443;
/// The most scopes of a document. Every name is compared with each.
pub const MAX_SCOPES: usize = 256;
/// The most registries approved.
pub const MAX_REGISTRIES: usize = 256;
/// The most signers with a name.
pub const MAX_SIGNERS: usize = 256;
/// The most requirements of one kind in a scope; each costs requests.
pub const MAX_REQUIREMENTS: usize = 32;
/// The most signers of one requirement; each is compared with every certificate.
pub const MAX_SIGNERS_OF_ONE: usize = 32;
/// The longest pattern. The time a glob takes is bounded by the product of its length and the name's.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// The fields known in each kind of mapping; docs/policy.schema.json has the same.
pub(crate) mod fields {
    pub(crate) const POLICY: &[&str] = &["version", "registries", "signers", "scopes"];
    pub(crate) const SCOPE: &[&str] = &["repository", "signatures", "attestations", "endOfLife"];
    pub(crate) const SIGNATURE: &[&str] = &["anyOf", "allOf", "threshold", "maxAge"];
    pub(crate) const ATTESTATION: &[&str] = &["type", "anyOf", "allOf", "threshold", "maxAge"];
    pub(crate) const END_OF_LIFE: &[&str] = &["grace", "anyOf", "marker"];
    pub(crate) const MARKER: &[&str] = &["type", "date"];
    pub(crate) const SIGNER: &[&str] = &["key", "identity"];
    pub(crate) const IDENTITY: &[&str] = &["subject", "issuer", "claims"];
    pub(crate) const PATTERN: &[&str] = &["glob", "regexp"];
}
