//! Which files a delegation is about.

use sealift_core::oci::Digest;

use super::metadata::Delegation;

impl Delegation {
    /// Says whether the delegated role may name `path`.
    pub(super) fn covers(&self, path: &str) -> bool {
        if let Some(prefixes) = &self.path_hash_prefixes {
            let hash = Digest::sha256(path.as_bytes()).hex();
            return prefixes.iter().any(|prefix| hash.starts_with(prefix.as_str()));
        }
        let patterns = self.paths.as_deref().unwrap_or_default();
        patterns.iter().any(|pattern| matches_path(pattern, path))
    }
}

/// Matches segment by segment: no wildcard crosses a `/`.
fn matches_path(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if matches_segment(pattern, segment) => {}
            _ => return false,
        }
    }
}

/// Matches `*`, `?`, `[abc]`, `[a-z]` and `[!abc]` as a shell does, in time of at most pattern by text.
fn matches_segment(pattern: &str, segment: &str) -> bool {
    let pattern = parse(pattern);
    let text: Vec<char> = segment.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where the last star is, and how far the text went when it was tried: only the last one ever has to give way.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some(Token::Star) => {
                star = Some((at, place));
                at += 1;
            }
            Some(Token::One(set)) if set.contains(text[place]) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((star_at, tried)) = star else { return false };
                star = Some((star_at, tried + 1));
                at = star_at + 1;
                place = tried + 1;
            }
        }
    }
    pattern[at..].iter().all(|token| matches!(token, Token::Star))
}

enum Token {
    One(Set),
    Star,
}

enum Set {
    Any,
    Ranges { ranges: Vec<(char, char)>, is_negated: bool },
}

impl Set {
    fn contains(&self, character: char) -> bool {
        match self {
            Self::Any => true,
            Self::Ranges { ranges, is_negated } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *is_negated
            }
        }
    }
}

fn parse(pattern: &str) -> Vec<Token> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let token = match characters[at] {
            '*' => Token::Star,
            '?' => Token::One(Set::Any),
            '[' => match parse_set(&characters[at + 1..]) {
                Some((set, length)) => {
                    at += length;
                    Token::One(set)
                }
                None => Token::One(literal('[')),
            },
            character => Token::One(literal(character)),
        };
        tokens.push(token);
        at += 1;
    }
    tokens
}

fn literal(character: char) -> Set {
    Set::Ranges { ranges: vec![(character, character)], is_negated: false }
}

/// Reads a set behind its `[`; returns it and the number of characters up to its `]`.
fn parse_set(characters: &[char]) -> Option<(Set, usize)> {
    let is_negated = characters.first() == Some(&'!');
    let start = usize::from(is_negated);
    // A `]` right at the beginning stands for itself.
    let end = start + 1 + characters.get(start + 1..)?.iter().position(|character| *character == ']')?;
    let members = &characters[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        match members[at..] {
            [first, '-', last, ..] => {
                ranges.push((first, last));
                at += 3;
            }
            [character, ..] => {
                ranges.push((character, character));
                at += 1;
            }
            [] => break,
        }
    }
    Some((Set::Ranges { ranges, is_negated }, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_stay_within_their_segment() {
        for (pattern, path, expected) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/*/*", "a/b/c", true),
            ("*.tgz", "x.tgz", true),
            ("*.tgz", "x.tgz.asc", false),
            ("**", "ab", true),
            ("**", "a/b", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("foo-?.tgz", "foo-x.tgz", true),
            ("foo-?.tgz", "foo-.tgz", false),
            ("v[0-9]", "v7", true),
            ("v[0-9]", "vx", false),
            ("v[!0-9]", "vx", true),
            ("v[]x]", "v]", true),
            ("v[", "v[", true),
            ("v[]", "v[]", true),
            ("exact", "exactly", false),
            ("", "", true),
        ] {
            assert_eq!(matches_path(pattern, path), expected, "{pattern} {path}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_total(pattern in "[*?\\[\\]!a/-]{0,40}", path in "[a/!\\]-]{0,60}") {
            let _ = matches_path(&pattern, &path);
        }
    }
}
