//! Documents that people write: YAML, or JSON as its subset, read strictly.
//!
//! A [`Document`] is a tree whose every entry knows its path and line, so that an error says which file, where, what was
//! expected and what was found. Never reads a file; never expands an alias (aliases, anchors and tags are refused, and
//! with them the bombs made of them); never guesses a type: `no` is text, and text that looks like a number must be
//! quoted.
//!
//! ```
//! use sealift_core::document::Document;
//!
//! let document = Document::parse(b"version: 1\nname: staging\n", "example.yaml")?;
//! let fields = document.root().fields(&["name", "version"])?;
//! assert_eq!(fields.required("name")?.text("a name")?, "staging");
//! let error = document.root().fields(&["name"]).unwrap_err();
//! assert_eq!(error.to_string(), "example.yaml:1:1: version: unknown field; known are name");
//! # Ok::<(), sealift_core::document::DocumentError>(())
//! ```

mod entry;
mod error;
mod yaml;

pub use entry::{Entry, Fields};
pub use error::{DocumentError, DocumentProblem, Place, Position};

use yaml::Node;

/// A document that was read, and the file it is from.
#[derive(Debug)]
pub struct Document {
    file: String,
    root: Node,
}

impl Document {
    /// Reads a document; `file` is what errors call it.
    ///
    /// # Errors
    /// [`DocumentError`] for what is no single YAML document, for duplicate keys, anchors, aliases and tags, and beyond
    /// a bound.
    pub fn parse(bytes: &[u8], file: impl Into<String>) -> Result<Self, DocumentError> {
        let file = file.into();
        match yaml::parse(bytes) {
            Ok(root) => Ok(Self { file, root }),
            Err((at, path, problem)) => Err(DocumentError { file, at, path, problem }),
        }
    }

    /// Returns the entry that holds everything.
    pub fn root(&self) -> Entry<'_> {
        Entry::root(&self.file, &self.root)
    }
}

/// The largest document read, in bytes; stops one that fills memory.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
/// The deepest nesting; stops a document of brackets from exhausting the stack.
pub const MAX_DEPTH: usize = 24;
/// The most fields of one mapping; stops the search for duplicates from taking quadratic time.
pub const MAX_FIELDS: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        Document::parse(text.as_bytes(), "f").unwrap_err().to_string()
    }

    #[test]
    fn refuses_what_reads_in_two_ways_or_grows() {
        for (text, expected) in [
            ("", "f:1:1: the document is empty"),
            ("# nothing\n", "f:2:1: the document is empty"),
            ("a: 1\nb:\n  - c: 1\n    c: 2\n", "f:4:5: b[0].c: duplicate field, first on line 3"),
            ("{\"a\": 1, \"a\": 2}", "f:1:10: a: duplicate field, first on line 1"),
            ("a: &x 1\n", "f:1:4: a: anchors and aliases are not accepted"),
            ("a: &x [1]\nb: *x\n", "f:1:4: a: anchors and aliases are not accepted"),
            ("a: !!str 1\n", "f:1:4: a: tags are not accepted"),
            ("a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; one is expected"),
            ("? [a]\n: 1\n", "f:1:3: expected a field's name, found a list"),
            ("a: [1, 2\n", "f:2:1: a[2]: not YAML: "),
        ] {
            let found = error(text);
            assert!(found.starts_with(expected), "{text:?}\n{found}\n{expected}");
        }
        let wide: String = (0..=MAX_FIELDS).map(|n| format!("a{n}: 1\n")).collect();
        assert_eq!(error(&wide), "f:1025:1: more than 1024 entries");
        assert!(error(&"[".repeat(100)).contains("nested deeper than 24"));
        assert!(error(&" ".repeat(MAX_DOCUMENT_BYTES + 1)).contains("exceeds 1048576 bytes"));
        assert_eq!(Document::parse(b"a: \xff", "f").unwrap_err().to_string(), "f:1:4: not UTF-8");
    }

    #[test]
    fn json_is_read_as_what_it_is() {
        let json = "{\n\t\"a\": [\"x\\u00e9\\/\", -1, true, null, 1.5],\n\t\"b\": {}\n}";
        let document = Document::parse(json.as_bytes(), "f").unwrap();
        let fields = document.root().fields(&["a", "b"]).unwrap();
        let list = fields.required("a").unwrap().list("anything", 9).unwrap();
        assert_eq!(list[0].text("text").unwrap(), "xé/");
        let found: Vec<_> = list[1..].iter().map(|entry| entry.text("text").unwrap_err().to_string()).collect();
        assert_eq!(found[0], "f:2:21: a[1]: expected text, found the number -1, which as text must be quoted");
        assert_eq!(found[2], "f:2:31: a[3]: expected text, found nothing");
        assert!(list[2].boolean().unwrap());
        assert!(fields.required("b").unwrap().fields(&[]).is_ok());
    }

    proptest! {
        #[test]
        fn parsing_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Document::parse(&bytes, "f");
        }

        #[test]
        fn parsing_what_looks_like_yaml_is_total(text in "([-a-b?:,&*!|>%@`#\\[\\]{}\"' \\n\\t]|---|\\.\\.\\.){0,60}") {
            let _ = Document::parse(text.as_bytes(), "f");
        }
    }
}
