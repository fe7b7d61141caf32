//! Files that are signed or verified by themselves, outside of any repository.

use std::io::Read as _;
use std::path::Path;

use sealift_core::entity::{SignedContent, SignedEntity};
use sealift_core::oci::{Digest, DigestAlgorithm, Hasher};
use sealift_core::verify::Artifact;

use crate::config::Origin;
use crate::error::{CliError, UsageError};
use crate::files;

/// The largest file held in memory; signatures over larger ones are verified by digest, which Ed25519 cannot.
const MAX_IN_MEMORY: u64 = 256 * 1024 * 1024;
/// The largest file that is signed, which must be held in memory.
pub(crate) const MAX_SIGNED_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// By which a bundle may name what was signed.
const ALGORITHMS: [DigestAlgorithm; 3] = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];

/// What was signed: content, or its digest where that is enough or all there is.
#[derive(Debug)]
pub(crate) enum Blob {
    Bytes(Vec<u8>),
    Digest(Digest),
}

impl Blob {
    /// Reads what `operand` names: a file, `-` for standard input, or a digest such as `sha256:..` where no file has
    /// that name.
    pub(crate) fn open(operand: &str, entity: &SignedEntity) -> Result<Self, CliError> {
        let path = Path::new(operand);
        if operand == "-" {
            return files::read(path, MAX_IN_MEMORY).map(Self::Bytes);
        }
        match (std::fs::metadata(path), operand.parse::<Digest>()) {
            (Err(_), Ok(digest)) => Ok(Self::Digest(digest)),
            (Ok(metadata), _) if metadata.len() > MAX_IN_MEMORY => digest(path, algorithm(entity)).map(Self::Digest),
            _ => files::read(path, MAX_IN_MEMORY).map(Self::Bytes),
        }
    }

    /// Returns the digest by which a bundle names it.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::sha256(bytes),
            Self::Digest(digest) => digest.clone(),
        }
    }

    /// Returns its digests by all algorithms, or the only one known.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        match self {
            Self::Bytes(bytes) => ALGORITHMS.map(|algorithm| Digest::of(algorithm, bytes)).into(),
            Self::Digest(digest) => vec![digest.clone()],
        }
    }

    pub(crate) fn artifact(&self) -> Artifact<'_> {
        match self {
            Self::Bytes(bytes) => Artifact::Bytes(bytes),
            Self::Digest(digest) => Artifact::Digest(digest),
        }
    }
}

/// Returns the algorithm that the signature names the artifact by.
fn algorithm(entity: &SignedEntity) -> DigestAlgorithm {
    match &entity.content {
        SignedContent::MessageSignature { digest: Some(digest), .. } => digest.algorithm(),
        _ => DigestAlgorithm::Sha256,
    }
}

/// Returns the digest of a file, which is read piece by piece.
pub(crate) fn digest(path: &Path, algorithm: DigestAlgorithm) -> Result<Digest, CliError> {
    let failed = |source| CliError::Read { origin: Origin::File(path.to_owned()), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hasher = Hasher::new(algorithm);
    let mut piece = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(piece.get(..length).unwrap_or_default()),
        }
    }
}

/// Returns the name under which a statement knows a file: without its directories, as cosign writes it.
pub(crate) fn name(operand: &str) -> Result<String, UsageError> {
    let name = Path::new(operand).file_name().map(|name| name.to_string_lossy().into_owned());
    name.filter(|_| operand != "-").ok_or(UsageError::NoFileName { flag: "--bundle" })
}
