//! End-of-life markers: artifacts without content, attached to an image, whose annotations say when it ends.
//!
//! Images cannot be changed, so that they are outdated is said beside them. Several markers on one image are normal; the
//! one that says it was created last counts. Anyone who can push can mark, so that signers may be demanded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sealift_core::attach::{Attachment, NewArtifact, Unread, referrers_of_type};
use sealift_core::evidence::{Effort, gather};
use sealift_core::identity::{Identity, IdentityMatcher};
use sealift_core::oci::{Digest, annotation, media_type};
use sealift_core::repository::{ReadRepository, foreign_text};
use sealift_core::verify::{Claim, Verifier};

/// A kind of markers: which artifacts they are, and where they say when the life ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MarkerKind {
    /// Artifact type.
    pub artifact_type: String,
    /// Key of the annotation that has the date.
    pub date: String,
}

impl MarkerKind {
    /// Returns a kind.
    pub fn new(artifact_type: impl Into<String>, date: impl Into<String>) -> Self {
        Self { artifact_type: artifact_type.into(), date: date.into() }
    }

    /// Returns Microsoft's kind, which its own images and `oras attach` examples have.
    pub fn microsoft() -> Self {
        Self::new(media_type::MICROSOFT_LIFECYCLE, annotation::END_OF_LIFE)
    }

    /// Returns the kinds that count: Microsoft's, and `own` besides. One of Microsoft's type says where its date is.
    pub fn all(own: Option<Self>) -> Vec<Self> {
        let microsoft = Self::microsoft();
        let is_other = own.as_ref().is_none_or(|own| own.artifact_type != microsoft.artifact_type);
        is_other.then_some(microsoft).into_iter().chain(own).collect()
    }
}

/// Reads the end-of-life markers of `subject`, of any of some kinds; with signers, those that one of them signed.
pub async fn read(
    repository: &dyn ReadRepository,
    subject: &Digest,
    signers: Option<(&Verifier, &IdentityMatcher)>,
    kinds: &[MarkerKind],
) -> Markers {
    let mut markers = Markers::default();
    let mut attached = Vec::new();
    for kind in kinds {
        let of_kind = referrers_of_type(repository, subject, &kind.artifact_type).await;
        markers.unread.extend(of_kind.unread);
        attached.extend(of_kind.found.iter().map(|attachment| Marker::of(attachment, kind)));
    }
    for (index, mut marker) in attached.into_iter().enumerate() {
        if let Some((verifier, identities)) = signers {
            if index == MAX_SIGNED_MARKERS {
                markers.unread.push(too_many(repository, subject));
                break;
            }
            let claim = Claim::ImageSignature;
            let evidence = gather(repository, &marker.digest, verifier, identities, &claim, Effort::FirstMatch).await;
            marker.signer = evidence.verified().first().map(|proof| proof.verified.signer().clone());
            if marker.signer.is_none() {
                // Whether it counts is open only if something about its signatures is.
                markers.unread.extend(evidence.into_undecided());
                continue;
            }
        }
        markers.found.push(marker);
    }
    markers
}

fn too_many(repository: &dyn ReadRepository, subject: &Digest) -> Unread {
    let (name, limit) = (repository.name().clone(), MAX_SIGNED_MARKERS as u64);
    let what = "number of lifecycle markers";
    let error = sealift_core::repository::RepositoryError::TooLarge { repository: name, what, limit };
    let storage = sealift_core::attach::Storage::ReferrersApi;
    Unread { subject: subject.clone(), storage, digest: None, error }
}

/// The most markers whose signatures are looked for, each of which costs requests. Images with two dozen are known.
pub const MAX_SIGNED_MARKERS: usize = 64;

/// The end-of-life markers of one subject.
#[derive(Debug, Default)]
pub struct Markers {
    found: Vec<Marker>,
    unread: Vec<Unread>,
}

impl Markers {
    /// Returns every marker that counts.
    pub fn found(&self) -> &[Marker] {
        &self.found
    }

    /// Returns what could not be read, and may be a marker.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Returns the marker that decides: the one created last, and of several the one with the earliest end.
    pub fn effective(&self) -> Option<&Marker> {
        let end = |marker: &Marker| marker.end_of_life.clone().unwrap_or(Timestamp::MIN);
        self.found.iter().max_by(|one, other| one.created.cmp(&other.created).then_with(|| end(other).cmp(&end(one))))
    }
}

/// A marker of the end of life.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Marker {
    /// Digest of its manifest.
    pub digest: Digest,
    /// When the life ends; what the marker says instead where that is no date, bounded and printable.
    pub end_of_life: Result<Timestamp, String>,
    /// What replaces it.
    pub successor: Option<String>,
    /// When the marker was made, as it says itself.
    pub created: Option<Timestamp>,
    /// Who signed the marker, where signers were demanded.
    pub signer: Option<Identity>,
    /// Everything that it says, as its manifest has it.
    pub annotations: BTreeMap<String, String>,
}

impl Marker {
    fn of(attachment: &Attachment, kind: &MarkerKind) -> Self {
        // It was parsed when it was opened.
        let annotations = attachment.manifest.parse().map(|manifest| manifest.annotations).unwrap_or_default();
        let text = |key: &str| annotations.get(key).map(String::as_str);
        let end = text(&kind.date).unwrap_or_default();
        Self {
            digest: attachment.descriptor().digest.clone(),
            end_of_life: parse_date(end).ok_or_else(|| foreign_text(end)),
            successor: text(annotation::SUCCESSOR).map(foreign_text),
            created: text(annotation::CREATED).and_then(|text| text.parse().ok()),
            signer: None,
            annotations,
        }
    }
}

/// Returns the marker of a kind that says that what it is attached to ends at `end_of_life`, a date or a time.
pub fn marker(kind: &MarkerKind, end_of_life: &str, successor: Option<&str>, created: Timestamp) -> NewArtifact {
    let artifact = NewArtifact::new(&kind.artifact_type).with_annotation(&kind.date, end_of_life).created(created);
    match successor {
        Some(successor) => artifact.with_annotation(annotation::SUCCESSOR, successor),
        None => artifact,
    }
}

/// Reads a date, which means its first moment in UTC, or a time with its offset: both are in use.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    // Nothing but `yyyy-MM-dd`: other readers take nothing else, and would disagree.
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date: Date = text.parse().ok().filter(|_| is_date)?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        for (text, expected) in [
            ("2023-07-10", Some("2023-07-10T00:00:00Z")),
            ("2023-07-10T00:00:00-08:00", Some("2023-07-10T08:00:00Z")),
            ("2023-07-10T00:00:00Z", Some("2023-07-10T00:00:00Z")),
            ("2023-02-30", None),
            ("10.07.2023", None),
            ("20230710", None),
            ("2023-07-10T00:00:00", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected.map(|time| time.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_kind_of_microsofts_type_stands_in_for_microsofts() {
        let own = MarkerKind::new("application/vnd.example.lifecycle", "org.example.end");
        assert_eq!(MarkerKind::all(None), [MarkerKind::microsoft()]);
        assert_eq!(MarkerKind::all(Some(own.clone())), [MarkerKind::microsoft(), own]);
        let other_date = MarkerKind::new(media_type::MICROSOFT_LIFECYCLE, "org.example.end");
        assert_eq!(MarkerKind::all(Some(other_date.clone())), [other_date]);
    }

    #[test]
    fn the_marker_created_last_decides_and_the_earliest_end_among_equals() {
        let marker = |end: &str, created: Option<&str>| Marker {
            digest: Digest::sha256(end.as_bytes()),
            end_of_life: parse_date(end).ok_or_else(|| end.to_owned()),
            successor: None,
            created: created.map(|time| time.parse().unwrap()),
            signer: None,
            annotations: BTreeMap::new(),
        };
        let (early, late) = (Some("2023-01-01T00:00:00Z"), Some("2024-01-01T00:00:00Z"));
        for (found, expected) in [
            (vec![], None),
            (vec![marker("2030-01-01", None)], Some("2030-01-01")),
            (vec![marker("2025-01-01", early), marker("2030-01-01", late)], Some("2030-01-01")),
            (vec![marker("2030-01-01", late), marker("2025-01-01", None)], Some("2030-01-01")),
            (vec![marker("2030-01-01", late), marker("2025-01-01", late)], Some("2025-01-01")),
            (vec![marker("2025-01-01", late), marker("soon", late)], Some("soon")),
        ] {
            let markers = Markers { found, unread: Vec::new() };
            let digest = expected.map(|end| Digest::sha256(end.as_bytes()));
            assert_eq!(markers.effective().map(|marker| marker.digest.clone()), digest);
        }
    }
}
