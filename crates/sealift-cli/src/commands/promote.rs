//! `sealift promote`.

use std::collections::BTreeMap;

use sealift_core::copy::CopyOptions;

use crate::args::endorsement::EndorsementArgs;
use crate::args::endpoint::EndpointArgs;
use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::policy::PolicyArgs;
use crate::args::promotion::{SelectionArgs, TagArgs};
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::endorsing::Endorsing;
use crate::error::CliError;
use crate::output::model::{Batch, PromotionResult};
use crate::promoting::{self, Extent, Job, Promoter};
use crate::rules::{RulesJudge, rules};

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
  sealift promote --key sealift.pub oci-layout://./out:1.0 registry.example.com/app:1.0
  sealift promote --key sealift.pub oci://staging.example.com/charts/app:1 oci://prod.example.com/charts/app

{REFERENCE_HELP}"))]
pub(crate) struct PromoteArgs {
    /// Artifact to promote
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Where it goes, one place or several; without a tag the source's tag is kept
    #[arg(value_name = "DESTINATION", required = true)]
    destinations: Vec<String>,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Print the plan, after verifying the source, and change nothing
    #[arg(long)]
    dry_run: bool,

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

/// Promotes, or plans to.
pub(crate) async fn run(args: &PromoteArgs, context: &Context) -> Result<Batch<PromotionResult>, CliError> {
    let (source, selector) = reference::parse_selecting(&args.source)?;
    let destinations: Vec<_> = args.destinations.iter().map(|text| reference::parse(text)).collect::<Result<_, _>>()?;
    let client = context.client_of_ends(
        &args.registry,
        &args.endpoints,
        &[&source],
        &destinations.iter().collect::<Vec<_>>(),
    )?;
    let (verifier, rules) = rules(context, &args.policy, &args.identity, BTreeMap::new()).await?;
    let selection = promoting::selection(context, &args.selection, &args.identity.trust, &verifier).await?;
    let judge = RulesJudge { rules, verifier };
    let promoter = Promoter {
        client,
        judge: &judge,
        selection,
        options: args.options(context),
        endorsing: args.endorsing(context).await?,
        extent: if args.dry_run { Extent::Plan } else { Extent::Promote },
    };
    let job = Job {
        source,
        selector,
        destinations,
        tags: args.tags.tag.clone(),
        rule: args.tags.rule(),
        platforms: args.selection.platform.clone(),
    };
    promoter.run(&job).await.map(Batch)
}

impl PromoteArgs {
    /// Returns who signs at the destinations; a plan needs nobody, but arguments that make sense.
    async fn endorsing(&self, context: &Context) -> Result<Option<Endorsing>, CliError> {
        match self.dry_run {
            true => self.endorsement.signer().and(self.endorsement.resigning()).map(|_| None).map_err(CliError::Usage),
            false => Endorsing::open(context, &self.endorsement, &self.destinations).await,
        }
    }

    fn options(&self, context: &Context) -> CopyOptions {
        let options = CopyOptions::default().with_concurrency(usize::from(self.registry.concurrency));
        match context.progress.observer() {
            Some(observer) => options.with_observer(observer),
            None => options,
        }
    }
}
