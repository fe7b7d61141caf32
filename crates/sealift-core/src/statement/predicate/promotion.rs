//! The record of a promotion: what was moved from where to where, and which decisions let it pass.
//!
//! Says nothing about who promoted: whoever signed the statement says that, and only a verified signature proves it.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::oci::{Digest, MediaType};

/// What a promotion did, as the destination's signer states it about the promoted digest.
///
/// Specification: `docs/promotion-record.md`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotionRecord {
    /// Where it came from.
    pub source: RecordedSource,
    /// Where it went.
    pub destination: RecordedDestination,
    /// When everything had arrived and was allowed, RFC 3339 in seconds of UTC; the tags are moved right after.
    pub promoted_at: String,
    /// What was decided about it.
    pub decisions: RecordedDecisions,
    /// Every manifest that arrived, the root first.
    pub objects: Vec<RecordedObject>,
    /// What the source had and was left behind.
    #[serde(default)]
    pub excluded: Vec<RecordedExclusion>,
}

impl PromotionRecord {
    /// Returns `time` as records have it.
    pub fn time(time: Timestamp) -> String {
        time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Says whether `self` tells all that `other` does, but for the time and for how the arrival of each object was
    /// proven: promoting again with nothing changed needs no second record.
    ///
    /// `records` are the manifests that hold records of promotions by the same signer, as verified. They are left out
    /// where they came along, since else each record would ask for the next. What only says that it is a record counts:
    /// anybody can write that into a manifest.
    pub fn covers(&self, other: &Self, records: &HashSet<&Digest>) -> bool {
        self.source.repository == other.source.repository
            && self.source.digest == other.source.digest
            && self.destination.repository == other.destination.repository
            && other.destination.tags.iter().all(|tag| self.destination.tags.contains(tag))
            && self.decisions == other.decisions
            && self.evidence(records) == other.evidence(records)
            && self.left_behind() == other.left_behind()
    }

    /// Returns what arrived without `records`, in no order of its own: registries list as they like.
    fn evidence(&self, records: &HashSet<&Digest>) -> BTreeSet<(&Digest, &str, Option<&Digest>)> {
        let evidence = self.objects.iter().filter(|object| !records.contains(&object.digest));
        evidence.map(|object| (&object.digest, object.role.as_str(), object.subject.as_ref())).collect()
    }

    /// Returns what was left behind, in no order of its own either.
    fn left_behind(&self) -> BTreeSet<&RecordedExclusion> {
        self.excluded.iter().collect()
    }
}

/// Where something came from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedSource {
    /// The repository, such as `staging.example.com/app`.
    pub repository: String,
    /// The tag it was found under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Its digest, the same at both ends.
    pub digest: Digest,
}

/// Where something went.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedDestination {
    /// The repository.
    pub repository: String,
    /// The tags it was to get.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// What was decided at both ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedDecisions {
    /// Before anything was written.
    pub source: RecordedDecision,
    /// From what had arrived.
    pub destination: RecordedDecision,
}

/// One decision.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedDecision {
    /// Always `allow`: nothing else is recorded.
    pub ruling: String,
    /// The document that was judged by; none where keys and identities were given as flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RecordedPolicy>,
    /// What was demanded, and why it was met.
    pub findings: Vec<RecordedFinding>,
}

/// A policy document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedPolicy {
    /// Its file's name, without folders.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// The patterns of the scopes that apply.
    pub scopes: Vec<String>,
}

/// What one check found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RecordedFinding {
    /// Where the document demands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The check's name.
    pub check: String,
    /// What was demanded, in words.
    pub demand: String,
    /// Why it was met.
    pub reason: String,
}

/// A manifest that arrived.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedObject {
    /// Its media type.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, without that of its blobs.
    pub size: u64,
    /// `root`, `child`, `referrer`, `part` or `cosign-tag`.
    pub role: String,
    /// What it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// For a part, the index that lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Its artifact type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The type of the predicate in it, as its manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// How it is known to be at the destination: `found`, `listed`, `merged` or `read-back`.
    pub proof: String,
}

/// Something at the source that was left behind.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedExclusion {
    /// What it is, or is said to be, attached to or part of.
    pub subject: Digest,
    /// Its digest; none when a whole listing is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its artifact type, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Why, such as `excluded` or `other-platform`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::predicate::{PROMOTION, SPDX};

    fn record() -> PromotionRecord {
        let decision = RecordedDecision {
            ruling: "allow".to_owned(),
            policy: Some(RecordedPolicy {
                name: "policy.yaml".to_owned(),
                digest: Digest::sha256(b"policy"),
                scopes: vec!["**".to_owned()],
            }),
            findings: vec![RecordedFinding {
                rule: Some("scopes[0].signatures[0]".to_owned()),
                check: "signed-by".to_owned(),
                demand: "signed by a".to_owned(),
                reason: "a signed".to_owned(),
            }],
        };
        PromotionRecord {
            source: RecordedSource {
                repository: "staging/app".to_owned(),
                tag: Some("v1".to_owned()),
                digest: Digest::sha256(b"root"),
            },
            destination: RecordedDestination {
                repository: "prod/app".to_owned(),
                tags: vec!["v1".to_owned(), "latest".to_owned()],
            },
            promoted_at: PromotionRecord::time(Timestamp::UNIX_EPOCH),
            decisions: RecordedDecisions { source: decision.clone(), destination: decision },
            objects: vec![object(b"root", None), object(b"sbom", Some(SPDX))],
            excluded: Vec::new(),
        }
    }

    fn object(content: &[u8], predicate_type: Option<&str>) -> RecordedObject {
        RecordedObject {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: Digest::sha256(content),
            size: content.len() as u64,
            role: "referrer".to_owned(),
            subject: None,
            index: None,
            artifact_type: None,
            predicate_type: predicate_type.map(str::to_owned),
            proof: "found".to_owned(),
        }
    }

    #[test]
    fn is_json_with_plain_names() {
        let json = serde_json::to_value(record()).unwrap();
        assert_eq!(json["promotedAt"], "1970-01-01T00:00:00Z");
        assert_eq!(json["decisions"]["source"]["policy"]["name"], "policy.yaml");
        assert_eq!(json["objects"][0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        assert_eq!((&json["objects"][0]["size"], &json["objects"][0]["proof"]), (&4.into(), &"found".into()));
        assert_eq!(serde_json::from_value::<PromotionRecord>(json).unwrap(), record());
    }

    #[test]
    fn covers_what_differs_in_nothing_but_time_and_records() {
        type Change = fn(&mut PromotionRecord);
        let left_behind = |it: &mut PromotionRecord| {
            it.excluded.push(RecordedExclusion {
                subject: Digest::sha256(b"root"),
                digest: None,
                artifact_type: None,
                reason: "excluded".to_owned(),
            });
        };
        let changes: [(&str, bool, Change); 17] = [
            ("time", true, |it| it.promoted_at = "2026-01-01T00:00:00Z".to_owned()),
            ("fewer tags", true, |it| it.destination.tags.truncate(1)),
            ("order", true, |it| it.objects.reverse()),
            ("proof", true, |it| it.objects[1].proof = "listed".to_owned()),
            ("a record that came along", true, |it| it.objects.push(object(b"record", Some(PROMOTION)))),
            ("what says that it is a record", false, |it| it.objects.push(object(b"forged", Some(PROMOTION)))),
            ("another tag", false, |it| it.destination.tags.push("v2".to_owned())),
            ("another object", false, |it| it.objects.push(object(b"scan", None))),
            ("an object less", false, |it| it.objects.truncate(1)),
            ("another subject", false, |it| it.objects[1].subject = Some(Digest::sha256(b"root"))),
            ("what stays behind", false, left_behind),
            ("source", false, |it| it.source.repository.push('2')),
            ("destination", false, |it| it.destination.repository.push('2')),
            ("policy", false, |it| it.decisions.source.policy = None),
            ("scope", false, |it| it.decisions.source.policy.as_mut().unwrap().scopes.clear()),
            ("demand", false, |it| it.decisions.destination.findings[0].demand = "signed by b".to_owned()),
            ("reason", false, |it| it.decisions.destination.findings[0].reason = "b signed".to_owned()),
        ];
        let known = Digest::sha256(b"record");
        for (what, expected, change) in changes {
            let mut other = record();
            change(&mut other);
            assert_eq!(record().covers(&other, &HashSet::from([&known])), expected, "{what}");
        }
    }
}
