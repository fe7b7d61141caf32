//! Promoting as the command line asks for it: one source, judged once, to one or several destinations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sealift_core::copy::CopyOptions;
use sealift_core::identity::{CertificateIdentity, EmptyIdentity, IdentityMatcher};
use sealift_core::oci::{Reference, Selector, Tag, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::repository::{ReadRepository, Snapshot};
use sealift_core::verify::Verifier;
use sealift_oci::Client;
use sealift_promote::{
    AdmittedPlan, Ends, Feature, Gate, Judge as _, Promotion, Selection, Signers, TagRule, Target, admit, arrive,
};

use crate::admissions::{Admissions, Candidate};
use crate::args::promotion::{FeatureArg, SelectionArgs};
use crate::commands::copy::refuse_other_digest;
use crate::context::Context;
use crate::endorsing::Endorsing;
use crate::error::CliError;
use crate::output::model::{Planned, PromotedTo, PromotionResult, Refused};
use crate::output::progress::ImageProgress;
use crate::rules::RulesJudge;
use crate::subject::{self, Subject};
use crate::trust::CertificateUse;
use crate::verifiers::Verifiers;

/// One source and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) source: Reference,
    pub(crate) selector: Selector,
    pub(crate) destinations: Vec<Reference>,
    /// Tags at every destination besides the one it names.
    pub(crate) tags: Vec<Tag>,
    pub(crate) rule: TagRule,
    pub(crate) platforms: Vec<String>,
    pub(crate) demand: Arc<Demand>,
}

/// What is demanded of an artifact, and what of it travels.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(crate) judge: RulesJudge,
    pub(crate) selection: Selection,
}

/// What became of a job at one destination, or of its source for all of them.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) place: String,
    pub(crate) result: Result<PromotionResult, CliError>,
    /// What it took; for the first destination with what its source took.
    pub(crate) elapsed: Duration,
}

/// How far a promotion goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    Plan,
    Promote,
}

/// Carries out jobs.
pub(crate) struct Promoter {
    pub(crate) client: Client,
    pub(crate) options: CopyOptions,
    pub(crate) extent: Extent,
    /// Signs at the destinations before the tags move.
    pub(crate) endorsing: Option<Endorsing>,
    pub(crate) admissions: Admissions,
}

impl Promoter {
    /// Carries out one job, watched by `progress`; a destination that fails does not stop the others.
    ///
    /// # Errors
    /// What concerns the source, and so every destination.
    pub(crate) async fn run(&self, job: &Job, progress: &ImageProgress) -> Result<Vec<Delivered>, CliError> {
        let started = Instant::now();
        let (subject, root) = Subject::read(&self.client, &job.source, &job.selector).await?;
        for destination in &job.destinations {
            refuse_other_digest(destination, subject.digest())?;
        }
        // Gate 1 and the plan read the same things, and so does every destination: the registry is asked once.
        let snapshot = Snapshot::new(&*subject.repository).knowing([&root]);
        let promotion = Promotion {
            source_tag: job.source.tag().cloned(),
            platforms: job.platforms.clone(),
            selection: job.demand.selection.clone(),
            ..Promotion::of(subject.descriptor.clone())
        };
        let candidate = Candidate {
            repository: job.source.repository(),
            digest: subject.digest().clone(),
            platforms: job.platforms.clone(),
            demand: Arc::clone(&job.demand),
        };
        let admitting = admit(&snapshot, &promotion, &job.demand.judge);
        let admitted = match self.admissions.admit(candidate, admitting).await.map_err(CliError::Promote)? {
            // Under whichever tag it was judged.
            Gate::Passed(admitted) => admitted.found_under(job.source.tag().cloned()),
            Gate::Stopped(decision) => {
                let refused = Refused { source: job.source.clone(), reference: job.source.clone(), decision };
                let result = Ok(PromotionResult::Refused(refused));
                return Ok(vec![Delivered { place: job.source.to_string(), result, elapsed: started.elapsed() }]);
            }
        };
        let judged = Instant::now();
        let mut delivered = self.deliver_all(job, &admitted, &snapshot, progress).await;
        if let Some(first) = delivered.first_mut() {
            first.elapsed += judged - started;
        }
        Ok(delivered)
    }

    /// Delivers to all destinations at the same time, but one after the other to those in one repository.
    async fn deliver_all(
        &self,
        job: &Job,
        admitted: &AdmittedPlan,
        source: &dyn ReadRepository,
        progress: &ImageProgress,
    ) -> Vec<Delivered> {
        let mut repositories: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (position, destination) in job.destinations.iter().enumerate() {
            repositories.entry(destination.repository()).or_default().push((position, destination));
        }
        let _turns = self.admissions.deliver(&admitted.plan().root().digest, repositories.keys()).await;
        let tee = self.client.tee(source, repositories.keys());
        let deliveries = repositories.values().zip(tee.branches()).map(async |(destinations, branch)| {
            let mut delivered = Vec::new();
            for (position, destination) in destinations {
                let started = Instant::now();
                let result = self.deliver(job, admitted, &branch, destination, progress).await;
                let place = destination.to_string();
                delivered.push((*position, Delivered { place, result, elapsed: started.elapsed() }));
            }
            delivered
        });
        let mut delivered: Vec<_> = join_all(deliveries).await.into_iter().flatten().collect();
        delivered.sort_unstable_by_key(|(position, _)| *position);
        delivered.into_iter().map(|(_, delivered)| delivered).collect()
    }

    async fn deliver(
        &self,
        job: &Job,
        admitted: &AdmittedPlan,
        source: &dyn ReadRepository,
        destination: &Reference,
        progress: &ImageProgress,
    ) -> Result<PromotionResult, CliError> {
        let target = Target::of(&job.source, destination, &job.tags, job.rule.clone());
        let plan = admitted.plan();
        let digest = plan.root().digest.clone();
        let refused = |decision| {
            let (source, reference) = (job.source.clone(), destination.with_digest(digest.clone()));
            Ok(PromotionResult::Refused(Refused { source, reference, decision }))
        };
        if self.extent == Extent::Plan {
            if let Some(decision) = job.demand.judge.foresee(&destination.repository(), &digest) {
                return refused(decision);
            }
            let planned = Planned { destination: destination.clone(), tags: target.tags, plan: plan.clone() };
            return Ok(PromotionResult::Planned(planned));
        }
        let repository = subject::open_destination(&self.client, destination).await?;
        let options = self.options.clone().with_observer(progress.deliver(plan.bytes()));
        let ends = Ends { source, destination: &*repository };
        let arrived = arrive(admitted.clone(), ends, target, &job.demand.judge, &options).await;
        let mut approved = match arrived.map_err(CliError::Promote)? {
            Gate::Passed(approved) => approved,
            Gate::Stopped(decision) => return refused(decision),
        };
        if let Some(endorsing) = &self.endorsing {
            approved = endorsing.endorse(approved).await?;
        }
        Ok(PromotionResult::Promoted(PromotedTo {
            source: job.source.with_digest(digest.clone()),
            destination: destination.with_digest(digest),
            promoted: approved.publish().await.map_err(CliError::Promote)?,
        }))
    }
}

/// Returns what the flags select; who signed is proven as rules prove it that accept certificates, or not, unless the
/// flags name identities, which certificates prove.
pub(crate) async fn selection(
    context: &Context,
    args: &SelectionArgs,
    verifiers: &mut Verifiers<'_>,
    certificates: CertificateUse,
) -> Result<Selection, CliError> {
    let certificates = if args.names_identities() { CertificateUse::Accepted } else { certificates };
    let verifier = verifiers.of(certificates).await?;
    let mut selection = Selection::default();
    if args.include_lifecycle {
        selection = selection.including(Feature::ArtifactType(Pattern::exact(media_type::MICROSOFT_LIFECYCLE)));
    }
    for feature in &args.exclude {
        selection = selection.excluding(self::feature(context, feature, &verifier)?);
    }
    for feature in &args.include {
        selection = selection.including(self::feature(context, feature, &verifier)?);
    }
    Ok(selection)
}

fn feature(context: &Context, feature: &FeatureArg, verifier: &Verifier) -> Result<Feature, CliError> {
    Ok(match feature {
        FeatureArg::Annotation { key, value } => Feature::Annotation { key: key.clone(), value: value.clone() },
        FeatureArg::ArtifactType(pattern) => Feature::ArtifactType(pattern.clone()),
        FeatureArg::MediaType(pattern) => Feature::MediaType(pattern.clone()),
        FeatureArg::PredicateType(pattern) => Feature::PredicateType(pattern.clone()),
        FeatureArg::Identity { name, issuer } => {
            let identity = CertificateIdentity::new(name.clone(), issuer.clone());
            signed_by(IdentityMatcher::certificates(vec![identity]), verifier)?
        }
        FeatureArg::Key(key) => signed_by(IdentityMatcher::keys(vec![context.public_key(key)?]), verifier)?,
    })
}

fn signed_by(identities: Result<IdentityMatcher, EmptyIdentity>, verifier: &Verifier) -> Result<Feature, CliError> {
    let identities = identities.map_err(CliError::Identity)?;
    Ok(Feature::Signer(Arc::new(Signers { identities, verifier: verifier.clone() })))
}
