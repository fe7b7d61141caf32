//! `KEY=VALUE` pairs.

use std::collections::BTreeMap;
use std::str::FromStr;

/// One annotation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Annotation {
    key: String,
    value: String,
}

impl FromStr for Annotation {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, AnnotationError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err(AnnotationError),
        }
    }
}

/// Returns the annotations by key; of several with one key the last counts.
pub(crate) fn to_map(annotations: &[Annotation]) -> BTreeMap<String, String> {
    annotations.iter().map(|annotation| (annotation.key.clone(), annotation.value.clone())).collect()
}

/// Says that a text is not an annotation.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected KEY=VALUE")]
pub(crate) struct AnnotationError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_separates() {
        let parsed: Annotation = "note=a=b,c".parse().unwrap();
        assert_eq!(to_map(&[parsed]), BTreeMap::from([("note".to_owned(), "a=b,c".to_owned())]));
        assert!("note".parse::<Annotation>().is_err() && "=x".parse::<Annotation>().is_err());
    }
}
