//! End-of-life markers: artifacts without content, attached to an image, whose annotations say when it ends.
//!
//! Images cannot be changed, so that they are outdated is said beside them. Several markers on one image are normal; the
//! one that says it was created last counts. Anyone who can push can mark, so that signers may be demanded.
//!
//! That there is no marker means yes, so whatever may be one and cannot be read is a [`Doubt`]. Who may push can cause
//! most of them, as they can move tags, and so keep an answer from being reached; they cannot bring about a yes:
//! - an unusable entry of a listing: a registry that computes listings has none unless it lost something; into a fallback
//!   tag, anyone who may push writes what they like, but they can leave a marker out of it as well;
//! - a signature of a marker that may be by an accepted signer: anyone can attach a damaged one to a marker of their own,
//!   or one without the evidence demanded;
//! - [more markers](MAX_SIGNED_MARKERS) than are looked at.
//!
//! What is certainly another signer's, or about something else, is no doubt, and neither is a manifest that is attached
//! to something else.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sealift_core::attach::{Attachment, AttachmentProblem, NewArtifact, ProblemReason, Storage, referrers_of_type};
use sealift_core::evidence::{Effort, Evidence, Rejection, RejectionReason, gather};
use sealift_core::identity::{Identity, IdentityMatcher};
use sealift_core::oci::{Digest, annotation, media_type};
use sealift_core::repository::{ReadRepository, RepositoryError, foreign_text};
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
///
/// Annotations that the verifier demands are demanded of images, not of markers: a marker without them would not count,
/// and so a stricter demand would allow more.
pub async fn read(
    repository: &dyn ReadRepository,
    subject: &Digest,
    signers: Option<(&Verifier, &IdentityMatcher)>,
    kinds: &[MarkerKind],
) -> Markers {
    let mut markers = Markers::default();
    let mut problems = Vec::new();
    for kind in kinds {
        let of_kind = referrers_of_type(repository, subject, &kind.artifact_type).await;
        markers.doubts.extend(of_kind.unread.into_iter().map(|unread| Doubt::Unread(unread.error)));
        markers.found.extend(of_kind.found.iter().map(|attachment| Marker::of(attachment, kind)));
        problems.extend(of_kind.problems);
    }
    // What is listed without a type may be of any kind, and is one thing.
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert((problem.storage, problem.digest.clone())));
    let (malformed, listed): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| matches!(problem.reason, ProblemReason::Malformed(_)));
    markers.doubts.extend(listed.into_iter().filter_map(Doubt::of_listed));
    match signers {
        Some((verifier, identities)) => {
            let signers = Signers { repository, verifier: verifier.clone().without_annotations(), identities };
            signers.keep_signed(&mut markers, malformed).await;
        }
        None => markers.doubts.extend(malformed.into_iter().filter_map(Doubt::of_listed)),
    }
    markers
}

/// Whose markers count.
struct Signers<'a> {
    repository: &'a dyn ReadRepository,
    verifier: Verifier,
    identities: &'a IdentityMatcher,
}

impl Signers<'_> {
    /// Keeps the markers that count. `malformed` are markers perhaps, which anyone may push; those that an accepted signer
    /// signed are doubts.
    async fn keep_signed(&self, markers: &mut Markers, malformed: Vec<AttachmentProblem>) {
        let mut left = MAX_SIGNED_MARKERS;
        for mut marker in std::mem::take(&mut markers.found) {
            let Some(rest) = left.checked_sub(1) else { return markers.doubts.push(self.too_many()) };
            left = rest;
            let evidence = self.evidence(&marker.digest).await;
            match evidence.verified().first() {
                Some(proof) => {
                    marker.signer = Some(proof.verified.signer().clone());
                    markers.found.push(marker);
                }
                None => markers.doubts.extend(Doubt::of_signatures(&marker.digest, evidence)),
            }
        }
        for problem in malformed {
            let Some(digest) = problem.digest.clone() else { continue };
            let Some(rest) = left.checked_sub(1) else { return markers.doubts.push(self.too_many()) };
            left = rest;
            let evidence = self.evidence(&digest).await;
            match evidence.verified() {
                [] => markers.doubts.extend(Doubt::of_signatures(&digest, evidence)),
                _ => markers.doubts.extend(Doubt::of_listed(problem)),
            }
        }
    }

    async fn evidence(&self, marker: &Digest) -> Evidence {
        let claim = Claim::ImageSignature;
        gather(self.repository, marker, &self.verifier, self.identities, &claim, Effort::FirstMatch).await
    }

    fn too_many(&self) -> Doubt {
        let (repository, limit) = (self.repository.name().clone(), MAX_SIGNED_MARKERS as u64);
        Doubt::Unread(RepositoryError::TooLarge { repository, what: "number of lifecycle markers", limit })
    }
}

/// The most markers whose signatures are looked for, each of which costs requests. Images with two dozen are known.
pub const MAX_SIGNED_MARKERS: usize = 64;

/// The end-of-life markers of one subject.
#[derive(Debug, Default)]
pub struct Markers {
    found: Vec<Marker>,
    doubts: Vec<Doubt>,
}

impl Markers {
    /// Returns every marker that counts.
    pub fn found(&self) -> &[Marker] {
        &self.found
    }

    /// Returns why there may be other markers that count; while there is any, nothing is certain.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// Returns the marker that decides: the one created last, and of several the one with the earliest end.
    pub fn effective(&self) -> Option<&Marker> {
        let end = |marker: &Marker| marker.end_of_life.clone().unwrap_or(Timestamp::MIN);
        self.found.iter().max_by(|one, other| one.created.cmp(&other.created).then_with(|| end(other).cmp(&end(one))))
    }
}

/// Why there may be a marker that counts beside those found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// What is listed may be a marker and is not usable.
    #[error("{} ({storage}) may be a lifecycle marker", .digest.as_ref().map_or("a listing".to_owned(), ToString::to_string))]
    Listed {
        /// Where it is listed.
        storage: Storage,
        /// Its digest; none when the whole listing is meant.
        digest: Option<Digest>,
        /// What is wrong with it.
        source: ProblemReason,
    },
    /// A signature of a marker may be by an accepted signer, and does not count.
    #[error("a signature of the lifecycle marker {marker} may be one that counts")]
    Signature {
        /// Digest of the marker.
        marker: Digest,
        /// Why it does not count.
        source: RejectionReason,
    },
    /// What is listed for a marker may be a signature of it and is not usable.
    #[error("what is attached to the lifecycle marker {marker} may be a signature that counts")]
    SignatureListed {
        /// Digest of the marker.
        marker: Digest,
        /// What is wrong with it.
        source: ProblemReason,
    },
    /// A listing, a manifest or a signature could not be read.
    #[error(transparent)]
    Unread(RepositoryError),
}

impl Doubt {
    /// Returns the doubt about something listed for the subject; `None` where it is certainly no marker of it.
    fn of_listed(problem: AttachmentProblem) -> Option<Self> {
        let AttachmentProblem { storage, digest, reason, .. } = problem;
        is_open(&reason).then_some(Self::Listed { storage, digest, source: reason })
    }

    /// Returns the doubts about a marker that none of the signatures found makes count.
    fn of_signatures(marker: &Digest, evidence: Evidence) -> Vec<Self> {
        let (rejected, unread, problems) = evidence.into_doubts();
        let rejected = rejected.into_iter().filter(Rejection::is_open);
        let rejected = rejected.map(|found| Self::Signature { marker: marker.clone(), source: found.reason });
        let problems = problems.into_iter().filter(|problem| is_open(&problem.reason));
        let problems = problems.map(|found| Self::SignatureListed { marker: marker.clone(), source: found.reason });
        unread.into_iter().map(|unread| Self::Unread(unread.error)).chain(rejected).chain(problems).collect()
    }
}

/// Says whether what is wrong with something listed leaves open what it is. What has another subject is read, and what
/// is listed as no manifest is none.
fn is_open(problem: &ProblemReason) -> bool {
    !matches!(problem, ProblemReason::NotAManifest { .. } | ProblemReason::OtherSubject { .. })
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
            let markers = Markers { found, doubts: Vec::new() };
            let digest = expected.map(|end| Digest::sha256(end.as_bytes()));
            assert_eq!(markers.effective().map(|marker| marker.digest.clone()), digest);
        }
    }
}
