//! Reads what an entity claims, and refuses what does not claim what is asked for.
//!
//! Comes before the signature so that an SBOM is never counted as a signature that did not verify. Nothing read here
//! is believed until steps 7 and 8 are done.

use bytes::Bytes;

use super::{Claim, VerifyError};
use crate::entity::{SignedContent, SimpleSigning};
use crate::oci::{Digest, media_type};
use crate::repository::foreign_text;
use crate::statement::{Statement, predicate};

/// What an entity claims, parsed from the bytes that were signed.
pub(super) struct Claimed {
    pub(super) payload: Option<Bytes>,
    pub(super) statement: Option<Statement>,
    pub(super) simple_signing: Option<SimpleSigning>,
    pub(super) message_digest: Option<Digest>,
}

pub(super) fn read(content: &SignedContent, claim: &Claim) -> Result<Claimed, VerifyError> {
    let empty = Claimed { payload: None, statement: None, simple_signing: None, message_digest: None };
    match content {
        SignedContent::Envelope(envelope) => {
            if envelope.payload_type() != media_type::IN_TOTO {
                return Err(VerifyError::PayloadType { found: foreign_text(envelope.payload_type()) });
            }
            let statement = Statement::from_bytes(envelope.payload().clone()).map_err(VerifyError::Statement)?;
            refuse_other_predicate(statement.predicate_type(), claim)?;
            Ok(Claimed { payload: Some(envelope.payload().clone()), statement: Some(statement), ..empty })
        }
        SignedContent::MessageSignature { digest, .. } => match claim {
            Claim::Blob => Ok(Claimed { message_digest: digest.clone(), ..empty }),
            Claim::Attestation { .. } | Claim::ImageSignature => {
                Err(VerifyError::WrongPredicate { expected: claim.clone(), found: None })
            }
        },
        SignedContent::SimpleSigning { payload, .. } => match claim {
            Claim::ImageSignature => {
                let simple_signing = SimpleSigning::parse(payload).map_err(VerifyError::SimpleSigning)?;
                Ok(Claimed { payload: Some(payload.clone()), simple_signing: Some(simple_signing), ..empty })
            }
            Claim::Attestation { .. } | Claim::Blob => {
                Err(VerifyError::WrongPredicate { expected: claim.clone(), found: None })
            }
        },
    }
}

fn refuse_other_predicate(found: &str, claim: &Claim) -> Result<(), VerifyError> {
    let is_claimed = match claim {
        // Cosign 1 left the scheme of its own type out; the two name one type.
        Claim::Attestation { predicate_type: Some(expected) } if expected == predicate::CUSTOM => {
            [predicate::CUSTOM, predicate::CUSTOM_WITHOUT_SCHEME].contains(&found)
        }
        Claim::Attestation { predicate_type: Some(expected) } => found == expected,
        Claim::Attestation { predicate_type: None } => found != predicate::IMAGE_SIGNATURE,
        Claim::ImageSignature => found == predicate::IMAGE_SIGNATURE,
        Claim::Blob => false,
    };
    if is_claimed {
        return Ok(());
    }
    Err(VerifyError::WrongPredicate { expected: claim.clone(), found: Some(foreign_text(found)) })
}
