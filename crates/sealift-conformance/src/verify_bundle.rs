//! `verify-bundle`: one bundle, one file or its digest.

use std::path::Path;

use sealift_core::entity::{Bundle, SignedContent, SignedEntity};
use sealift_core::oci::Digest;
use sealift_core::statement::{Statement, predicate};
use sealift_core::verify::{Artifact, Claim, LogRequirement};

use crate::arguments::{Arguments, read};
use crate::demand;
use crate::error::ClientError;

pub(crate) fn run(arguments: Vec<String>) -> Result<(), ClientError> {
    let options = [&demand::OPTIONS[..], &["--bundle"]].concat();
    let arguments = Arguments::parse(arguments, &options, &["--staging"])?;
    let entity = SignedEntity::from(Bundle::parse(&read(arguments.required("--bundle")?)?)?);
    let identity = demand::identity(&arguments)?;
    let verifier = demand::verifier(&arguments, LogRequirement::Required)?;
    let claim = claim_of(&entity);
    let digest = as_digest(arguments.operand()?);
    let content;
    let artifact = match &digest {
        Some(digest) => Artifact::Digest(digest),
        None => {
            content = read(arguments.operand()?)?;
            Artifact::Bytes(&content)
        }
    };
    verifier.verify(&entity, &artifact, &identity, &claim)?;
    Ok(())
}

/// The protocol asks whether the bundle is about the artifact, whatever it says about it.
pub(crate) fn claim_of(entity: &SignedEntity) -> Claim {
    let SignedContent::Envelope(envelope) = &entity.content else {
        return Claim::Blob;
    };
    let statement = Statement::from_bytes(envelope.payload().clone());
    if statement.is_ok_and(|statement| statement.predicate_type() == predicate::IMAGE_SIGNATURE) {
        return Claim::ImageSignature;
    }
    Claim::Attestation { predicate_type: None }
}

/// Reads `sha256:` and 64 digits as a digest, unless a file has that name.
fn as_digest(operand: &str) -> Option<Digest> {
    if !operand.starts_with("sha256:") || Path::new(operand).exists() {
        return None;
    }
    operand.parse().ok()
}
