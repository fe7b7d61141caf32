//! Patterns over names: exact, glob, or regular expression, always over the whole name.
//!
//! An expression that matches somewhere inside a name is how `https://github.com/good` accepted
//! `https://evil/?https://github.com/good` (CVE-2026-22772).

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The most bytes a compiled expression may take; stops `(a{1000}){1000}`. Matching is linear in any case.
const MAX_COMPILED_BYTES: usize = 1024 * 1024;

/// What a name must look like, from its first character to its last.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Exact(String),
    Glob(String),
    Regex(Box<Regex>, String),
}

impl Pattern {
    /// Accepts `text` and nothing else.
    pub fn exact(text: impl Into<String>) -> Self {
        Self(Kind::Exact(text.into()))
    }

    /// Accepts what `glob` does: `*` is any run of characters but `/`, `**` any run at all, `?` one character but `/`.
    pub fn glob(glob: impl Into<String>) -> Self {
        Self(Kind::Glob(glob.into()))
    }

    /// Accepts names that the expression matches whole.
    ///
    /// # Errors
    /// When it is no expression by itself, or takes too much memory.
    pub fn regex(expression: &str) -> Result<Self, PatternError> {
        let compile = |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
        // By itself first: `a)|(b` would turn the group around it inside out.
        compile(expression).map_err(PatternError)?;
        let whole = compile(&format!(r"\A(?:{expression})\z")).map_err(PatternError)?;
        Ok(Self(Kind::Regex(Box::new(whole), expression.to_owned())))
    }

    /// Returns the one name that is accepted, where the pattern is written as that name; expressions never are.
    pub fn only_name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Exact(text) => Some(text),
            Kind::Glob(glob) => Some(glob.as_str()).filter(|glob| !glob.contains(['*', '?'])),
            Kind::Regex(..) => None,
        }
    }

    /// Says whether `name` is accepted. Empty names never are.
    pub fn matches(&self, name: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        match &self.0 {
            Kind::Exact(text) => text == name,
            Kind::Glob(glob) => glob_matches(glob.as_bytes(), name.as_bytes()),
            Kind::Regex(whole, _) => whole.is_match(name),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(text) | Kind::Glob(text) => f.write_str(text),
            Kind::Regex(_, expression) => write!(f, "/{expression}/"),
        }
    }
}

/// Matches without recursion: on a mismatch only the last star of each kind is tried again, so the time is bounded by
/// the product of both lengths and that of the stars' kinds, whatever the pattern.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    // reachable[i]: the first i bytes of the name are matched by the part of the glob read so far.
    let mut reachable = vec![false; name.len() + 1];
    reachable[0] = true;
    let mut rest = glob;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'*' {
            let is_deep = tail.first() == Some(&b'*');
            if is_deep {
                rest = &tail[1..];
            }
            for index in 1..=name.len() {
                let extends = reachable[index - 1] && (is_deep || name[index - 1] != b'/');
                reachable[index] = reachable[index] || extends;
            }
        } else {
            for index in (1..=name.len()).rev() {
                let fits = if byte == b'?' { name[index - 1] != b'/' } else { name[index - 1] == byte };
                reachable[index] = reachable[index - 1] && fits;
            }
            reachable[0] = false;
        }
    }
    reachable[name.len()]
}

/// The text is no regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("not a usable regular expression")]
pub struct PatternError(#[source] regex::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_matches_the_whole_name() {
        let regex = |text: &str| Pattern::regex(text).unwrap();
        for (pattern, name, is_match) in [
            (Pattern::exact("a@b.c"), "a@b.c", true),
            (Pattern::exact("a@b.c"), "a@b.cc", false),
            (Pattern::exact("a@b.c"), "A@b.c", false),
            (Pattern::exact(""), "", false),
            (Pattern::glob("https://github.com/o/*"), "https://github.com/o/r", true),
            (Pattern::glob("https://github.com/o/*"), "https://github.com/o/r/x", false),
            (Pattern::glob("https://github.com/o/**"), "https://github.com/o/r/x", true),
            (Pattern::glob("https://github.com/o/**"), "https://evil/https://github.com/o/r", false),
            (Pattern::glob("*@b.c"), "a@b.c", true),
            (Pattern::glob("*@b.c"), "a@b.c.evil", false),
            (Pattern::glob("?@b.c"), "a@b.c", true),
            (Pattern::glob("**"), "a/b", true),
            (Pattern::glob("a**b*c"), "a/x/b1c", true),
            (Pattern::glob("a**b*c"), "a/x/b1/c", false),
            (regex("https://github.com/o/.*"), "https://github.com/o/r", true),
            (regex("https://github.com/o/.*"), "https://evil/?https://github.com/o/r", false),
            (regex("a|ab"), "ab", true),
            (regex("a"), "a\n", false),
            (regex("(?m)a$"), "a\nb", false),
        ] {
            assert_eq!(pattern.matches(name), is_match, "{pattern} {name:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression_by_itself() {
        for text in ["a)|(b", "(", "(a{1000}){1000}", "(?x) a # b"] {
            let is_refused = Pattern::regex(text).is_err();
            assert!(is_refused, "{text}");
        }
    }

    #[test]
    fn hostile_globs_take_bounded_time() {
        let pattern = Pattern::glob("a*".repeat(500) + "b");
        assert!(!pattern.matches(&"a".repeat(2000)));
    }
}
