//! What a registry demands: the challenges of `WWW-Authenticate`.
//!
//! Total: any header gives a list of challenges, never an error or a panic; what cannot be read is left out.
//! Grammar: <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// The longest header read; stops quadratic work on a hostile one.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The most challenges read.
const MAX_CHALLENGES: usize = 8;
/// The most parameters read of one challenge.
const MAX_PARAMETERS: usize = 16;

/// One challenge: a scheme and its parameters, names in lower case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Returns every challenge of an answer, in order.
    pub(crate) fn parse_all(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        texts.filter(|text| text.len() <= MAX_HEADER_BYTES).flat_map(Self::parse).take(MAX_CHALLENGES).collect()
    }

    /// Reads one header value, which may hold several challenges.
    pub(crate) fn parse(text: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = Cursor(text);
        loop {
            rest.skip(|c| c == ',' || c.is_ascii_whitespace());
            if rest.0.is_empty() {
                return challenges;
            }
            let word = rest.take(is_token);
            if word.is_empty() {
                // Not the grammar (such as a token68 with slashes): go on at the next gap.
                rest.take(|c| c != ',' && !c.is_ascii_whitespace());
                continue;
            }
            let after = rest.0;
            rest.skip(|c| c.is_ascii_whitespace());
            if rest.skip_one('=') {
                rest.skip(|c| c.is_ascii_whitespace());
                let value = rest.value();
                if let Some(challenge) = challenges.last_mut().filter(|c| c.parameters.len() < MAX_PARAMETERS) {
                    challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                }
            } else {
                rest.0 = after;
                if challenges.len() == MAX_CHALLENGES {
                    return challenges;
                }
                challenges.push(Self { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
            }
        }
    }

    /// Returns the challenge of a token service.
    pub(crate) fn bearer(realm: &str, service: Option<&str>) -> Self {
        let parameters = [("realm", Some(realm)), ("service", service)];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        Self { scheme: "bearer".to_owned(), parameters: given.collect() }
    }

    /// Returns a parameter by its name in lower case.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !is_wanted(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    fn skip(&mut self, is_unwanted: impl Fn(char) -> bool) {
        self.take(is_unwanted);
    }

    fn skip_one(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Reads a token or a quoted string; an unclosed string ends with the header.
    fn value(&mut self) -> String {
        if !self.skip_one('"') {
            return self.take(|c| c != ',' && !c.is_ascii_whitespace()).to_owned();
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((place, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[place + 1..];
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                c => value.push(c),
            }
        }
        self.0 = "";
        value
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        Challenge::parse(text).into_iter().map(|c| (c.scheme, c.parameters.into_iter().collect())).collect()
    }

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let owned = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        (scheme.to_owned(), owned.collect())
    }

    #[test]
    fn reads_the_challenges_of_registries() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/python:pull,push""#;
        let hub_parameters = [
            ("realm", "https://auth.docker.io/token"),
            ("scope", "repository:library/python:pull,push"),
            ("service", "registry.docker.io"),
        ];
        for (text, expected) in [
            (hub, vec![challenge("bearer", &hub_parameters)]),
            (r#"BASIC Realm="a \"quoted\" one""#, vec![challenge("basic", &[("realm", r#"a "quoted" one"#)])]),
            (
                r#"Negotiate, Basic realm = x , Bearer realm="r", error="insufficient_scope""#,
                vec![
                    challenge("negotiate", &[]),
                    challenge("basic", &[("realm", "x")]),
                    challenge("bearer", &[("error", "insufficient_scope"), ("realm", "r")]),
                ],
            ),
            (r#"Bearer realm="unclosed"#, vec![challenge("bearer", &[("realm", "unclosed")])]),
            (r#"realm="nobody's""#, vec![]),
            ("", vec![]),
            (",,, ,", vec![]),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn takes_no_more_than_its_bounds() {
        assert_eq!(Challenge::parse(&"a ,".repeat(1000)).len(), MAX_CHALLENGES);
        let many = (0..100).map(|n| format!("p{n}=1,")).collect::<String>();
        assert_eq!(Challenge::parse(&format!("Bearer {many}"))[0].parameters.len(), MAX_PARAMETERS);
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "\\PC{0,200}") {
            let _ = Challenge::parse(&text);
        }

        #[test]
        fn parsing_near_the_grammar_is_total(text in "[a-zA-Z=\", \\\\/:\t]{0,80}") {
            let _ = Challenge::parse(&text);
        }
    }
}
