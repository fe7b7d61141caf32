//! `sealift verify-attestation`.

use std::collections::BTreeMap;

use sealift_core::evidence::Effort;
use sealift_core::verify::Claim;

use crate::args::deadline::DeadlineArgs;
use crate::args::identity::IdentityArgs;
use crate::args::output::OutputArgs;
use crate::args::predicate::{PredicateType, TYPE_HELP};
use crate::args::reference::REFERENCE_HELP;
use crate::args::registry::RegistryArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::manifests::Depth;
use crate::output::model::{Answers, Judged};
use crate::verification::Verification;
use crate::verifiers::requirements;

/// Verify that an accepted key or identity made an attestation about artifacts
///
/// Looks at every attestation, in Sigstore bundles and under cosign's `.att` tags. JSON output has cosign's form: one
/// DSSE envelope on a line for each attestation that counts.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift verify-attestation --key sealift.pub --type spdx registry.example.com/app:1.0
  sealift verify-attestation --key sealift.pub --type vuln --output json $IMAGE | jq -r .payload | base64 -d
  sealift verify-attestation --certificate-identity ci@example.com \\
    --certificate-oidc-issuer https://issuer.example.com registry.example.com/app@sha256:...

{TYPE_HELP}

{REFERENCE_HELP}"))]
pub(crate) struct VerifyAttestationArgs {
    /// Artifacts the attestation must be about
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,

    /// Demand this predicate type: a short name or a URI; default: any
    #[arg(long = "type", value_name = "TYPE")]
    predicate_type: Option<PredicateType>,

    /// Demand an attestation about every manifest of an index too: each platform, at any depth
    #[arg(short, long)]
    recursive: bool,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    registry: RegistryArgs,

    #[command(flatten)]
    time: DeadlineArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Verifies every reference.
pub(crate) async fn run(args: &VerifyAttestationArgs, context: &Context) -> Result<Answers<Judged>, CliError> {
    let (verifier, identity) = requirements(context, &args.identity, BTreeMap::new()).await?;
    let verification = Verification {
        verifier,
        identity,
        claim: Claim::Attestation { predicate_type: args.predicate_type.as_ref().map(|kind| kind.uri.clone()) },
        depth: if args.recursive { Depth::Recursive } else { Depth::Itself },
        effort: Effort::All,
        deadline: args.time.deadline,
    };
    verification.run(context, &args.registry, &args.references).await
}
