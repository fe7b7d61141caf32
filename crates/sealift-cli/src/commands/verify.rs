//! `sealift verify`.

use std::path::PathBuf;

use sealift_core::evidence::Effort;
use sealift_core::verify::{Claim, Verifier};
use sealift_policy::check::EndOfLife;

use crate::args::annotation::{self, Annotation};
use crate::args::deadline::DeadlineArgs;
use crate::args::end_of_life::EndOfLifeArgs;
use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::policy::PolicyArgs;
use crate::args::reference::REFERENCE_HELP;
use crate::args::registry::RegistryArgs;
use crate::config::environment::COSIGN_ANNOTATIONS;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::judging::Judging;
use crate::manifests::Depth;
use crate::output::model::{Answers, Judged};
use crate::report_file::ReportFile;
use crate::rules::Rules;
use crate::verification::Verification;
use crate::verifiers::verifier;

/// Verify that artifacts are signed by an accepted key or identity
///
/// Finds signatures wherever they are stored: Sigstore bundles in the referrers API or under the fallback tag, and
/// cosign's `.sig` tags. An attestation or an SBOM is not a signature. Every reference is answered; the report names
/// what was found and why it does or does not count. Exit code 0 is yes, 10 to 19 no, 20 to 29 that no answer was
/// reached. JSON output has cosign's form, one array for each verified reference.
///
/// With `--policy`, every rule that the file has for the repository is judged, attestations included, and the report
/// and its JSON say rule by rule what was found; the exit code for a "no" is then 14.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift verify --key sealift.pub registry.example.com/app:1.0
  sealift verify --key old.pub --key new.pub -a build=1234 registry.example.com/app:1.0
  sealift verify --certificate-identity dev@example.com \\
    --certificate-oidc-issuer https://accounts.google.com registry.example.com/app:1.0
  sealift verify --certificate-identity-glob 'https://github.com/acme/*/.github/workflows/release.yml@**' \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com registry.example.com/app:1.0
  sealift verify --policy policy.yaml registry.example.com/app:1.0
  sealift verify --key sealift.pub --fail-on-eol=7d --eol-signed-by vendor.pub registry.example.com/app:1.0
  sealift verify --key sealift.pub --recursive --output json $IMAGE_1 $IMAGE_2 | jq .
  sealift verify --key sealift.pub --recursive --platform linux/amd64 --junit report.xml $IMAGE
  if sealift verify --quiet --key sealift.pub \"$IMAGE\"; then deploy \"$IMAGE\"; fi

{REFERENCE_HELP}"))]
pub(crate) struct VerifyArgs {
    /// Artifacts to verify
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,

    /// Demand that this annotation is signed too; repeat for several
    #[arg(short, long = "annotation", visible_alias = "annotations", value_name = "KEY=VALUE")]
    annotations: Vec<Annotation>,

    #[command(flatten)]
    end_of_life: EndOfLifeArgs,

    /// Demand that every manifest of an index is signed too: each platform, at any depth
    #[arg(short, long)]
    recursive: bool,

    /// With `--recursive`, demand of an index only that this platform is signed too, such as `linux/amd64`; repeat for
    /// several
    #[arg(long, value_name = "PLATFORM", requires = "recursive")]
    platform: Vec<String>,

    /// Look at every signature, even after one has counted
    #[arg(long)]
    all: bool,

    /// Write the report as JUnit XML to this file too, a case for each reference; it says that the run has not ended until
    /// it has
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    policy: PolicyArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    time: DeadlineArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Verifies every reference, by its signatures or by a policy.
pub(crate) async fn run(args: &VerifyArgs, context: &Context) -> Result<Exit, CliError> {
    let depth = match (args.recursive, args.platform.is_empty()) {
        (false, _) => Depth::Itself,
        (true, true) => Depth::Recursive,
        (true, false) => Depth::Platforms(args.platform.clone()),
    };
    let effort = if args.all { Effort::All } else { Effort::FirstMatch };
    let (registry, references) = (&args.registry, &args.references);
    let (printer, format, deadline) = (context.printer, args.output.output, args.time.deadline);
    let file = ReportFile::begin(args.junit.as_deref(), "sealift verify", references.join(" "));
    match demands(args, context).await {
        Err(error) => file.end(printer, format, Err(error), Answers::<Judged>::cases),
        Ok((verifier, Rules::Signers(identity), None)) => {
            let verification =
                Verification { verifier, identity, claim: Claim::ImageSignature, depth, effort, deadline };
            let answers = verification.run(context, registry, references).await;
            file.end(printer, format, answers, Answers::cases)
        }
        Ok((verifier, rules, end_of_life)) => {
            let judging = Judging { verifier, rules, end_of_life, depth, effort, deadline };
            let answers = judging.run(context, registry, references).await;
            file.end(printer, format, answers, Answers::cases)
        }
    }
}

/// Returns the verifier and what is demanded, of signatures and of the end of life, as the flags say.
async fn demands(args: &VerifyArgs, context: &Context) -> Result<(Verifier, Rules, Option<EndOfLife>), CliError> {
    if args.annotations.is_empty() {
        context.check_unset(COSIGN_ANNOTATIONS)?;
    }
    let annotations = annotation::to_map(&args.annotations)?;
    let end_of_life = args.end_of_life.check(context)?;
    let rules = Rules::read(context, &args.policy, &args.identity)?;
    let certificates = args.end_of_life.certificates().unwrap_or_else(|| rules.certificates());
    let verifier = verifier(context, &args.identity.trust, annotations, certificates).await?;
    Ok((verifier, rules, end_of_life))
}
