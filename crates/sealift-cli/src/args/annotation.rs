//! `KEY=VALUE` pairs.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::UsageError;

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

/// Returns the annotations by key.
///
/// # Errors
/// [`UsageError::TwoValues`] for different values of one key: to demand or to write only one of them is not what was
/// asked for.
pub(crate) fn to_map(annotations: &[Annotation]) -> Result<BTreeMap<String, String>, UsageError> {
    let mut map = BTreeMap::new();
    for Annotation { key, value } in annotations {
        match map.insert(key.clone(), value.clone()) {
            Some(other) if other != *value => {
                return Err(UsageError::TwoValues { key: key.clone(), values: [other, value.clone()] });
            }
            _ => {}
        }
    }
    Ok(map)
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
        assert_eq!(to_map(&[parsed]).unwrap(), BTreeMap::from([("note".to_owned(), "a=b,c".to_owned())]));
        assert!("note".parse::<Annotation>().is_err() && "=x".parse::<Annotation>().is_err());
    }

    #[test]
    fn one_key_has_one_value() {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(to_map(&parsed(&["build=1", "note=x", "build=1"])).unwrap().len(), 2);
        let error = to_map(&parsed(&["build=9", "note=x", "build=1"])).unwrap_err();
        assert!(matches!(error, UsageError::TwoValues { key, values } if key == "build" && values == ["9", "1"]));
    }
}
