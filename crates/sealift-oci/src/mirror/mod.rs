//! Mirrors of repositories: other places that hold the same content.
//!
//! A mirror is only ever read. What a digest names may come from any mirror, because it is checked; what a tag names,
//! which tags there are and what refers to what is the original's to say, unless a rule says otherwise. The name, and so
//! everything that is verified, stays the original's.

mod blob;

use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use sealift_core::oci::{
    Descriptor, Digest, RawManifest, Reference, ReferenceError, RegistryHost, RepositoryName, Selector, Tag,
};
use sealift_core::repository::{Content, ReadRepository, ReferrersListing, RepositoryError};

use self::blob::Place;
use crate::registry::RegistryRepository;

/// A registry, or the part of one below a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RepositoryPrefix {
    host: RegistryHost,
    /// Whole parts, without slashes at the ends; empty for the whole registry.
    path: String,
}

impl RepositoryPrefix {
    /// Returns what follows the prefix in a repository's path, or `None` when it is not below it.
    fn rest<'a>(&self, host: &RegistryHost, path: &'a str) -> Option<&'a str> {
        if *host != self.host {
            return None;
        }
        if self.path.is_empty() {
            return Some(path);
        }
        let rest = path.strip_prefix(&self.path)?;
        rest.strip_prefix('/').or_else(|| rest.is_empty().then_some(""))
    }

    /// Returns the repository that has `rest` after the prefix; `None` when both are empty.
    fn join(&self, rest: &str) -> Option<RepositoryName> {
        let path = match (self.path.as_str(), rest) {
            ("", "") => return None,
            (path, "") => path.to_owned(),
            ("", rest) => rest.to_owned(),
            (path, rest) => format!("{path}/{rest}"),
        };
        Some(RepositoryName::Registry { host: self.host.clone(), path })
    }
}

impl FromStr for RepositoryPrefix {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(ReferenceError::Host(sealift_core::repository::foreign_text(host)));
        }
        let prefix = Self { host: host.parse()?, path: path.to_owned() };
        if !path.is_empty() {
            // Whatever is a repository's path with another part is a path.
            let below = format!("{path}/x");
            let reference: Reference = format!("{host}/{below}").parse()?;
            if reference.repository().path() != Some(&below) {
                return Err(ReferenceError::Repository(sealift_core::repository::foreign_text(text)));
            }
        }
        Ok(prefix)
    }
}

/// Which mirrors a registry, or a part of one, has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MirrorRule {
    /// What is mirrored.
    pub prefix: RepositoryPrefix,
    /// Where, in the order to try.
    pub mirrors: Vec<RepositoryPrefix>,
    /// What is asked of the original.
    pub original: Original,
}

/// What is asked of the original of a mirror.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Original {
    /// Tags and listings first; content that no mirror has.
    #[default]
    First,
    /// What no mirror answers, tags and listings too: the mirrors' owner decides what a tag names.
    Last,
    /// Nothing: the mirrors stand in its place.
    Never,
}

impl MirrorRule {
    /// Returns a rule by which the original has the word on tags and listings.
    pub fn new(prefix: RepositoryPrefix, mirrors: Vec<RepositoryPrefix>) -> Self {
        Self { prefix, mirrors, original: Original::First }
    }
}

/// Where a repository is mirrored: the rule with the longest prefix decides, the first of equals.
#[derive(Debug)]
pub(crate) struct Mirrored {
    pub(crate) mirrors: Vec<RepositoryName>,
    pub(crate) original: Original,
}

/// Returns the mirrors of a repository, if it has any.
pub(crate) fn mirrors_of(rules: &[MirrorRule], host: &RegistryHost, path: &str) -> Option<Mirrored> {
    let matching = rules.iter().filter_map(|rule| Some((rule, rule.prefix.rest(host, path)?)));
    let (rule, rest) = matching
        .reduce(|best, other| if other.0.prefix.path.len() > best.0.prefix.path.len() { other } else { best })?;
    let mirrors: Vec<_> = rule.mirrors.iter().filter_map(|mirror| mirror.join(rest)).collect();
    (!mirrors.is_empty()).then_some(Mirrored { mirrors, original: rule.original })
}

/// A repository read at its mirrors.
#[derive(Debug)]
pub(crate) struct MirroredRepository {
    name: RepositoryName,
    /// In the order in which content is asked for.
    content: Vec<Arc<Place>>,
    /// In the order in which tags and listings are asked for.
    listings: Vec<Arc<Place>>,
    /// Whether the original, asked last, has the word on what is not there.
    verdict: Verdict,
}

/// Whose word it is that something is not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// Everyone's: while one place could not tell, nobody knows.
    All,
    /// That of the place asked last.
    Last,
}

impl MirroredRepository {
    /// Returns the repository `name` at `mirrors`, with its `original` in the place that the rule gives it.
    pub(crate) fn new(
        name: RepositoryName,
        mirrors: Vec<Arc<RegistryRepository>>,
        original: Arc<RegistryRepository>,
        rule: Original,
    ) -> Self {
        let mirrors: Vec<_> = mirrors.into_iter().map(Place::mirror).collect();
        let original = Place::original(original);
        let last = |original| mirrors.iter().cloned().chain([original]).collect::<Vec<_>>();
        let (content, listings, verdict) = match rule {
            Original::First => (last(Arc::clone(&original)), vec![original], Verdict::Last),
            Original::Last => (last(Arc::clone(&original)), last(original), Verdict::Last),
            Original::Never => (mirrors.clone(), mirrors, Verdict::All),
        };
        Self { name, content, listings, verdict }
    }
}

#[async_trait]
impl ReadRepository for MirroredRepository {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        for place in self.places_of(selector) {
            match place.repository().resolve(selector).await {
                Ok(descriptor) => return Ok(descriptor),
                Err(error) => asked.note(error),
            }
        }
        Err(asked.into_error(&self.name, "manifest"))
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        for place in self.places_of(selector) {
            match place.repository().manifest(selector).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => asked.note(error),
            }
        }
        Err(asked.into_error(&self.name, "manifest"))
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        for place in &self.content {
            match place.repository().exists(descriptor).await {
                Ok(true) => return Ok(true),
                Ok(false) => asked.note_absence(),
                Err(error) => asked.note(error),
            }
        }
        asked.unable.map_or(Ok(false), Err)
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        if !descriptor.media_type.is_manifest() {
            return blob::fetch(descriptor, &self.content, &self.name, asked).await;
        }
        for place in &self.content {
            match place.repository().fetch(descriptor).await {
                Ok(content) => return Ok(content),
                Err(error) => asked.note(error),
            }
        }
        Err(asked.into_error(&self.name, CONTENT))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        let mut is_absent = false;
        for place in &self.listings {
            match place.repository().referrers(subject, listing).await {
                Ok(Some(listed)) => return Ok(Some(listed)),
                // As a tag that is not there: caches often pass everything on but these.
                Ok(None) => {
                    asked.note_absence();
                    is_absent = true;
                }
                Err(error) => asked.note(error),
            }
        }
        if is_absent && asked.unable.is_none() {
            return Ok(None);
        }
        Err(asked.into_error(&self.name, "referrers listing"))
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        let mut asked = Asked::new(self.verdict);
        for place in &self.listings {
            match place.repository().tags().await {
                Ok(tags) => return Ok(tags),
                Err(error) => asked.note(error),
            }
        }
        Err(asked.into_error(&self.name, "tags"))
    }
}

impl MirroredRepository {
    fn places_of(&self, selector: &Selector) -> &[Arc<Place>] {
        match selector {
            Selector::Digest(_) => &self.content,
            Selector::Tag(_) => &self.listings,
        }
    }
}

/// What is missing where no place has a blob or a manifest.
const CONTENT: &str = "such content";

/// What the places asked so far said instead of an answer.
struct Asked {
    verdict: Verdict,
    /// One that could not tell: it outweighs every "not there" that is not the last word.
    unable: Option<RepositoryError>,
    absent: Option<RepositoryError>,
}

impl Asked {
    fn new(verdict: Verdict) -> Self {
        Self { verdict, unable: None, absent: None }
    }

    fn note(&mut self, error: RepositoryError) {
        tracing::debug!(%error, "the next place is asked");
        if matches!(error, RepositoryError::NotFound { .. }) {
            self.note_absence();
            self.absent = Some(error);
        } else if matches!(self.unable, Some(RepositoryError::OutOfTime { .. })) {
            // The places after the one that used up the time were not asked.
        } else if self.verdict == Verdict::Last {
            self.unable = Some(error);
        } else {
            self.unable.get_or_insert(error);
        }
    }

    fn note_absence(&mut self) {
        if self.verdict == Verdict::Last {
            self.unable = None;
        }
    }

    fn into_error(self, name: &RepositoryName, what: &str) -> RepositoryError {
        let nowhere = || RepositoryError::NotFound { repository: name.clone(), what: what.to_owned() };
        self.unable.or(self.absent).unwrap_or_else(nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> RepositoryPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_prefix_names_the_mirrors() {
        let rule = |from: &str, to: &[&str]| MirrorRule::new(prefix(from), to.iter().map(|to| prefix(to)).collect());
        let rules = [
            rule("docker.io", &["mirror.test/hub", "other.test"]),
            rule("docker.io/library", &["golden.test/images"]),
            rule("reg.test/team/app", &["mirror.test/app"]),
            rule("reg.test", &["mirror.test"]),
            rule("reg.test", &["late.test"]),
        ];
        for (name, expected) in [
            ("docker.io/org/app", &["mirror.test/hub/org/app", "other.test/org/app"][..]),
            ("alpine", &["golden.test/images/alpine"]),
            ("docker.io/librarys/x", &["mirror.test/hub/librarys/x", "other.test/librarys/x"]),
            ("reg.test/team/app", &["mirror.test/app"]),
            ("reg.test/team/app/sub", &["mirror.test/app/sub"]),
            ("reg.test/team/apps", &["mirror.test/team/apps"]),
            ("unknown.test/app", &[]),
        ] {
            let RepositoryName::Registry { host, path } = name.parse::<Reference>().unwrap().repository() else {
                panic!("{name} is a registry's")
            };
            let found = mirrors_of(&rules, &host, &path).map(|found| found.mirrors).unwrap_or_default();
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn prefixes_are_hosts_and_whole_paths() {
        for text in ["", "library", "reg.test/", "reg.test/A", "reg.test/a:1", "reg.test/a@b", "reg.test//a", "a b"] {
            assert!(text.parse::<RepositoryPrefix>().is_err() || text == "reg.test/", "{text}");
        }
        assert_eq!(prefix("index.docker.io"), prefix("docker.io"));
    }
}
