//! What travels with a promotion, and the tags it gets.

use std::str::FromStr;

use sealift_core::oci::{Digest, DigestError, Tag};
use sealift_core::pattern::Pattern;
use sealift_promote::TagRule;

use super::key::{KeySource, KeySourceError};
use super::predicate::PredicateType;

/// Which attachments travel
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Selection options")]
pub(crate) struct SelectionArgs {
    /// Leave out attachments, and what is attached to them: an artifact type, or `predicate=TYPE`, `media=TYPE`,
    /// `annotation=KEY[=VALUE]`, `key=PUBLIC-KEY` for what a key signed, `identity=NAME[,ISSUER]` for what was signed
    /// with a certificate; `*` stands for any text without `/`, `**` for any text; repeat for several
    #[arg(long, value_name = "FEATURE")]
    pub(crate) exclude: Vec<FeatureArg>,

    /// Take attachments along whatever excludes them, lifecycle markers too, which stay behind by default
    #[arg(long, value_name = "FEATURE")]
    pub(crate) include: Vec<FeatureArg>,

    /// Take lifecycle markers such as end of life along; the same as `--include` with their type
    #[arg(long)]
    pub(crate) include_lifecycle: bool,

    /// Take only this platform of an index along, such as `linux/arm64`; repeat for several. The index keeps its digest
    /// and lists the others still, which some registries refuse: promote a platform there by its own digest
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Vec<String>,
}

impl SelectionArgs {
    /// Says whether what was signed with a certificate is told apart by whose it is.
    pub(crate) fn names_identities(&self) -> bool {
        self.exclude.iter().chain(&self.include).any(|feature| matches!(feature, FeatureArg::Identity { .. }))
    }
}

/// The tags a promotion moves
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Tag options")]
pub(crate) struct TagArgs {
    /// Give it this tag at every destination, besides the one that a destination names; repeat for several. The source's
    /// own tag is kept only where neither names one. Images that a pattern finds keep theirs, and take no other
    #[arg(long, value_name = "TAG", conflicts_with = "from_file")]
    pub(crate) tag: Vec<Tag>,

    /// Move the destination's tags even if they hold something else
    #[arg(long, visible_alias = "force")]
    overwrite_tag: bool,

    /// Move the destination's tags only if they hold this digest now; `none` for tags that do not exist
    #[arg(long, value_name = "DIGEST", conflicts_with = "overwrite_tag")]
    expect_previous: Option<Previous>,
}

impl TagArgs {
    /// Returns when the tags may be moved.
    pub(crate) fn rule(&self) -> TagRule {
        match &self.expect_previous {
            Some(Previous(expected)) => TagRule::Expect(expected.clone()),
            None if self.overwrite_tag => TagRule::Move,
            None => TagRule::Keep,
        }
    }
}

/// What a tag is expected to hold.
#[derive(Clone, Debug)]
struct Previous(Option<Digest>);

impl FromStr for Previous {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|digest| Self(Some(digest)))
    }
}

/// A feature as typed.
#[derive(Clone, Debug)]
pub(crate) enum FeatureArg {
    /// `annotation=KEY` or `annotation=KEY=VALUE`
    Annotation { key: String, value: Option<Pattern> },
    /// `type=TYPE`, or the type alone
    ArtifactType(Pattern),
    /// `identity=NAME`, whoever vouched for it, or `identity=NAME,ISSUER`
    Identity { name: Pattern, issuer: Pattern },
    /// `key=KEY`
    Key(KeySource),
    /// `media=TYPE`
    MediaType(Pattern),
    /// `predicate=TYPE`
    PredicateType(Pattern),
}

impl FromStr for FeatureArg {
    type Err = FeatureError;

    fn from_str(text: &str) -> Result<Self, FeatureError> {
        let (kind, value) = text.split_once('=').unwrap_or(("type", text));
        if value.is_empty() {
            return Err(FeatureError::Empty);
        }
        match kind {
            "annotation" => {
                let (key, value) = value.split_once('=').map_or((value, None), |(key, value)| (key, Some(value)));
                Ok(Self::Annotation { key: key.to_owned(), value: value.map(Pattern::glob) })
            }
            "identity" => {
                let (name, issuer) = value.rsplit_once(',').unwrap_or((value, "**"));
                if name.is_empty() || issuer.is_empty() {
                    return Err(FeatureError::Empty);
                }
                Ok(Self::Identity { name: Pattern::glob(name), issuer: Pattern::glob(issuer) })
            }
            "key" => value.parse().map(Self::Key).map_err(FeatureError::Key),
            "media" => Ok(Self::MediaType(Pattern::glob(value))),
            "predicate" => {
                let uri = value.parse().map(|known: PredicateType| known.uri);
                Ok(Self::PredicateType(Pattern::glob(uri.unwrap_or_else(|_| value.to_owned()))))
            }
            "type" => Ok(Self::ArtifactType(Pattern::glob(value))),
            other => Err(FeatureError::Kind(other.chars().take(40).collect())),
        }
    }
}

/// Says why a text is no feature.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FeatureError {
    #[error("it is empty")]
    Empty,
    #[error(transparent)]
    Key(KeySourceError),
    #[error("`{0}` is none of `annotation`, `identity`, `key`, `media`, `predicate` and `type`")]
    Kind(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_have_a_kind_and_a_value() {
        let parse = |text: &str| text.parse::<FeatureArg>();
        assert!(matches!(parse("application/spdx+json"), Ok(FeatureArg::ArtifactType(_))));
        assert!(matches!(parse("type=application/*"), Ok(FeatureArg::ArtifactType(_))));
        assert!(matches!(parse("key=env://KEY"), Ok(FeatureArg::Key(KeySource::Environment(_)))));
        assert!(matches!(parse("annotation=a=b"), Ok(FeatureArg::Annotation { value: Some(_), .. })));
        assert!(matches!(parse("annotation=a"), Ok(FeatureArg::Annotation { value: None, .. })));
        for (text, issuer) in [
            ("identity=*@example.com", "https://any.example/at/all"),
            ("identity=*@example.com,https://a.example", "https://a.example"),
        ] {
            let Ok(FeatureArg::Identity { name, issuer: pattern }) = parse(text) else { panic!("{text}") };
            assert!(name.matches("ci@example.com") && pattern.matches(issuer), "{text}");
        }
        let Ok(FeatureArg::PredicateType(pattern)) = parse("predicate=spdx") else { panic!("a short name is known") };
        assert!(pattern.matches("https://spdx.dev/Document"));
        for wrong in
            ["", "media=", "colour=red", "key=awskms:///x", "identity=", "identity=,https://a.example", "identity=a,"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_previous_digest_may_be_none() {
        assert!("none".parse::<Previous>().unwrap().0.is_none());
        assert!(format!("sha256:{}", "a".repeat(64)).parse::<Previous>().unwrap().0.is_some());
        assert!("latest".parse::<Previous>().is_err());
    }
}
