//! Entries of a document, read as what the reader expects.

use std::str::FromStr;

use super::error::{DocumentError, DocumentProblem, Place, Position};
use super::yaml::{Field, Node, Value, push_name};
use crate::repository::foreign_text;

/// The longest single text, in bytes: room for a key in PEM, none for a payload.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// One entry of a document: it knows its file, path and line.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    file: &'a str,
    path: String,
    at: Position,
    node: &'a Node,
}

impl<'a> Entry<'a> {
    pub(super) fn root(file: &'a str, node: &'a Node) -> Self {
        Self { file, path: String::new(), at: node.at, node }
    }

    /// Returns the path, such as `scopes[0].repository`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the file's name, as errors have it.
    pub fn file(&self) -> &str {
        self.file
    }

    /// Returns where it is, for what is found out about it only later.
    pub fn place(&self) -> Place {
        Place { file: self.file.to_owned(), at: self.at, path: self.path.clone() }
    }

    /// Says whether it is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// Says whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Reads a mapping of which only `known` fields may be there.
    ///
    /// # Errors
    /// When it is no mapping, or has another field.
    pub fn fields(&self, known: &[&'static str]) -> Result<Fields<'a>, DocumentError> {
        let Value::Map(fields) = &self.node.value else { return Err(self.expected("a mapping")) };
        match fields.iter().find(|field| !known.contains(&field.name.as_str())) {
            Some(unknown) => {
                let problem = DocumentProblem::Unknown { known: known.to_vec() };
                Err(self.child(unknown).refused_with(problem))
            }
            None => Ok(Fields { entry: self.clone(), fields }),
        }
    }

    /// Reads a mapping from names that the document chooses, at most `limit`.
    ///
    /// # Errors
    /// When it is no mapping, or a larger one.
    pub fn named(&self, limit: usize) -> Result<Vec<(&'a str, Self)>, DocumentError> {
        let Value::Map(fields) = &self.node.value else { return Err(self.expected("a mapping")) };
        self.require_at_most(fields.len(), limit)?;
        Ok(fields.iter().map(|field| (field.name.as_str(), self.child(field))).collect())
    }

    /// Reads a list of one to `limit` entries; an empty list would be a demand for nothing.
    ///
    /// # Errors
    /// When it is no list, an empty one or a longer one.
    pub fn list(&self, what: &str, limit: usize) -> Result<Vec<Self>, DocumentError> {
        let expected = || format!("a list of {what} with at least one entry");
        let Value::List(entries) = &self.node.value else { return Err(self.expected(expected())) };
        if entries.is_empty() {
            return Err(self.expected(expected()));
        }
        self.require_at_most(entries.len(), limit)?;
        let entry = |(index, node): (usize, &'a Node)| Self {
            file: self.file,
            path: format!("{}[{index}]", self.path),
            at: node.at,
            node,
        };
        Ok(entries.iter().enumerate().map(entry).collect())
    }

    /// Reads text that is not empty.
    ///
    /// # Errors
    /// When it is something else: numbers, truth values and nothing count as text only in quotes.
    pub fn text(&self, expected: &str) -> Result<&'a str, DocumentError> {
        match &self.node.value {
            Value::Scalar { text, is_plain }
                if !text.is_empty() && text.len() <= MAX_TEXT_BYTES && (!is_plain || Kind::of(text) == Kind::Text) =>
            {
                Ok(text)
            }
            Value::Scalar { text, .. } if text.len() > MAX_TEXT_BYTES => {
                Err(self.expected(format!("{expected} of at most {MAX_TEXT_BYTES} bytes")))
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// Reads text that is a `T`.
    ///
    /// # Errors
    /// When it is no text, or not a `T`'s.
    pub fn parsed<T>(&self, expected: &str) -> Result<T, DocumentError>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text = self.text(expected)?;
        text.parse().map_err(|error| self.refused(format!("`{}` is not {expected}", foreign_text(text)), error))
    }

    /// Reads one of some words.
    ///
    /// # Errors
    /// When it is another.
    pub fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, DocumentError> {
        let expected = || words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
        let text = self.text(&expected())?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| self.expected(expected()))
    }

    /// Reads a whole number between `low` and `high`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, low: usize, high: usize) -> Result<usize, DocumentError> {
        let number = match &self.node.value {
            Value::Scalar { text, is_plain: true } => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| self.expected(format!("a number between {low} and {high}")))
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self) -> Result<bool, DocumentError> {
        match &self.node.value {
            Value::Scalar { text, is_plain: true } if text == "true" => Ok(true),
            Value::Scalar { text, is_plain: true } if text == "false" => Ok(false),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    /// Returns the error that something else was expected here.
    pub fn expected(&self, expected: impl Into<String>) -> DocumentError {
        self.refused_with(DocumentProblem::Expected { expected: expected.into(), found: self.found() })
    }

    /// Returns the error that what is here is not usable.
    pub fn refused(
        &self,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> DocumentError {
        self.refused_with(DocumentProblem::Refused { what: what.into(), source: source.into() })
    }

    fn refused_with(&self, problem: DocumentProblem) -> DocumentError {
        DocumentError { file: self.file.to_owned(), at: self.at, path: self.path.clone(), problem }
    }

    fn require_at_most(&self, count: usize, limit: usize) -> Result<(), DocumentError> {
        if count > limit { Err(self.refused_with(DocumentProblem::TooMany { limit })) } else { Ok(()) }
    }

    fn child(&self, field: &'a Field) -> Self {
        let mut path = self.path.clone();
        push_name(&mut path, &field.name);
        Self { file: self.file, path, at: field.at, node: &field.node }
    }

    fn found(&self) -> String {
        match &self.node.value {
            Value::List(entries) if entries.is_empty() => "an empty list".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Scalar { text, is_plain: false } if text.is_empty() => "an empty text".to_owned(),
            Value::Scalar { text, is_plain: false } => format!("`{}`", foreign_text(text)),
            Value::Scalar { text, .. } => match Kind::of(text) {
                Kind::Nothing => "nothing".to_owned(),
                Kind::Boolean => format!("`{text}`"),
                Kind::Number => format!("the number {}, which as text must be quoted", foreign_text(text)),
                Kind::Text => format!("`{}`", foreign_text(text)),
            },
        }
    }
}

/// The fields of a mapping, each of them known.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    entry: Entry<'a>,
    fields: &'a [Field],
}

impl<'a> Fields<'a> {
    /// Returns a field that may be there.
    pub fn optional(&self, name: &str) -> Option<Entry<'a>> {
        self.fields.iter().find(|field| field.name == name).map(|field| self.entry.child(field))
    }

    /// Returns a field that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn required(&self, field: &'static str) -> Result<Entry<'a>, DocumentError> {
        self.optional(field).ok_or_else(|| self.entry.refused_with(DocumentProblem::Missing { field }))
    }

    /// Returns the one field of `names` that is there, with its name.
    ///
    /// # Errors
    /// When none is, or several are.
    pub fn one(&self, names: &[&'static str]) -> Result<(&'static str, Entry<'a>), DocumentError> {
        let mut present = names.iter().filter_map(|name| Some((*name, self.optional(name)?)));
        match (present.next(), present.next()) {
            (Some(one), None) => Ok(one),
            (found, second) => {
                let expected = format!("one of the fields {}", names.join(", "));
                let found = match (found, second) {
                    (Some((one, _)), Some((other, _))) => format!("`{one}` and `{other}`"),
                    _ => "none of them".to_owned(),
                };
                Err(self.entry.refused_with(DocumentProblem::Expected { expected, found }))
            }
        }
    }
}

/// What a scalar without quotes is, by YAML 1.2's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Boolean,
    Nothing,
    Number,
    Text,
}

impl Kind {
    fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Nothing,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Self::Boolean,
            _ if is_number(text) => Self::Number,
            _ => Self::Text,
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_radix = |prefix: &str, radix: u32| {
        text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let is_special = matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.parse::<f64>().is_ok();
    is_decimal || is_special || is_radix("0o", 8) || is_radix("0x", 16)
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    fn with<T>(text: &str, read: impl FnOnce(&Entry<'_>) -> Result<T, DocumentError>) -> Result<T, String> {
        let document = Document::parse(text.as_bytes(), "f").unwrap();
        let entry = document.root().fields(&["a"]).unwrap().required("a").unwrap();
        read(&entry).map_err(|error| error.to_string())
    }

    #[test]
    fn only_text_is_text() {
        for (yaml, text) in
            [("no", "no"), ("1.2.3", "1.2.3"), ("'1'", "1"), ("\"true\"", "true"), ("0xg", "0xg"), ("|\n  x", "x\n")]
        {
            assert_eq!(with(&format!("a: {yaml}"), |entry| entry.text("text").map(str::to_owned)).unwrap(), text);
        }
        for (yaml, found) in [
            ("1e3", "the number 1e3, which as text must be quoted"),
            ("0x1F", "the number 0x1F, which as text must be quoted"),
            ("-.inf", "the number -.inf, which as text must be quoted"),
            ("True", "`True`"),
            ("", "nothing"),
            ("''", "an empty text"),
            ("[x]", "a list"),
            ("{b: c}", "a mapping"),
        ] {
            let error = with(&format!("a: {yaml}"), |entry| entry.text("a name").map(str::to_owned)).unwrap_err();
            assert!(error.ends_with(&format!(": a: expected a name, found {found}")), "{error}");
        }
    }

    #[test]
    fn everything_has_its_bound() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        assert!(with(&format!("a: {long}"), |entry| entry.text("a name").map(str::to_owned)).is_err());
        assert_eq!(with("a: [1, 2]", |entry| entry.list("numbers", 2).map(|list| list.len())), Ok(2));
        for (yaml, expected) in [
            ("a: [1, 2, 3]", "f:1:1: a: more than 2 entries"),
            ("a: []", "f:1:1: a: expected a list of numbers with at least one entry, found an empty list"),
            ("a: 1", "expected a list of numbers with at least one entry, found the number 1"),
        ] {
            let error = with(yaml, |entry| entry.list("numbers", 2).map(|list| list.len())).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(with("a: 3", |entry| entry.number(1, 3)), Ok(3));
        for yaml in ["a: 4", "a: 0", "a: -1", "a: '3'", "a: 1.0", "a: three"] {
            let error = with(yaml, |entry| entry.number(1, 3)).unwrap_err();
            assert!(error.contains("expected a number between 1 and 3"), "{error}");
        }
    }

    #[test]
    fn one_of_several_fields_is_there() {
        let one = |yaml: &str| with(yaml, |entry| Ok(entry.fields(&["b", "c"])?.one(&["b", "c"])?.0));
        assert_eq!(one("a: {c: 1}"), Ok("c"));
        assert_eq!(one("a: {}").unwrap_err(), "f:1:1: a: expected one of the fields b, c, found none of them");
        assert_eq!(one("a: {b: 1, c: 1}").unwrap_err(), "f:1:1: a: expected one of the fields b, c, found `b` and `c`");
    }
}
