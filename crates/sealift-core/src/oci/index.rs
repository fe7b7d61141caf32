//! Indexes that are read, edited and written again: a layout's `index.json` and the index under a fallback tag.
//!
//! Never rewrites an entry it did not make: entries and fields keep the bytes they were read with.
//! Specification: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::{RawValue, to_raw_value};

use super::manifest::{MAX_MANIFEST_ENTRIES, check_document};
use super::{Descriptor, ManifestError, RawManifest, UnknownFields, media_type};

/// The field that holds the entries.
const ENTRIES: &str = "manifests";

/// An image index whose entries can be added and removed.
#[derive(Clone, Debug)]
pub struct IndexDocument {
    fields: BTreeMap<String, Box<RawValue>>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    raw: Box<RawValue>,
    /// `None` where the entry is no descriptor this crate can read, such as one of an unknown digest algorithm.
    descriptor: Option<Descriptor>,
}

impl IndexDocument {
    /// Returns an OCI index without entries.
    ///
    /// # Errors
    /// None in practice; JSON encoding is fallible in its signature.
    pub fn new() -> Result<Self, ManifestError> {
        let fields = [("schemaVersion", raw(&2)?), ("mediaType", raw(media_type::IMAGE_INDEX)?)];
        Ok(Self { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), entries: vec![] })
    }

    /// Reads an index.
    ///
    /// # Errors
    /// Refuses what is not a JSON object with an array of `manifests`, and more entries than any manifest may list.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        check_document(bytes)?;
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        let entries = fields.remove(ENTRIES).map(raw_entries).transpose()?.unwrap_or_default();
        let entries = entries
            .into_iter()
            .map(|raw| Entry { descriptor: serde_json::from_str(raw.get()).ok(), raw: raw.to_owned() });
        let entries = entries.collect();
        Ok(Self { fields: fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect(), entries })
    }

    /// Returns the entries, in order; those that are no readable descriptor are left out, though not lost.
    pub fn entries(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().filter_map(|entry| entry.descriptor.as_ref())
    }

    /// Says whether nothing is listed, readable or not.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// As [`IndexDocument::new`].
    pub fn push(&mut self, descriptor: Descriptor) -> Result<(), ManifestError> {
        self.entries.push(Entry { raw: raw(&descriptor)?, descriptor: Some(descriptor) });
        Ok(())
    }

    /// Removes the readable entries that `keep` refuses; says whether any was removed.
    pub fn retain(&mut self, mut keep: impl FnMut(&Descriptor) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.descriptor.as_ref().is_none_or(&mut keep));
        self.entries.len() != before
    }

    /// Keeps, replaces or removes each readable entry as `edit` says.
    ///
    /// # Errors
    /// As [`IndexDocument::new`].
    pub fn edit(&mut self, mut edit: impl FnMut(&Descriptor) -> EntryEdit) -> Result<(), ManifestError> {
        let mut kept = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            match entry.descriptor.as_ref().map_or(EntryEdit::Keep, &mut edit) {
                EntryEdit::Keep => kept.push(entry),
                EntryEdit::Remove => {}
                EntryEdit::Replace(descriptor) => {
                    kept.push(Entry { raw: raw(&*descriptor)?, descriptor: Some(*descriptor) });
                }
            }
        }
        self.entries = kept;
        Ok(())
    }

    /// Returns the index as JSON.
    ///
    /// # Errors
    /// Refuses to write what [`IndexDocument::parse`] refuses to read, such as more entries than any manifest may list:
    /// nobody could take an entry off it again.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let entries: Vec<&RawValue> = self.entries.iter().map(|entry| entry.raw.as_ref()).collect();
        let entries = raw(&entries)?;
        let fields: BTreeMap<&str, &RawValue> = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
            .chain([(ENTRIES, entries.as_ref())])
            .collect();
        let json = serde_json::to_vec(&fields).map_err(ManifestError::Json)?;
        Self::parse(&json)?;
        Ok(json)
    }

    /// Returns the index as a manifest for a registry.
    ///
    /// # Errors
    /// Refuses to make what [`RawManifest::parse`] refuses to read, such as an index larger than any manifest may be.
    pub fn to_manifest(&self) -> Result<RawManifest, ManifestError> {
        let manifest = RawManifest::new(media_type::IMAGE_INDEX, self.to_json()?);
        manifest.parse()?;
        Ok(manifest)
    }
}

/// Returns what a page of a referrers listing lists, without the fields this crate does not know.
///
/// # Errors
/// As [`IndexDocument::parse`]; besides, without `manifests` it is no listing, and not one without entries. An entry that
/// cannot be read is [`ManifestError::Entry`], because it may be the signature that somebody looks for.
pub fn parse_listing(bytes: &[u8]) -> Result<Vec<Descriptor>, ManifestError> {
    #[derive(Deserialize)]
    struct Listing<'a> {
        #[serde(borrow)]
        manifests: &'a RawValue,
    }
    check_document(bytes)?;
    let listing: Listing<'_> = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
    let read = |(entry, number): (&RawValue, usize)| match serde_json::from_str::<Descriptor>(entry.get()) {
        Ok(entry) => Ok(Descriptor { other: UnknownFields::default(), ..entry }),
        Err(problem) => Err(ManifestError::Entry { number, problem }),
    };
    raw_entries(listing.manifests)?.into_iter().zip(1..).map(read).collect()
}

/// Returns each entry as it was received, and stops reading at one too many.
fn raw_entries(entries: &RawValue) -> Result<Vec<&RawValue>, ManifestError> {
    #[derive(Default)]
    struct Entries<'a> {
        entries: Vec<&'a RawValue>,
        are_too_many: bool,
    }

    impl<'de> Deserialize<'de> for Entries<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(Self::default())
        }
    }

    impl<'de> Visitor<'de> for Entries<'de> {
        type Value = Self;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array of descriptors")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Self, A::Error> {
            while let Some(entry) = sequence.next_element()? {
                self.are_too_many |= self.entries.len() == MAX_MANIFEST_ENTRIES;
                if !self.are_too_many {
                    self.entries.push(entry);
                }
            }
            Ok(self)
        }
    }

    let read: Option<Entries<'_>> = serde_json::from_str(entries.get()).map_err(ManifestError::Json)?;
    let Entries { entries, are_too_many } = read.unwrap_or_default();
    if are_too_many { Err(ManifestError::TooManyEntries { limit: MAX_MANIFEST_ENTRIES }) } else { Ok(entries) }
}

/// What becomes of an entry.
#[derive(Clone, Debug)]
pub enum EntryEdit {
    /// It stays, bytes unchanged.
    Keep,
    /// It goes.
    Remove,
    /// This takes its place.
    Replace(Box<Descriptor>),
}

fn raw(value: &(impl serde::Serialize + ?Sized)) -> Result<Box<RawValue>, ManifestError> {
    to_raw_value(value).map_err(ManifestError::Json)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_MANIFEST_BYTES;
    use super::*;

    #[test]
    fn keeps_what_it_does_not_know() {
        let text = r#"{"schemaVersion":2,"x":{"b":1, "a":2},"manifests":[{"digest":"blake3:00", "size":1},
            {"mediaType":"a/b","size":1,"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "z":1.50}]}"#;
        let mut index = IndexDocument::parse(text.as_bytes()).unwrap();
        assert_eq!(index.entries().count(), 1);
        index.push(Descriptor::of("c/d", b"new")).unwrap();
        let written = String::from_utf8(index.to_json().unwrap()).unwrap();
        for kept in [r#"{"b":1, "a":2}"#, r#"{"digest":"blake3:00", "size":1}"#, r#""z":1.50"#, "c/d"] {
            assert!(written.contains(kept), "{kept} in {written}");
        }
    }

    #[test]
    fn reads_missing_and_null_entries_as_none() {
        for text in ["{}", r#"{"manifests":null}"#, r#"{"manifests":[]}"#] {
            assert!(IndexDocument::parse(text.as_bytes()).unwrap().is_empty(), "{text}");
        }
        for text in ["", "[]", r#"{"manifests":{}}"#, r#"{"manifests":3}"#] {
            assert!(IndexDocument::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_listing_is_read_whole_or_not_at_all() {
        let good = serde_json::to_string(&Descriptor::of("a/b", b"")).unwrap();
        for (listed, found) in [("null".to_owned(), 0), ("[]".to_owned(), 0), (format!("[{good},{good}]"), 2)] {
            let listing = format!(r#" {{"schemaVersion":2,"manifests":{listed}}}"#);
            assert_eq!(parse_listing(listing.as_bytes()).unwrap().len(), found, "{listing}");
        }
        for bad in ["{}", "null", "3", r#"["a/b"]"#, r#"{"digest":"blake3:00","size":1}"#] {
            let listing = format!(r#"{{"manifests":[{good},{bad}]}}"#);
            let read = parse_listing(listing.as_bytes());
            assert!(matches!(read, Err(ManifestError::Entry { number: 2, .. })), "{bad}: {read:?}");
        }
        for text in [format!("[[{good}]]"), "[]".to_owned(), "null".to_owned(), String::new()] {
            assert!(matches!(parse_listing(text.as_bytes()), Err(ManifestError::NoObject)), "{text}");
        }
        assert!(parse_listing(b"{}").is_err(), "it lists nothing, not even nothing");
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let mut index = IndexDocument::new().unwrap();
        for _ in 0..MAX_MANIFEST_ENTRIES {
            index.push(Descriptor::of("a/b", b"")).unwrap();
        }
        index.to_json().unwrap();
        index.push(Descriptor::of("a/b", b"")).unwrap();
        assert!(matches!(index.to_json(), Err(ManifestError::TooManyEntries { .. })));

        let mut index = IndexDocument::new().unwrap();
        let long = "x".repeat(usize::try_from(MAX_MANIFEST_BYTES).unwrap());
        index.push(Descriptor::of(long, b"")).unwrap();
        assert!(matches!(index.to_manifest(), Err(ManifestError::TooLarge { .. })));
        index.to_json().expect("a layout's index may be larger");
    }

    proptest! {
        #[test]
        fn parsing_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = IndexDocument::parse(&bytes);
        }

        #[test]
        fn what_parses_is_written_and_read_again(text in r#"\{("[a-z]{1,3}":[0-9],){0,3}"manifests":\[(\{("digest":"[a-z0-9:]{0,70}")?\})?\]\}"#) {
            if let Ok(index) = IndexDocument::parse(text.as_bytes()) {
                let again = IndexDocument::parse(&index.to_json().unwrap()).unwrap();
                prop_assert_eq!(again.to_json().unwrap(), index.to_json().unwrap());
            }
        }
    }
}
