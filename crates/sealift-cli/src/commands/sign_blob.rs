//! `sealift sign-blob`.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::entity::Bundle;
use sealift_core::oci::Digest;

use crate::args::blob_output::BlobOutputArgs;
use crate::args::keyless::SignerArgs;
use crate::args::output::SigningOutputArgs;
use crate::blob::MAX_SIGNED_BYTES;
use crate::context::Context;
use crate::error::CliError;
use crate::files::{self, Overwrite, Readers};
use crate::output::model::{Batch, SignedBlob};
use crate::signing::{Signatory, log_indexes};

/// Sign files
///
/// The signature is verified before it is written, as a Sigstore bundle beside the file, which every Sigstore client
/// verifies.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealift sign-blob --key sealift.key app.tar.gz
  sealift sign-blob --key sealift.key --bundle app.bundle --output-signature app.sig app.tar.gz
  sealift sign-blob --yes dist/*")]
pub(crate) struct SignBlobArgs {
    /// Files to sign, `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    to: BlobOutputArgs,

    /// Write the signature alone to this file, in base64; for one file
    #[arg(long, value_name = "FILE")]
    output_signature: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: SigningOutputArgs,
}

/// Signs every file; one that fails does not stop the others.
pub(crate) async fn run(args: &SignBlobArgs, context: &Context) -> Result<Batch<SignedBlob>, CliError> {
    args.to.refuse_several(&args.files, args.output_signature.as_ref())?;
    let signatory = Signatory::open(context, &args.signer, &args.files).await?;
    let mut results = Vec::new();
    for file in &args.files {
        results.push((file.clone(), args.sign(file, &signatory).await));
    }
    Ok(Batch(results))
}

impl SignBlobArgs {
    async fn sign(&self, file: &str, signatory: &Signatory) -> Result<SignedBlob, CliError> {
        let path = self.to.bundle_path(file)?;
        let bytes = files::read(file.as_ref(), MAX_SIGNED_BYTES)?;
        let bundle = signatory.sign_blob(&bytes).await?;
        self.to.write_bundle(&path, &bundle)?;
        if let Some(path) = &self.output_signature {
            let text = STANDARD.encode(bundle.content().signature());
            files::write(path, text.as_bytes(), Readers::Everyone, Overwrite::Allowed)?;
        }
        Ok(signed(file, Digest::sha256(&bytes), path, &bundle))
    }
}

/// Returns what is told of a signed file.
pub(super) fn signed(name: &str, digest: Digest, bundle_file: PathBuf, bundle: &Bundle) -> SignedBlob {
    SignedBlob {
        name: name.to_owned(),
        digest,
        bundle_file,
        predicate_type: bundle.predicate_type(),
        log_indexes: log_indexes(bundle.material()),
    }
}
