//! `sealift promote`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sealift_core::copy::CopyOptions;
use sealift_core::oci::Reference;
use sealift_promote::{Image, ManifestEntry};

use crate::admissions::Admissions;
use crate::args::endorsement::EndorsementArgs;
use crate::args::endpoint::EndpointArgs;
use crate::args::identity::IdentityArgs;
use crate::args::many::ManyArgs;
use crate::args::output::OutputArgs;
use crate::args::policy::PolicyArgs;
use crate::args::promotion::{SelectionArgs, TagArgs};
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::endorsing::Endorsing;
use crate::error::{CliError, UsageError};
use crate::exit::Exit;
use crate::output::model::{Promotions, Scale};
use crate::promoter::{self, Demand, Extent, Job, Promoter};
use crate::promotions::{self, Prepared};
use crate::report_file::ReportFile;
use crate::rules::{Rules, RulesJudge};
use crate::verifiers::Verifiers;

/// Verify an artifact, move it with all its evidence, verify it again where it arrived, and only then move the tag
///
/// Refuses before anything is written when the source does not verify. Image or index, every platform, every referrer
/// at any depth, fallback tags and `.sig`, `.att` and `.sbom` tags arrive with their bytes unchanged; the report proves
/// for each of them that it arrived, and lists what was left behind with the reason. Tags are moved last, and only from
/// what they held when the promotion began: a crash at any moment leaves the old ones. There is no way to switch
/// verification off; `sealift copy` copies without it.
///
/// With `--policy`, the source is judged by the rules that the file has for the source's repository, and what arrived by
/// those for the destination's; both must allow it. Nothing is moved to a destination that no scope covers.
///
/// With `--sign-key` or `--sign-keyless`, a signed record of the promotion is attached at the destination before the tags
/// move, and with `--resign` everything that arrived is signed there. Promoting again signs nothing twice.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift promote --key sealift.pub staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --key sealift.pub --dry-run staging.example.com/app:1.0 prod.example.com/app
  sealift promote --certificate-identity ci@example.com --certificate-oidc-issuer https://issuer.example.com \\
    staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --policy policy.yaml staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --key sealift.pub --tag latest --overwrite-tag staging.example.com/app:1.0 prod.example.com/app
  sealift promote --key sealift.pub staging.example.com/app:1.0 eu.example.com/app:1.0 us.example.com/app:1.0
  sealift promote --key sealift.pub --exclude predicate=vuln staging.example.com/app:1.0 prod.example.com/app
  sealift promote --key sealift.pub --sign-key prod.key --resign staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --key sealift.pub 'staging.example.com/app:v1.*' prod.example.com/app
  sealift promote --policy policy.yaml --from-file promotions.yaml --junit report.xml
  sealift promote --policy policy.yaml --from-file promotions.yaml --shard $JOB_COMPLETION_INDEX/8
  sealift promote --key sealift.pub oci-layout://./out:1.0 registry.example.com/app:1.0
  sealift promote --key sealift.pub oci://staging.example.com/charts/app:1 oci://prod.example.com/charts/app

{REFERENCE_HELP}"))]
pub(crate) struct PromoteArgs {
    /// Artifact to promote; `*` and `?` in its tag stand for any characters, and every tag that fits is promoted
    #[arg(value_name = "SOURCE", required_unless_present = "from_file")]
    source: Option<String>,

    /// Where it goes, one place or several: under the tag that is named here and those of `--tag`; without any, under
    /// the source's own. A destination with a digest, which must be the source's, gets no tag but those of `--tag`
    #[arg(value_name = "DESTINATION", required_unless_present = "from_file")]
    destinations: Vec<String>,

    /// Print the plan, after verifying the source, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    many: ManyArgs,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    tags: TagArgs,

    #[command(flatten)]
    selection: SelectionArgs,

    #[command(flatten)]
    endorsement: EndorsementArgs,

    #[command(flatten)]
    endpoints: EndpointArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Promotes, or plans to, and reports what became of it.
pub(crate) async fn run(args: &PromoteArgs, context: &Context) -> Result<Exit, CliError> {
    let started = Instant::now();
    let file = ReportFile::begin(args.many.junit.as_deref(), "sealift promote", args.subject());
    let outcome = promote(args, context, started).await;
    file.end(context.printer, args.output.output, outcome, Promotions::cases)
}

async fn promote(args: &PromoteArgs, context: &Context, started: Instant) -> Result<Promotions, CliError> {
    let endorsement = args.endorsement.wanted().map_err(CliError::Usage)?;
    let entries = args.entries()?;
    let (sources, destinations) = ends(&entries);
    let client = context.client_of_ends(&args.registry, &args.endpoints, &sources, &destinations)?;
    let demands = args.demands(context, &entries).await?;
    let prepared = promotions::prepare(&client, &entries, args.many.shard).await?;
    let (extent, endorsing) = match endorsement {
        // A plan needs nobody who signs.
        _ if args.dry_run => (Extent::Plan, None),
        None => (Extent::Promote, None),
        Some(endorsement) => {
            let destinations: BTreeSet<String> = destinations.iter().map(ToString::to_string).collect();
            let destinations: Vec<String> = destinations.into_iter().collect();
            (Extent::Promote, Some(Endorsing::open(context, endorsement, &destinations).await?))
        }
    };
    let options = CopyOptions::default().with_concurrency(usize::from(args.registry.concurrency));
    let promoter = Promoter { client, options, endorsing, extent, admissions: Admissions::default() };
    let job = |image: &Image, entry: &ManifestEntry| Job {
        source: image.source.clone(),
        selector: image.selector.clone(),
        destinations: entry.destinations.clone(),
        tags: entry.tags.clone(),
        rule: entry.rule.clone().unwrap_or_else(|| args.tags.rule()),
        platforms: if entry.platforms.is_empty() { args.selection.platform.clone() } else { entry.platforms.clone() },
        demand: Arc::clone(&demands[&entry.policy]),
    };
    let scale = args.scale(&entries, &prepared);
    let lines = prepared.carry_out(&promoter, job, usize::from(args.many.jobs), &context.progress).await;
    Ok(Promotions { lines, scale, elapsed: started.elapsed() })
}

/// Returns the references of both ends.
fn ends(entries: &[ManifestEntry]) -> (Vec<&Reference>, Vec<&Reference>) {
    let sources = entries.iter().map(|entry| entry.source.reference()).collect();
    (sources, entries.iter().flat_map(|entry| &entry.destinations).collect())
}

impl PromoteArgs {
    /// Returns what the promotions are called as a whole: the manifest, else the source as typed.
    fn subject(&self) -> String {
        let manifest = self.many.from_file.as_ref().map(|path| path.display().to_string());
        manifest.or_else(|| self.source.clone()).unwrap_or_default()
    }

    /// Returns what is to be promoted: what the manifest says, else what the arguments do.
    fn entries(&self) -> Result<Vec<ManifestEntry>, CliError> {
        if let Some(path) = &self.many.from_file {
            return promotions::read(path);
        }
        let source = promotions::source(self.source.as_deref().unwrap_or_default())?;
        let destinations = self.destinations.iter().map(|text| reference::parse(text)).collect::<Result<_, _>>()?;
        let entry = ManifestEntry::new(source, destinations, self.tags.tag.clone()).map_err(CliError::Manifest)?;
        Ok(vec![entry])
    }

    /// Returns what is demanded by each policy that the entries name, and by the flags where one names none.
    ///
    /// # Errors
    /// [`UsageError::NothingLeftToJudge`] for flags that no entry leaves anything to.
    async fn demands(
        &self,
        context: &Context,
        entries: &[ManifestEntry],
    ) -> Result<HashMap<Option<PathBuf>, Arc<Demand>>, CliError> {
        // Who names a key on the command line means it to count.
        let are_demanding = self.policy.policy.is_some() || !self.identity.is_empty();
        if are_demanding && entries.iter().all(|entry| entry.policy.is_some()) {
            return Err(UsageError::NothingLeftToJudge.into());
        }
        let trust = &self.identity.trust;
        let mut verifiers = Verifiers::new(context, trust);
        let mut demands = HashMap::new();
        for entry in entries {
            if demands.contains_key(&entry.policy) {
                continue;
            }
            let rules = match &entry.policy {
                None => Rules::read(context, &self.policy, &self.identity)?,
                Some(path) => {
                    let policy = PolicyArgs { policy: Some(path.clone()), ..self.policy.clone() };
                    Rules::read(context, &policy, &IdentityArgs::of_nobody(trust))?
                }
            };
            let certificates = rules.certificates();
            let selection = promoter::selection(context, &self.selection, &mut verifiers, certificates).await?;
            let judge = RulesJudge { rules, verifier: verifiers.of(certificates).await? };
            let demand = Demand { judge, selection };
            demands.insert(entry.policy.clone(), Arc::new(demand));
        }
        Ok(demands)
    }

    fn scale(&self, entries: &[ManifestEntry], prepared: &Prepared<'_>) -> Scale {
        let is_one = self.many.from_file.is_none() && entries.iter().all(|entry| entry.source.is_one());
        match self.many.shard {
            None if is_one => Scale::One,
            shard => Scale::Many { shard, elsewhere: prepared.elsewhere },
        }
    }
}
