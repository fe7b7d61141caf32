//! `sealift promote`.

use std::collections::BTreeMap;

use sealift_core::copy::CopyOptions;
use sealift_core::evidence::Effort;
use sealift_core::oci::{Digest, Reference};
use sealift_core::repository::{ReadRepository, Snapshot};
use sealift_core::verify::Verifier;
use sealift_policy::check::SignedBy;
use sealift_policy::{Decision, Policy};
use sealift_promote::{Overwrite, Promotion, Selection, plan, publish, transfer};

use crate::args::endpoint::EndpointArgs;
use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::reference::{self, REFERENCE_HELP};
use crate::args::registry::RegistryArgs;
use crate::commands::copy::refuse_other_digest;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::model::{Planned, Promoted, Refused};
use crate::subject::{self, Subject};
use crate::verification::requirements;

/// Verify an artifact, move it with all its evidence, verify it again where it arrived, and only then move the tag
///
/// Refuses before anything is written when the source does not verify. Image or index, every platform, every referrer
/// at any depth, fallback tags and `.sig`, `.att` and `.sbom` tags arrive with their bytes unchanged; what is skipped
/// is listed with the reason. The tag is moved last: a crash at any moment leaves the old one. There is no way to
/// switch verification off; `sealift copy` copies without it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift promote --key sealift.pub staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --key sealift.pub --dry-run staging.example.com/app:1.0 prod.example.com/app
  sealift promote --certificate-identity ci@example.com --certificate-oidc-issuer https://issuer.example.com \\
    staging.example.com/app:1.0 prod.example.com/app:1.0
  sealift promote --key sealift.pub oci-layout://./out:1.0 registry.example.com/app:1.0
  sealift promote --key sealift.pub oci://staging.example.com/charts/app:1 oci://prod.example.com/charts/app

{REFERENCE_HELP}"))]
pub(crate) struct PromoteArgs {
    /// Artifact to promote
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Where it goes; without a tag the source's tag is kept
    #[arg(value_name = "DESTINATION")]
    destination: String,

    #[command(flatten)]
    identity: IdentityArgs,

    /// Print the plan, after verifying the source, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Move the destination's tag even if it holds something else
    #[arg(long, visible_alias = "force")]
    overwrite_tag: bool,

    /// Carry lifecycle markers such as end of life too, which by default stay where they are true
    #[arg(long)]
    include_lifecycle: bool,

    #[command(flatten)]
    endpoints: EndpointArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Promotes, or plans to.
pub(crate) async fn run(args: &PromoteArgs, context: &Context) -> Result<Exit, CliError> {
    let (source, selector) = reference::parse_selecting(&args.source)?;
    let destination = reference::parse(&args.destination)?;
    let client = context.client_of_ends(&args.registry, &args.endpoints, &source, &destination)?;
    let (verifier, identity) = requirements(context, &args.identity, BTreeMap::new()).await?;
    let policy = Policy::new().requiring(SignedBy::new(identity));
    let subject = Subject::open_read(&client, &source, &selector).await?;
    refuse_other_digest(&destination, subject.digest())?;
    // Gate 1 and the plan read the same things; the snapshot asks the registry once.
    let snapshot = Snapshot::new(&*subject.repository);
    let gate = Gate { policy: &policy, verifier: &verifier, digest: subject.digest() };
    let decision = gate.decide(&snapshot).await;
    if !decision.is_allowed() {
        return context.printer.report(args.output.output, &Refused { reference: source, decision });
    }
    let promotion = args.promotion(&source, &destination, &subject);
    let plan = plan(&snapshot, &promotion).await.map_err(CliError::Promote)?;
    if args.dry_run {
        return context.printer.report(args.output.output, &Planned { destination, plan });
    }
    let promoted = Promoted::planned(&source, &destination, &plan);
    let admitted = plan.admit(&decision).map_err(CliError::Promote)?;
    let target = subject::open_destination(&client, &destination).await?;
    let options = args.options(context);
    let moved = transfer(admitted, &snapshot, &*target, &options).await.map_err(CliError::Promote)?;
    let promoted = promoted.with_report(moved.report());
    // Gate 2 judges what arrived, not what was sent.
    let arrived = gate.decide(moved.arrived()).await;
    if !arrived.is_allowed() {
        let reference = destination.with_digest(subject.digest().clone());
        return context.printer.report(args.output.output, &Refused { reference, decision: arrived });
    }
    publish(moved, &arrived).await.map_err(CliError::Promote)?;
    context.printer.report(args.output.output, &promoted)
}

impl PromoteArgs {
    fn promotion<R: ?Sized>(&self, source: &Reference, destination: &Reference, subject: &Subject<R>) -> Promotion {
        let kept = source.tag().filter(|_| destination.digest().is_none());
        Promotion {
            root: subject.descriptor.clone(),
            source_tag: source.tag().cloned(),
            destination_tag: destination.tag().or(kept).cloned(),
            selection: if self.include_lifecycle { Selection::everything() } else { Selection::default() },
            overwrite: if self.overwrite_tag { Overwrite::Allow } else { Overwrite::Refuse },
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

/// What both ends must satisfy.
struct Gate<'a> {
    policy: &'a Policy,
    verifier: &'a Verifier,
    digest: &'a Digest,
}

impl Gate<'_> {
    async fn decide(&self, repository: &dyn ReadRepository) -> Decision {
        self.policy.gather(repository, self.digest, self.verifier, Effort::FirstMatch).await.evaluate()
    }
}
