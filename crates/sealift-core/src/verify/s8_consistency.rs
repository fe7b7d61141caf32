//! Step 8: is what was signed about this artifact, and does it say what is demanded?

use std::collections::BTreeMap;

use super::claimed::Claimed;
use super::{Artifact, VerifyError};
use crate::oci::{Digest, DigestAlgorithm};
use crate::statement::{Statement, Subject};

/// The artifact as the signed bytes name it.
pub(super) struct Binding {
    pub(super) digest: Digest,
    pub(super) annotations: BTreeMap<String, String>,
}

pub(super) fn verify(
    claimed: &Claimed,
    artifact: &Artifact<'_>,
    required: &BTreeMap<String, String>,
) -> Result<Binding, VerifyError> {
    let binding = if let Some(statement) = &claimed.statement {
        bind_statement(statement, artifact)?
    } else if let Some(payload) = &claimed.simple_signing {
        let binding = Binding { digest: payload.digest().clone(), annotations: payload.annotations().clone() };
        refuse_other(payload.digest(), artifact)?;
        binding
    } else {
        bind_message(claimed.message_digest.as_ref(), artifact)?
    };
    for (key, expected) in required {
        let found = binding.annotations.get(key);
        if found != Some(expected) {
            return Err(VerifyError::WrongAnnotation {
                key: key.clone(),
                expected: expected.clone(),
                found: found.map(|text| crate::repository::foreign_text(text)),
            });
        }
    }
    Ok(binding)
}

/// The signature itself binds the bytes; a digest beside it must not say otherwise (GHSA-hm8f-75xx-w2vr).
fn bind_message(stated: Option<&Digest>, artifact: &Artifact<'_>) -> Result<Binding, VerifyError> {
    if let Some(stated) = stated {
        refuse_other(stated, artifact)?;
    }
    let digest = match artifact {
        Artifact::Bytes(bytes) => Digest::sha256(bytes),
        Artifact::Digest(digest) => (*digest).clone(),
    };
    Ok(Binding { digest, annotations: BTreeMap::new() })
}

fn refuse_other(signed: &Digest, artifact: &Artifact<'_>) -> Result<(), VerifyError> {
    if artifact.digest(signed.algorithm()).as_ref() == Some(signed) {
        return Ok(());
    }
    Err(VerifyError::WrongSubject { signed: vec![signed.to_string()] })
}

fn bind_statement(statement: &Statement, artifact: &Artifact<'_>) -> Result<Binding, VerifyError> {
    // An artifact's digests are computed once, not once per subject.
    let digests: Vec<Digest> = ALGORITHMS.into_iter().filter_map(|algorithm| artifact.digest(algorithm)).collect();
    let found = statement.subjects().iter().find_map(|subject| Some((subject, matching(subject, &digests)?)));
    match found {
        Some((subject, digest)) => Ok(Binding { digest: digest.clone(), annotations: subject.annotations.clone() }),
        None => Err(VerifyError::WrongSubject { signed: shown(statement) }),
    }
}

/// Returns the artifact's digest when `subject` names it and no other digest of the subject contradicts.
fn matching<'a>(subject: &Subject, digests: &'a [Digest]) -> Option<&'a Digest> {
    let mut agreed = None;
    for digest in digests {
        match subject.digest.get(digest.algorithm().as_str()) {
            Some(hex) if *hex == digest.hex() => agreed = agreed.or(Some(digest)),
            Some(_) => return None,
            None => {}
        }
    }
    agreed
}

fn shown(statement: &Statement) -> Vec<String> {
    let digests = statement.subjects().iter().flat_map(|subject| &subject.digest);
    let text = |(algorithm, hex): (&String, &String)| crate::repository::foreign_text(&format!("{algorithm}:{hex}"));
    digests.take(MAX_SHOWN_SUBJECTS).map(text).collect()
}

const ALGORITHMS: [DigestAlgorithm; 3] = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512];

/// How many foreign digests an error names.
const MAX_SHOWN_SUBJECTS: usize = 3;
