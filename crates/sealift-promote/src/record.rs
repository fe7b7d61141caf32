//! The record of a promotion: built from the plan, both decisions and the proof of what arrived.

use std::collections::HashSet;
use std::path::Path;

use sealift_core::oci::{Digest, annotation};
use sealift_core::statement::predicate::{
    PROMOTION, PromotionRecord, RecordedDecision, RecordedDecisions, RecordedDestination, RecordedExclusion,
    RecordedFinding, RecordedObject, RecordedPolicy, RecordedSource,
};
use sealift_core::statement::{Statement, Subject};
use sealift_core::verify::Claim;
use sealift_policy::Decision;
use serde::Serialize;

use crate::approved::Approved;
use crate::completeness::ArrivedObject;
use crate::endorse::{EndorseError, Endorser, SignatureForm, Stored};
use crate::object::{PlannedObject, Skipped};

/// The most objects and exclusions of one record. Keeps statements, which verifiers hold in memory, at a few MiB.
const MAX_RECORDED: usize = 10_000;

impl Approved<'_> {
    /// Attaches a signed record of the promotion to what was promoted, unless the destination holds one by the same
    /// signer that tells the same.
    ///
    /// It is linked before the tags move, so that no tag appears without its record.
    ///
    /// # Errors
    /// [`EndorseError`]; no tag was moved then.
    pub async fn record(mut self, endorser: &Endorser<'_>) -> Result<Self, EndorseError> {
        let record = self.to_record(endorser)?;
        let root = self.moved.plan.root.clone();
        let claim = Claim::Attestation { predicate_type: Some(PROMOTION.to_owned()) };
        let earlier = endorser.own_bundles(&self.moved.arrived, &root.digest, &claim).await?;
        let records: HashSet<&Digest> = earlier.iter().map(|(manifest, _)| manifest).collect();
        let same = earlier.iter().find(|(_, verified)| {
            let told = verified.statement().and_then(|it| it.predicate_as::<PromotionRecord>().ok());
            told.is_some_and(|told| told.covers(&record, &records))
        });
        let stored = match same {
            Some((manifest, _)) => Stored::found(manifest.clone()),
            None => {
                let statement = Statement::new(vec![Subject::of(&root.digest)], PROMOTION, &record);
                let statement = statement.map_err(EndorseError::Statement)?;
                let bundle = endorser.sign(&statement, &root.digest, &claim).await?;
                self.store(endorser, &root, &bundle).await?
            }
        };
        self.record = Some(self.note(&root.digest, SignatureForm::Bundle, stored));
        Ok(self)
    }

    fn to_record(&self, endorser: &Endorser<'_>) -> Result<PromotionRecord, EndorseError> {
        let moved = &self.moved;
        let source = moved.judged.clone().ok_or(EndorseError::NotJudged)?;
        let (arrived, excluded) = (&moved.completeness.arrived, &moved.completeness.excluded);
        if moved.completeness.at_source() > MAX_RECORDED {
            return Err(EndorseError::TooMany { limit: MAX_RECORDED });
        }
        Ok(PromotionRecord {
            source: RecordedSource {
                repository: moved.plan.source.to_string(),
                tag: moved.plan.source_tag.as_ref().map(ToString::to_string),
                digest: moved.plan.root.digest.clone(),
            },
            destination: RecordedDestination {
                repository: moved.destination.name().to_string(),
                tags: moved.target.tags.iter().map(ToString::to_string).collect(),
            },
            promoted_at: PromotionRecord::time(endorser.time),
            decisions: RecordedDecisions { source, destination: self.judged_at_destination.clone() },
            // All that was planned has arrived, and is in the same order.
            objects: moved.plan.objects.iter().zip(arrived).map(object).collect(),
            excluded: excluded.iter().map(exclusion).collect(),
        })
    }
}

/// Returns a decision as records have it: its policy by the file's name alone, whatever folder it is in.
pub(crate) fn decision(decision: &Decision) -> RecordedDecision {
    let policy = decision.source().map(|source| RecordedPolicy {
        name: Path::new(&source.file).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        digest: source.digest.clone(),
        scopes: source.scopes.clone(),
    });
    let findings = decision.findings().iter().map(|finding| RecordedFinding {
        rule: finding.rule().map(str::to_owned),
        check: finding.check().to_owned(),
        demand: finding.demand().to_owned(),
        reason: finding.reason().to_string(),
    });
    RecordedDecision { ruling: text(&decision.ruling()), policy, findings: findings.collect() }
}

fn object((object, arrived): (&PlannedObject, &ArrivedObject)) -> RecordedObject {
    let descriptor = object.manifest.descriptor();
    let annotations = object.manifest.parse().map(|manifest| manifest.annotations).unwrap_or_default();
    RecordedObject {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.clone(),
        size: descriptor.size,
        role: text(&object.role),
        subject: object.subject.clone(),
        index: object.index.clone(),
        artifact_type: object.artifact_type.clone(),
        predicate_type: annotations.get(annotation::BUNDLE_PREDICATE_TYPE).cloned(),
        proof: text(&arrived.proof),
    }
}

fn exclusion(skipped: &Skipped) -> RecordedExclusion {
    RecordedExclusion {
        subject: skipped.subject.clone(),
        digest: skipped.digest.clone(),
        artifact_type: skipped.artifact_type.clone(),
        reason: text(&skipped.reason),
    }
}

/// Returns the name that a variant has in JSON.
fn text(variant: &impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
