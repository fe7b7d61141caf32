//! Promotion manifests: many promotions in one document. docs/promotion-manifest.md describes them for people,
//! docs/promotion-manifest.schema.json for editors.
//!
//! A manifest is read whole and strictly before anything is asked or moved; nothing in it is written twice.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sealift_core::document::{Document, DocumentError, Entry, Fields, Place};
use sealift_core::oci::{Digest, Reference, ReferenceError, RepositoryName, Selector, Tag};
use sealift_core::pattern::Pattern;

use crate::request::{TagRule, Target};

/// The one version there is.
const VERSION: usize = 1;
/// The most promotions of a manifest; each is held in memory.
const MAX_PROMOTIONS: usize = 4096;
/// The most images of a manifest, patterns expanded; stops a repository with endless tags from filling memory.
pub const MAX_IMAGES: usize = 10_000;
/// The most destinations, tags and platforms of a promotion.
const MAX_OF_ONE: usize = 64;
/// The longest path of a policy file.
const MAX_PATH_BYTES: usize = 4096;

/// The fields known in each kind of mapping; docs/promotion-manifest.schema.json has the same.
mod fields {
    pub(super) const MANIFEST: &[&str] = &["version", "promotions"];
    pub(super) const PROMOTION: &[&str] =
        &["source", "destinations", "tags", "platforms", "policy", "overwriteTags", "expectPrevious"];
}

/// A document of promotions.
#[derive(Clone, Debug)]
pub struct PromotionManifest {
    entries: Vec<ManifestEntry>,
}

impl PromotionManifest {
    /// Reads a document; `file` is what errors call it.
    ///
    /// # Errors
    /// [`PromotionManifestError`], also when two promotions write the same tag, as far as that shows without the source.
    pub fn parse(bytes: &[u8], file: impl Into<String>) -> Result<Self, PromotionManifestError> {
        let document = Document::parse(bytes, file)?;
        let root = document.root().fields(fields::MANIFEST)?;
        root.required("version")?.number(VERSION, VERSION)?;
        let entries = root.required("promotions")?.list("promotions", MAX_PROMOTIONS)?;
        let entries = entries.iter().map(ManifestEntry::read).collect::<Result<Vec<_>, _>>()?;
        let mut clashes = Clashes::default();
        for entry in &entries {
            if let Source::Content(source, _) = &entry.source {
                clashes.add(source, entry)?;
            }
        }
        Ok(Self { entries })
    }

    /// Returns the promotions, in the document's order.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// Returns the promotions, in the document's order.
    pub fn into_entries(self) -> Vec<ManifestEntry> {
        self.entries
    }
}

/// One promotion: of one image, or of all that a pattern fits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestEntry {
    /// Where it stands, for what is found out about it later; `None` for one that stands in no document.
    pub place: Option<Place>,
    /// What is promoted.
    pub source: Source,
    /// Where it goes.
    pub destinations: Vec<Reference>,
    /// Tags at every destination besides the one it names.
    pub tags: Vec<Tag>,
    /// Platforms that travel; all of them when empty.
    pub platforms: Vec<String>,
    /// The policy that judges it, relative to the document; `None` for what holds for all.
    pub policy: Option<PathBuf>,
    /// When its tags may be moved; `None` for what holds for all.
    pub rule: Option<TagRule>,
}

impl ManifestEntry {
    /// Returns a promotion that stands in no document.
    ///
    /// # Errors
    /// [`PromotionManifestError::Named`] when images that a pattern finds would all get one tag.
    pub fn new(source: Source, destinations: Vec<Reference>, tags: Vec<Tag>) -> Result<Self, PromotionManifestError> {
        let (platforms, policy, rule) = (Vec::new(), None, None);
        Self { place: None, source, destinations, tags, platforms, policy, rule }.checked()
    }

    fn read(entry: &Entry<'_>) -> Result<Self, PromotionManifestError> {
        let fields = entry.fields(fields::PROMOTION)?;
        let destinations = fields.required("destinations")?.list("destinations", MAX_OF_ONE)?;
        let path = |entry: Entry<'_>| {
            const EXPECTED: &str = "the path of a policy file";
            let text = entry.text(EXPECTED)?;
            if text.len() <= MAX_PATH_BYTES { Ok(PathBuf::from(text)) } else { Err(entry.expected(EXPECTED)) }
        };
        let read = Self {
            place: Some(entry.place()),
            source: fields.required("source")?.parsed("a reference with a tag, a digest or a pattern of tags")?,
            destinations: parsed(&destinations, "a reference")?,
            tags: list(&fields, "tags", "a tag")?,
            platforms: list(&fields, "platforms", "a platform, such as `linux/amd64`")?,
            policy: fields.optional("policy").map(path).transpose()?,
            rule: rule(&fields)?,
        };
        read.checked()
    }

    fn checked(self) -> Result<Self, PromotionManifestError> {
        let is_named = !self.tags.is_empty() || self.destinations.iter().any(|to| to.selector().is_some());
        match self.source {
            Source::Tags { .. } if is_named => Err(PromotionManifestError::Named { place: self.place }),
            _ => Ok(self),
        }
    }

    /// Returns the images that it promotes: one, or of the tags that the source repository lists those that fit, in
    /// alphabetical order. Tags that belong to other images, such as those of their signatures, fit nothing.
    ///
    /// # Errors
    /// [`PromotionManifestError::NothingFits`] when there is none, [`PromotionManifestError::TooMany`] beyond [`MAX_IMAGES`].
    pub fn images(&self, listed: &[Tag]) -> Result<Vec<Image>, PromotionManifestError> {
        let (repository, pattern) = match &self.source {
            Source::Content(source, selector) => {
                return Ok(vec![Image { source: source.clone(), selector: selector.clone(), found: None }]);
            }
            Source::Tags { repository, pattern } => (repository, pattern),
        };
        let mut fitting: Vec<&Tag> =
            listed.iter().filter(|tag| pattern.matches(tag.as_str()) && !tag.is_derived()).collect();
        fitting.sort_unstable();
        fitting.dedup();
        let place = || self.place.clone();
        if fitting.is_empty() {
            let (pattern, repository) = (pattern.clone(), repository.repository());
            return Err(PromotionManifestError::NothingFits { place: place(), repository, pattern });
        }
        if fitting.len() > MAX_IMAGES {
            return Err(PromotionManifestError::TooMany { place: place() });
        }
        let image = |tag: &Tag| Image {
            source: repository.with_tag(tag.clone()),
            selector: tag.clone().into(),
            found: Some(tag.clone()),
        };
        Ok(fitting.into_iter().map(image).collect())
    }
}

/// One image of a promotion.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// By tag or digest.
    pub source: Reference,
    /// What the source selects.
    pub selector: Selector,
    /// The tag that a pattern found it under.
    pub found: Option<Tag>,
}

/// What promotions write, so that two that write one tag are noticed before either has.
#[derive(Debug, Default)]
pub struct Clashes {
    written: BTreeMap<(RepositoryName, Tag), Option<Place>>,
    /// What arrives by digest alone.
    digests: BTreeMap<(RepositoryName, Digest), Option<Place>>,
}

impl Clashes {
    /// Adds what `entry` writes of its image `source`.
    ///
    /// # Errors
    /// [`PromotionManifestError::WrittenTwice`] when something else, or the same destination given twice, writes it too.
    pub fn add(&mut self, source: &Reference, entry: &ManifestEntry) -> Result<(), PromotionManifestError> {
        for destination in &entry.destinations {
            let repository = destination.repository();
            let target = Target::of(source, destination, &entry.tags, TagRule::Keep);
            let twice = |other: &Option<Place>, tag: Option<&Tag>| PromotionManifestError::WrittenTwice {
                place: entry.place.clone(),
                destination: tag.map_or_else(|| destination.clone(), |tag| destination.with_tag(tag.clone())),
                other: other.clone(),
            };
            for tag in &target.tags {
                let other = self.written.insert((repository.clone(), tag.clone()), entry.place.clone());
                if let Some(other) = other {
                    return Err(twice(&other, Some(tag)));
                }
            }
            if let (true, Some(digest)) = (target.tags.is_empty(), source.digest()) {
                let other = self.digests.insert((repository, digest.clone()), entry.place.clone());
                if let Some(other) = other {
                    return Err(twice(&other, None));
                }
            }
        }
        Ok(())
    }
}

/// What a promotion takes: one artifact, or the tags of a repository that a pattern fits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// An artifact by tag or digest.
    Content(Reference, Selector),
    /// All tags that fit, such as `registry.example.com/app:v1.*`.
    Tags {
        /// The repository, without a tag.
        repository: Reference,
        /// What the tags look like: `*` is any run of characters, `?` one.
        pattern: Pattern,
    },
}

impl Source {
    /// Says whether it is one artifact, whatever the source holds.
    pub fn is_one(&self) -> bool {
        matches!(self, Self::Content(..))
    }

    /// Returns the repository, and for an artifact its tag or digest.
    pub fn reference(&self) -> &Reference {
        match self {
            Self::Content(reference, _) => reference,
            Self::Tags { repository, .. } => repository,
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if let Some((repository, pattern)) = split_pattern(text) {
            let is_plausible = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-*?".contains(&byte);
            if pattern.len() > MAX_TAG_BYTES || !pattern.bytes().all(is_plausible) {
                return Err(SourceError::Pattern);
            }
            let repository: Reference = repository.parse()?;
            return Ok(Self::Tags { repository, pattern: Pattern::glob(pattern) });
        }
        let reference: Reference = text.parse()?;
        let selector = reference.selector().ok_or(SourceError::NoSelector)?;
        Ok(Self::Content(reference, selector))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(reference, _) => reference.fmt(f),
            Self::Tags { repository, pattern } => write!(f, "{repository}:{pattern}"),
        }
    }
}

/// The longest tag there is.
const MAX_TAG_BYTES: usize = 128;

/// Returns repository and pattern where the part after the last `:` is a pattern.
fn split_pattern(text: &str) -> Option<(&str, &str)> {
    let (repository, tag) = text.rsplit_once(':')?;
    (!tag.contains(['/', '@']) && tag.contains(['*', '?'])).then_some((repository, tag))
}

fn parsed<T>(entries: &[Entry<'_>], expected: &str) -> Result<Vec<T>, DocumentError>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    entries.iter().map(|entry| entry.parsed(expected)).collect()
}

fn list<T>(fields: &Fields<'_>, name: &'static str, expected: &str) -> Result<Vec<T>, DocumentError>
where
    T: FromStr + PartialEq,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let Some(entry) = fields.optional(name) else { return Ok(Vec::new()) };
    let entries = entry.list(name, MAX_OF_ONE)?;
    let read: Vec<T> = parsed(&entries, expected)?;
    for (index, (value, entry)) in read.iter().zip(&entries).enumerate() {
        if read[..index].contains(value) {
            return Err(entry.expected(format!("{expected} that is not in the list yet")));
        }
    }
    Ok(read)
}

fn rule(fields: &Fields<'_>) -> Result<Option<TagRule>, DocumentError> {
    let (overwrite, expected) = (fields.optional("overwriteTags"), fields.optional("expectPrevious"));
    match (overwrite, expected) {
        (Some(_), Some(_)) => fields.one(&["overwriteTags", "expectPrevious"]).map(|_| None),
        (Some(entry), None) => Ok(Some(if entry.boolean()? { TagRule::Move } else { TagRule::Keep })),
        (None, Some(entry)) => {
            const EXPECTED: &str = "a digest, or `none` for tags that do not exist";
            let is_none = entry.text(EXPECTED)? == "none";
            let digest = (!is_none).then(|| entry.parsed::<Digest>(EXPECTED)).transpose()?;
            Ok(Some(TagRule::Expect(digest)))
        }
        (None, None) => Ok(None),
    }
}

/// Says what is wrong with many promotions, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromotionManifestError {
    /// The document is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Images that a pattern finds would all get one tag.
    #[error("{}a pattern keeps the tag of each image, so neither the destinations nor `tags` may name one", at(.place))]
    Named {
        /// The promotion.
        place: Option<Place>,
    },
    /// The source has no tag that fits.
    #[error("{}no tag of {repository} fits `{pattern}`", at(.place))]
    NothingFits {
        /// The promotion.
        place: Option<Place>,
        /// The source.
        repository: RepositoryName,
        /// What was looked for.
        pattern: Pattern,
    },
    /// There are too many images.
    #[error("{}more than {MAX_IMAGES} images", at(.place))]
    TooMany {
        /// The promotion.
        place: Option<Place>,
    },
    /// Two promotions, or two destinations of one, write the same.
    #[error("{}{destination} is written twice{}", at(.place), by(.other))]
    WrittenTwice {
        /// The second promotion.
        place: Option<Place>,
        /// What is written.
        destination: Reference,
        /// The first promotion.
        other: Option<Place>,
    },
}

/// Says why a text is no source of a promotion.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It names a place alone.
    #[error("it has neither a tag nor a digest nor a pattern of tags")]
    NoSelector,
    /// No tag looks like that.
    #[error("no tag fits that pattern")]
    Pattern,
    /// It is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

fn at(place: &Option<Place>) -> String {
    place.as_ref().map_or_else(String::new, |place| format!("{place}: "))
}

fn by(other: &Option<Place>) -> String {
    other.as_ref().map_or_else(String::new, |place| format!(", first by {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PromotionManifest, String> {
        PromotionManifest::parse(text.as_bytes(), "f").map_err(|error| error.to_string())
    }

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_manifest_says_what_goes_where() {
        let manifest = read(
            "version: 1\npromotions:\n- source: s.example.com/app:1.0\n  destinations: [p.example.com/app, q.example.com/app:2]\n  \
             tags: [latest]\n  platforms: [linux/amd64]\n  policy: p.yaml\n  expectPrevious: none\n\
             - {source: 's.example.com/web:v1.*', destinations: [p.example.com/web], overwriteTags: true}\n",
        )
        .unwrap();
        let [app, web] = manifest.entries() else { panic!("two promotions") };
        assert_eq!((app.destinations.len(), &app.tags, app.platforms.len()), (2, &tags(&["latest"]), 1));
        assert_eq!((&app.policy, &app.rule), (&Some("p.yaml".into()), &Some(TagRule::Expect(None))));
        assert_eq!(app.images(&[]).unwrap().len(), 1);
        assert_eq!(web.rule, Some(TagRule::Move));
        let derived = format!("sha256-{}", "a".repeat(64));
        let images = web.images(&tags(&["v1.10", "v1.9", "v2.0", "v1.9", &derived])).unwrap();
        let found: Vec<_> = images.iter().map(|image| image.source.to_string()).collect();
        assert_eq!(found, ["s.example.com/web:v1.10", "s.example.com/web:v1.9"]);
        let none = web.images(&tags(&["v2.0"])).unwrap_err().to_string();
        assert_eq!(none, "f:9:3: promotions[1]: no tag of s.example.com/web fits `v1.*`");
        let all: Source = "s.example.com/web:*".parse().unwrap();
        let all = ManifestEntry::new(all, vec!["p.example.com/web".parse().unwrap()], vec![]).unwrap();
        assert_eq!(all.images(&tags(&["v1", &derived])).unwrap().len(), 1, "tags of signatures are no images");
    }

    #[test]
    fn what_is_not_clear_is_refused_with_its_place() {
        let one = |fields: &str| format!("version: 1\npromotions:\n- {{{fields}}}\n");
        for (text, expected) in [
            ("version: 2\npromotions: [{}]".to_owned(), "f:1:1: version: expected a number between 1 and 1"),
            ("version: 1\npromotions: []".to_owned(), "f:2:1: promotions: expected a list of promotions"),
            ("version: 1\npromotions: [{}]\nkind: x".to_owned(), "f:3:1: kind: unknown field"),
            (one("source: s/app"), "missing"),
            (
                one("source: s/app, destinations: [p/app]"),
                "promotions[0].source: `s/app` is not a reference with a tag",
            ),
            (one("source: 's/app:1', destinations: []"), "promotions[0].destinations: expected a list"),
            (one("source: 's/app:1', destinations: [p/app], colour: red"), "promotions[0].colour: unknown field"),
            (one("source: 's/app:1', source: 's/app:2', destinations: [p/app]"), "duplicate field"),
            (one("source: 's/app:1', destinations: [p/app], tags: [a, a]"), "tags[1]: expected a tag that is not"),
            (
                one("source: 's/app:1', destinations: [p/app, 'p/app:1']"),
                "p/app:1 is written twice, first by f:3:3: promotions[0]",
            ),
            (one("source: 's/app:*', destinations: ['p/app:1']"), "f:3:3: promotions[0]: a pattern keeps the tag"),
            (one("source: 's/app:*', destinations: [p/app], tags: [latest]"), "a pattern keeps the tag"),
            (one("source: 's/app:v+*', destinations: [p/app]"), "is not a reference with a tag"),
            (
                one("source: 's/app:1', destinations: [p/app], overwriteTags: true, expectPrevious: none"),
                "expected one of the fields",
            ),
            (one("source: 's/app:1', destinations: [p/app], expectPrevious: latest"), "`latest` is not a digest"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn the_schema_knows_the_same_fields() {
        let schema = include_str!("../../../docs/promotion-manifest.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        for (place, known) in [("", fields::MANIFEST), ("/$defs/promotion", fields::PROMOTION)] {
            let properties = schema.pointer(&format!("{place}/properties")).unwrap().as_object().unwrap();
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), known);
        }
        let limit = &schema["properties"]["promotions"]["maxItems"];
        assert_eq!(limit.as_u64(), Some(MAX_PROMOTIONS as u64));
    }

    #[test]
    fn one_tag_is_written_once() {
        let manifest = |second: &str| {
            read(&format!("version: 1\npromotions:\n- {{source: 's/app:1', destinations: [p/app]}}\n- {second}\n"))
        };
        for clash in [
            "{source: 's/app:1', destinations: [p/app]}",
            "{source: 's/web:2', destinations: ['p/app:1']}",
            "{source: 's/web:2', destinations: [p/web, p/app], tags: ['1']}",
            "{source: 's/web:2', destinations: ['docker.io/p/app:1']}",
        ] {
            let error = manifest(clash).unwrap_err();
            assert!(error.starts_with("f:4:3: promotions[1]: "), "{error}");
            assert!(error.ends_with("p/app:1 is written twice, first by f:3:3: promotions[0]"), "{error}");
        }
        let pattern = manifest("{source: 's/app:*', destinations: [p/app]}").unwrap();
        let mut clashes = Clashes::default();
        let mut add = |entry: &ManifestEntry| {
            let images = entry.images(&tags(&["1", "2"])).unwrap();
            images.iter().try_for_each(|image| clashes.add(&image.source, entry))
        };
        add(&pattern.entries()[0]).unwrap();
        assert!(matches!(add(&pattern.entries()[1]), Err(PromotionManifestError::WrittenTwice { .. })));
        let digest = format!("sha256:{}", "a".repeat(64));
        let twice = format!("{{source: 's/app@{digest}', destinations: [p/web, p/web]}}");
        assert!(manifest(&twice).unwrap_err().contains("p/web is written twice"));
    }
}
