//! `sealift attest-blob`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealift_core::entity::SignedContent;
use sealift_core::oci::DigestAlgorithm;
use sealift_core::statement::{Statement, Subject};
use sealift_core::verify::{Artifact, Claim};

use super::sign_blob::signed;
use crate::args::blob_output::BlobOutputArgs;
use crate::args::keyless::SignerArgs;
use crate::args::output::SigningOutputArgs;
use crate::args::predicate::{PredicateArgs, Stated, TYPE_HELP};
use crate::blob;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files::{self, Overwrite, Readers};
use crate::output::model::{Batch, SignedBlob};
use crate::signing::{Signatory, is_about};

/// Sign a statement about files: an SBOM, provenance, a scan, or anything else
///
/// As `sealift attest`, for files: the statement is about the file's name and SHA-256, and is written as a Sigstore
/// bundle beside the file.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  sealift attest-blob --key sealift.key --type slsaprovenance1 --predicate provenance.json app.tar.gz
  sealift attest-blob --key sealift.key --statement statement.json --bundle app.intoto.json app.tar.gz

{TYPE_HELP}"))]
pub(crate) struct AttestBlobArgs {
    /// Files the statement is about
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    #[command(flatten)]
    stated: PredicateArgs,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    to: BlobOutputArgs,

    /// Write the DSSE envelope alone to this file; for one file
    #[arg(long, value_name = "FILE")]
    output_attestation: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: SigningOutputArgs,
}

/// Attests every file; one that fails does not stop the others.
pub(crate) async fn run(args: &AttestBlobArgs, context: &Context) -> Result<Batch<SignedBlob>, CliError> {
    args.to.refuse_several(&args.files, args.output_attestation.as_ref())?;
    let stated = args.stated.read(context)?;
    let signatory = Signatory::open(context, &args.signer, &args.files).await?;
    let mut results = Vec::new();
    for file in &args.files {
        results.push((file.clone(), args.attest(file, &stated, &signatory).await));
    }
    Ok(Batch(results))
}

impl AttestBlobArgs {
    async fn attest(&self, file: &str, stated: &Stated, signatory: &Signatory) -> Result<SignedBlob, CliError> {
        let path = self.to.bundle_path(file)?;
        let name = blob::name(file)?;
        let digest = blob::digest(file.as_ref(), DigestAlgorithm::Sha256)?;
        let statement = match stated {
            Stated::Predicate { predicate_type, predicate, .. } => {
                let subject = Subject::of(&digest).named(name);
                Statement::new(vec![subject], predicate_type, predicate).map_err(CliError::Statement)?
            }
            Stated::Statement(statement) if is_about(statement, &digest) => statement.clone(),
            Stated::Statement(_) => return Err(UsageError::OtherSubject { digest }.into()),
        };
        let claim = Claim::Attestation { predicate_type: Some(statement.predicate_type().to_owned()) };
        let artifact = Artifact::Digest(&digest);
        let bundle = signatory.sign(&statement, &artifact, &claim, BTreeMap::new()).await?;
        self.to.write_bundle(&path, &bundle)?;
        if let (Some(path), SignedContent::Envelope(envelope)) = (&self.output_attestation, bundle.content()) {
            let json = envelope.to_json().map_err(CliError::Envelope)?;
            files::write(path, &json, Readers::Everyone, Overwrite::Allowed)?;
        }
        Ok(signed(file, digest, path, &bundle))
    }
}
