//! Shards: which part of many promotions one machine carries out, without asking the others.

use std::fmt;
use std::str::FromStr;

use sealift_core::oci::Tag;

/// The most shards; more machines than that are a slip of the keyboard.
const MAX_SHARDS: u32 = 10_000;

/// One of several equal parts, as `I/N` says, counted from 0: the index of a Kubernetes job, the parts of a CI matrix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Says whether an image is in this shard: the one of the `entry`-th promotion, under `tag` where a pattern found it.
    ///
    /// It depends on nothing else, so that machines agree even if tags come and go between their looks at the source.
    /// Entries are dealt out in turn; the images of one pattern by their tags.
    pub fn holds(&self, entry: usize, tag: Option<&Tag>) -> bool {
        let spread = tag.map_or(0, |tag| hash(tag.as_str()));
        let count = u64::from(self.count);
        (entry as u64 % count + spread % count) % count == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError::Form)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| ShardError::Form);
        let (index, count) = (number(index)?, number(count)?);
        if !(1..=MAX_SHARDS).contains(&count) {
            return Err(ShardError::Count);
        }
        if index >= count { Err(ShardError::Index { count }) } else { Ok(Self { index, count }) }
    }
}

/// Says why a text is no shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// There are no shards, or too many.
    #[error("there are 1 to {MAX_SHARDS} shards")]
    Count,
    /// It is not `I/N`.
    #[error("expected `I/N`, such as `0/4`")]
    Form,
    /// There is no such shard.
    #[error("of {count} shards, the last is {}/{count}: they are counted from 0", count - 1)]
    Index {
        /// How many there are.
        count: u32,
    },
}

/// FNV-1a, by which machines of every kind and version agree (<http://www.isthe.com/chongo/tech/comp/fnv/>).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shards(count: u32) -> impl Iterator<Item = Shard> {
        (0..count).map(move |index| format!("{index}/{count}").parse().unwrap())
    }

    proptest! {
        #[test]
        fn every_image_is_in_exactly_one_shard(
            entry in 0_usize..100_000, tag in proptest::option::of("[a-z0-9][a-z0-9.-]{0,20}"), count in 1_u32..200,
        ) {
            let tag = tag.map(|tag| tag.parse::<Tag>().unwrap());
            prop_assert_eq!(shards(count).filter(|shard| shard.holds(entry, tag.as_ref())).count(), 1);
        }
    }

    #[test]
    fn entries_and_tags_are_spread_evenly() {
        for shard in shards(4) {
            assert_eq!((0..200).filter(|entry| shard.holds(*entry, None)).count(), 50);
            let tags = (0..200).map(|number| format!("v1.{number}").parse::<Tag>().unwrap());
            let held = tags.filter(|tag| shard.holds(7, Some(tag))).count();
            assert!((30..70).contains(&held), "{shard} has {held} of 200");
        }
    }

    #[test]
    fn the_spread_is_the_same_on_every_machine() {
        assert_eq!((hash(""), hash("a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
        let tag = "v1.0".parse().unwrap();
        let held: Vec<_> = shards(3).filter(|shard| shard.holds(1, Some(&tag))).map(|it| it.to_string()).collect();
        assert_eq!(held, ["2/3"]);
    }

    #[test]
    fn what_is_no_shard_says_why() {
        for (text, expected) in [
            ("", ShardError::Form),
            ("1", ShardError::Form),
            ("-1/2", ShardError::Form),
            ("a/b", ShardError::Form),
            ("0/0", ShardError::Count),
            ("0/10001", ShardError::Count),
            ("4/4", ShardError::Index { count: 4 }),
        ] {
            assert_eq!(text.parse::<Shard>(), Err(expected), "{text}");
        }
        assert_eq!("3/4".parse::<Shard>().unwrap().to_string(), "3/4");
        assert_eq!(ShardError::Index { count: 4 }.to_string(), "of 4 shards, the last is 3/4: they are counted from 0");
    }
}
