//! End-of-life markers: artifacts without content, attached to an image, whose annotations say when it ends.
//!
//! Images cannot be changed, so that they are outdated is said beside them. Several markers on one image are normal; the
//! one that says it was created last counts. Anyone who can push can mark, so that signers may be demanded.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sealift_core::attach::{Attachment, NewArtifact, Unread, referrers_of_type};
use sealift_core::evidence::{Effort, gather};
use sealift_core::identity::{Identity, IdentityMatcher};
use sealift_core::oci::{Digest, annotation, media_type};
use sealift_core::repository::{ReadRepository, foreign_text};
use sealift_core::verify::{Claim, Verifier};

/// Reads the end-of-life markers of `subject`; with signers, those that one of them signed.
pub async fn read(
    repository: &dyn ReadRepository,
    subject: &Digest,
    signers: Option<(&Verifier, &IdentityMatcher)>,
) -> Markers {
    let attached = referrers_of_type(repository, subject, media_type::MICROSOFT_LIFECYCLE).await;
    let mut markers = Markers { found: Vec::new(), unread: attached.unread };
    for (index, attachment) in attached.found.iter().enumerate() {
        let mut marker = Marker::of(attachment);
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
}

impl Marker {
    fn of(attachment: &Attachment) -> Self {
        // It was parsed when it was opened.
        let annotations = attachment.manifest.parse().map(|manifest| manifest.annotations).unwrap_or_default();
        let text = |key: &str| annotations.get(key).map(String::as_str);
        let end = text(annotation::END_OF_LIFE).unwrap_or_default();
        Self {
            digest: attachment.descriptor().digest.clone(),
            end_of_life: parse_date(end).ok_or_else(|| foreign_text(end)),
            successor: text(annotation::SUCCESSOR).map(foreign_text),
            created: text(annotation::CREATED).and_then(|text| text.parse().ok()),
            signer: None,
        }
    }
}

/// Returns the marker that says that what it is attached to ends at `end_of_life`, a date or a time.
pub fn marker(end_of_life: &str, successor: Option<&str>, created: Timestamp) -> NewArtifact {
    let artifact = NewArtifact::new(media_type::MICROSOFT_LIFECYCLE)
        .with_annotation(annotation::END_OF_LIFE, end_of_life)
        .created(created);
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
    fn the_marker_created_last_decides_and_the_earliest_end_among_equals() {
        let marker = |end: &str, created: Option<&str>| Marker {
            digest: Digest::sha256(end.as_bytes()),
            end_of_life: parse_date(end).ok_or_else(|| end.to_owned()),
            successor: None,
            created: created.map(|time| time.parse().unwrap()),
            signer: None,
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
