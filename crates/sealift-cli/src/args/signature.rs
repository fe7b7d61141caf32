//! Where the signature of a file is.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::entity::{MAX_BUNDLE_BYTES, MaterialKey, SignedEntity, VerificationMaterial};
use sealift_core::x509::Certificate;

use crate::args::NO_HEADING;
use crate::error::{CliError, UsageError};
use crate::files;

/// Where the signature of a file is
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct SignatureArgs {
    /// Bundle with the signature and what verifies it: standardized, or as older cosigns wrote it; default: the file's
    /// name with `.sigstore.json`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["signature", "certificate"])]
    bundle: Option<PathBuf>,

    /// Signature by itself: a file that holds it raw or in base64, or the base64
    #[arg(long, value_name = "SIGNATURE")]
    signature: Option<String>,

    /// Certificate of the signer by itself, in PEM, or in base64 as older cosigns wrote it
    #[arg(long, alias = "cert", value_name = "FILE", requires = "signature")]
    certificate: Option<PathBuf>,

    /// Accepted for command lines written for cosign: both forms of bundles are read
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    new_bundle_format: Option<bool>,
}

impl SignatureArgs {
    /// Reads the signature of `operand`.
    pub(crate) fn read(&self, operand: &str) -> Result<SignedEntity, CliError> {
        if let Some(signature) = &self.signature {
            return self.read_detached(signature);
        }
        let default = || (operand != "-").then(|| PathBuf::from(format!("{operand}.sigstore.json")));
        let path = self.bundle.clone().or_else(default).ok_or(UsageError::NoFileName { flag: "--bundle" })?;
        let json = files::read(&path, MAX_BUNDLE_BYTES as u64)?;
        SignedEntity::parse_bundle(&json).map_err(|source| CliError::BundleFile { path, source })
    }

    fn read_detached(&self, signature: &str) -> Result<SignedEntity, CliError> {
        let path = PathBuf::from(signature);
        let bytes =
            if path.exists() { files::read(&path, MAX_BUNDLE_BYTES as u64)? } else { signature.as_bytes().to_vec() };
        let signature = match STANDARD.decode(bytes.trim_ascii()) {
            Ok(decoded) => decoded,
            Err(_) if path.exists() => bytes,
            Err(_) => return Err(UsageError::NoSignature { text: signature.chars().take(80).collect() }.into()),
        };
        let mut material = VerificationMaterial::default();
        if let Some(path) = &self.certificate {
            let bytes = files::read(path, MAX_CERTIFICATE_FILE_BYTES)?;
            let pem = STANDARD.decode(bytes.trim_ascii()).unwrap_or(bytes);
            let text = String::from_utf8(pem).map_err(|_| UsageError::NotText { path: path.clone() })?;
            let chain = Certificate::chain_from_pem(&text);
            let chain = chain.map_err(|source| CliError::Certificates { path: path.clone(), source })?;
            material.key = MaterialKey::Certificates(chain.iter().map(|one| one.as_der().to_vec()).collect());
        }
        let entity = SignedEntity::detached(signature.into(), material);
        entity.map_err(|source| CliError::BundleFile { path, source })
    }
}

/// The largest file of certificates read.
const MAX_CERTIFICATE_FILE_BYTES: u64 = 1024 * 1024;
