//! References: what a user types to name content, parsed once at the door.
//!
//! Parsing is total: any text gives a reference or an error, never a panic. No tag is ever assumed.
//! Grammar: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests> for names and
//! tags, and the habit of Docker and Helm for hosts and `oci://`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Digest, DigestError};
use crate::host;

/// The longest reference read; stops quadratic work and log floods on hostile input.
const MAX_REFERENCE_BYTES: usize = 4096;
/// The longest repository path (distribution-spec recommends 255 with the host).
const MAX_PATH_BYTES: usize = 255;
/// The host that every spelling of Docker Hub stands for.
const DOCKER_HUB: &str = "docker.io";
/// Spellings of Docker Hub.
const DOCKER_HUB_ALIASES: [&str; 3] = [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"];

/// What a user typed: a place, and perhaps a tag or a digest there.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reference {
    /// `oci-layout://dir[:tag][@digest]`, a directory or a tar archive on this machine.
    Layout(LayoutReference),
    /// `[oci://]registry/repository[:tag][@digest]`.
    Registry(RegistryReference),
}

impl Reference {
    /// Returns what the reference selects: the digest if it has one, else the tag.
    pub fn selector(&self) -> Option<Selector> {
        self.digest().cloned().map(Selector::Digest).or_else(|| self.tag().cloned().map(Selector::Tag))
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Layout(reference) => reference.tag.as_ref(),
            Self::Registry(reference) => reference.tag.as_ref(),
        }
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Layout(reference) => reference.digest.as_ref(),
            Self::Registry(reference) => reference.digest.as_ref(),
        }
    }

    /// Returns the place alone.
    pub fn repository(&self) -> RepositoryName {
        match self {
            Self::Layout(reference) => RepositoryName::Layout(reference.path.clone()),
            Self::Registry(reference) => reference.repository.clone(),
        }
    }

    /// Returns the same place with `digest` and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        let mut reference = self.clone();
        match &mut reference {
            Self::Layout(reference) => (reference.tag, reference.digest) = (None, Some(digest)),
            Self::Registry(reference) => (reference.tag, reference.digest) = (None, Some(digest)),
        }
        reference
    }

    /// Returns the same place with `tag` and no digest.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Self {
        let mut reference = self.clone();
        match &mut reference {
            Self::Layout(reference) => (reference.tag, reference.digest) = (Some(tag), None),
            Self::Registry(reference) => (reference.tag, reference.digest) = (Some(tag), None),
        }
        reference
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository().fmt(f)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        self.digest().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ReferenceError::TooLong { limit: MAX_REFERENCE_BYTES });
        }
        match text.split_once("://") {
            None => RegistryReference::parse(text, TagSpelling::Exact).map(Self::Registry),
            Some(("oci", rest)) => RegistryReference::parse(rest, TagSpelling::Helm).map(Self::Registry),
            Some(("docker", rest)) => RegistryReference::parse(rest, TagSpelling::Exact).map(Self::Registry),
            Some(("oci-layout", rest)) => LayoutReference::parse(rest).map(Self::Layout),
            Some(("http" | "https", rest)) if rest.contains("/helm/v1/repo") || rest.ends_with("index.yaml") => {
                Err(ReferenceError::HelmTwoRepository)
            }
            Some((scheme, _)) => Err(ReferenceError::Scheme(shown(scheme))),
        }
    }
}

/// Content of a registry repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct RegistryReference {
    /// Always [`RepositoryName::Registry`].
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Whether `+` in a tag stands for `_`, as in chart versions after `oci://`.
#[derive(Clone, Copy)]
enum TagSpelling {
    Exact,
    Helm,
}

impl RegistryReference {
    fn parse(text: &str, spelling: TagSpelling) -> Result<Self, ReferenceError> {
        if text.contains("/helm/v1/repo") {
            return Err(ReferenceError::HelmTwoRepository);
        }
        let (name, digest) = split_digest(text)?;
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let tag = tag
            .map(|tag| match spelling {
                TagSpelling::Exact => tag.parse(),
                TagSpelling::Helm => tag.replace('+', "_").parse(),
            })
            .transpose()?;
        Ok(Self { repository: RepositoryName::parse_registry(name)?, tag, digest })
    }
}

/// Content of an OCI image layout on this machine.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct LayoutReference {
    path: PathBuf,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl LayoutReference {
    fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (path, digest) = split_digest(text)?;
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.parse()?)),
            _ => (path, None),
        };
        if path.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if path.contains('\0') {
            return Err(ReferenceError::Path(shown(path)));
        }
        Ok(Self { path: PathBuf::from(path), tag, digest })
    }
}

fn split_digest(text: &str) -> Result<(&str, Option<Digest>), ReferenceError> {
    let Some((name, digest)) = text.split_once('@') else { return Ok((text, None)) };
    digest.parse().map(|digest| (name, Some(digest))).map_err(ReferenceError::Digest)
}

/// A place that holds content under digests and tags.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum RepositoryName {
    /// A layout: directory or tar archive.
    Layout(PathBuf),
    /// A name for content in memory.
    Memory(String),
    /// A repository of a registry.
    Registry {
        /// The registry, Docker Hub's spellings folded into `docker.io`.
        host: RegistryHost,
        /// The repository within it, such as `library/alpine`.
        path: String,
    },
}

impl RepositoryName {
    /// Returns the registry, if the place is one.
    pub fn host(&self) -> Option<&RegistryHost> {
        match self {
            Self::Registry { host, .. } => Some(host),
            Self::Layout(_) | Self::Memory(_) => None,
        }
    }

    /// Returns the repository's path within its registry, if the place is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Registry { path, .. } => Some(path),
            Self::Layout(_) | Self::Memory(_) => None,
        }
    }

    /// Returns the directory or archive, if the place is a layout.
    pub fn layout_path(&self) -> Option<&Path> {
        match self {
            Self::Layout(path) => Some(path),
            Self::Memory(_) | Self::Registry { .. } => None,
        }
    }

    fn parse_registry(text: &str) -> Result<Self, ReferenceError> {
        // The first part is a host iff it looks like one: Docker's rule, which every client follows.
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first.parse()?, rest),
            _ => (RegistryHost::docker_hub(), text),
        };
        let path =
            if host.is_docker_hub() && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if path.len() > MAX_PATH_BYTES || !path.split('/').all(is_path_component) {
            return Err(ReferenceError::Repository(shown(&path)));
        }
        Ok(Self::Registry { host, path })
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout(path) => write!(f, "oci-layout://{}", path.display()),
            Self::Memory(name) => write!(f, "memory://{name}"),
            Self::Registry { host, path } => write!(f, "{host}/{path}"),
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = bytes.first().is_some_and(is_alphanumeric) && bytes.last().is_some_and(is_alphanumeric);
    ends_well
        && bytes.split(is_alphanumeric).all(|separator| match separator {
            [] | [b'.'] | [b'_'] | [b'_', b'_'] => true,
            dashes => dashes.iter().all(|byte| *byte == b'-'),
        })
}

/// A registry: host and optional port, in lower case, Docker Hub's aliases folded into `docker.io`.
///
/// One registry has one name, or a second spelling would escape what is said of the first, such as the scope of a policy:
/// the port of HTTPS is left out but for this machine, where plain HTTP is usual, and numbers are written one way.
#[derive(Clone, Debug)]
pub struct RegistryHost {
    name: String,
    /// Whether the port of HTTPS was written. It is no part of the name: only plain HTTP, where it is another port than
    /// none, needs to know.
    writes_https_port: bool,
}

impl RegistryHost {
    /// Returns Docker Hub.
    pub fn docker_hub() -> Self {
        Self { name: DOCKER_HUB.to_owned(), writes_https_port: false }
    }

    /// Returns the name users see and policies match: `docker.io`, `ghcr.io`, `127.0.0.1:5000`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Says whether the host is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.name == DOCKER_HUB
    }

    /// Returns the host that serves the API, which Docker Hub keeps apart from its name.
    pub fn api_host(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.name }
    }

    /// Says whether the host was written with the port 443, which its name leaves out: over plain HTTP, that is where it
    /// is.
    pub fn writes_https_port(&self) -> bool {
        self.writes_https_port
    }

    /// Says whether the host is this machine, where plain HTTP crosses no network.
    pub fn is_loopback(&self) -> bool {
        host::is_loopback(split_port(&self.name).0)
    }
}

impl PartialEq for RegistryHost {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RegistryHost {}

impl PartialOrd for RegistryHost {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RegistryHost {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}

impl Hash for RegistryHost {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let lower = text.to_ascii_lowercase();
        let refused = || ReferenceError::Host(shown(text));
        let (host, port) = split_port(&lower);
        let host = canonical_host(host).ok_or_else(refused)?;
        let port = port.map(|port| parse_port(port).ok_or_else(refused)).transpose()?;
        // A host of one label is one only because of its port.
        let has_name_without_port = host.contains(['.', ':']) && !host::is_loopback(&host);
        let writes_https_port = port == Some(HTTPS_PORT) && has_name_without_port;
        let name = match port.filter(|_| !writes_https_port) {
            Some(port) => format!("{host}:{port}"),
            None if DOCKER_HUB_ALIASES.contains(&host.as_str()) => DOCKER_HUB.to_owned(),
            None => host,
        };
        Ok(Self { name, writes_https_port })
    }
}

/// The port of HTTPS where none is written.
const HTTPS_PORT: u16 = 443;

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}

/// Returns the one spelling of a domain name, an IPv4 address or a bracketed IPv6 address; `None` for anything else.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return Some(format!("[{}]", address.parse::<std::net::Ipv6Addr>().ok()?));
    }
    // URLs read `10.5`, `0xa000005` and `012.0.0.5` as addresses; whoever means one writes all four numbers.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    let is_host = match is_number {
        true => host.parse::<std::net::Ipv4Addr>().is_ok(),
        false => host.split('.').all(is_domain_label),
    };
    is_host.then(|| host.to_owned())
}

fn is_domain_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag(String);

impl Tag {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag that lists the referrers of `subject` where the registry has no referrers API.
    ///
    /// Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>.
    pub fn referrers_fallback(subject: &Digest) -> Self {
        let encoded = subject.hex();
        Self(format!("{}-{}", subject.algorithm(), &encoded[..encoded.len().min(64)]))
    }

    /// Returns the tag cosign keeps `suffix` (`sig`, `att` or `sbom`) of `subject` under.
    ///
    /// Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
    pub fn cosign(subject: &Digest, suffix: &str) -> Self {
        Self(format!("{}-{}.{suffix}", subject.algorithm(), subject.hex()))
    }

    /// Says whether the tag is made of a digest, as those of the two functions above: it belongs to the manifest of that
    /// digest, and names no image of its own.
    pub fn is_derived(&self) -> bool {
        let Some((algorithm, rest)) = self.0.split_once('-') else { return false };
        let hex = rest.split_once('.').map_or(rest, |(hex, _)| hex);
        matches!(algorithm, "sha256" | "sha384" | "sha512")
            && hex.len() >= 64
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = text.as_bytes();
        let is_tag = bytes.len() <= 128
            && bytes.first().is_some_and(is_word)
            && bytes.iter().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
        if is_tag { Ok(Self(text.to_owned())) } else { Err(ReferenceError::Tag(shown(text))) }
    }
}

/// What to look up in a repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Selector {
    /// Content by its digest: immutable.
    Digest(Digest),
    /// Whatever a tag holds now.
    Tag(Tag),
}

impl From<Digest> for Selector {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for Selector {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

/// Says why a text is not a reference.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The part after `@` is not a digest.
    #[error("the part after `@` is not a digest")]
    Digest(#[source] DigestError),
    /// There is nothing.
    #[error("the reference is empty")]
    Empty,
    /// It names a Helm 2 chart repository.
    #[error("this is a Helm 2 chart repository, which is not an OCI registry")]
    HelmTwoRepository,
    /// The registry is not a host name.
    #[error("`{0}` is not a registry host")]
    Host(String),
    /// The layout's path cannot be a path.
    #[error("`{0}` is not a path")]
    Path(String),
    /// The repository has characters it may not have.
    #[error("`{0}` is not a repository name")]
    Repository(String),
    /// The scheme is not `oci`, `docker` or `oci-layout`.
    #[error("unknown scheme `{0}`; known are `oci`, `docker` and `oci-layout`")]
    Scheme(String),
    /// The tag has characters it may not have, or is too long.
    #[error("`{0}` is not a tag")]
    Tag(String),
    /// It is too long.
    #[error("the reference is longer than {limit} bytes")]
    TooLong {
        /// Longest length, in bytes.
        limit: usize,
    },
}

/// Returns the beginning of hostile text, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parsed(text: &str) -> String {
        text.parse::<Reference>().map_or_else(|error| format!("error: {error}"), |reference| reference.to_string())
    }

    #[test]
    fn docker_hub_has_one_identity() {
        for text in ["alpine:3", "library/alpine:3", "docker.io/alpine:3", "index.docker.io/library/alpine:3"] {
            assert_eq!(parsed(text), "docker.io/library/alpine:3");
        }
        assert_eq!(parsed("registry-1.docker.io/library/alpine:3"), "docker.io/library/alpine:3");
        assert_eq!(parsed("docker.io/grafana/grafana:1"), "docker.io/grafana/grafana:1");
    }

    #[test]
    fn a_registry_has_one_name() {
        for (text, name) in [
            ("ghcr.io:443", "ghcr.io"),
            ("GHCR.io:0443", "ghcr.io"),
            ("docker.io:443", "docker.io"),
            ("index.docker.io:443", "docker.io"),
            ("registry.example.com:05000", "registry.example.com:5000"),
            ("registry.example.com:80", "registry.example.com:80"),
            ("docker.io:5000", "docker.io:5000"),
            ("[2001:DB8:0:0::1]:443", "[2001:db8::1]"),
            ("10.0.0.5:443", "10.0.0.5"),
            // Over plain HTTP, which this machine's registries speak, it is another port than none.
            ("localhost:443", "localhost:443"),
            ("127.0.0.1:443", "127.0.0.1:443"),
            ("[::1]:443", "[::1]:443"),
            // Without the port, it would be a name of Docker Hub's.
            ("registry:443", "registry:443"),
        ] {
            let host: RegistryHost = text.parse().unwrap();
            assert_eq!(host.as_str(), name);
            assert_eq!(host, name.parse().unwrap());
            assert_eq!(host.writes_https_port(), !name.ends_with(":443") && text.ends_with("443"), "{text}");
        }
        assert_eq!(parsed("docker.io:443/alpine:3"), "docker.io/library/alpine:3");
        for text in
            ["ghcr.io:0", "ghcr.io:", "ghcr.io:+443", "10.5", "0xa000005", "10.0.0.0x5", "012.0.0.5", "1.2.3.4.5"]
        {
            assert!(text.parse::<RegistryHost>().is_err(), "{text}");
        }
    }

    #[test]
    fn takes_tags_digests_and_both() {
        assert_eq!(parsed("ghcr.io/o/r"), "ghcr.io/o/r");
        assert_eq!(parsed("127.0.0.1:5000/o/r:v1"), "127.0.0.1:5000/o/r:v1");
        assert_eq!(parsed("[::1]:5000/o/r:v1"), "[::1]:5000/o/r:v1");
        let both = format!("ghcr.io/o/r:v1@{DIGEST}");
        assert_eq!(parsed(&both), both);
        let reference: Reference = both.parse().unwrap();
        assert_eq!(reference.selector(), Some(Selector::Digest(DIGEST.parse().unwrap())));
    }

    #[test]
    fn hosts_on_this_machine_are_told_with_and_without_a_port() {
        for (host, expected) in [
            ("localhost", true),
            ("registry.localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]", true),
            ("[::1]:5000", true),
            ("[::ffff:127.0.0.1]:5000", true),
            ("ghcr.io", false),
            ("[2001:db8::1]", false),
        ] {
            assert_eq!(host.parse::<RegistryHost>().unwrap().is_loopback(), expected, "{host}");
        }
    }

    #[test]
    fn helm_writes_plus_as_underscore() {
        assert_eq!(parsed("oci://ghcr.io/charts/app:0.1.0+b1"), "ghcr.io/charts/app:0.1.0_b1");
        assert!(parsed("ghcr.io/charts/app:0.1.0+b1").starts_with("error"));
        assert!(parsed("https://r.azurecr.io/helm/v1/repo").contains("Helm 2"));
    }

    #[test]
    fn layouts_have_paths_tags_and_digests() {
        assert_eq!(parsed("oci-layout://./out:v1"), "oci-layout://./out:v1");
        assert_eq!(parsed("oci-layout:///a/b.tar"), "oci-layout:///a/b.tar");
        let digest = format!("oci-layout://a:b/c@{DIGEST}");
        assert_eq!(parsed(&digest), digest);
    }

    #[test]
    fn refuses_what_is_not_a_reference() {
        for text in [
            "",
            "ghcr.io/UPPER/x",
            "ghcr.io/a//b",
            "ghcr.io/a/../b",
            "ghcr.io/a:",
            "a@sha256:00",
            "x://y",
            "ghcr.io/",
            "a:b:c/d:e f",
        ] {
            assert!(parsed(text).starts_with("error"), "{text} gave {}", parsed(text));
        }
    }

    #[test]
    fn tags_made_of_digests_are_told_from_names() {
        let digest = Digest::sha256(b"");
        for tag in [Tag::referrers_fallback(&digest), Tag::cosign(&digest, "sig")] {
            assert!(tag.is_derived(), "{tag}");
        }
        for name in ["v1", "sha256-abc", &format!("md5-{}", digest.hex()), &format!("sha256-{}x", digest.hex())] {
            assert!(!name.parse::<Tag>().unwrap().is_derived(), "{name}");
        }
    }

    #[test]
    fn fallback_and_cosign_tags() {
        let digest: Digest = DIGEST.parse().unwrap();
        assert_eq!(Tag::referrers_fallback(&digest).as_str(), DIGEST.replace(':', "-"));
        assert_eq!(Tag::cosign(&digest, "sig").as_str(), format!("{}.sig", DIGEST.replace(':', "-")));
        let long = Digest::of(super::super::DigestAlgorithm::Sha512, b"");
        assert_eq!(Tag::referrers_fallback(&long).as_str().len(), "sha512-".len() + 64);
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "\\PC{0,80}") {
            let _ = text.parse::<Reference>();
        }

        #[test]
        fn display_parses_back(text in "[a-z0-9.:/@_-]{1,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
